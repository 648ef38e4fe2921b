"""Made-up defects on good images, for learning with few labels: three published ways.

Each is a transform ``(view, rng) -> View``: the view's mask grows by what was changed; boxes get
one more, labelled with the transform's ``label``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings, EmptyData
from triscope.kernel.config import require
from triscope.kernel.data.transforms import View
from triscope.surface.synth.fields import noise

Mask = NDArray[np.bool_]
Range = tuple[float, float]


@dataclass(frozen=True)
class CutPaste:
    """A patch of the image, pasted elsewhere on it (arXiv:2104.04015, section 3.1).

    ``scar`` cuts a long thin one and turns it.
    """

    area: Range = (0.02, 0.15)  # of the patch, as a share of the image
    aspect: float = 3.3  # longest side over shortest, at most
    scar: bool = False  # a thin turned strip (2 to 16 by 10 to 25 pixels at 256)
    jitter: float = 0.1  # how much brighter or darker the patch becomes
    label: str = "defect"  # of the new box

    def __post_init__(self) -> None:
        require(
            self,
            area=(0 < self.area[0] <= self.area[1] < 1, "(least, most), shares in (0, 1)"),
            aspect=(self.aspect >= 1, "1 or more"),
            jitter=(0 <= self.jitter < 1, "a share in [0, 1)"),
        )

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        h, w = view.hw
        ph, pw = _scar_size(view.hw, rng) if self.scar else self._patch_size(view.hw, rng)
        y, x = int(rng.integers(h - ph + 1)), int(rng.integers(w - pw + 1))
        patch = view.image[y : y + ph, x : x + pw].astype(np.float32)
        patch = patch * (1 + rng.uniform(-self.jitter, self.jitter))
        shape = np.ones((ph, pw), np.float32)
        if self.scar:
            patch, shape = _rotated(patch, shape, rng.uniform(-45, 45))
            ph, pw = shape.shape
        if ph > h or pw > w:
            return view
        to_y, to_x = int(rng.integers(h - ph + 1)), int(rng.integers(w - pw + 1))
        cover = np.zeros(view.hw, np.float32)
        cover[to_y : to_y + ph, to_x : to_x + pw] = shape
        pasted = view.image.astype(np.float32)
        pasted[to_y : to_y + ph, to_x : to_x + pw] = patch
        return changed(view, pasted, cover, self.label)

    def _patch_size(self, hw: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
        area = rng.uniform(*self.area) * hw[0] * hw[1]
        aspect = float(np.exp(rng.uniform(-np.log(self.aspect), np.log(self.aspect))))
        h, w = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        return int(np.clip(h, 2, hw[0])), int(np.clip(w, 2, hw[1]))


@dataclass(frozen=True)
class PerlinTexture:
    """Another texture shows through patches of smooth noise (DRAEM, arXiv:2108.07610, 3.2).

    The texture is one of ``textures`` (images), or the image itself, changed beyond recognition.
    """

    textures: tuple[Any, ...] = ()  # images uint8; empty: the image itself, in pieces
    above: float = 0.5  # where noise of deviation 1 is larger, the texture shows
    opacity: Range = (0.2, 1.0)  # of the texture
    label: str = "defect"  # of the new box

    def __post_init__(self) -> None:
        require(self, opacity=(0 < self.opacity[0] <= self.opacity[1] <= 1, "shares in (0, 1]"))

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        side = min(view.hw)
        scale = side / 2 ** rng.uniform(1, 5)
        cover = (noise(rng, view.hw, max(1.0, scale / 2)) > self.above).astype(np.float32)
        # One blob or a few, not a pattern all over: the noise counts near one place only.
        y, x = rng.integers(view.hw[0]), rng.integers(view.hw[1])
        near = np.zeros(view.hw, np.float32)
        cv2.circle(near, (int(x), int(y)), int(side * rng.uniform(0.08, 0.3)), 1.0, -1)
        cover *= near
        texture = self._texture(view, rng)
        opacity = np.float32(rng.uniform(*self.opacity))
        mixed = view.image.astype(np.float32)
        mixed = mixed + opacity * (texture - mixed)
        return changed(view, mixed, cover, self.label)

    def _texture(self, view: View, rng: np.random.Generator) -> NDArray[np.float32]:
        h, w = view.hw
        if self.textures:
            other = np.asarray(self.textures[int(rng.integers(len(self.textures)))])
            texture = cv2.resize(other, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32)
            return _channels_as(texture, view.image)
        whole = np.rot90(view.image, int(rng.integers(1, 4)))
        whole = cv2.resize(np.ascontiguousarray(whole), (w, h)).astype(np.float32)
        top = float(np.iinfo(view.image.dtype).max)
        pieces = np.roll(whole, (int(rng.integers(h)), int(rng.integers(w))), axis=(0, 1))
        return np.asarray(top - pieces if rng.random() < 0.5 else pieces * rng.uniform(0.4, 1.6))


@dataclass(frozen=True, eq=False)
class Transplant:
    """A real defect of another image, moved here and blended in (Poisson image editing, 2003).

    ``donors`` are views with masks; ``blend`` off pastes it as it is.
    """

    donors: Sequence[View]
    scale: Range = (0.7, 1.4)  # of the defect
    blend: bool = True  # Poisson blending; no: paste
    label: str = "defect"  # of the new box, where the donor does not name it

    def __post_init__(self) -> None:
        usable = [d for d in self.donors if d.mask is not None and bool(np.any(d.mask))]
        if not usable:
            raise EmptyData("transplanting needs at least one image with a drawn defect.")
        object.__setattr__(self, "donors", usable)
        if not 0 < self.scale[0] <= self.scale[1]:
            raise BadSettings(f"scale={self.scale}: expected (least, most), above 0.")

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        donor = self.donors[int(rng.integers(len(self.donors)))]
        patch, shape = _defect_of(donor, rng, self.scale)
        patch = _channels_as(patch, view.image)
        turn = int(rng.integers(4))
        patch, shape = np.rot90(patch, turn).copy(), np.rot90(shape, turn).copy()
        (h, w), (ph, pw) = view.hw, shape.shape
        if ph + 2 > h or pw + 2 > w:
            return view
        y, x = int(rng.integers(1, h - ph)), int(rng.integers(1, w - pw))
        cover = np.zeros(view.hw, np.float32)
        cover[y : y + ph, x : x + pw] = shape
        if self.blend:
            pasted = _blended(patch, shape, view.image, (y, x))
        else:
            pasted = view.image.astype(np.float32)
            pasted[y : y + ph, x : x + pw] = patch
        name = str(donor.labels[0]) if donor.labels else self.label
        return changed(view, pasted, cover, name)


def changed(
    view: View, pasted: NDArray[np.float32], cover: NDArray[np.float32], label: str
) -> View:
    """The view with ``pasted`` where ``cover`` in [0, 1] is above a half, mask and box added."""
    where = cover > 0.5
    if not where.any():
        return view
    top = np.iinfo(view.image.dtype).max
    values = np.clip(pasted + 0.5, 0, top).astype(view.image.dtype)
    wide = where[..., None] if view.image.ndim == 3 else where
    image = np.where(wide, values, view.image)
    mask = where if view.mask is None else (view.mask > 0) | where
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    box = [[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]]
    masks = None if view.masks is None else np.concatenate([view.masks, where[None]])
    return replace(
        view,
        image=image,
        mask=mask,
        boxes=np.concatenate([view.boxes, np.asarray(box, np.float64)]),
        labels=(*view.labels, label),
        masks=masks,
    )


def _scar_size(hw: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    unit = min(hw) / 256
    h, w = rng.uniform(10, 25) * unit, rng.uniform(2, 16) * unit
    return int(np.clip(round(h), 2, hw[0])), int(np.clip(round(w), 1, hw[1]))


def _rotated(
    patch: NDArray[np.float32], shape: NDArray[np.float32], degrees: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    h, w = shape.shape
    side = int(np.ceil(np.hypot(h, w)))
    matrix = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), degrees, 1.0)
    matrix[:, 2] += ((side - w) / 2, (side - h) / 2)
    turned = [cv2.warpAffine(array, matrix, (side, side)) for array in (patch, shape)]
    return np.asarray(turned[0], np.float32), np.asarray(turned[1], np.float32)


def _defect_of(
    donor: View, rng: np.random.Generator, scale: Range
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One region of the donor's mask with the image around it, enlarged or shrunk."""
    assert donor.mask is not None
    count, regions, stats, _ = cv2.connectedComponentsWithStats((donor.mask > 0).astype(np.uint8))
    number = int(rng.integers(1, count))
    x, y, w, h = (int(v) for v in stats[number, :4])
    patch = donor.image[y : y + h, x : x + w].astype(np.float32)
    shape = (regions[y : y + h, x : x + w] == number).astype(np.float32)
    factor = rng.uniform(*scale)
    size = (max(1, round(w * factor)), max(1, round(h * factor)))
    return np.asarray(cv2.resize(patch, size)), np.asarray(cv2.resize(shape, size))


def _blended(
    patch: NDArray[np.float32],
    shape: NDArray[np.float32],
    image: NDArray[Any],
    at: tuple[int, int],
) -> NDArray[np.float32]:
    """The image with the patch's own gradients inside the shape, and its borders met (eq. 4).

    What is added to the patch is harmonic: given on the border by the difference to the image.
    OpenCV's seamlessClone does the same, but reads beyond its buffers for small regions.
    """
    h, w = shape.shape
    around = np.s_[at[0] - 1 : at[0] + h + 1, at[1] - 1 : at[1] + w + 1]
    ground = image[around].astype(np.float32)
    edges = ((1, 1), (1, 1), (0, 0))[: patch.ndim]
    source = np.pad(patch, edges, mode="edge")
    inside = np.pad(shape > 0.5, 1)
    pasted = image.astype(np.float32)
    wide = inside[..., None] if image.ndim == 3 else inside
    pasted[around] = np.where(wide, source + harmonic(ground - source, inside), ground)
    return pasted


def harmonic(
    values: NDArray[np.float32], inside: NDArray[np.bool_], steps: int = 200
) -> NDArray[np.float32]:
    """The values, smoothly filled where ``inside``: Laplace's equation by conjugate gradients.

    Values (h, w[, c]); the outermost pixels are never inside.
    """
    free = inside.astype(np.float32)
    free = free[..., None] if values.ndim == 3 else free
    known = values * (1 - free)
    found = np.zeros_like(values)
    left = free * _neighbours(known)
    way, size = left.copy(), float(np.vdot(left, left))
    for _ in range(steps):
        if size < 1e-3:
            break
        ahead = free * (4 * way - _neighbours(way))
        length = size / float(np.vdot(way, ahead))
        found += length * way
        left -= length * ahead
        before, size = size, float(np.vdot(left, left))
        way = left + (size / before) * way
    return np.asarray(known + found, np.float32)


def _neighbours(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum of the four neighbours; beyond the edge there is nothing."""
    total = np.zeros_like(values)
    total[1:] += values[:-1]
    total[:-1] += values[1:]
    total[:, 1:] += values[:, :-1]
    total[:, :-1] += values[:, 1:]
    return total


def _channels_as(values: NDArray[np.float32], image: NDArray[Any]) -> NDArray[np.float32]:
    """Grey or colour as the image is."""
    if values.ndim == image.ndim:
        return values
    if image.ndim == 2:
        return np.asarray(values.mean(2), np.float32)
    return np.repeat(values[..., None], 3, axis=2)
