"""A plain weave of two yarns, seen from above; a yarn may be missing for a while."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.surface.synth.fields import Floats, Size, as_floats, as_image, grid, noise

WARP = as_floats([0.61, 0.58, 0.52])  # yarn down the picture: raw linen
WEFT = as_floats([0.55, 0.545, 0.53])  # yarn across: a little greyer
GROUND = as_floats([0.10, 0.095, 0.09])  # what is seen between the yarns
PITCH = 9.0  # pixels from yarn to yarn in a picture of 256 pixels
FINER = 2  # painted so many times larger, then averaged


@dataclass(frozen=True)
class Gap:
    """A missing weft yarn: its number, and the columns between which it is gone, in pixels."""

    yarn: int
    start: float
    stop: float


@dataclass(frozen=True)
class Yarn:
    """One of the two yarns at each pixel: which one is there, where across it, how high it lies."""

    number: NDArray[np.int64]
    across: Floats  # in [-1, 1] on the yarn
    height: Floats  # above the middle plane; far below where there is none
    along: Floats  # in pitches


def woven(
    rng: np.random.Generator, size: Size, missing: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """One piece of cloth: image uint8 (h, w, 3), and where a yarn is missing, bool (h, w)."""
    big = (size[0] * FINER, size[1] * FINER)
    pitch = PITCH * FINER * min(size) / 256
    u, v = _threads(rng, big, pitch)
    # Drawn aside: the cloth around the gap is the one that the same generator weaves without it.
    gap = _gap(rng.spawn(1)[0], big, v, pitch) if missing else None
    warp, weft = _lay(rng, u, v, gap)
    colour = _shade(rng, warp, weft, big)
    colour += rng.normal(0, 0.02, big).astype(np.float32)[..., None]
    image = cv2.resize(colour, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    image = image + rng.normal(0, 0.008, (*size, 3)).astype(np.float32)  # the camera
    return as_image(as_floats(image)), _gone(gap, v, size)


def _threads(rng: np.random.Generator, size: Size, pitch: float) -> tuple[Floats, Floats]:
    """Coordinates in yarns: u counts warp yarns, v weft yarns; cloth is never quite straight."""
    rows, columns = grid(size)
    turn = float(rng.normal(0, 0.012))  # radians
    drift = 0.20 * pitch
    x = columns + turn * rows + drift * noise(rng, size, (pitch * 9, pitch * 3))
    y = rows - turn * columns + drift * noise(rng, size, (pitch * 3, pitch * 9))
    start = rng.uniform(0, 2, 2)
    return as_floats(x / pitch + start[0] + 40), as_floats(y / pitch + start[1] + 40)


def _gap(rng: np.random.Generator, size: Size, v: Floats, pitch: float) -> Gap:
    row = int(rng.uniform(0.2, 0.8) * size[0])
    yarn = int(np.floor(v[row, size[1] // 2]))
    length = float(rng.uniform(0.35, 0.8)) * size[1]
    start = float(rng.uniform(0.02, 0.98 - length / size[1])) * size[1]
    return Gap(yarn, start, start + max(length, 4 * pitch))


def _lay(rng: np.random.Generator, u: Floats, v: Floats, gap: Gap | None) -> tuple[Yarn, Yarn]:
    i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    sign_i, sign_j = 1 - 2 * (i % 2), 1 - 2 * (j % 2)
    thick = 0.475 + 0.03 * noise(rng, u.shape, 10)
    warp_wave = 0.55 * np.sin(np.pi * v) * sign_i  # over and under, once a pitch
    weft_wave = -0.55 * np.sin(np.pi * u) * sign_j
    # sin(pi v) changes its sign from yarn to yarn by itself, as the weave does.
    warp = _yarn(i, u - i - 0.5, _widths(rng, i, thick), warp_wave, v)
    weft = _yarn(j, v - j - 0.5, _widths(rng, j, thick), weft_wave, u)
    if gap is None:
        return warp, weft
    columns = grid(u.shape)[1]
    gone = (j == gap.yarn) & (columns >= gap.start) & (columns < gap.stop)
    height = np.where(gone, np.float32(-9), weft.height)
    # Without the crossing yarn, the warp lies flat and a little deeper.
    flat = as_floats(np.where(gone, warp.height - warp_wave * 0.8, warp.height))
    return Yarn(i, warp.across, flat, v), Yarn(j, weft.across, as_floats(height), u)


def _yarn(
    number: NDArray[np.int64], off: Floats, half: Floats, wave: Floats, along: Floats
) -> Yarn:
    across = off / half
    round_ = np.sqrt(np.clip(1 - across**2, 0, None))
    height = np.where(abs(across) < 1, wave + 0.6 * round_, np.float32(-9))
    return Yarn(number, as_floats(across), as_floats(height), along)


def _widths(rng: np.random.Generator, number: NDArray[np.int64], thick: Floats) -> Floats:
    """Half width of each yarn, in pitches: yarns differ, and each swells and thins."""
    each = rng.normal(0, 0.018, int(number.max()) + 2).astype(np.float32)
    return as_floats(np.clip(thick + each[number], 0.38, 0.5))


def _shade(rng: np.random.Generator, warp: Yarn, weft: Yarn, size: Size) -> Floats:
    over = warp.height >= weft.height
    top = np.maximum(warp.height, weft.height)
    tones = [rng.normal(1, 0.035, 4000).astype(np.float32) for _ in range(2)]
    fibres = 0.5 * noise(rng, size, 0.8) + 0.5 * noise(rng, size, 2.5)
    parts = []
    for yarn, colour, tone, side in ((warp, WARP, tones[0], 0.55), (weft, WEFT, tones[1], 0.83)):
        twist = np.sin(2 * np.pi * (1.1 * yarn.along + 0.45 * yarn.across))
        facing = 0.80 - 0.30 * side * yarn.across * abs(yarn.across)
        light = facing + 0.07 * twist + 0.06 * fibres
        parts.append(colour * (light * tone[yarn.number % 4000])[..., None])
    deep = np.clip(0.62 + 0.40 * top, 0.30, 1.06)[..., None]  # yarns that dive get less light
    cloth = np.where(over[..., None], parts[0], parts[1]) * deep
    bare = (top < -5)[..., None]
    lamp = 1 + 0.05 * noise(rng, size, min(size) / 3)[..., None]
    return as_floats(np.where(bare, GROUND * (1 + 0.2 * fibres[..., None]), cloth) * lamp * 1.25)


def _gone(gap: Gap | None, v: Floats, size: Size) -> NDArray[np.bool_]:
    if gap is None:
        return np.zeros(size, np.bool_)
    columns = grid(v.shape)[1]
    near = abs(v - gap.yarn - 0.5) < 0.62
    gone = (near & (columns >= gap.start) & (columns < gap.stop)).astype(np.float32)
    small = cv2.resize(gone, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small >= 0.5)
