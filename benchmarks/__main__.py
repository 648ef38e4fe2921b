"""All benchmarks in order: ``python -m benchmarks [NAME ...]``; failures are told at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.page import ORDER


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; the number that failed."""
    folder = Path(__file__).resolve().parent
    there = sorted(path.stem.removeprefix("bench_") for path in folder.glob("bench_*.py"))
    first = [name for name in ORDER if name in there]
    chosen = names or [*first, *(name for name in there if name not in ORDER)]
    unknown = sorted(set(chosen) - set(there))
    if unknown:
        print(f"no benchmark named {', '.join(unknown)}; there are {', '.join(there)}")
        return 2
    failed = []
    for name in chosen:
        print(f"== {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"benchmarks.bench_{name}"]
        if subprocess.run(command, cwd=folder.parent, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
