"""The report of one run of a check: fed an inspection at a time, however many there are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.kernel.data import Sample, mask_of, read_image
from triscope.kernel.data.video.file import is_video
from triscope.kernel.report import pictures
from triscope.kernel.report.choice import Choice
from triscope.kernel.report.film import Explain, film
from triscope.kernel.report.misses import Misses
from triscope.kernel.report.page import Page, Section, write_page
from triscope.kernel.report.rows import Row, row_of, shared_rows
from triscope.kernel.report.sections.card import card as card_section
from triscope.kernel.report.sections.figures import Figure, figures
from triscope.kernel.report.sections.gallery import Shown, gallery
from triscope.kernel.report.sections.histogram import histogram
from triscope.kernel.report.sections.skipped import skipped
from triscope.kernel.report.sections.timing import timing
from triscope.kernel.report.sections.types import types
from triscope.kernel.report.sections.verdicts import verdicts
from triscope.kernel.results import Inspection, Skipped
from triscope.kernel.runtime.card import Card

Look = Callable[[Any], NDArray[Any]]  # the picture of a capture
PICTURES = 160  # about 5 MB of page


class InspectionReport:
    """Collects inspections and writes them as one page.

    ``most`` captures get a picture, the one that ``picture`` gives of the capture; numbers are kept
    of all. ``explain`` gives the evidence in a video, where that was asked for.
    """

    def __init__(
        self,
        card: Card,
        title: str = "",
        *,
        most: int = PICTURES,
        explain: Explain | None = None,
        picture: Look = read_image,
    ) -> None:
        self.card = card
        self.title = title or f"Inspection with {card.model}"
        self.rows: list[Row] = []
        self.skipped: list[Skipped] = []
        self.figures: list[Figure] = []
        self.more: list[Section] = []  # sections of other kinds of answers
        self._explain, self._picture = explain, picture
        self._choice: Choice[Shown] = Choice(most, card.zones)
        self._misses = Misses(card.answers)
        self._start = perf_counter()

    def add(self, answer: Inspection | Skipped, sample: Sample | None = None) -> None:
        """Count one answer; ``sample`` tells what is known of the part and where its image is."""
        if isinstance(answer, Skipped):
            self.skipped.append(answer)
            return
        row = row_of(answer, sample)
        self.rows.append(row)
        self._choice.offer(row, lambda: self._shown(answer, row, sample))
        self._misses.add(answer, sample)

    def sections(self) -> list[Section]:
        """The parts of the page, in their order."""
        zones = self.card.zones
        basis = zones.basis if zones else "This check has no thresholds yet."
        parts = [
            verdicts(self.rows, len(self.skipped), basis),
            histogram(self.rows, zones),
            figures(self.figures),
            gallery(self._choice.items(), len(self.rows), zones.pixel_above if zones else None),
            types(self.rows),
            *self.more,
            self._misses.section(),
            skipped(self.skipped),
            timing(self.rows, perf_counter() - self._start),
            card_section(self.card),
        ]
        return [part for part in parts if part is not None]

    def _shown(self, answer: Inspection, row: Row, sample: Sample | None) -> Shown | None:
        """The capture with its picture; None where its image cannot be read again."""
        source: Any = sample.source if sample is not None else answer.source
        try:
            answer, image = looked_at(answer, source, self.card, self._explain, self._picture)
        except DataError:
            return None
        heat = answer.heatmap
        return Shown(
            inspection=_light(answer),
            label=row.label,
            good=row.good,
            picture=pictures.picture_bytes(image),
            heat=pictures.heat_bytes(heat) if heat is not None else None,
            levels=pictures.median_and_largest(heat) if heat is not None else None,
            truth=_truth(sample, image),
        )

    def write(self, path: str | Path, subtitle: str = "") -> Path:
        """Write the page and answer its path."""
        zones = asdict(self.card.zones) if self.card.zones else {}
        shared = {
            "rows": shared_rows(self.rows),
            "zones": {k: zones[k] for k in ("review_above", "fail_above") if k in zones},
        }
        return write_page(Path(path), Page(self.title, subtitle, shared), self.sections())


def looked_at(
    answer: Inspection, source: Any, card: Card, explain: Explain | None, picture: Look
) -> tuple[Inspection, NDArray[Any]]:
    """The answer in the pixels of a picture of the capture, and that picture.

    Of a video some frames, with the evidence for its answer where that was asked for. Raises
    DataError where the capture cannot be read again.
    """
    if card.capture != "clip" or not is_video(source):
        return answer, picture(source)
    label = str(answer.details.get("label", ""))
    evidence = explain(source, label) if explain is not None and label else None
    made = film(source, answer.findings, evidence)
    size = (made.picture.shape[0], made.picture.shape[1])
    return replace(answer, heatmap=made.heat, image_size=size), made.picture


def _light(answer: Inspection) -> Inspection:
    """Without the full heat map, which would be held for as long as the report grows."""
    return replace(answer, heatmap=None)


def _truth(sample: Sample | None, image: NDArray[np.generic]) -> list[pictures.Polygon]:
    if sample is None:
        return []
    if sample.mask is None:
        return [_corners(box.box) for box in sample.boxes]
    with contextlib.suppress(DataError):
        return pictures.outlines_of(mask_of(sample.mask, image.shape[:2], f"{sample.name}'s mask"))
    return []


def _corners(box: tuple[float, float, float, float]) -> pictures.Polygon:
    x0, y0, x1, y1 = box
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
