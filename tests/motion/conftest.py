"""What the tests of steps share: painted assemblies in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from triscope.motion.synth import assembly


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    faults: tuple[assembly.Fault, ...] = ("none", "swapped")
    return assembly.write_all(folder, assembly.paint_many(2, 5, faults), "train")
