"""What the things of a room are painted with: grain, patches, stripes, tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from triscope.shape.synth.solids import noise

Floats = NDArray[np.float64]
Pattern = Literal["grain", "patches", "stripes", "tiles"]
PATTERNS: tuple[Pattern, ...] = ("grain", "patches", "stripes", "tiles")


@dataclass(frozen=True)
class Paint:
    """Colour, contrast, and the sizes of the grain of one thing."""

    colour: Floats
    contrast: float
    scale: float
    seed: int
    pattern: Pattern = "grain"  # what lies under the grain
    second: Floats | None = None  # the other colour of a pattern
    direction: Floats | None = None  # across the stripes

    def __call__(self, points: Floats) -> Floats:
        """Colours (n, 3) of points (n, 3)."""
        grain = sum(noise(points / (self.scale / 2**i), self.seed + i) / 2 for i in range(3))
        return self._ground(points) * (1 + self.contrast * (np.asarray(grain)[:, None] - 0.75))

    def _ground(self, points: Floats) -> Floats:
        if self.pattern == "grain" or self.second is None:
            return self.colour
        share = _SHARES[self.pattern](points, self)[:, None]
        return self.colour + share * (self.second - self.colour)


def _patches(points: Floats, paint: Paint) -> Floats:
    """Islands with edges, as of spilt paint."""
    field = noise(points / paint.scale, paint.seed + 9)
    field = field + 0.5 * noise(points / (paint.scale / 3), paint.seed + 10) - 0.25
    return np.clip((field - 0.5) * 12 + 0.5, 0, 1)


def _stripes(points: Floats, paint: Paint) -> Floats:
    """Stripes of uneven width."""
    assert paint.direction is not None
    way = points @ paint.direction / paint.scale
    wave = np.abs((way + 0.4 * noise(points / (3 * paint.scale), paint.seed + 9)) % 1 - 0.5)
    return np.clip((wave - 0.25) * 12 + 0.5, 0, 1)


def _tiles(points: Floats, paint: Paint) -> Floats:
    """Blocks, each of one tone, with straight edges."""
    cell = np.floor(points / paint.scale)
    return np.clip(noise(cell * 7.0, paint.seed + 9), 0, 1)


_SHARES = {"patches": _patches, "stripes": _stripes, "tiles": _tiles}


def plain_paint(rng: np.random.Generator, depth: float) -> Paint:
    """Grain of any strength, much of it weak."""
    contrast = float(rng.choice([0.05, 0.3, 0.8, 1.2], p=[0.2, 0.25, 0.3, 0.25]))
    scale = depth * float(np.exp(rng.uniform(np.log(0.01), np.log(0.15))))
    return Paint(rng.uniform(0.15, 0.9, 3), contrast, scale, int(rng.integers(1 << 20)))


def any_paint(rng: np.random.Generator, depth: float) -> Paint:
    """Grain or one of the patterns, with weak grain over it."""
    pattern: Pattern = PATTERNS[rng.choice(4, p=[0.4, 0.3, 0.15, 0.15])]
    plain = plain_paint(rng, depth)
    direction = rng.standard_normal(3)
    greyness = rng.random()  # most things of a room have little colour
    one, two = (
        colour + greyness * (colour.mean() - colour)
        for colour in (plain.colour, rng.uniform(0.05, 1.0, 3))
    )
    contrast = plain.contrast if pattern == "grain" else float(rng.choice([0.05, 0.15, 0.5]))
    return Paint(
        one, contrast, plain.scale * (1.0 if pattern == "grain" else 1.5), plain.seed,
        pattern, two, direction / np.linalg.norm(direction),
    )  # fmt: skip
