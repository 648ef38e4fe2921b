"""Object proposals by everything mode: AR@k by size, arXiv:2304.02643 section 7.3, appendix D.3."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from triscope.kernel.geometry.rle import Rle
from triscope.segment.evaluate.cases import Case
from triscope.segment.evaluate.overlaps import Recall
from triscope.segment.everything import GridDecoder, Settings, everything

# Published: a 64x64 grid of the whole image, overlaps of boxes up to 0.9, nothing filtered.
PUBLISHED = Settings(
    points_per_side=64, pred_iou_thresh=0.0, stability_score_thresh=0.0, box_nms_thresh=0.9
)


def evaluate_proposals(
    decoder: GridDecoder,
    cases: Iterable[Case],
    settings: Settings = PUBLISHED,
    most: int = 1000,
) -> dict[str, Any]:
    """AR@most of all masks and by size, and how many proposals an image had on average.

    Above ``most`` the masks with the highest mean of predicted IoU and stability stay.
    """
    recall, counts = Recall(most), []
    for case in cases:
        found = everything(decoder, case.image, settings)
        found.sort(key=lambda one: -(one.predicted_iou + one.stability_score) / 2)
        counts.append(len(found))
        truth = [Rle.encode(mask) for mask in case.masks]
        recall.add([one.rle for one in found], truth)
    return {
        **recall.to_dict(),
        "k": most,
        "images": len(counts),
        "masks": len(recall.areas),
        "proposals an image": sum(counts) / max(len(counts), 1),
    }
