"""The exported graphs of the models that compare a student with a teacher answer as torch does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from distilled import NAMES, SHORT, TINY, answers, damaged, exported, taught, textures


@pytest.mark.parametrize("name", NAMES)
def test_onnx_answers_as_torch(name: str, tmp_path: Path) -> None:
    graph = taught(SHORT[name](steps=8, **TINY), textures(4)).graph()
    session = exported(graph, textures(2), tmp_path / "model.onnx")
    for count in (1, 3):
        images = damaged(textures(count, seed=3))
        heat, scores = answers(graph, images)
        found = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        assert np.allclose(found[0], heat, atol=1e-4) and np.allclose(found[1], scores, atol=1e-4)
