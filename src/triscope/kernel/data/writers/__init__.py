"""Data sets written in a layout that others read: COCO, VOC, YOLO, MVTec.

Each file offers ``write(data, out) -> None``, which fills an empty folder and tells ``out`` what
its layout cannot hold.
"""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path

from triscope.errors import DataError, UsageError
from triscope.kernel.data.sample import Dataset
from triscope.kernel.data.summary import Report, nothing
from triscope.kernel.data.writers._out import Out

FORMATS = ("coco", "voc", "yolo", "mvtec")


def convert(data: Dataset, to: str, folder: Path, report: Report = nothing) -> tuple[str, ...]:
    """Write ``data`` into a new folder; answers what was lost or left out.

    Written beside and renamed at the end, so that a folder of this name is whole.
    """
    if to not in FORMATS:
        raise UsageError(f"no format named {to!r}. There are: {', '.join(FORMATS)}.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is there and not empty: give a new folder.")
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        out = Out(aside, report, len(data))
        import_module(f"{__name__}.{to}").write(data, out)
        if folder.exists():
            folder.rmdir()
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return out.problems.told()
