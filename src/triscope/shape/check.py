"""A check of shape: a scan in, deviations in millimetres and a verdict out.

The folder holds ``reference.npz`` (surface, and what good scans deviate from it) beside the weights
of the stereo model. A capture is a folder of calibrated photos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError, TriscopeError
from triscope.kernel import config
from triscope.kernel.data import Dataset, Sample
from triscope.kernel.results import Skipped, Verdict
from triscope.kernel.runtime.card import Card
from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.engine import Engine
from triscope.kernel.runtime.golden import write_golden
from triscope.kernel.runtime.reading import Prepared, Reading
from triscope.kernel.runtime.seen import Seen
from triscope.shape import comparison, golden, habits, proof, voids
from triscope.shape.comparison import Cells, Comparison
from triscope.shape.distance import Distance
from triscope.shape.formats import open_scene
from triscope.shape.grid import AT, neighbours
from triscope.shape.habits import Reference
from triscope.shape.in_photo import Photo
from triscope.shape.proof import StereoEngine
from triscope.shape.reporting import write_deviation
from triscope.shape.stereo import Stereo, settings_of, stereo
from triscope.shape.voids import blocks_of

WEIGHTS = "weights.safetensors"
GRAPH = "features"  # in the card of a learned model that was exported


@dataclass(frozen=True, eq=False)
class Scan:
    """A compared scan: all of it, and per cell what goes beyond good scans."""

    whole: Comparison
    deviation: NDArray[np.float64]  # (n,) without the habit of good scans
    usual: NDArray[np.float64]  # (n,) how much of it good scans show too
    filled: Cells  # blocks with surface where good scans have none

    @property
    def beyond(self) -> NDArray[np.float64]:
        """(n,) the deviation beyond what good scans vary, with its sign."""
        return habits.excess(self.deviation, self.usual)

    @property
    def score(self) -> float:
        """Millimetres beyond what good scans vary, of the worst place large enough."""
        off = worst_pair(self.whole.cells.place, self.beyond)
        return max(off, float(self.filled.deviation.max(initial=0)))

    def shown(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Places (m, 3), and how many mm each is off or filled, beyond what good scans vary."""
        where = np.concatenate([self.whole.cells.centre, self.filled.centre])
        return where, np.concatenate([np.abs(self.beyond), self.filled.deviation])


class ShapeCheck(Check):
    """See the module; ``answers`` is Depth, since that is what its model answers."""

    answers = "Depth"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.model: Stereo | None = None
        self.reference: Reference | None = None
        self._distance: Distance | None = None

    @property
    def settings(self) -> Any:
        """The settings of the model, from the card."""
        return settings_of(self.card.model, self.card.settings)

    def proofs(self) -> dict[str, Engine]:
        """The stereo model, which answers the golden views when the folder is opened.

        Raises MissingExtra where the model needs PyTorch and it is not installed: ``zncc_sweep``
        and an exported ``rmvsnet`` need none.
        """
        return {proof.NAME: StereoEngine(self._model())}

    def captures(self, source: Any) -> Dataset:
        """The scans behind a folder."""
        return golden.scans_of(source)

    def prepare(self, sample: Sample) -> Prepared:
        """Scan, fuse, align and compare: all that belongs to one capture."""
        start = perf_counter()
        if not isinstance(sample.source, str | Path):
            raise DataError(
                "a capture of shape is a folder of calibrated photos, got "
                f"{type(sample.source).__name__}."
            )
        scene = open_scene(sample.source, "interval")
        whole = golden.compared(
            scene, self._model(), self.card.model, self.settings,
            self._surface(), self._known().markers,
        )  # fmt: skip
        photo = Photo.first_of(scene, whole.alignment.reference_T_scan)
        taken = perf_counter() - start
        return Prepared({"cells": whole.cells.deviation[None]}, photo.size, taken, (whole, photo))

    def compute(self, prepared: Sequence[Prepared]) -> list[dict[str, Any]]:
        """Nothing is left to compute: the sweep needs all views of a capture together."""
        return [dict(item.inputs) for item in prepared]

    def read(self, outputs: Mapping[str, Any], prepared: Prepared) -> Reading:
        """Score, findings and the numbers of the whole; the evidence is that of one photo."""
        whole, photo = prepared.extra
        found = self.judged(whole)
        findings = tuple(photo.boxed(finding) for finding in self.findings(found))
        heat = photo.heat(*found.shown(), found.score)
        return Reading(found.score, findings, heat, whole.summary())

    def picture(self, source: Any) -> NDArray[Any]:
        """The first photo of a scan: findings and evidence are in its pixels."""
        return open_scene(source, "interval").views[0].read()

    def judged(self, whole: Comparison) -> Scan:
        """What of a comparison goes beyond good scans."""
        known, side = self._known(), self.settings.cell
        blocks = blocks_of(whole.cloud.points, side)
        filled = known.voids.filled(blocks, side, self._surface())
        return Scan(whole, *known.beyond(whole.cells), filled)

    def findings(self, found: Scan) -> Any:
        """Places that go beyond the review line."""
        zones = self.card.zones
        line = zones.review_above if zones is not None else 0.0
        chosen = comparison.Settings(cell=self.settings.cell, area=self.settings.area)
        cells = found.whole.cells
        limit = np.maximum(found.usual + max(line, 0.0), 1e-9)
        off = comparison.findings_of(cells, found.deviation, chosen, limit)
        # A block is wide enough to matter, and there may be one only: no least area.
        half = comparison.Settings(cell=self.settings.cell / 2, area=0.0)
        filled = comparison.findings_of(
            found.filled, found.filled.deviation, half, max(line, 1e-9), (("filled", 1.0),)
        )
        return tuple(sorted((*off, *filled), key=lambda finding: -finding.score))

    def report(self, source: Any, folder: str | Path) -> Path:
        """Inspect one scan and write its deviation report; the page."""
        sample = Sample(Path(str(source)), name=str(source))
        prepared = self.prepare(sample)
        reading = self.read({}, prepared)
        verdict: Verdict = self.judge(reading)
        whole: Comparison = prepared.extra[0]
        shown = replace(whole, findings=reading.findings)
        tolerance = float(np.median(self._known().spread)) * 3 + 0.05
        paths = write_deviation(
            Path(folder), shown, round(tolerance, 3), title=f"{sample.name}", verdict=verdict
        )
        return paths["report"]

    def _model(self) -> Stereo:
        if self.model is None and GRAPH in self.engines and self.folder is not None:
            self.model = exported(self.settings, self.engines[GRAPH], self.folder / WEIGHTS)
        elif self.model is None:
            settings = dict(self.card.settings)
            weights = self.folder / WEIGHTS if self.folder is not None else None
            if weights is not None and weights.is_file() and "weights" in settings:
                settings["weights"] = str(weights)
            self.model = stereo(self.card.model, settings)
        return self.model

    def _known(self) -> Reference:
        if self.reference is None:
            if self.folder is None:
                raise DataError(f"{self.label} has no reference yet: fit it on good scans.")
            self.reference = habits.load_reference(self.folder)
        return self.reference

    def _surface(self) -> Distance:
        if self._distance is None:
            self._distance = Distance(self._known().mesh)
        return self._distance


class Fitted:
    """The files of a check of shape that was just fitted."""

    def __init__(self, model: Stereo, reference: Reference) -> None:
        self.model, self.reference = model, reference

    def write(self, folder: Path, check: Check) -> Card:
        """Reference, weights, and the golden answer of the model itself: there is no graph."""
        self.reference.save(folder)
        network = getattr(self.model, "network", None)
        if network is not None:
            from safetensors.torch import save_file

            tensors = {k: v.contiguous() for k, v in network().state_dict().items()}
            save_file(tensors, str(folder / WEIGHTS))
        write_golden(folder, {proof.NAME: StereoEngine(self.model)}, {proof.NAME: proof.example()})
        export = getattr(self.model, "graph_files", None)
        graphs = export(folder) if export is not None else ()
        return check.card.with_(graphs=graphs, tolerance=proof.TOLERANCE)


def exported(settings: Any, engine: Engine, weights: Path) -> Stereo:
    """R-MVSNet from the files of a check, without torch."""
    from triscope.shape.recurrent import Exported
    from triscope.shape.tensors import read_tensors

    return Exported(settings, engine, read_tensors(weights))


class MakesShapeChecks:
    """What stereo models inherit: how scans are found, and how a check is fitted on good ones."""

    settings: Any

    @staticmethod
    def open_data(source: Any) -> Dataset:
        """See :func:`triscope.shape.golden.scans_of`."""
        return golden.scans_of(source)

    def make_check(
        self, card: Card, scans: Sequence[Sample], root: str, seen: Seen, progress: Any
    ) -> ShapeCheck:
        """A check from good scans: reference surface, then mean and spread of each cell.

        ``progress(stage, done, total)`` is called as it goes; scans that cannot be used are in
        ``check.skipped``.
        """
        if not scans:
            raise DataError("there is no good scan to learn from.")
        model: Any = self
        name = card.model
        first = Path(str(scans[0].source))
        markers = golden.reference_markers(Path(root), first, self.settings)
        mesh = golden.reference_mesh(Path(root), first, model, name, self.settings)
        surface = Distance(mesh)
        cells, blocks, skipped = [], [], []
        for i, sample in enumerate(scans):
            progress("scans", i, len(scans))
            try:
                scene = open_scene(Path(str(sample.source)), "interval")
                found = golden.compared(scene, model, name, self.settings, surface, markers)
                cells.append(found.cells)
                blocks.append(blocks_of(found.cloud.points, self.settings.cell))
            except DataError as error:
                skipped.append(Skipped(sample.name, str(error)))
        if not cells:
            raise TriscopeError(f"no good scan could be used; the first: {skipped[0].error}")
        card = card.with_(settings=plain_settings(self.settings))
        check = ShapeCheck(card, {}, seen)
        check.reference = habits.learned(surface, cells, blocks, self.settings.cell, markers)
        check.model = model
        check.origin = Fitted(model, check.reference)
        check.skipped = skipped
        if len(blocks) < voids.FEWEST:
            check.problems = (
                f"learned from {len(blocks)} scans: what fills a hole is not judged, since "
                f"{voids.FEWEST} tell how much of it a good part may show (five tell it better).",
            )
        return check


def plain_settings(settings: Any) -> dict[str, Any]:
    """Settings for the card, without the place of a file on this machine."""
    return {**config.to_dict(settings), **({"weights": ""} if hasattr(settings, "weights") else {})}


def worst_pair(place: NDArray[np.int64], beyond: NDArray[np.float64]) -> float:
    """The largest value that two neighbouring cells both reach: one cell alone may be noise."""
    best = 0.0
    for sign in (1.0, -1.0):
        rows = np.flatnonzero(sign * beyond > best)
        values = sign * beyond[rows]
        index = neighbours(place[rows], place[rows])
        index[:, AT] = -1
        second = np.where(index >= 0, values[index], 0).max(1, initial=0)
        best = max(best, float(np.minimum(values, second).max(initial=0)))
    return best
