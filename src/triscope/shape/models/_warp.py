"""The warp of the sweep in torch: differentiable, one plane or many at a time."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from triscope.shape.warp import Warp

NEAREST = 1e-6  # points behind the source, or this close to its centre, have no image there


def warped(
    sources: Float[Tensor, "s c h w"],
    warp: Warp,
    depth: float,
    size: tuple[int, int],
    *,
    corners: bool = True,
) -> Float[Tensor, "s c i j"]:
    """The sources as the reference would see them if everything lay on the plane at ``depth``.

    Bilinear, zero outside; ``size`` (i, j) is that of the reference map. ``corners=False`` is the
    reading of the same grid by published code that names no convention.
    """
    return warped_to(sources, warp, [depth], size, corners=corners)[:, :, 0]


def warped_to(
    sources: Float[Tensor, "s c h w"],
    warp: Warp,
    depths: ArrayLike,
    size: tuple[int, int],
    *,
    corners: bool = True,
) -> Float[Tensor, "s c d i j"]:
    """The same for all planes in one call: on small maps a call costs more than its work."""
    h, w = sources.shape[-2:]
    x, y = positions(warp, depths, size, sources.device)  # (s, d, i, j) each
    grid = torch.stack([2 * x / max(w - 1, 1) - 1, 2 * y / max(h - 1, 1) - 1], -1)
    found = F.grid_sample(
        sources,
        grid.flatten(1, 2).to(sources.dtype),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=corners,
    )
    return found.reshape(*found.shape[:2], -1, *size)


def positions(
    warp: Warp, depths: ArrayLike, size: tuple[int, int], device: torch.device
) -> tuple[Float[Tensor, "s d i j"], Float[Tensor, "s d i j"]]:
    """Columns and rows in each source on each plane; far outside where the point lies behind it."""
    steps = np.asarray(depths, np.float64)[:, None, None]
    turn = torch.as_tensor(warp.turn[:, None] * steps, dtype=torch.float32, device=device)
    shift = torch.as_tensor(warp.shift, dtype=torch.float32, device=device)
    rows = torch.arange(size[0], dtype=torch.float32, device=device)[:, None]
    columns = torch.arange(size[1], dtype=torch.float32, device=device)

    def row(i: int) -> Tensor:
        a, b, c = (turn[:, :, i, j, None, None] for j in range(3))
        return a * columns + b * rows + (c + shift[:, None, i, None, None])

    z = row(2)
    front = z > NEAREST
    safe = torch.where(front, z, 1.0)
    far = torch.tensor(-1e4, device=device)
    return torch.where(front, row(0) / safe, far), torch.where(front, row(1) / safe, far)


def variance(
    reference: Float[Tensor, "c *one h w"], others: Float[Tensor, "s c *d h w"]
) -> Float[Tensor, "c *d h w"]:
    """The variance over all views, the reference among them: E[f^2] - E[f]^2."""
    n = len(others) + 1
    mean = (reference + others.sum(0)) / n
    return (reference.square() + others.square().sum(0)) / n - mean.square()
