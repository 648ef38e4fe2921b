"""The page on checks does what it says: its blocks run one after the other in one place."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from triscope.kernel.runtime.opening import READERS
from triscope.surface import synth

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "checks.md"


def test_the_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)

    def write(path: str, defect: str = "good") -> None:
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        picture = synth.paint("metal", "good", rng, (96, 96)).image[..., ::-1].copy()
        if defect != "good":  # a chip that nobody could miss
            picture[30:60, 40:56] = (20, 20, 90)
        cv2.imwrite(str(place), picture)

    for i in range(60):
        write(f"parts/bottle/{i:02d}.png")
    for i in range(3):
        write(f"more/{i}.png")
        write(f"labelled/good/{i}.png")
        write(f"labelled/dent/{i}.png", "dent")
        write(f"defects/dent/{i}.png", "dent")
    write("new.png", "dent")
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S))
    exec(compile(code, str(PAGE), "exec"), {"__name__": "page"})
    said = capsys.readouterr().out
    assert "\nfail score " in said and "\nanomaly " in said
    assert "'error': 'broken.png cannot be read: there is no such file.'" in said
    assert "learned 3 more images', 'forgot 1 images', 'rolled back to 3'" in said
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 2
    assert not (tmp_path / "line/bottle/weights.safetensors").exists()


def test_every_answer_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    missing = [name for name in READERS if f"| `{name}` |" not in text]
    assert not missing
