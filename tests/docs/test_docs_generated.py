"""Generated parts of the documentation are current, examples run, links lead somewhere."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import click
import cv2
import numpy as np
import pytest

from triscope.kernel import catalogue
from triscope.surface import synth

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from docs_src import commands, generate  # noqa: E402

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_generated_parts_are_current() -> None:
    # In a process of its own, as 'make docs' is: other tests import and change commands.
    script = "from docs_src import generate; print(*(p.name for p in generate.outdated()))"
    call = [sys.executable, "-c", script]
    late = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not late.strip(), f"run 'make docs': {late.strip()} would change"


def test_the_readme_names_every_model() -> None:
    table = generate.PARTS["models"]()
    assert [name for name in catalogue.models() if f"`{name}`" not in table] == []


def test_every_command_documents_its_json() -> None:
    for name, command, _ in commands.leaves():
        keys = commands.keys_of(command)
        assert keys, f"{name}: no KEYS beside its function"
        assert all(isinstance(text, str) and text.strip() for text in keys.values()), name


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the examples find: good parts, a new picture, photos, labelled parts."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)

    def write(path: str, defect: str = "good") -> None:
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        picture = synth.paint("metal", defect, rng, (96, 96)).image
        cv2.imwrite(str(place), picture[..., ::-1])

    for i in range(60):
        write(f"parts/bottle/{i:02d}.png")
    for i in range(3):
        write(f"photos/{i}.png", "dent" if i == 2 else "good")
        write(f"labelled/good/{i}.png")
        write(f"labelled/dent/{i}.png", "dent")
    write("new.png", "dent")
    return tmp_path


def test_the_first_block_of_the_readme_runs(
    newcomer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(ROOT / "docs_src/first.py"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("At most ")
    assert lines[1].startswith("fail - score ")
    assert (newcomer / "checks/bottle/card.json").is_file()


def test_the_newcomers_path_runs(newcomer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "docs_src/newcomer.py"))
    assert capsys.readouterr().out.startswith("1.0 {'good':")
    assert "Bottles of today" in (newcomer / "report.html").read_text(encoding="utf-8")


def test_the_readme_leads_with_a_short_block() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition("```python\n")
    block = rest.partition("```")[0]
    assert rest, "the README has no Python block"
    assert before.count("\n") < 40
    assert len(block.strip().splitlines()) <= 12


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_blocks(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        ast.parse(block)
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
        assert (path.parent / picture).stat().st_size < 300_000, picture


def test_commands_in_the_docs_exist() -> None:
    """Every ``triscope VERB --option`` that a page shows is one that the program knows."""
    known = {name: options_of(command) for name, command, _ in commands.leaves()}
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for line in re.findall(r"^(?:\$ )?(triscope [^\n#`]+)", text, re.MULTILINE):
            words = line.split()
            name = next((n for n in (" ".join(words[:k]) for k in (4, 3, 2)) if n in known), "")
            assert name or words[1].startswith("-"), f"{path.name}: {line}"
            given = {word.partition("=")[0] for word in words if word.startswith("--")}
            if name not in ("", "triscope fit"):  # what fit knows depends on the model
                assert given <= known[name] | {"--help"}, f"{path.name}: {line}"


def options_of(command: click.Command) -> set[str]:
    return {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
