"""Everything mode beside the published generator: CPU seconds of one thread, peak memory, masks.

``python -m benchmarks.bench_everything PUBLISHED [POINTS_PER_SIDE [TIMES]]`` with the folder of a
clone of MobileSAM (whose generator, decoder and prompt encoder are those of Segment Anything). Both
sides run MobileSAM with the same random weights on the same picture, alternating, each in a process
of its own. The IoU filter is set so that it passes the share that trained weights pass; random
masks then meet the stability filter, so few remain: the masks themselves are compared with that
filter and NMS off, on a small grid.
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import machine
from benchmarks.measure import Run, alternating, clock, middle, peak_mb, run
from benchmarks.published_sam import published_package
from triscope.segment.everything import Settings, everything
from triscope.segment.many_points import ManyPoints
from triscope.segment.models.sam import mobile_sam
from triscope.segment.synth import scene

SIZE = (534, 800)
SIDES = ("published", "exact", "bf16")
SHARE = 0.15  # of masks that pass the filter of predicted IoU


def weights() -> dict[str, torch.Tensor]:
    """The same random weights for both sides."""
    torch.manual_seed(0)
    network = mobile_sam()
    for name, value in network.state_dict().items():
        if name.endswith("attention_biases"):
            value.normal_(0, 0.5)
    return network.state_dict()


def published(folder: Path, settings: Settings, image: Any) -> tuple[Any, Any]:
    """The generator of others with timm and torchvision as they are installed."""
    package = published_package(folder)
    network = package.sam_model_registry["vit_t"]()
    network.load_state_dict(weights())
    network.eval()
    generator = package.SamAutomaticMaskGenerator(
        network,
        points_per_side=settings.points_per_side,
        pred_iou_thresh=settings.pred_iou_thresh,
        stability_score_thresh=settings.stability_score_thresh,
        box_nms_thresh=settings.box_nms_thresh,
    )
    with clock() as used:
        found = generator.generate(image)
    masks = [row["segmentation"] for row in found]
    return used, [(row["predicted_iou"], mask) for row, mask in zip(found, masks, strict=True)]


def ours(settings: Settings, image: Any, half: bool) -> tuple[Any, Any]:
    """This library's everything mode."""
    network = mobile_sam()
    network.load_state_dict(weights())
    decoder = ManyPoints(network.eval(), half=half)
    with clock() as used:
        found = everything(decoder, image, settings)
    return used, [(one.predicted_iou, one.mask()) for one in found]


def threshold() -> float:
    """The predicted IoU that the wanted share of masks exceeds."""
    network = mobile_sam()
    network.load_state_dict(weights())
    decoder = ManyPoints(network.eval())
    scores: list[float] = []
    from triscope.segment import grid
    from triscope.segment.frame import Frame

    image = scene(7, SIZE).image
    frame = Frame(SIZE, 1024)
    decoder.look(frame.pixels(image))
    points = frame.points_in(grid.point_grid(6) * [SIZE[1], SIZE[0]])
    for some in decoder.survivors(points, 0.0):
        scores += some.iou.tolist()
    return float(np.quantile(scores, 1 - SHARE))


def side(name: str, folder: Path, settings: Settings, keep: Path) -> dict[str, Any]:
    """Run one side in this process; its masks go to ``keep``."""
    torch.set_num_threads(1)
    image = scene(7, SIZE).image
    if name == "published":
        used, found = published(folder, settings, image)
    else:
        used, found = ours(settings, image, name == "bf16")
    np.savez_compressed(
        keep,
        iou=np.array([iou for iou, _ in found]),
        masks=np.array([mask for _, mask in found]),
    )
    return {"cpu": used.cpu_s, "peak": peak_mb(), "masks": len(found)}


def equal(folder: Path) -> dict[str, Any]:
    """Nothing filtered but by predicted IoU, on a small grid: are the masks the same ones?"""
    above = threshold()
    with tempfile.TemporaryDirectory() as place:
        told = {}
        for name in SIDES:
            keep = Path(place) / f"{name}.npz"
            child(name, folder, 6, above, 0, 1, keep)
            with np.load(keep) as stored:
                told[name] = stored["iou"], stored["masks"]
    _, theirs = told["published"]
    out = {}
    for name in SIDES[1:]:
        _, masks = told[name]
        best = [max((_iou(a, b) for a in masks), default=0.0) for b in theirs]
        out[name] = {
            "masks": len(masks),
            "published": len(theirs),
            "least overlap": min(best),
            "mean overlap": float(np.mean(best)),
        }
    return out


def _iou(a: Any, b: Any) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def child(
    name: str, folder: Path, per_side: int, above: float, stable: float, nms: float, keep: Path
) -> Run:
    """One side in a process of its own."""
    words = ["side", name, folder, per_side, above, stable, nms, keep]
    return run([sys.executable, "-m", "benchmarks.bench_everything", *map(str, words)], says=True)


def main(folder: Path, per_side: int, times: int) -> None:
    """Both comparisons as tables."""
    above = threshold()
    with tempfile.TemporaryDirectory() as place:
        keep = Path(place) / "masks.npz"
        sides = {
            name: partial(child, name, folder, per_side, above, 0.95, 0.7, keep) for name in SIDES
        }
        found = alternating(times, **sides)
    print(machine())
    first = middle(found["published"], "cpu")
    for name, runs in found.items():
        cpu, peak = middle(runs, "cpu"), middle(runs, "peak")
        grid, ratio = f"{per_side}x{per_side}", first / cpu
        print(f"{name:10} {grid} CPU {cpu:7.1f} s {ratio:6.2f}x  peak {peak:6.0f} MB")
    print(json.dumps(equal(folder), indent=2))


if __name__ == "__main__":
    if sys.argv[1] == "side":
        name, folder, per_side, above, stable, nms, keep = sys.argv[2:]
        chosen = Settings(
            points_per_side=int(per_side),
            pred_iou_thresh=float(above),
            stability_score_thresh=float(stable),
            box_nms_thresh=float(nms),
        )
        print(json.dumps(side(name, Path(folder).resolve(), chosen, Path(keep))))
    elif sys.argv[1] == "equal":
        print(json.dumps(equal(Path(sys.argv[2]).resolve()), indent=2))
    else:
        main(Path(sys.argv[1]).resolve(), *(int(n) for n in (*sys.argv[2:], 16, 2)[:2]))
