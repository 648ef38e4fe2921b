"""Opening a check folder: everything is verified before it may answer."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from triscope.errors import CheckError, CheckTooNew
from triscope.kernel.runtime.card import CARD, Card, read_card, verify_files
from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.engine import Engine, open_engine
from triscope.kernel.runtime.folder import HISTORY, alone, aside_of, finish_swap
from triscope.kernel.runtime.golden import verify_golden
from triscope.kernel.runtime.seen import read_seen

# One reader a kind of answer; each module is imported when a check asks for it. A domain adds its
# own in a file readers.py, so that the kernel names no domain.
READERS = {
    "Heatmap": "triscope.kernel.runtime.heatmap:HeatmapCheck",
    "Boxes": "triscope.kernel.runtime.boxes:BoxesCheck",
    "Label": "triscope.kernel.runtime.label:LabelCheck",
    "Masks": "triscope.kernel.runtime.masks:MasksCheck",
    "Moments": "triscope.kernel.runtime.moments:MomentsCheck",
}
PACKAGE = Path(__file__).resolve().parents[2]


def open(folder: str | Path, *, threads: int | None = None) -> Check:
    """Open a check folder; no torch is imported.

    The card's seal, the hash of each file and the golden answer are verified first. ``threads``
    defaults to ``TRISCOPE_THREADS``, else to the cores of this process.
    Raises CheckError (no check there), CheckDamaged, CheckTooNew.
    """
    folder = Path(folder)
    while True:
        if folder.parent.name != HISTORY and aside_of(folder).exists():
            with alone(folder.parent):  # whoever is writing finishes first
                finish_swap(folder)
        before = _card_text(folder)
        try:
            return _opened(folder, threads)
        except CheckError:
            if _card_text(folder) == before and not aside_of(folder).exists():
                raise  # else a new version was swapped in while this one was read


def _card_text(folder: Path) -> str:
    try:
        return (folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _opened(folder: Path, threads: int | None) -> Check:
    card = read_card(folder)
    verify_files(card, folder)
    engines = open_engines(folder, card, threads)
    check = check_class(card.answers)(card, engines, read_seen(folder), folder)
    verify_golden(folder, {**engines, **check.proofs()}, card.tolerance)
    return check


def open_engines(folder: Path, card: Card, threads: int | None = None) -> dict[str, Engine]:
    """An engine for each graph of the card."""
    return {
        name: open_engine(folder / f"{name}.onnx", card.engine, threads, card.precision)
        for name in card.graphs
    }


def readers() -> dict[str, str]:
    """The readers of the kernel and of every domain that has a file ``readers.py``."""
    found = dict(READERS)
    for path in sorted(PACKAGE.glob("*/readers.py")):
        found |= import_module(f"{PACKAGE.name}.{path.parent.name}.readers").READERS
    return found


def check_class(answers: str) -> type[Check]:
    """The reader of one kind of answer."""
    known = readers()
    if answers not in known:
        raise CheckTooNew(
            f"this check answers {answers!r}; this Triscope reads {', '.join(known)}. "
            "Update with: pip install --upgrade triscope"
        )
    module, _, name = known[answers].partition(":")
    found: type[Check] = getattr(import_module(module), name)
    return found
