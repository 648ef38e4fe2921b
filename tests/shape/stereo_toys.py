"""Small stereo problems that several tests of the shape domain share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from triscope.shape.warp import Warp, warp_of


def looking_at(eye: tuple[float, float, float], target: tuple[float, float, float]) -> Any:
    """cam_T_world of a camera at ``eye``: x to the right, y down, z towards the target."""
    forward = np.subtract(target, eye)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, -1.0, 0.0])
    right = right / np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, -turn @ np.asarray(eye)
    return pose


def rig(views: int, size: tuple[int, int], focal: float) -> tuple[Any, Any]:
    """K (n, 3, 3) and cam_T_world (n, 4, 4) of cameras side by side that look at (0, 0, 5)."""
    h, w = size
    K = np.array([[focal, 0, (w - 1) / 2], [0, focal, (h - 1) / 2], [0, 0, 1.0]])
    eyes = [
        (0.0, 0.0, 0.0),
        *((0.4 * (-1) ** i * (1 + i // 2), 0.1 * i, 0.0) for i in range(views)),
    ]
    poses = [looking_at(eye, (0.0, 0.0, 5.0)) for eye in eyes[:views]]
    return np.stack([K] * views), np.stack(poses)


def toy_warp(views: int, size: tuple[int, int]) -> Warp:
    return warp_of(*rig(views, size, 0.9 * size[1]))


def maps(views: int, size: tuple[int, int], seed: int = 0) -> NDArray[np.float32]:
    """Smooth random features (views, 32, h, w)."""
    noise = np.random.default_rng(seed).standard_normal((views, 32, *size)).astype(np.float32)
    smooth = torch.nn.functional.avg_pool2d(torch.from_numpy(noise), 3, 1, 1)
    return np.asarray(3 * smooth, np.float32)


def same_answers(one: Any, two: Any, least: float = 1.0) -> None:
    """Equal planes (on at least this share) and equal probabilities and scores there."""
    equal = one.index == two.index
    assert equal.mean() >= least
    assert np.abs(one.probability - two.probability)[equal].max() < 1e-4
    a, b = one.around[:, equal], two.around[:, equal]
    assert (np.isfinite(a) == np.isfinite(b)).all()
    known = np.isfinite(a)
    assert np.allclose(a[known], b[known], atol=2e-3)


def moved(weights: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The weights with noise, so that no norm has its trivial scale and bias."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: value + 0.3 * torch.randn(value.shape, generator=generator)
        for name, value in weights.items()
    }
