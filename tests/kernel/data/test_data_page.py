"""The page on data: its code runs, and it names every layout, format and transform."""

import re
from pathlib import Path

from data_sets import mvtec

from triscope.kernel.data import transforms
from triscope.kernel.data.layouts import ORDER
from triscope.kernel.data.writers import FORMATS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "data.md").read_text(encoding="utf-8")


def test_the_code_runs(tmp_path, monkeypatch, capsys):
    mvtec(tmp_path / "parts" / "bottle", good=8)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, names)
    out = capsys.readouterr().out
    assert out.startswith("mvtec 11 ('scratch',) ()")
    assert out.endswith("11 11\n")


def test_it_names_everything_there_is():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert rows == list(ORDER)
    for name in (*ORDER, *FORMATS):
        assert f"`{name}`" in PAGE
    for name in transforms.__all__:
        if name not in ("Transform", "View", "Warp", "flipped", "turned"):
            assert name in PAGE
