"""Machined parts to generate, and what can be wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings
from triscope.kernel.config import require
from triscope.shape.isosurface import isosurface
from triscope.shape.surface import Mesh
from triscope.shape.synth import solids
from triscope.shape.synth.solids import Solid

Kind = Literal["drilled", "engraved", "turned", "cast"]
Defect = Literal["bent", "burr", "missing_hole", "dent"]
KINDS: tuple[Kind, ...] = ("drilled", "engraved", "turned", "cast")
LENGTH = 100.0  # mm, along x
TOP = 4.0  # mm: the upper face of plates
HOLES = ((-40, -20, 3.0), (40, -20, 3.0), (-40, 20, 3.0), (40, 20, 3.0), (10, 0, 8.0))
SMALL = (-16.0, 4.0, 0.5)  # x, y, radius of the small hole: 1 mm wide


@dataclass(frozen=True)
class Part:
    """One part: what it is, what is wrong with it, and the seed of its surface."""

    kind: Kind = "drilled"  # drilled, engraved, turned or cast
    defect: Defect | None = None  # what is wrong: bent, burr, missing_hole, dent; nothing if good
    amount: float = 0.3  # mm: sagitta of the bend, height of the burr, depth of the dent
    seed: int = 0  # of the texture

    def __post_init__(self) -> None:
        """Raise BadSettings for a part that cannot be made."""
        require(
            self,
            kind=(self.kind in KINDS, ", ".join(KINDS)),
            amount=(0 < self.amount < 5, "millimetres between 0 and 5"),
        )
        if self.defect == "missing_hole" and self.kind != "drilled":
            raise BadSettings(f"defect='missing_hole': a {self.kind} part has no hole to miss.")

    def good(self) -> Part:
        """The same part with nothing wrong."""
        return replace(self, defect=None)

    def solid(self) -> Solid:
        """Its signed distance, in millimetres."""
        made = _MAKERS[self.kind](self)
        if self.defect == "bent":
            made = solids.bent(made, self.amount, LENGTH)
        return made

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A box around it."""
        half = np.array([52.0, 32.0, 7.0]) if self.kind != "turned" else np.array([52.0, 22, 22])
        return -half, half + np.array([0, 0, 6.0])

    def mesh(self, step: float = 1.0) -> Mesh:
        """Its surface, sampled every ``step`` millimetres."""
        low, high = self.bounds()
        size = np.ceil((high - low) / step).astype(int) + 1
        solid = self.solid()
        layers = [
            solid(_layer(low, step, i, size)) for i in range(size[0])
        ]  # a layer at a time: memory stays small
        return isosurface(np.stack(layers), low, step)


def _layer(
    low: NDArray[np.float64], step: float, i: int, size: NDArray[np.int64]
) -> NDArray[np.float64]:
    y, z = np.meshgrid(np.arange(size[1]), np.arange(size[2]), indexing="ij")
    return np.asarray(low + step * np.stack([np.full_like(y, i), y, z], -1))


def _plate() -> Solid:
    return solids.box((LENGTH / 2, 30, TOP), rounded=1.0)


def _drilled(part: Part) -> Solid:
    holes = [solids.cylinder(r, 20, (x, y, 0)) for x, y, r in HOLES]
    if part.defect != "missing_hole":
        x, y, r = SMALL
        holes.append(solids.cylinder(r, 20, (x, y, 0)))
    made = solids.without(_plate(), *holes, solids.box((9, 6, 2), 0.5, (-22, -14, TOP)))
    if part.defect == "burr":
        x, y, r = HOLES[4]
        made = solids.union(made, solids.ring(r + 0.3, part.amount, (x, y, TOP)))
    return _dented(made, part, (22.0, 14.0))


def _engraved(part: Part) -> Solid:
    strokes = [((-35, -12), (-35, 12)), ((-35, 12), (-23, 12)), ((-35, 0), (-26, 0)),
               ((-12, -12), (-12, 12)), ((-12, 12), (2, 12)), ((2, 12), (2, -12)),
               ((14, -12), (14, 12)), ((14, -12), (28, -12)), ((36, -12), (36, 12))]  # fmt: skip
    grooves = [solids.capsule((*a, TOP), (*b, TOP), 0.8) for a, b in strokes]
    made = solids.without(_plate(), *grooves)
    if part.defect == "burr":
        made = solids.union(made, solids.capsule((15.2, 2, TOP), (15.2, 9, TOP), part.amount))
    return _dented(made, part, (-4.0, -20.0))


def _turned(part: Part) -> Solid:
    steps = ((-50, -30, 10.0), (-30, -8, 16.0), (-8, 22, 20.0), (22, 50, 12.0))
    made = solids.union(
        *(solids.cylinder(r, (b - a) / 2, ((a + b) / 2, 0, 0), axis=0) for a, b, r in steps)
    )
    for x, r in ((-20, 14.5), (30, 10.5), (38, 10.5)):
        core = solids.cylinder(r, 2, (x, 0, 0), axis=0)
        made = solids.without(made, solids.without(solids.cylinder(30, 1, (x, 0, 0), 0), core))
    if part.defect == "burr":
        made = solids.union(made, solids.ball(2 * part.amount, (7, 0, 20)))
    return _dented(made, part, (10.0, 0.0), top=20.0)


def _cast(part: Part) -> Solid:
    body = solids.union(
        solids.box((LENGTH / 2, 30, TOP), 3.0),
        solids.box((30, 5, 8), 2.5, (0, 0, 2)),
        solids.cylinder(9, 6, (-34, 0, 2)),
        solids.cylinder(9, 6, (34, 0, 2)),
    )
    made = solids.rough(body, 0.25, 1.6, 11)
    if part.defect == "burr":
        made = solids.union(made, solids.capsule((-10, 20, TOP), (10, 20, TOP), part.amount))
    return _dented(made, part, (16.0, -18.0))


def _dented(made: Solid, part: Part, place: tuple[float, float], top: float = TOP) -> Solid:
    """A shallow cap of 6 mm width pressed in from above."""
    if part.defect != "dent":
        return made
    depth, half = part.amount, 3.0
    radius = (half**2 + depth**2) / (2 * depth)
    return solids.without(made, solids.ball(radius, (*place, top + radius - depth)))


_MAKERS = {"drilled": _drilled, "engraved": _engraved, "turned": _turned, "cast": _cast}
