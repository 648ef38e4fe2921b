"""Inspections as files: JSON lines, CSV or Parquet; written as they come, nothing is held back."""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from triscope.errors import TriscopeError, UsageError, needs_extra
from triscope.kernel.results.inspection import Inspection, Skipped

Result = Inspection | Skipped
COLUMNS = (
    "source", "verdict", "score", "reason", "findings", "label", "finding_score",
    "x0", "y0", "x1", "y1", "start_s", "end_s", "area_px", "length_px", "width_px",
    "area_mm2", "length_mm", "width_mm", "check", "seconds", "error",
)  # fmt: skip
ROWS_A_GROUP = 1000


def writer(path: str | Path) -> Writer:
    """A writer for the ending of the path: ``.jsonl``, ``.csv`` or ``.parquet``.

    ``with writer("results.csv") as results: results.add(check.inspect("new.png"))``
    """
    path = Path(path)
    kinds: dict[str, Callable[[Path], Writer]] = {
        ".jsonl": JsonLines,
        ".csv": Csv,
        ".parquet": Parquet,
    }
    if path.suffix.lower() not in kinds:
        raise UsageError(
            f"{path}: results are written as .jsonl, .csv or .parquet, not {path.suffix or 'that'}."
        )
    return kinds[path.suffix.lower()](path)


def write(results: Iterable[Result], path: str | Path) -> Path:
    """Write results as they come; the path."""
    with writer(path) as out:
        for result in results:
            out.add(result)
    return out.path


class Writer(ABC):
    """An open file of results; what was added stays if a later one fails."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            raise self._failed(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, result: Result) -> None:
        """Write one result; raises TriscopeError where the disk refuses."""
        try:
            self._add(result)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Finish the file."""
        try:
            self._close()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> TriscopeError:
        return TriscopeError(f"{self.path} could not be written: {error.strerror or error}.")

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _add(self, result: Result) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...


class JsonLines(Writer):
    """One object a line: that of ``Inspection.to_dict``, or ``{"source", "error"}``."""

    _file: IO[str]

    def _open(self) -> None:
        self._file = self.path.open("w", encoding="utf-8", buffering=1)

    def _add(self, result: Result) -> None:
        self._file.write(json.dumps(result.to_dict()) + "\n")

    def _close(self) -> None:
        self._file.close()


class Csv(Writer):
    """One row a capture, with its strongest finding; boxes in pixels, times in seconds."""

    _file: IO[str]

    def _open(self) -> None:
        self._file = self.path.open("w", newline="", encoding="utf-8", buffering=1)
        self._rows = csv.DictWriter(self._file, COLUMNS, restval="")
        self._rows.writeheader()

    def _add(self, result: Result) -> None:
        self._rows.writerow(flat(result))

    def _close(self) -> None:
        self._file.close()


class Parquet(Writer):
    """One row a capture, its findings as a list of structures; needs pyarrow."""

    def _open(self) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise needs_extra("writing Parquet", "parquet", "pyarrow") from error
        self._arrow = pyarrow
        self._schema = _schema(pyarrow)
        self._waiting: list[dict[str, Any]] = []
        self._file = pyarrow.parquet.ParquetWriter(self.path, self._schema)

    def _add(self, result: Result) -> None:
        self._waiting.append(nested(result))
        if len(self._waiting) >= ROWS_A_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._file.write_table(
                self._arrow.Table.from_pylist(self._waiting, schema=self._schema)
            )
            self._waiting = []

    def _close(self) -> None:
        self._flush()
        self._file.close()


def flat(result: Result) -> dict[str, Any]:
    """One row of a table for a capture; what is not known is left out."""
    if isinstance(result, Skipped):
        return result.to_dict()
    row: dict[str, Any] = {
        "source": result.source,
        "verdict": result.verdict.outcome,
        "score": result.score,
        "reason": result.verdict.reason,
        "findings": len(result.findings),
        "check": result.check,
        "seconds": round(sum(result.seconds.values()), 6),
    }
    if result.findings:
        worst = max(result.findings, key=lambda finding: finding.score)
        row |= {"label": worst.label, "finding_score": worst.score}
        row |= dict(zip(("x0", "y0", "x1", "y1"), worst.box or (), strict=False))
        row |= dict(zip(("start_s", "end_s"), worst.span_s or (), strict=False))
        row |= {name: value for name, value in worst.measures.items() if name in COLUMNS}
    return row


def nested(result: Result) -> dict[str, Any]:
    """One row of a Parquet file."""
    if isinstance(result, Skipped):
        return result.to_dict()
    row = flat(result)
    row["findings"] = [
        {
            "label": finding.label,
            "score": finding.score,
            "box": list(finding.box) if finding.box else None,
            "span_s": list(finding.span_s) if finding.span_s else None,
            "measures": list(finding.measures.items()),
        }
        for finding in result.findings
    ]
    return row


def _schema(arrow: Any) -> Any:
    number, text = arrow.float64(), arrow.string()
    finding = arrow.struct(
        [
            ("label", text),
            ("score", number),
            ("box", arrow.list_(number)),
            ("span_s", arrow.list_(number)),
            ("measures", arrow.map_(text, number)),
        ]
    )
    return arrow.schema(
        [
            ("source", text),
            ("verdict", text),
            ("score", number),
            ("reason", text),
            ("findings", arrow.list_(finding)),
            ("check", text),
            ("seconds", number),
            ("error", text),
        ]
    )
