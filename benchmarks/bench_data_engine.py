"""Three stages of the data engine over a folder, with a person who knows the true masks.

``python -m benchmarks.bench_data_engine [IMAGES [POINTS [IOU [STABILITY]]]]``: generated scenes of
512 px, a third of them for each stage that people work in. The person asks for every mask that is
not filled in yet, clicks into the errors of what comes back, keeps it from an overlap of 0.75 on
and gives it up after five clicks. Seconds are the machine's: CPU seconds of one thread.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.machine import machine
from triscope.kernel.metrics.overlap import iou
from triscope.segment.engine import Engine
from triscope.segment.evaluate.cases import Case, scenes
from triscope.segment.evaluate.clicks import centre_of, next_click
from triscope.segment.everything import Settings
from triscope.segment.networks import load_network
from triscope.segment.predictor import Predictor

FIRST = 2_000_200_000  # seeds of the scenes: used for nothing else
GOOD, CLICKS = 0.75, 5
SMALLEST_PX = 400  # nobody clicks at less


def main(images: str = "12", points: str = "12", quality: str = "0.3", stable: str = "0.7") -> None:
    """The table of one run."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    settings = Settings(
        points_per_side=int(points), pred_iou_thresh=float(quality),
        stability_score_thresh=float(stable),
    )  # fmt: skip
    print(machine())
    with TemporaryDirectory() as place:
        cases = drawn(Path(place) / "photos", int(images))
        predictor = Predictor(load_network())
        engine = Engine.start(
            Path(place) / "work", Path(place) / "photos", lambda _: predictor, settings
        )
        for stage in ("assisted", "semi"):
            fresh = [e.name for e in engine.manifest.images.values() if not e.done]
            started = process_time()
            counts = [work(engine, cases, name) for name in fresh[: len(cases) // 3]]
            told(engine, stage, process_time() - started, cases, sum(counts))
            engine.advance()
        started = process_time()
        engine.automatic()
        told(engine, "automatic", process_time() - started, cases)


def drawn(folder: Path, count: int) -> dict[str, Case]:
    """The scenes as pictures in a folder, by the name that the engine gives them."""
    folder.mkdir()
    cases = {}
    for case in scenes(count, (512, 512), FIRST):
        name = case.name.replace("/", "_")
        cv2.imwrite(str(folder / f"{name}.png"), np.ascontiguousarray(case.image[:, :, ::-1]))
        cases[name] = case
    return cases


def work(engine: Engine, cases: dict[str, Case], name: str) -> int:
    """One picture in a stage of people; how many clicks it took."""
    case = cases[Path(name).stem]
    kept = [mask for mask in engine.look(name) if best(mask.rle.decode(), case) >= GOOD]
    for mask in kept:
        engine.add(name, mask.rle, **mask.extra)
    clicks = 0
    for truth in case.masks:
        known = any(iou(mask.rle.decode(), truth) >= GOOD for mask in engine.masks(name))
        if known or truth.sum() < SMALLEST_PX:
            continue
        started = process_time()
        found, count = clicked_mask(engine, name, truth)
        clicks += count
        if found is not None:
            engine.add(name, found, process_time() - started)
    engine.finish(name)
    return clicks


def clicked_mask(engine: Engine, name: str, truth: Any) -> tuple[Any, int]:
    """A mask that is good enough and the clicks it took; None after too many."""
    points, labels, logits, found = [], [], None, np.zeros_like(truth)
    for number in range(CLICKS):
        point, label = (centre_of(truth), 1) if not number else next_click(found, truth)
        points.append(point)
        labels.append(label)
        answer = engine.predict(
            name, points=points, labels=labels, mask=logits, multimask=not number
        )
        # A person sees all three and takes the one that is meant.
        k = int(np.argmax([iou(mask, truth) for mask in answer.masks]))
        found, logits = answer.masks[k], answer.logits[k]
        if iou(found, truth) >= GOOD:
            return found, number + 1
    return None, CLICKS


def best(mask: Any, case: Case) -> float:
    """Overlap with the true mask that fits best."""
    return max((iou(mask, truth) for truth in case.masks), default=0.0)


def told(engine: Engine, stage: str, used: float, cases: dict[str, Case], clicks: int = 0) -> None:
    """One row: the engine's own figures, and how the masks of this stage fit the true ones."""
    row = engine.figures()[stage]
    fits = [
        best(mask.rle.decode(), cases[Path(name).stem])
        for name in engine.manifest.images
        for mask in engine.masks(name)
        if mask.extra.get("stage") == stage
    ]
    print(
        f"{stage:10} images {row['images']:3.0f}  masks {row['masks']:4.0f}  "
        f"an image {row['masks an image']:5.1f}  filled in {row['prefilled']:3.0f}  "
        f"CPU s a mask {used / max(row['masks'], 1):5.2f}  clicks {clicks:3d}  "
        f"overlap {np.mean(fits or [0]):.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
