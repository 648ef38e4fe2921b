"""One run of a check over many captures: counted, listed, and written as it goes."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from contextlib import ExitStack
from datetime import datetime
from time import perf_counter
from typing import Any

from triscope import __version__
from triscope.cli._output import note, outcome, people, show_table
from triscope.cli._overlays import Overlays
from triscope.cli._progress import Progress, counted
from triscope.cli._sources import Captures, Remembered
from triscope.kernel.report import InspectionReport
from triscope.kernel.results import Inspection, Skipped
from triscope.kernel.results.write import Writer, writer

LISTED = 20  # captures that are listed for people
OPTIONS = {
    "report": None, "overlays": None, "out": None, "pictures": 160, "workers": 1, "batch": 1,
    "explain": False,
}  # fmt: skip


class Run:
    """One inspection of many captures: whatever was asked to be written is written as it goes."""

    def __init__(self, check: Any, options: dict[str, Any], title: str) -> None:
        self.check = check
        self.options = options
        self.counts: Counter[str] = Counter()
        self.skipped: list[Skipped] = []
        self.kept: list[dict[str, Any]] = []
        self.worst: list[tuple[float, tuple[Any, ...]]] = []
        self.seconds = 0.0
        self.report: InspectionReport | None = None
        self.overlays: Overlays | None = None
        self.writer: Writer | None = None
        explain = _explainer(check) if options["explain"] else None
        if options["report"]:
            most = options["pictures"]
            self.report = InspectionReport(
                check.card, title, most=most, explain=explain, picture=check.picture
            )
        if options["overlays"]:
            self.overlays = Overlays(options["overlays"], check.card, explain, check.picture)

    def go(self, captures: Captures, report: Progress) -> None:
        """Inspect everything; when Ctrl-C comes, what was done is counted and written."""
        start = perf_counter()
        samples = Remembered(captures.samples)
        answers = self.check.inspect_many(
            samples, workers=self.options["workers"], batch=self.options["batch"]
        )
        try:
            with ExitStack() as stack:
                if self.options["out"]:
                    self.writer = stack.enter_context(writer(self.options["out"]))
                for skipped in captures.unusable:
                    self.add(skipped, None)
                for answer in counted(answers, "inspect", captures.total, report):
                    self.add(answer, samples.next())
        finally:
            self.seconds = perf_counter() - start

    def add(self, answer: Inspection | Skipped, sample: Any) -> None:
        """Count one answer and hand it to whatever is written."""
        if self.writer is not None:
            self.writer.add(answer)
        if self.report is not None:
            self.report.add(answer, sample)
        if isinstance(answer, Skipped):
            self.skipped.append(answer)
            return
        self.counts[answer.verdict.outcome] += 1
        if not self.options["out"]:
            self.kept.append(answer.to_dict())
        self._list(answer)
        if self.overlays is not None:
            self.overlays.add(answer, sample)

    def answer(self) -> dict[str, Any]:
        """What --json prints."""
        return {
            "check": self.check.label,
            "captures": self.counts.total(),
            **{name: self.counts[name] for name in ("pass", "review", "fail")},
            "skipped": self.skipped,
            "inspections": None if self.options["out"] else self.kept,
            **{name: self.options[name] for name in ("report", "overlays", "out")},
            "seconds": round(self.seconds, 3),
        }

    def subtitle(self) -> str:
        """The line below the title of the report."""
        when = datetime.now().astimezone().strftime("%d %B %Y, %H:%M")
        total = self.counts.total()
        captures = f"{total} capture{'' if total == 1 else 's'}"
        return f"{when} · {captures} · triscope {__version__}"

    def write_report(self) -> None:
        """Write the page, where one was asked for."""
        if self.report is not None:
            self.report.write(self.options["report"], self.subtitle())

    def show(self) -> None:
        """The answer for people."""
        console, total = people(), self.counts.total()
        rows = self._rows()
        if rows:
            title = "" if total <= LISTED else f"the {len(rows)} highest scores"
            seen = "shows" if self.check.card.capture == "clip" else "regions"
            columns = ("capture", "verdict", "score", seen)
            show_table(title, columns, rows, right=(2, 3), coloured=1)
        for skipped in self.skipped[:LISTED]:
            note(f"not read: {skipped.error}")
        parts = [f"{outcome(name)} {self.counts[name]}" for name in ("pass", "review", "fail")]
        rate = total / self.seconds if self.seconds else 0.0
        more = f", not readable {len(self.skipped)}" if self.skipped else ""
        console.print(f"{', '.join(parts)}{more}; {rate:.1f} a second with {self.check.label}")
        for name in ("report", "overlays", "out"):
            if self.options[name]:
                console.print(f"{name}: {self.options[name]}", markup=False)

    def _list(self, answer: Inspection) -> None:
        """Remember the highest scores; scores that are no numbers come first."""
        rank = answer.score if math.isfinite(answer.score) else math.inf
        seen = answer.details.get("label", len(answer.findings))
        if "labels" in answer.details:
            seen = ", ".join(answer.details["labels"])
        cells = (answer.source, answer.verdict.outcome, f"{answer.score:.4g}", seen)
        self.worst.append((rank, cells))
        if len(self.worst) > 4 * LISTED:
            self._trim()

    def _trim(self) -> None:
        self.worst = heapq.nlargest(LISTED, self.worst, key=lambda pair: pair[0])

    def _rows(self) -> list[tuple[Any, ...]]:
        self._trim()
        return [cells for _, cells in self.worst]


def _explainer(check: Any) -> Any:
    """What finds the evidence in videos; needs the training install."""
    from triscope.errors import needs_extra

    try:
        from triscope.motion.evidence import Explainer
    except ModuleNotFoundError as error:
        raise needs_extra("--explain", "train", str(error.name)) from error
    return Explainer(check)
