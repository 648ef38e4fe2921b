"""Variational refinement: it moves towards the truth, stays near its start, and is smooth."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest

from triscope.errors import BadSettings
from triscope.kernel.results import Depth
from triscope.shape.refinement import Settings, _Photo, _Smooth, refined
from triscope.shape.scene import Scene
from triscope.shape.stereo import at_scale
from triscope.shape.synth import clutter
from triscope.shape.warp import planes, warp_of

DEPTHS = planes(0.765, 3.84, 64)


@cache
def room() -> Scene:
    return clutter(7, 3, (96, 128))


def stereo_of(scene: Scene) -> tuple[Any, Any, Any]:
    greys = [cv2.cvtColor(view.read(), cv2.COLOR_RGB2GRAY) for view in scene.views]
    return (
        greys,
        np.stack([view.K for view in scene.views]),
        np.stack([view.cam_T_world for view in scene.views]),
    )


def off_by(count: float) -> tuple[Depth, Any]:
    """The truth at a quarter of the size, moved by so many planes; and the truth."""
    view = room().views[0]
    truth = np.asarray(view.depth)[2::4, 2::4]
    step = (1 / DEPTHS[0] - 1 / DEPTHS[-1]) / (len(DEPTHS) - 1)
    moved = (1 / (1 / truth + count * step)).astype(np.float32)
    sure = np.ones_like(moved)
    return Depth(moved, sure, at_scale(view.K[None], 4)[0]), truth


@pytest.mark.parametrize("count", [0.6, -0.6])
def test_it_moves_towards_the_truth(count: float) -> None:
    start, truth = off_by(count)
    found = refined(start, *stereo_of(room()), DEPTHS)
    before = np.median(np.abs(start.values - truth) / truth)
    after = np.median(np.abs(found.values - truth) / truth)
    assert after < 0.5 * before
    assert np.array_equal(found.confidence, start.confidence)


def test_it_stays_near_its_start_and_unknown_stays_unknown() -> None:
    start, _ = off_by(3.0)
    values = start.values.copy()
    values[:4] = 0
    start = replace(start, values=values)
    before = values.copy()
    found = refined(start, *stereo_of(room()), DEPTHS, Settings(reach=0.5))
    assert np.array_equal(values, before) and not found.values[:4].any()
    step = (1 / DEPTHS[0] - 1 / DEPTHS[-1]) / (len(DEPTHS) - 1)
    moved = np.abs(1 / found.values[4:] - 1 / start.values[4:]) / step
    assert 0.05 < moved.max() <= 0.5 + 1e-3
    empty = replace(start, values=np.zeros_like(values))
    assert not refined(empty, *stereo_of(room()), DEPTHS).values.any()


def test_the_cost_is_that_of_windows_compared_by_hand() -> None:
    greys, K, poses = stereo_of(room())
    warp = warp_of(K[:2], poses[:2])
    step = 0.01
    photo = _Photo(greys[:2], warp, (96, 128), step, 5)
    place = np.full((96, 128), 1 / (2.0 * step), np.float32)
    found = photo.cost(place)
    row, column = 40, 61
    windows = []
    for y in range(row - 2, row + 3):
        for x in range(column - 2, column + 3):
            p = warp.turn[0] @ [x, y, 1] * 2.0 + warp.shift[0]
            u, v = p[:2] / p[2]
            source = cv2.getRectSubPix(greys[1].astype(np.float32), (1, 1), (u, v))[0, 0]
            windows.append((float(greys[0][y, x]), float(source)))
    a, b = np.array(windows).T
    zncc = np.corrcoef(a, b)[0, 1]
    assert found[row, column] == pytest.approx(1 - zncc, abs=0.02)


def test_the_smoothness_is_the_gradient_of_its_energy() -> None:
    rng = np.random.default_rng(0)
    grey, known = (20 * rng.random((4, 5))).astype(np.float32), rng.random((4, 5)) > 0.2
    place = rng.random((4, 5)).astype(np.float32)
    smooth = _Smooth(grey, known)

    def energy(x: Any) -> float:
        total = 0.0
        for i in range(4):
            for j in range(5):
                for a, b in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                    if 0 <= a < 4 and 0 <= b < 5 and known[i, j] and known[a, b]:
                        weight = np.exp(-((float(grey[i, j]) - float(grey[a, b])) ** 2) / 10)
                        total += weight * (float(x[i, j]) - float(x[a, b])) ** 2
        return total

    pull, bend = smooth(place)
    for i, j in ((1, 2), (0, 0), (3, 4)):
        ahead, behind = place.astype(float), place.astype(float)
        ahead[i, j] += 1e-3
        behind[i, j] -= 1e-3
        assert pull[i, j] == pytest.approx((energy(ahead) - energy(behind)) / 2e-3, abs=1e-3)
        second = (energy(ahead) - 2 * energy(place) + energy(behind)) / 1e-6
        assert bend[i, j] == pytest.approx(second, abs=0.05)


def test_settings_that_cannot_be_meant() -> None:
    with pytest.raises(BadSettings, match="window=4: expected an odd number"):
        Settings(window=4)
