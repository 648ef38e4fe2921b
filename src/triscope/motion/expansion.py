"""X3D's way to a network of a given cost: one axis a step, the best of six (arXiv:2004.04730).

Each step builds six candidates, each changing one axis so that the multiply-adds about double,
judges all of them (by training, or by any proxy) and keeps the best. At the end the axis that was
expanded last is drawn back so that the target is met.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from triscope.errors import BadSettings
from triscope.motion.cost import cost
from triscope.motion.models.x3d import SHAPES, Shape, X3d, candidates

Judge = Callable[[Shape], float]  # larger is better
AXES = ("frames", "step", "size", "width", "bottleneck", "depth")


@dataclass(frozen=True)
class Expanded:
    """One step: the axis that was chosen, what it gave, and how all six were judged."""

    axis: str
    shape: Shape
    giga: float
    scores: dict[str, float]


def giga_of(shape: Shape, classes: int = 400) -> float:
    """Thousand million multiply-adds of a shape at its own clip."""
    with torch.device("meta"):
        net = X3d(shape, classes=classes)
    return cost(net, (1, 3, shape.frames, shape.size, shape.size)).giga


def expand(
    target_giga: float,
    judge: Judge,
    *,
    start: Shape = SHAPES["x2d"],
    told: Callable[[Expanded], None] = lambda _: None,
) -> list[Expanded]:
    """The steps from ``start`` to a shape of at most ``target_giga``; the last one is the answer.

    Raises BadSettings where the start already costs more.
    """
    now, giga = start, giga_of(start)
    if giga > target_giga:
        raise BadSettings(
            f"target_giga={target_giga:g}: the start already costs {giga:.4f} thousand million."
        )
    steps: list[Expanded] = []
    while giga < target_giga:
        shapes = candidates(now)
        scores = {axis: judge(shape) for axis, shape in shapes.items()}
        axis = max(scores, key=lambda name: scores[name])
        before, now = now, shapes[axis]
        giga = giga_of(now)
        if giga > target_giga:
            now = contracted(before, now, target_giga)
            giga = giga_of(now)
            steps.append(Expanded(axis, now, giga, scores))
            told(steps[-1])
            break
        steps.append(Expanded(axis, now, giga, scores))
        told(steps[-1])
    return steps


def contracted(before: Shape, after: Shape, target_giga: float) -> Shape:
    """The farthest shape between the two that costs no more than the target (halving)."""
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        if giga_of(between(before, after, middle)) <= target_giga:
            low = middle
        else:
            high = middle
    return between(before, after, low)


def between(before: Shape, after: Shape, share: float) -> Shape:
    """The shape that lies ``share`` of the way along the axes that differ."""
    changes: dict[str, float] = {}
    for name in AXES:
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            value = one + share * (other - one)
            whole = name in ("frames", "step", "size")
            even = 2 * round(value / 2)
            changes[name] = (even if name == "size" else round(value)) if whole else value
    return replace(before, **changes)  # type: ignore[arg-type]
