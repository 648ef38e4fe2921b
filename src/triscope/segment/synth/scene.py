"""Scenes of manufactured things with exact masks of objects, their parts and their faults.

Five kinds: a bench with few standing things, a heap, a machined plate, a surface with faults, and
rows of equal things. All of it is drawn from the seed; no picture of others is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triscope.segment.synth import fields, outlines
from triscope.segment.synth.camera import photographed
from triscope.segment.synth.canvas import Canvas, Look, filled
from triscope.segment.synth.outlines import Contour

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
SEED_OF_SCENES = 20230405  # keeps these draws apart from others with the same seed


@dataclass(frozen=True, eq=False)
class Scene:
    """An image uint8 (h, w, 3), the piece that each pixel shows, and groups of pieces."""

    image: NDArray[np.uint8]
    pieces: NDArray[np.int16]
    groups: tuple[tuple[int, ...], ...]

    def mask(self, group: int) -> Bools:
        """The mask (h, w) of one group: an object, a part, a fault."""
        return np.isin(self.pieces, self.groups[group])

    def areas(self) -> NDArray[np.int64]:
        """Pixels of each group."""
        count = np.bincount(self.pieces.ravel(), minlength=int(self.pieces.max()) + 1)
        count = np.append(count, 0)
        last = len(count) - 1
        return np.array(
            [count[np.minimum(group, last)].sum() for group in self.groups], dtype=np.int64
        )


def scene(seed: int, hw: tuple[int, int] = (256, 256)) -> Scene:
    """The scene of this seed at a size (h, w)."""
    rng = np.random.default_rng([SEED_OF_SCENES, seed])
    canvas = Canvas.empty(rng, hw)
    kinds: tuple[Callable[[Canvas], None], ...] = (bench, bench, heap, plate, surface, rows)
    kinds[int(rng.integers(len(kinds)))](canvas)
    image = photographed(rng, canvas.image)
    groups = tuple(dict.fromkeys(canvas.groups))
    return Scene(image, canvas.pieces, groups)


# ---- kinds of scenes


def bench(canvas: Canvas) -> None:
    """One to four things, the first large, before a wall and on a table, with some clutter."""
    _ground(canvas)
    rng = canvas.rng
    for _ in range(int(rng.integers(0, 5))):
        _bar(canvas)
    polish = rng.uniform(0.1, 0.9) if rng.random() < 0.5 else 0.0
    for i in range(int(rng.integers(1, 5))):
        size = rng.uniform(0.18, 0.45) if i == 0 else rng.uniform(0.05, 0.22)
        among = outlines.STANDING if rng.random() < 0.6 else outlines.SOLID
        upright = rng.normal(0, 0.1) if among is outlines.STANDING else rng.uniform(0, 2 * np.pi)
        before = canvas.count
        _thing(canvas, _somewhere(canvas), size * min(canvas.hw), upright, among)
        if polish:
            canvas.mirror(canvas.pieces > before, polish)


def heap(canvas: Canvas) -> None:
    """Many things of all sizes, the later over the earlier."""
    _ground(canvas)
    rng = canvas.rng
    for _ in range(int(rng.integers(4, 18))):
        size = 0.04 * (0.4 / 0.04) ** rng.random() * min(canvas.hw)
        _thing(canvas, _somewhere(canvas), size, rng.uniform(0, 2 * np.pi))


def plate(canvas: Canvas) -> None:
    """A large machined part with holes, slots, inserts and marks."""
    _ground(canvas)
    rng = canvas.rng
    h, w = canvas.hw
    centre = (w * rng.uniform(0.4, 0.6), h * rng.uniform(0.4, 0.6))
    radius = rng.uniform(0.3, 0.6) * min(h, w)
    _thing(canvas, centre, radius, rng.uniform(0, 2 * np.pi), features=int(rng.integers(4, 14)))


def surface(canvas: Canvas) -> None:
    """A textured surface that fills the image, with cracks, pores, scratches, stains."""
    rng = canvas.rng
    ground = _look(rng)
    everywhere = (slice(0, canvas.hw[0]), slice(0, canvas.hw[1]))
    canvas.paint(np.ones(canvas.hw, np.float32), everywhere, ground, canvas.new_piece())
    for _ in range(int(rng.integers(1, 9))):
        _fault(canvas, ground)


def rows(canvas: Canvas) -> None:
    """Equal things in rows, as on a tray or a board; some are turned, some are missing."""
    _ground(canvas)
    rng = canvas.rng
    h, w = canvas.hw
    pitch = rng.uniform(0.12, 0.4) * min(h, w)
    contour, look = outlines.any_outline(rng), _look(rng)
    angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.48) * pitch
    for y in np.arange(pitch / 2, h, pitch):
        for x in np.arange(pitch / 2, w, pitch):
            if rng.random() < 0.9:
                at = (x + rng.normal(0, 0.03) * pitch, y + rng.normal(0, 0.03) * pitch)
                _piece(canvas, [outlines.placed(contour, at, size, angle)], look, shadow=0.4)


# ---- what scenes are made of


def _ground(canvas: Canvas) -> None:
    """A background of one to three surfaces; each is a group of its own."""
    rng = canvas.rng
    h, w = canvas.hw
    everywhere = (slice(0, h), slice(0, w))
    first = canvas.new_piece()
    canvas.paint(np.ones((h, w), np.float32), everywhere, _look(rng, flat=True), first)
    canvas.groups.append((first,))
    if rng.random() < 0.35:
        _clutter(canvas, first)
    for _ in range(int(rng.choice([0, 1, 1, 2]))):
        y0, y1 = rng.uniform(0.1, 0.9, 2) * h
        if rng.random() < 0.7:
            y1 = y0 + rng.normal(0, 0.05) * h
        corners = np.array([[0.0, y0], [w, y1], [w, h], [0, h]])
        if rng.random() < 0.25:
            corners = corners[:, ::-1] * [w / h, h / w]
        _piece(canvas, [corners], _look(rng, flat=True))


def _clutter(canvas: Canvas, piece: int) -> None:
    """Many things far behind, out of focus: all of them belong to the background's piece."""
    rng = canvas.rng
    kinds = (*outlines.SOLID, outlines.wire)
    for _ in range(int(rng.integers(6, 30))):
        size = 0.04 * (0.5 / 0.04) ** rng.random() * min(canvas.hw)
        turn = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.2)
        contour = outlines.placed(outlines.any_outline(rng, kinds), _somewhere(canvas), size, turn)
        found = filled([contour], canvas.hw)
        if found is not None:
            canvas.paint(*found, _look(rng), piece)
    canvas.defocus(rng.uniform(0.3, 4) * min(canvas.hw) / 256)


def _bar(canvas: Canvas) -> None:
    """A long straight thing that crosses the image: rails, rods, frames, cables."""
    rng = canvas.rng
    h, w = canvas.hw
    half = rng.uniform(0.005, 0.08)
    contour = np.array([[-1.0, -half], [1, -half], [1, half], [-1, half]])
    if rng.random() < 0.3:
        contour = outlines.wire(rng, half / 3)
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.1)
    at = outlines.placed(contour, _somewhere(canvas), rng.uniform(0.3, 1.2) * max(h, w), angle)
    _piece(canvas, [at], _look(rng), shadow=0.3)


def _thing(
    canvas: Canvas,
    centre: tuple[float, float],
    radius: float,
    angle: float,
    among: tuple[outlines.Outline, ...] = outlines.SOLID,
    features: int | None = None,
) -> None:
    """An object of one or two bodies, with holes and parts; a group for it and for each part."""
    rng = canvas.rng
    look = _look(rng)
    contours = [outlines.placed(outlines.any_outline(rng, among), centre, radius, angle)]
    for _ in range(int(rng.choice([0, 0, 1, 3]))):
        contours.append(_inside(rng, centre, radius, angle, 0.3))  # even-odd: a hole
    bodies = [_piece(canvas, contours, look, shadow=rng.choice([0, 0.3, 0.6]))]
    if rng.random() < 0.35:  # a second body beside the first, of its own or of the same look
        at = (centre[0] + rng.normal(0, 0.5) * radius, centre[1] + rng.normal(0, 0.7) * radius)
        other = outlines.placed(
            outlines.any_outline(rng, among), at, radius * rng.uniform(0.3, 0.9), angle
        )
        same = rng.random() < 0.5
        bodies.append(
            _piece(canvas, [other], look if same else _look(rng), piece=bodies[0] if same else 0)
        )
    parts = [piece for piece in bodies if piece]
    if not parts:
        return
    count = int(rng.choice([0, 0, 1, 2, 4])) if features is None else features
    for _ in range(count):
        part = _inside(rng, centre, radius, angle, 0.45)
        parts.append(_piece(canvas, [part], _look(rng), within=parts, shadow=0))
    canvas.groups.append(tuple(sorted({piece for piece in parts if piece})))


def _piece(
    canvas: Canvas,
    contours: list[Contour],
    look: Look,
    *,
    shadow: float = 0.0,
    piece: int = 0,
    within: list[int] | None = None,
) -> int:
    """Paint one piece and make it a group; 0 if it lies outside the image."""
    found = filled(contours, canvas.hw)
    if found is None:
        return 0
    cover, window = found
    if shadow:
        canvas.shade(cover, window, max(cover.shape) * canvas.rng.uniform(0.01, 0.12), shadow)
    number = piece or canvas.new_piece()
    canvas.paint(cover, window, look, number, tuple(within or ()))
    canvas.groups.append((number,))
    return number


def _fault(canvas: Canvas, ground: Look) -> None:
    """A crack, pore, scratch or stain: near the colour of the ground, often faint."""
    rng = canvas.rng
    change = np.float32(rng.choice([-1, -1, 1]) * rng.uniform(0.12, 0.6))
    nearby = ground.colour + change * rng.uniform(0.7, 1, 3).astype(np.float32)
    colour = np.asarray(np.clip(nearby, 0, 1), np.float32)
    texture = fields.fractal if rng.random() < 0.5 else fields.plain
    second = np.asarray((colour + ground.colour) / 2, np.float32)
    clarity = float(rng.uniform(0.5, 1))
    look = Look(colour, second, texture, 0.3 * rng.random(), 0.0, clarity)
    if rng.random() < 0.5:
        contour, size = outlines.wire(rng, rng.uniform(0.008, 0.05)), rng.uniform(0.1, 0.6)
    else:
        contour, size = outlines.blob(rng) * [1, rng.uniform(0.3, 1)], rng.uniform(0.02, 0.2)
    turn = rng.uniform(0, 2 * np.pi)
    _piece(
        canvas, [outlines.placed(contour, _somewhere(canvas), size * min(canvas.hw), turn)], look
    )


def _inside(
    rng: np.random.Generator, centre: tuple[float, float], radius: float, angle: float, most: float
) -> Contour:
    """A smaller contour somewhere within the reach of a larger one."""
    away, turn = radius * 0.75 * rng.random() ** 0.5, rng.uniform(0, 2 * np.pi)
    at = (centre[0] + away * np.cos(turn), centre[1] + away * np.sin(turn))
    kinds = (outlines.ellipse, outlines.ellipse, outlines.rounded, outlines.rectangle,
             outlines.polygon, outlines.star, outlines.wire, outlines.blob)  # fmt: skip
    size = radius * rng.uniform(0.05, most)
    return outlines.placed(outlines.any_outline(rng, kinds), at, size, angle)


def _somewhere(canvas: Canvas) -> tuple[float, float]:
    x, y = canvas.rng.uniform(0.08, 0.92, 2)
    return x * canvas.hw[1], y * canvas.hw[0]


def _look(rng: np.random.Generator, *, flat: bool = False) -> Look:
    """Grey metal, saturated plastic, or anything; textured or not."""
    colour = _colour(rng)
    if rng.random() < 0.6:
        second = np.clip(colour * np.float32(rng.uniform(0.6, 1.4)), 0, 1)
    else:
        second = _colour(rng)
    shape = 0.0 if flat else float(rng.choice([0, 0.2, 0.5, 1.0]))
    gloss = float(rng.choice([0, 0, 0.3, 0.9])) if shape else 0.0
    kinds = fields.ALL if rng.random() < 0.7 else (fields.plain, fields.layers, fields.clouds)
    texture = kinds[int(rng.integers(len(kinds)))]
    return Look(colour, np.asarray(second, np.float32), texture, shape, gloss)


def _colour(rng: np.random.Generator) -> Floats:
    kind = rng.random()
    value = rng.uniform(0.03, 0.97)
    if kind < 0.4:  # greys, nearly neutral
        return np.clip(value + rng.normal(0, 0.02, 3), 0, 1).astype(np.float32)
    if kind < 0.7:  # any mixture
        return rng.random(3).astype(np.float32)
    pure = np.clip(np.abs((rng.random() * 6 + np.array([0, 2, 4])) % 6 - 3) - 1, 0, 1)
    return np.asarray(value * (1 - rng.uniform(0.5, 1) * (1 - pure)), np.float32)
