"""A check at work: captures in, inspections out; the same before it is saved and after. No torch.

A subclass per answer says how a capture becomes the input of the graph (``prepare``) and how its
output becomes findings (``read``): ``runtime.heatmap``, ``boxes``, ``label``, ``masks`` ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from triscope.errors import CheckError, UnreadableImage
from triscope.kernel.data import Dataset, Sample, load, open_data, read_image
from triscope.kernel.protocols import Progress
from triscope.kernel.results import Inspection, Skipped, Verdict, Zones
from triscope.kernel.runtime.card import Card
from triscope.kernel.runtime.engine import MAIN, Engine
from triscope.kernel.runtime.reading import Examiner, Prepared, Reading
from triscope.kernel.runtime.seen import Seen

if TYPE_CHECKING:
    from triscope.kernel.calibrate import RegionSize
    from triscope.kernel.metrics import Evaluation

UNDECIDED = Verdict("review", "this check has no thresholds yet: run 'triscope calibrate'")


class Origin(Protocol):
    """Where the files of a check come from: a fitted model, or the folder that was opened."""

    def write(self, folder: Path, check: Check) -> Card:
        """Put graphs, weights and golden answer into an empty folder; the card with its proof."""


class Check(ABC):
    """A fitted model with its thresholds: the same object after ``fit`` and after ``open``."""

    answers: ClassVar[str]
    rows_at_once: ClassVar[int] = 8
    regions_by_promise: ClassVar[bool] = False  # whether calibrate chooses the pixel threshold
    regions_by_masks: ClassVar[bool] = False  # or takes the one that drawn parts agree with best
    needs_good_parts: ClassVar[bool] = True  # whether calibrate can do without them
    scores_are_probabilities: ClassVar[bool] = False  # of known defects: 0.5 means something

    def __init__(
        self,
        card: Card,
        engines: Mapping[str, Engine],
        seen: Seen,
        folder: Path | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.card = card
        self.engines = dict(engines)
        self.seen = seen
        self.folder = folder
        self.origin = origin
        self.held: Dataset | None = None  # kept out by fit; after opening it is read from `seen`
        self.skipped: list[Skipped] = []  # captures that readings() could not read
        self.problems: tuple[str, ...] = ()  # of the labels that fit learned from

    def __repr__(self) -> str:
        state = self.card.zones.basis if self.card.zones else "not calibrated"
        return f"<Check {self.label}: {state}>"

    @property
    def engine(self) -> Engine:
        """The engine of the main graph."""
        return self.engines[MAIN]

    @property
    def label(self) -> str:
        """Model and version, as written into each inspection."""
        return f"{self.card.model}@{self.card.version.number}"

    @abstractmethod
    def prepare(self, sample: Sample) -> Prepared:
        """Read a capture and bring it to the input of the graph."""

    @abstractmethod
    def read(self, outputs: Mapping[str, Any], prepared: Prepared) -> Reading:
        """What the outputs of the graph for one capture say; the rows are those of ``prepared``."""

    def proofs(self) -> dict[str, Engine]:
        """What beside the graphs must answer the golden input when the folder is opened."""
        return {}

    def examiner(self) -> Examiner | None:
        """What ``evaluate`` measures beside scores and maps; None where that is all."""
        return None

    def knows(self, sample: Sample) -> bool:
        """Whether it is known what should be answered of this capture."""
        return sample.label is not None

    def truth(self, sample: Sample, reading: Reading) -> str:
        """What the score should have told of this capture: ``good``, or what was wrong."""
        return str(sample.label)

    def captures(self, source: Any) -> Dataset:
        """The captures behind a folder, glob, list or array."""
        return open_data(source)

    def picture(self, source: Any) -> NDArray[Any]:
        """What a person looks at of a capture, (h, w[, 3]); raises DataError where there is none.

        Findings and evidence are in its pixels.
        """
        return read_image(source)

    def inspect(self, source: Any) -> Inspection:
        """Inspect one capture: a path, an address or an array (h, w[, 3]).

        Raises UnreadableImage where it cannot be decoded.
        """
        sample = as_sample(source)
        return self._answer([sample], [self.prepare(sample)])[0]

    def inspect_many(
        self, sources: Iterable[Any], *, workers: int = 1, batch: int = 1
    ) -> Iterator[Inspection | Skipped]:
        """Inspect captures in order, reading ahead; unreadable ones come as :class:`Skipped`.

        ``sources`` may be endless: nothing is held but what is read ahead. ``batch`` captures go
        through the graph together; on a CPU 1 is rarely slower.
        """
        waiting: list[tuple[Sample, Prepared]] = []
        for item in load(map(as_sample, sources), self.prepare, workers=workers):
            if isinstance(item, Skipped):
                yield from self._flush(waiting)
                yield item
                continue
            waiting.append((item.sample, item.prepared))
            if len(waiting) >= batch:
                yield from self._flush(waiting)
        yield from self._flush(waiting)

    def reading(self, prepared: Prepared) -> Reading:
        """The answer to one prepared capture, before anything is decided."""
        return self.read(self.compute([prepared])[0], prepared)

    def readings(
        self, data: Iterable[Sample], *, workers: int = 1
    ) -> Iterator[tuple[Sample, Reading]]:
        """Answers to a data set in order; what cannot be read is added to ``skipped``."""
        for item in load(data, self.prepare, workers=workers):
            if isinstance(item, Skipped):
                self.skipped.append(item)
            else:
                yield item.sample, self.reading(item.prepared)

    def calibrate(
        self,
        data: Any = None,
        *,
        false_reject: float | None = None,
        confidence: float = 0.95,
        review: float | None = None,
        cost_escape: float | None = None,
        cost_reject: float | None = None,
        cost_review: float | None = None,
        prevalence: float | None = None,
        fail_above: float | None = None,
        review_above: float | None = None,
        size: RegionSize | None = None,
        mm_per_px: float | None = None,
        workers: int = 1,
        progress: Progress | None = None,
    ) -> Zones:
        """Choose the thresholds by promise, by cost or by hand; :meth:`save` makes them last.

        ``data`` are good parts (and defects) that the check has not met; without it the images
        that ``fit`` held out. By promise: at most ``false_reject`` of good parts fail and
        ``review`` more go to a person, with that ``confidence``; without a number the lowest
        promise that the good parts allow. By cost: ``cost_escape`` a missed defect,
        ``cost_reject`` a rejected good part, ``cost_review`` a look, ``prevalence`` of defects.
        By hand: ``fail_above`` and ``review_above``, which promise nothing. ``size`` is the least
        size of regions that matter.

        Raises PromiseTooLow, LeakedData (training or test images), EmptyData.
        """
        from triscope.kernel.calibrate import RegionSize
        from triscope.kernel.runtime.calibrating import calibrate

        if mm_per_px is not None:
            self.card = self.card.with_(mm_per_px=mm_per_px)
        return calibrate(
            self,
            data,
            confidence=confidence,
            size=size or RegionSize(),
            workers=workers,
            progress=progress,
            false_reject=false_reject,
            review=review,
            cost_escape=cost_escape,
            cost_reject=cost_reject,
            cost_review=cost_review,
            prevalence=prevalence,
            fail_above=fail_above,
            review_above=review_above,
        )

    def evaluate(
        self,
        data: Any,
        *,
        exact: bool = False,
        draws: int = 1000,
        confidence: float = 0.95,
        seed: int = 0,
        workers: int = 1,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Measure the check on labelled captures; of a data set with splits those of the test.

        What taught or calibrated the check is left out, and noted. Unreadable captures are added
        to ``skipped``. ``exact`` keeps every pixel's score; intervals are of ``draws`` bootstrap
        draws from ``seed``. Raises EmptyData, LeakedData.
        """
        from triscope.kernel.runtime.evaluating import evaluate

        return evaluate(
            self,
            data,
            exact=exact,
            draws=draws,
            confidence=confidence,
            seed=seed,
            workers=workers,
            progress=progress,
        )

    def save(self, folder: str | Path | None = None, *, why: str = "") -> Path:
        """Write the check folder as its next version; without ``folder`` where it came from.

        Afterwards the check answers from the folder. On any error, disk full included, the version
        that was there stays. Raises RegressionFailed where a defect that must be caught passes.
        """
        from triscope.kernel.runtime.saving import save

        return save(self, folder, why=why)

    def export(self, folder: str | Path, **options: Any) -> Check:
        """Write a copy for the line, in int8 or with another engine: see ``kernel.export.deploy``.

        ``check.export("line/bottle", int8=True, data="parts/bottle")``
        """
        # By name: the writer stands above the reader, and needs packages that the reader does not.
        deploy = import_module("triscope.kernel.export.deploy")
        exported: Check = deploy.export(self, folder, **options)
        return exported

    def compute(self, prepared: Sequence[Prepared]) -> list[dict[str, Any]]:
        """Run the main graph; the outputs of each capture, whose first axis are its rows.

        At most ``rows_at_once`` rows go through the graph together. A capture of many rows runs by
        itself, so that neither its input nor its output need lie in memory as a whole.
        """
        if len(prepared) == 1 or sum(item.rows for item in prepared) > self.rows_at_once:
            return [self.fold(self._pieces(one), one) for one in prepared]
        names = prepared[0].inputs.keys()
        whole = {name: _joined([one.inputs[name][:] for one in prepared]) for name in names}
        return self.split([self.engine.run(whole)], [one.rows for one in prepared])

    def fold(self, pieces: Iterator[dict[str, Any]], prepared: Prepared) -> dict[str, Any]:
        """The outputs of one capture from those of its rows, a few at a time, in order."""
        return self.split(list(pieces), [prepared.rows])[0]

    def _pieces(self, prepared: Prepared) -> Iterator[dict[str, Any]]:
        for start in range(0, prepared.rows, self.rows_at_once):
            rows = slice(start, start + self.rows_at_once)
            yield self.engine.run({name: array[rows] for name, array in prepared.inputs.items()})

    def split(
        self, pieces: Sequence[Mapping[str, Any]], counts: Sequence[int]
    ) -> list[dict[str, Any]]:
        """Outputs computed in pieces, as one set of outputs a capture."""
        whole = {name: _joined([piece[name] for piece in pieces]) for name in pieces[0]}
        ends = np.cumsum(counts)
        return [
            {name: array[end - count : end] for name, array in whole.items()}
            for end, count in zip(ends, counts, strict=True)
        ]

    def judge(self, reading: Reading) -> Verdict:
        """The verdict by the zones of the card."""
        return self.card.zones.judge(reading.score) if self.card.zones else UNDECIDED

    def _flush(self, waiting: list[tuple[Sample, Prepared]]) -> Iterator[Inspection]:
        if waiting:
            samples, prepared = zip(*waiting, strict=True)
            waiting.clear()
            yield from self._answer(samples, prepared)

    def _answer(self, samples: Sequence[Sample], prepared: Sequence[Prepared]) -> list[Inspection]:
        start = perf_counter()
        outputs = self.compute(prepared)
        model_s = (perf_counter() - start) / len(prepared)
        return [
            self._inspection(*one, model_s) for one in zip(samples, prepared, outputs, strict=True)
        ]

    def _inspection(
        self, sample: Sample, prepared: Prepared, outputs: Mapping[str, Any], model_s: float
    ) -> Inspection:
        start = perf_counter()
        reading = self.read(outputs, prepared)
        verdict = self.judge(reading)
        seconds = {
            "read": prepared.read_s,
            "model": model_s,
            "findings": perf_counter() - start,
        }
        return Inspection(
            sample.name,
            verdict,
            reading.score,
            reading.findings,
            reading.heatmap,
            prepared.image_size,
            self.label,
            seconds,
            reading.details,
        )


def no_folder(check: Check) -> CheckError:
    """The error of what only works on a saved check."""
    return CheckError(f"{check.label} has not been saved yet: call save(folder) first.")


def as_sample(source: Any) -> Sample:
    """One capture as a sample named after where it is."""
    return source if isinstance(source, Sample) else Sample(source, name=_name_of(source))


def _joined(arrays: Sequence[Any]) -> Any:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _name_of(source: Any) -> str:
    if isinstance(source, str | Path):
        return str(source)
    if isinstance(source, np.ndarray):
        return "array " + "x".join(map(str, source.shape))
    raise UnreadableImage(
        f"an image is a path, an address or an array (h, w[, 3]), got {type(source).__name__}."
    )
