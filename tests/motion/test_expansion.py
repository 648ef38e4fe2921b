"""The expansion of X3D: six candidates a step, the best kept, the target met from below."""

from __future__ import annotations

import pytest

from triscope.errors import BadSettings
from triscope.motion.expansion import between, expand, giga_of
from triscope.motion.models.x3d import SHAPES, Shape


def test_each_step_takes_the_best_axis_and_the_last_is_drawn_back() -> None:
    order = iter(["bottleneck", "fast", "spatial"])
    state = {"axis": "", "asked": 0}

    def judge(shape: Shape) -> float:
        """Prefers one axis after the other, told by what changed from the last kept shape."""
        if state["asked"] % 6 == 0:
            state["axis"] = next(order)
        state["asked"] += 1
        kinds = ("fast", "temporal", "spatial", "depth", "width", "bottleneck")
        return float(kinds[(state["asked"] - 1) % 6] == state["axis"])

    steps = expand(0.1, judge)
    assert [s.axis for s in steps] == ["bottleneck", "fast", "spatial"]
    assert state["asked"] == 18 and all(len(s.scores) == 6 for s in steps)
    assert steps[0].giga == pytest.approx(0.0410, abs=1e-4)  # the paper's first step: 41.0 M
    assert steps[1].shape.frames == 2 and steps[1].shape.step == 6
    assert 0.085 < steps[-1].giga <= 0.1  # drawn back from about twice the cost
    assert 112 < steps[-1].shape.size < 158 and giga_of(steps[-1].shape) == steps[-1].giga


def test_between_changes_only_what_differs() -> None:
    start = SHAPES["x2d"]
    after = Shape(1, 12, 158, width=2.0, bottleneck=1.0, depth=1.0)
    assert between(start, after, 0.0) == start and between(start, after, 1.0) == after
    assert between(start, after, 0.5).size == 136


def test_a_target_below_the_start_is_refused() -> None:
    with pytest.raises(BadSettings, match="the start already costs"):
        expand(0.01, lambda shape: 0.0)
