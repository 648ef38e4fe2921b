"""A Gaussian at each place, from sums over a stream of images; single images can be taken out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from triscope.errors import BadSettings

PLACES = 256  # places whose matrices are worked on at once


class Kept(NamedTuple):
    """What one look at one image added to the sums: its number, and float16 (places, dims)."""

    image: int
    rows: Tensor


class Gaussians:
    """Sums of features and of their products, float32, about the features of the first image.

    The sums take ``4 places dims^2`` bytes however many images come. What is left of ``ceiling``
    keeps the features of single images (float16), so that they can be subtracted again; once it is
    full, the oldest are dropped, and can no longer be forgotten.
    """

    grows = ("kept", "owners", "dropped")

    def __init__(self, places: int, dims: int, ceiling: int) -> None:
        self.places, self.dims = places, dims
        # The sums, and in settling once more as covariances and as their factors in half precision.
        fixed = 8 * places * dims * (dims + 2)
        self.room = (ceiling - fixed) // (2 * places * dims)  # looks that are kept
        if ceiling < fixed:
            raise BadSettings(
                f"Gaussians of {dims} numbers at {places} places take {fixed / 1e6:.0f} MB, more "
                f"than the {ceiling / 1e6:.0f} MB that memory leaves. Raise memory, or lower "
                "channels or size."
            )
        self.count = 0
        self.shift = torch.zeros(places, dims)
        self.first = torch.zeros(places, dims)  # sum of x - shift
        self.second = torch.zeros(places, dims, dims)  # sum of (x - shift)(x - shift)^T
        self.kept: list[Kept] = []
        self.dropped: set[int] = set()

    def add(self, rows: Tensor, ids: Tensor) -> None:
        """Features (b, places, dims) of the images ``ids`` (b,)."""
        rows = rows.half()
        if not self.count:
            self.shift = rows[0].float()
        self._sum(rows, 1)
        for row, name in zip(rows, ids.tolist(), strict=True):
            self.kept.append(Kept(name, row.clone()))
        while len(self.kept) > self.room:
            self.dropped.add(self.kept.pop(0).image)

    def forget(self, ids: Tensor) -> None:
        """Subtract these images; those that were never added are no fault."""
        names = set(ids.tolist())
        if names & self.dropped:
            gone = sorted(names & self.dropped)
            raise BadSettings(
                f"the features of image {gone[0]} are no longer kept (memory had room for "
                f"{self.room} images), so it cannot be forgotten. Raise memory, or fit without it."
            )
        for look in self.kept:
            if look.image in names:
                self._sum(look.rows[None], -1)
        self.kept = [look for look in self.kept if look.image not in names]

    def _sum(self, rows: Tensor, sign: int) -> None:
        away = (rows.float() - self.shift).transpose(0, 1)  # (p, b, d)
        self.count += sign * rows.shape[0]
        self.first += sign * away.sum(1)
        for start in range(0, self.places, PLACES):
            part = away[start : start + PLACES]
            self.second[start : start + PLACES].baddbmm_(part.transpose(1, 2), part, alpha=sign)

    def whitening(self, ridge: float) -> tuple[Tensor, Tensor, Tensor]:
        """Means (p, d), scales (d,) and float16 W (p, d, d): |(x - mean) scale W| is Mahalanobis.

        Covariances are unbiased, of channels with mean variance 1 over the places; ``ridge`` is
        added to their variances.
        """
        offset = self.first / self.count
        variances = self.second.diagonal(dim1=1, dim2=2) - self.count * offset.square()
        level = variances.mean(0) / (self.count - 1)  # (d,)
        scale = level.clamp_min(1e-6 * float(level.max().clamp_min(1e-12))).rsqrt()
        whiten = torch.empty(self.places, self.dims, self.dims, dtype=torch.float16)
        for start in range(0, self.places, PLACES):
            place = slice(start, start + PLACES)
            mean = offset[place]
            cov = self.second[place] - self.count * mean.unsqueeze(2) * mean.unsqueeze(1)
            cov = cov / (self.count - 1) * scale.unsqueeze(1) * scale
            eye = torch.eye(self.dims).expand_as(cov)
            factor = torch.linalg.cholesky(cov + ridge * eye)
            whiten[place] = torch.linalg.solve_triangular(factor, eye, upper=False).mT
        return self.shift + offset, scale, whiten

    def state(self) -> dict[str, Tensor]:
        """Everything as tensors; ``restore`` takes it."""
        empty = torch.zeros(0, self.places, self.dims, dtype=torch.float16)
        return {
            "count": torch.tensor(self.count),
            "shift": self.shift.clone(),
            "first": self.first.clone(),
            "second": self.second.clone(),
            "kept": torch.stack([look.rows for look in self.kept]) if self.kept else empty,
            "owners": torch.tensor([look.image for look in self.kept], dtype=torch.int64),
            "dropped": torch.tensor(sorted(self.dropped), dtype=torch.int64),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put the result of ``state`` back."""
        self.count = int(state["count"])
        self.shift, self.first, self.second = (
            state[name].clone() for name in ("shift", "first", "second")
        )
        owners = state["owners"].tolist()
        self.kept = [Kept(*look) for look in zip(owners, state["kept"].clone(), strict=True)]
        self.dropped = set(state["dropped"].tolist())
