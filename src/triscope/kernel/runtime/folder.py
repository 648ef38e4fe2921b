"""The check folder on disk: written aside and swapped in whole, with its earlier versions.

    checks/bottle/card.json  model.onnx  weights.safetensors  golden.npz  images.json
    checks/bottle/history/1/ ...          the version before, complete

A swap is two renames. Should the machine stop between them, the next open or save finishes it, so
that a check is always either the old one or the new one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from triscope.errors import CheckError, TriscopeError
from triscope.kernel.runtime.card import CARD, read_card

HISTORY = "history"


def aside_of(folder: Path) -> Path:
    """Where the replaced folder waits during a swap."""
    return folder.with_name(f".{folder.name}.replaced")


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A fresh folder to write into, swapped in for ``folder`` when the block ends well.

    On any error, disk full included, what was written is removed and the old folder stays. Of
    several processes that write into one parent folder, one writes at a time.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder.parent):
        yield from _replaced(folder)


def _replaced(folder: Path) -> Iterator[Path]:
    finish_swap(folder)
    may_replace(folder)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
    try:
        fresh.chmod(0o755)
        yield fresh
        _flush(fresh)
        _swap(folder, fresh)
    except OSError as error:
        kept = "The version that was there is unchanged."
        raise TriscopeError(
            f"{folder} could not be written: {error.strerror or error}. "
            f"{kept if folder.exists() else 'Nothing was left behind.'}"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def may_replace(folder: Path) -> None:
    """Raise CheckError where a check may not be written: on a file, or over something else."""
    if folder.is_file():
        raise CheckError(f"{folder} is a file; a check is a folder. Give another place.")
    if folder.exists() and not (folder / CARD).is_file() and any(folder.iterdir()):
        raise CheckError(f"{folder} exists and is not a check; give an empty or a new place.")


@contextlib.contextmanager
def alone(place: Path) -> Iterator[None]:
    """Wait until no other process writes into this folder, where the system can tell."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(place, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # network drives may know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def finish_swap(folder: Path) -> None:
    """Finish a swap that was cut short; without one, nothing happens."""
    aside = aside_of(folder)
    if not aside.is_dir():
        return
    if not folder.exists():
        aside.rename(folder)
    else:
        _into_history(folder, aside)


def versions(folder: Path) -> list[int]:
    """Numbers of the earlier versions that are kept, ascending."""
    kept = folder / HISTORY
    names = [p.name for p in kept.iterdir()] if kept.is_dir() else []
    return sorted(int(name) for name in names if name.isdigit())


def copy_files(source: Path, target: Path, but: Callable[[str], bool] = lambda name: False) -> None:
    """Bring the files of one version into another folder; linked where the disk can."""
    for path in source.iterdir():
        if path.is_file() and not but(path.name):
            try:
                os.link(path, target / path.name)
            except OSError:
                shutil.copy2(path, target / path.name)


def _swap(folder: Path, fresh: Path) -> None:
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
    if folder.exists():
        folder.rename(aside_of(folder))
    fresh.rename(folder)
    finish_swap(folder)


def _into_history(folder: Path, aside: Path) -> None:
    kept = folder / HISTORY
    kept.mkdir(exist_ok=True)
    if (aside / HISTORY).is_dir():
        for old in (aside / HISTORY).iterdir():
            if not (kept / old.name).exists():
                old.rename(kept / old.name)
        shutil.rmtree(aside / HISTORY)
    place = kept / str(read_card(aside).version.number)
    if place.exists():
        shutil.rmtree(place)
    aside.rename(place)


def _flush(fresh: Path) -> None:
    for path in fresh.iterdir():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
