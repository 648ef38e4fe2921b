"""Inspect captures with a check: verdicts, findings, report, overlays."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from triscope.cli._exits import DONE, FAILED
from triscope.cli._options import add, option, workers
from triscope.cli._output import emit, json_option, note, outcome, people, show_table
from triscope.cli._progress import counted, progress

if TYPE_CHECKING:
    from triscope.kernel.results import Inspection, Skipped

SECTION = "Checks"
KEYS = {
    "check": "model and version that answered: patchcore@1",
    "captures": "how many could be inspected",
    "pass": "how many passed",
    "review": "how many need a look",
    "fail": "how many failed",
    "skipped": "list of {source, error}: inputs that could not be read",
    "inspections": "list of {source, verdict, reason, score, findings, image_size, check, seconds, "
    "details}; null with --out, which holds them",
    "report": "path of the page, or null",
    "overlays": "folder of the overlays, or null",
    "out": "path of the results, or null",
    "seconds": "wall time of the inspection",
}
SPLITS = ("train", "calibrate", "test")
LISTED = 20  # captures that are listed for people


@click.command("inspect")
@click.argument("check", type=click.Path(path_type=Path))
@click.argument("sources", nargs=-1, required=True)
@json_option
def command(check: Path, sources: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Inspect SOURCES with CHECK: files, folders, globs, addresses, or '-' for paths on stdin.

    Nothing but the runtime install is needed. The exit code is 1 where a capture failed or could
    not be read.
    """
    import triscope
    from triscope.cli._sources import captures_of

    opened = triscope.open(check)
    captures = captures_of(opened, sources, options["split"])
    run = Run(opened, options, title=options["title"] or f"{', '.join(sources)} with {check}")
    run.go(captures)
    if as_json:
        emit(run.answer(), KEYS)
    else:
        run.show()
    return FAILED if run.counts["fail"] or run.skipped else DONE


_files = click.Path(path_type=Path)
add(
    command,
    option("--report", "FILE.html", "Write one page here.", type=_files),
    option("--overlays", "FOLDER", "Write PNG overlays here.", type=_files),
    option("--out", "FILE", "Write results as they come: .jsonl, .csv or .parquet.", type=_files),
    option("--split", "NAME", "Only train, calibrate or test.", type=click.Choice(SPLITS)),
    option("--pictures", "N", "Most pictures in the report.", default=160),
    option("--title", "TEXT", "Title of the report."),
    workers(),
    option("--batch", "N", "Captures that go through the graph at once.", default=1),
)


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
        self.report: Any = None
        self.overlays: Any = None
        self.writer: Any = None
        if options["report"]:
            from triscope.kernel.report import InspectionReport

            self.report = InspectionReport(check.card, title, most=options["pictures"])
        if options["overlays"]:
            from triscope.cli._overlays import Overlays

            self.overlays = Overlays(options["overlays"], check.card)

    def go(self, captures: Any) -> None:
        """Inspect everything; what was done when Ctrl-C comes is in the report."""
        from triscope.cli._sources import Remembered
        from triscope.kernel.results.write import writer

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
                report = stack.enter_context(progress())
                for answer in counted(answers, "inspect", captures.total, report):
                    self.add(answer, samples.next())
        finally:
            self.seconds = perf_counter() - start
            if self.report is not None:
                self.report.write(self.options["report"], self.subtitle())

    def add(self, answer: Inspection | Skipped, sample: Any) -> None:
        """Count one answer and hand it to whatever is written."""
        from triscope.kernel.results import Skipped

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
        from datetime import datetime

        from triscope import __version__

        when = datetime.now().astimezone().strftime("%d %B %Y, %H:%M")
        return f"{when} · {self.counts.total()} captures · triscope {__version__}"

    def show(self) -> None:
        """The answer for people."""
        console, total = people(), self.counts.total()
        rows = self._rows()
        if rows:
            title = "" if total <= LISTED else f"the {len(rows)} highest scores"
            columns = ("capture", "verdict", "score", "regions")
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
        cells = (answer.source, answer.verdict.outcome, f"{answer.score:.4g}", len(answer.findings))
        self.worst.append((rank, cells))
        if len(self.worst) > 4 * LISTED:
            self._trim()

    def _trim(self) -> None:
        self.worst = heapq.nlargest(LISTED, self.worst, key=lambda pair: pair[0])

    def _rows(self) -> list[tuple[Any, ...]]:
        self._trim()
        return [cells for _, cells in self.worst]
