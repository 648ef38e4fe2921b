"""Videos with labelled spans: ``steps.csv`` beside the videos, and frames at a steady rate."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels, EmptyData
from triscope.kernel.data.sample import Dataset, Sample, Split
from triscope.kernel.data.video.frames import Frames
from triscope.kernel.data.video.layouts import SPLITS, group_of

LIST = "steps.csv"
IDLE = "idle"  # the label of what no span covers
NEEDED = ("video", "start_s", "end_s", "label")


@dataclass(frozen=True)
class Span:
    """One labelled part of a video, [start, end) in seconds."""

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class Timeline(Sample):
    """A video with its labelled spans."""

    spans: tuple[Span, ...] = ()


def open_timelines(source: Any) -> Dataset:
    """Videos with spans: a folder with ``steps.csv`` (video, start_s, end_s, label[, split]).

    A list of timelines is taken as it is. ``idle`` is the label of everything between the spans.
    """
    if isinstance(source, Dataset):
        return source
    if isinstance(source, list | tuple):
        return _finished(list(source), "")
    path = Path(source)
    table = path / LIST if path.is_dir() else path
    if not table.is_file() or table.suffix != ".csv":
        raise EmptyData(f"{path} has no {LIST} (columns {', '.join(NEEDED)}, and split if known).")
    return _finished(_read(table), str(table.parent))


def has_spans(source: Any) -> bool:
    """Whether a folder (or a table itself) tells which spans its videos have."""
    if not isinstance(source, str | Path):
        return False
    path = Path(source)
    return (path / LIST).is_file() or path.suffix == ".csv"


def _finished(samples: Sequence[Sample], root: str) -> Dataset:
    labels = sorted({span.label for s in samples for span in getattr(s, "spans", ())} - {IDLE})
    return Dataset(tuple(samples), root, "timelines", (IDLE, *labels))


def _read(table: Path) -> list[Timeline]:
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = [name for name in NEEDED if not rows or name not in rows[0]]
    if missing:
        raise BadLabels(f"{table} lacks the column {missing[0]!r}: expected {', '.join(NEEDED)}.")
    spans: dict[str, list[Span]] = {}
    splits: dict[str, Split | None] = {}
    for line, row in enumerate(rows, start=2):
        try:
            span = Span(row["label"], float(row["start_s"]), float(row["end_s"]))
        except ValueError as error:
            raise BadLabels(f"{table} line {line}: {error}.") from error
        if not 0 <= span.start_s <= span.end_s:
            raise BadLabels(
                f"{table} line {line}: a span goes from start_s to a later end_s, got "
                f"{span.start_s:g} to {span.end_s:g}."
            )
        spans.setdefault(row["video"], []).append(span)
        splits[row["video"]] = SPLITS.get((row.get("split") or "").lower())
    return [_timeline(table, name, found, splits[name]) for name, found in spans.items()]


def _timeline(table: Path, name: str, spans: list[Span], split: Split | None) -> Timeline:
    path = table.parent / name
    if not path.exists():
        raise BadLabels(f"{table} names {name}, which is not in {table.parent}.")
    ordered = sorted(spans, key=lambda span: span.start_s)
    for one, other in itertools.pairwise(ordered):
        if other.start_s < one.end_s - 1e-6:
            raise BadLabels(
                f"{table}: in {name} {one.label!r} ends at {one.end_s:g} s, but {other.label!r} "
                f"starts at {other.start_s:g} s. Spans of one video must not overlap."
            )
    found = group_of(path.stem)
    return Timeline(path, name, split=split, group=found, spans=tuple(ordered))


def numbers_at(frames: Frames, rate: float) -> NDArray[np.int64]:
    """Numbers of the frames shown at 0, 1 / rate, 2 / rate ... seconds."""
    end = float(getattr(frames, "duration_s", frames.times_s[-1] + 1e-6))
    times = np.arange(max(1, round(end * rate))) / rate
    places = np.searchsorted(frames.times_s, times + 1e-6, side="right") - 1
    return np.clip(places, 0, len(frames) - 1)


def labels_at(spans: Sequence[Span], count: int, rate: float) -> list[str]:
    """The label of each of ``count`` frames at that rate."""
    labels = [IDLE] * count
    for span in spans:
        for i in range(max(0, round(span.start_s * rate)), min(count, round(span.end_s * rate))):
            labels[i] = span.label
    return labels


def read_timeline(frames: Frames, rate: float, size: int, longest: int = 0) -> NDArray[np.uint8]:
    """The whole video at a steady rate as (3, t, size, size), pressed into the square."""
    import cv2

    numbers = numbers_at(frames, rate)
    if longest:
        numbers = numbers[:longest]
    pictures = frames.read(list(numbers), size)
    small = [cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in pictures]
    return np.ascontiguousarray(np.stack(small).transpose(3, 0, 1, 2))
