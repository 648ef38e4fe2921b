"""Painted assembly: hands bring parts from their bins to a base; steps and errors are known.

The camera looks down on a bench. For each step a hand goes from its rest to the bin of the part,
carries it to its place on the base, works there (turning, pressing), and goes back. Light, bench,
paths, speeds and sizes vary with the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.metrics.segments import segments_of
from triscope.motion.steps.procedure import BACKGROUND, Procedure, Step
from triscope.motion.writing import write_video

Frame = NDArray[Any]
Fault = Literal["none", "left out", "swapped", "slowed"]
RATE = 10.0  # frames a second
STEPS = ("base", "gear", "cover", "screw")
LONGEST_S = 3.2  # a step that is not slowed takes 1.4 to 2.4 s
COLOURS = {
    "base": (70, 90, 160),
    "gear": (200, 170, 60),
    "cover": (90, 160, 90),
    "screw": (180, 80, 70),
}


@dataclass(frozen=True, eq=False)
class Assembly:
    """One painted video: frames (t, h, w, 3), a label a frame, and the errors that were painted."""

    frames: NDArray[np.uint8]
    labels: tuple[str, ...]
    errors: tuple[tuple[str, str], ...]  # (kind, step), as step checking names them
    fault: Fault


def procedure() -> Procedure:
    """The steps in their order, each at most 3.2 s."""
    steps = [
        Step(name, after=(STEPS[i - 1],) if i else (), min_s=0.5, max_s=LONGEST_S)
        for i, name in enumerate(STEPS)
    ]
    return Procedure("painted assembly", tuple(steps))


def paint(seed: int, fault: Fault = "none", size: int = 64) -> Assembly:
    """An assembly with one fault, or none; the same for the same seed."""
    rng = np.random.default_rng([seed, ("none", "left out", "swapped", "slowed").index(fault)])
    order = list(STEPS)
    errors: list[tuple[str, str]] = []
    slow = ""
    if fault == "left out":
        gone = str(rng.choice(STEPS))
        order.remove(gone)
        errors.append(("missing", gone))
    elif fault == "swapped":
        i = int(rng.integers(len(order) - 1))
        order[i], order[i + 1] = order[i + 1], order[i]
        errors.append(("order", order[i]))
    elif fault == "slowed":
        slow = str(rng.choice(STEPS))
        errors.append(("long", slow))
    scene = _Scene(rng, size)
    frames: list[NDArray[np.uint8]] = []
    labels: list[str] = []
    for step in order:
        scene.rest(rng, frames, labels)
        scene.work(step, rng, frames, labels, slowed=step == slow)
    scene.rest(rng, frames, labels)
    return Assembly(np.stack(frames), tuple(labels), tuple(errors), fault)


def paint_many(count: int, seed: int, faults: Sequence[Fault] = ("none",)) -> list[Assembly]:
    """``count`` assemblies, the faults taken in turn."""
    return [paint(seed + i, faults[i % len(faults)]) for i in range(count)]


class _Scene:
    """Bench, bins, base, the parts that lie in place, and the hand."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.size = size
        self.light = float(rng.uniform(0.85, 1.15))
        bench = rng.integers(105, 135, (size // 4, size // 4, 3), dtype=np.uint8)
        self.ground = cv2.resize(bench, (size, size), interpolation=cv2.INTER_CUBIC)
        jitter = rng.uniform(-0.03, 0.03, (len(STEPS), 2))
        corners = ((0.15, 0.15), (0.4, 0.12), (0.65, 0.12), (0.87, 0.15))
        self.bins = {s: np.array(c) + j for s, c, j in zip(STEPS, corners, jitter, strict=True)}
        self.centre = np.array([0.5, 0.58]) + rng.uniform(-0.04, 0.04, 2)
        self.home = np.array([0.5, 0.97]) + rng.uniform(-0.06, 0.03, 2)
        self.hand = self.home.copy()
        self.skin = np.array([225, 175, 140]) * rng.uniform(0.75, 1.05)
        self.reach = float(rng.uniform(0.09, 0.12))
        self.placed: list[str] = []
        self.noise = np.random.default_rng(int(rng.integers(1 << 30)))

    def rest(
        self, rng: np.random.Generator, frames: list[NDArray[np.uint8]], labels: list[str]
    ) -> None:
        """The hand waits at its place for 0.4 to 1.2 s."""
        for _ in range(int(rng.integers(4, 12))):
            self.hand = self.home + rng.normal(0, 0.006, 2)
            frames.append(self.paint(None, 0.0))
            labels.append(BACKGROUND)

    def work(
        self,
        step: str,
        rng: np.random.Generator,
        frames: list[NDArray[np.uint8]],
        labels: list[str],
        *,
        slowed: bool,
    ) -> None:
        """To the bin, to the base, the work itself, and back."""
        seconds = rng.uniform(1.4, 2.4) if not slowed else rng.uniform(4.4, 6.0)
        count = int(seconds * RATE)
        shares = np.array([0.25, 0.25, 0.3, 0.2])
        ends = np.cumsum(shares) * count
        for i in range(count):
            phase = int(np.searchsorted(ends, i, side="right"))
            begin = ends[phase - 1] if phase else 0.0
            part = (i - begin) / max(1e-6, ends[phase] - begin)
            part = part * part * (3 - 2 * part)
            stops = (self.home, self.bins[step], self.centre, self.centre, self.home)
            self.hand = stops[phase] + (stops[phase + 1] - stops[phase]) * part
            turn = 0.0
            if phase == 2:
                turn = i * {"screw": 1.1, "gear": 0.6}.get(step, 0.0)
                wave = np.sin(i * 1.3) * 0.02
                sway = (wave, 0.0) if step == "cover" else (0.0, wave)
                self.hand = self.hand + np.array(sway)
            if phase == 3 and step not in self.placed:
                self.placed.append(step)
            frames.append(self.paint(step if phase in (1, 2) else None, turn))
            labels.append(step)

    def paint(self, carried: str | None, turn: float) -> NDArray[np.uint8]:
        """One frame."""
        picture = self.ground.copy()
        for step, place in self.bins.items():
            self._box(picture, place, 0.1, (60, 60, 60))
            self._part(picture, step, place, 0.0)
        for step in self.placed:
            self._part(picture, step, self.centre, 0.3)
        if carried is not None:
            self._part(picture, carried, self.hand - np.array((0, 0.05)), turn)
        centre = tuple((self.hand * self.size).astype(int).tolist())
        wrist = tuple((np.array([self.hand[0], 1.05]) * self.size).astype(int).tolist())
        colour = tuple(float(c) for c in self.skin)
        cv2.line(picture, centre, wrist, colour, max(2, int(0.09 * self.size)))
        cv2.circle(picture, centre, int(self.reach * self.size), colour, -1)
        noisy = picture * self.light + self.noise.normal(0, 4, picture.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8)

    def _box(
        self, picture: Frame, place: NDArray[np.float64], half: float, colour: tuple[int, ...]
    ) -> None:
        low, high = ((place + s * half) * self.size for s in (-1, 1))
        cv2.rectangle(picture, _point(low), _point(high), colour, -1)

    def _part(self, picture: Frame, step: str, place: NDArray[np.float64], turn: float) -> None:
        colour, s = COLOURS[step], self.size
        if step == "base":
            self._box(picture, place, 0.085, colour)
        elif step == "gear":
            cv2.circle(picture, _point(place * s), int(0.065 * s), colour, -1)
            tip = place + 0.075 * np.array([np.cos(turn), np.sin(turn)])
            cv2.line(picture, _point(place * s), _point(tip * s), (40, 40, 40), 2)
        elif step == "cover":
            self._box(picture, place, 0.06, colour)
        else:
            angles = turn + np.arange(3) * 2 * np.pi / 3
            corners = place + 0.055 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            cv2.fillPoly(picture, [(corners * s).astype(np.int32)], colour)


def _point(place: NDArray[np.float64]) -> tuple[int, int]:
    return int(place[0]), int(place[1])


def write_all(folder: Path, assemblies: Sequence[Assembly], split: str = "") -> Path:
    """The assemblies as videos with ``steps.csv``, added to what is there; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "steps.csv"
    lines = [] if table.exists() else ["video,start_s,end_s,label,split"]
    before = len(list(folder.glob("*.mp4")))
    for i, one in enumerate(assemblies, start=before):
        name = f"{i:04d}_{one.fault.replace(' ', '_')}.mp4"
        write_video(folder / name, one.frames, RATE)
        for run in segments_of(one.labels):
            if run.label != BACKGROUND:
                times = f"{run.start / RATE:.3f},{run.end / RATE:.3f}"
                lines.append(f"{name},{times},{run.label},{split}")
    with table.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return folder
