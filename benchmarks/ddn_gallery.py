"""The worst test images of a detector of the DDN tables, as one picture."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import triscope
from benchmarks import page
from benchmarks.data import DATA
from benchmarks.ddn_runs import STEP, Run, by_list, inputs, trained
from benchmarks.known_page import write
from triscope.kernel.geometry.boxes import iou
from triscope.surface.labelled import Item

SURE = 0.5  # score from which a box is drawn


@torch.inference_mode()
def failures(run: Run, rows: int = 4, columns: int = 6) -> None:
    """A picture of the worst of every third test image: truth in green, what was found in red.

    It stays in .bench: the images may not be given away.
    """
    import cv2

    model = trained(run)
    net = model.graph()
    whole = triscope.data(DATA / "neu_det").split("test")
    data = replace(whole, samples=by_list(whole)[::STEP])
    seen = []
    for item in inputs(model, data):
        boxes, labels, scores, _ = net(torch.from_numpy(item.image)[None])
        sure = scores > SURE
        found = zip(labels[sure], boxes[sure].numpy(), strict=True)
        named = [(model.classes[i], box) for i, box in found]
        seen.append((_missed(item, named), item, named))
    seen.sort(key=lambda one: -one[0])
    tiles = [_picture(item, named) for _, item, named in seen[: rows * columns]]
    sheet = np.vstack([np.hstack(tiles[i * columns : (i + 1) * columns]) for i in range(rows)])
    cv2.imwrite(str(run.folder / "failures.png"), sheet)
    kinds = Counter(_kind(item) for _, item, _ in seen)
    failed = Counter(_kind(item) for missed, item, _ in seen if missed)
    print(f"{run.folder.name}/failures.png: the {len(tiles)} worst of {len(seen)}")
    section = page.Section(
        "failures",
        "Failures",
        f"{run.title}, {run.steps} updates, every third test image: those with a box that was "
        f"missed or is wrong (score above {SURE}, IoU 0.5), by the name of the image. The command "
        "draws the worst as a picture beside the weights; it is not given away, as the images are "
        "not.",
        ("", "images", "with a failure"),
        [(name, kinds[name], failed[name]) for name in sorted(kinds)],
        f"python -m benchmarks.bench_ddn failures {run.name}",
        notes=[
            "Seen in the picture: crazing is one texture whose boxes nobody draws twice alike; "
            "scratches and inclusions side by side are taken as one, or cut; of small patches and "
            "rolled-in scale beside large ones some are missed. The paper shows such cases too.",
        ],
    )
    print(write(section))


def _kind(item: Item) -> str:
    return Path(item.sample.name).stem.rpartition("_")[0]


def _missed(item: Item, named: list[tuple[str, Any]]) -> int:
    """True boxes without one of their class over them, and boxes over nothing of theirs."""
    truths = [(box.label, at) for box, at in zip(item.sample.boxes, item.boxes(), strict=True)]

    def alone(ones: list[Any], others: list[Any]) -> int:
        met = [
            any(n == m and iou(a[None], b[None])[0, 0] >= 0.5 for m, b in others) for n, a in ones
        ]
        return len(met) - sum(met)

    return alone(truths, named) + alone(named, truths)


def _picture(item: Item, named: list[tuple[str, Any]]) -> NDArray[np.uint8]:
    import cv2

    picture = np.ascontiguousarray((255 * item.image.transpose(1, 2, 0)).astype(np.uint8))
    marks = [("", box, (0, 200, 0)) for box in item.boxes()]
    for name, box, colour in [*marks, *((n, b, (0, 0, 255)) for n, b in named)]:
        x0, y0, x1, y1 = (round(float(v)) for v in box)
        cv2.rectangle(picture, (x0, y0), (x1, y1), colour, 2)
        cv2.putText(picture, name, (x0 + 3, y0 + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1)
    title = Path(item.sample.name).stem
    cv2.putText(picture, title, (4, 314), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    return picture
