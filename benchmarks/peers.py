"""The second environment, ``.bench/``: anomalib 2.7 beside us, made once, kept out of git.

``python -m benchmarks.peers`` makes it. Torch and the other packages of the environment that runs
this are shared where their versions suit anomalib, so that both sides compute with the same torch;
what anomalib needs beyond them is installed into ``.bench/`` alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = Path(os.environ.get("TRISCOPE_BENCH", ROOT / ".bench"))
WANTED = "anomalib==2.7.*"
TORCH_NEEDED = (2, 10)  # anomalib 2.7's own lower bound
READY = "ready.txt"


def python() -> Path:
    """The interpreter of the second environment; makes the environment where it is missing."""
    if not (BENCH / READY).is_file():
        make()
    return _interpreter()


def make() -> None:
    """Make ``.bench/``: a virtual environment that sees ours and adds anomalib."""
    print(f"making {BENCH.name}/ with {WANTED}: some minutes, once", file=sys.stderr)
    venv.create(BENCH, with_pip=True)
    wanted = [WANTED]
    if _torch_suits():
        _share_packages()
    else:
        wanted += ["anomalib[cpu]", "openvino", "onnx", "onnxscript", "psutil"]
    subprocess.run([_interpreter(), "-m", "pip", "install", "--quiet", *wanted], check=True)
    tell = "import importlib.metadata as m; print('anomalib', m.version('anomalib'))"
    found = subprocess.run([_interpreter(), "-c", tell], check=True, capture_output=True, text=True)
    (BENCH / READY).write_text(found.stdout)


def _interpreter() -> Path:
    return BENCH / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _torch_suits() -> bool:
    try:
        found = version("torch")
    except PackageNotFoundError:
        return False
    return tuple(int(part) for part in found.split(".")[:2]) >= TORCH_NEEDED


def _share_packages() -> None:
    """Our site-packages come last on the path of the second environment."""
    ours = sysconfig.get_path("purelib")
    base = {"base": str(BENCH), "platbase": str(BENCH)}
    theirs = Path(sysconfig.get_path("purelib", scheme="venv", vars=base))
    (theirs / "shared.pth").write_text(f"{ours}\n")


if __name__ == "__main__":
    print(python())
