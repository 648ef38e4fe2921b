"""The compiled core: built once for this machine by its C++ compiler, kept in a per-user cache.

The environment variable ``TRISCOPE_CXX`` names another compiler, ``TRISCOPE_CXX=none`` switches the
build off; ``TRISCOPE_CACHE`` names another cache folder (default ``~/.cache/triscope``).
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

SOURCE = Path(__file__).with_name("sweep.cpp")
FLAGS = [
    "-O3",
    "-std=c++17",
    "-fPIC",
    "-shared",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-pthread",
]
# Tried in this order: what a compiler or machine does not know is left out.
OPTIONS = (("-march=native",), ())
PATIENCE_S = 300
log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled core, or None where there is no compiler and no earlier build."""
    compiler = _compiler()
    path = cache_folder() / f"sweep-{_key(compiler)}.so"
    if not path.is_file():
        if compiler is None:
            log.info("no C++ compiler found: the sweep runs in its slower form")
            return None
        if not _build(compiler, path):
            return None
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        log.warning("%s cannot be loaded (%s): the sweep runs in its slower form", path, error)
        return None


def cache_folder() -> Path:
    """Where builds are kept."""
    named = os.environ.get("TRISCOPE_CACHE", "")
    root = Path(named).expanduser() if named else Path.home() / ".cache" / "triscope"
    return root / "kernels"


def _compiler() -> str | None:
    named = os.environ.get("TRISCOPE_CXX", "")
    if named == "none":
        return None
    if named:
        return shutil.which(named)
    return next(
        (found for name in ("g++", "clang++", "c++") if (found := shutil.which(name))), None
    )


def _key(compiler: str | None) -> str:
    """A name for this source, compiler and processor: a build of another one is never loaded."""
    digest = hashlib.sha256()
    for path in sorted(SOURCE.parent.glob("*.h")):
        digest.update(path.name.encode() + path.read_bytes())
    digest.update(SOURCE.read_bytes())
    digest.update(" ".join(FLAGS).encode())
    digest.update((compiler or "").encode())
    digest.update(_processor().encode())
    return digest.hexdigest()[:20]


def _processor() -> str:
    """The model and the instruction sets of the processor, as far as the system says."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return " ".join(os.uname())
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    wanted = ("model name", "flags", "Features")
    return "\n".join(next((x for x in lines if x.startswith(name)), "") for name in wanted)


def _build(compiler: str, path: Path) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    said = ""
    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        made = Path(place) / path.name
        for options in OPTIONS:
            command = [compiler, *FLAGS, *options, str(SOURCE), "-o", str(made)]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                said = str(error)
                continue
            if done.returncode == 0:
                made.replace(path)  # in one step: two processes may build at a time
                return True
            said = done.stderr
    log.warning(
        "the compiled sweep could not be built with %s; it runs in its slower form. The compiler "
        "said: %s",
        compiler,
        said.strip().splitlines()[-1] if said.strip() else "nothing",
    )
    return False
