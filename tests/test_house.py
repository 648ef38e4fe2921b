"""The rules of the house: size of files, public surface, what may be committed, the changelog."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import triscope
from triscope.kernel import catalogue

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
MOST_LINES = 300
LONGER: dict[str, str] = {}  # file below src/triscope: why it may be longer


def code_lines(path: Path) -> int:
    """Lines that hold code: no blanks, comments or docstrings."""
    text = path.read_text(encoding="utf-8")
    lines: set[int] = set()
    skip = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skip and token.type != tokenize.ENDMARKER:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            if isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
                lines -= set(range(body[0].lineno, (body[0].end_lineno or 0) + 1))
    return len(lines)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_a_file_has_one_subject(path: Path) -> None:
    name = str(path.relative_to(ROOT / "src" / "triscope"))
    count = code_lines(path)
    if name in LONGER:
        assert count > MOST_LINES, f"{name} is short enough now: take it from the list"
    else:
        assert count <= MOST_LINES, (
            f"{name} has {count} code lines (most: {MOST_LINES}). Cut it where its subject "
            "changes, or list it in LONGER with the reason."
        )


def test_the_public_surface_can_be_imported() -> None:
    for name in triscope.__all__:
        assert getattr(triscope, name) is not None
    assert sorted(dir(triscope)) == sorted(triscope.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = triscope.nonsense


def test_importing_the_package_loads_nothing_heavy() -> None:
    script = "import sys, triscope; print(sorted({m.split('.')[0] for m in sys.modules}))"
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    for heavy in ("torch", "numpy", "cv2", "onnxruntime", "timm"):
        assert f"'{heavy}'" not in out


def test_each_model_names_its_source() -> None:
    for entry in catalogue.models().values():
        assert re.search(r"arXiv:\d{4}\.\d{4,5}|doi:|ours", entry.summary), (
            f"{entry.module}: the first line says what the model is, with its arXiv number or DOI, "
            f"or that it is ours; it is {entry.summary!r}"
        )


def test_a_model_file_imports_only_the_kernel_and_its_own_domain() -> None:
    for path in (ROOT / "src/triscope").glob("*/models/*.py"):
        domain = path.parent.parent.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("triscope."):
                assert node.module is not None
                home = node.module.split(".")[1]
                assert home in ("kernel", "errors", domain), f"{path.name} imports {node.module}"


def tracked() -> list[Path]:
    """Text files under version control; all files of the tree where git is absent."""
    try:
        out = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in out.split("\0") if name]


def test_no_place_of_a_machine_and_no_large_file_is_committed() -> None:
    places = re.compile(r"(?<![\w.])/(?:home/\w+|root|work|farm)/")
    for path in tracked():
        if not path.is_file():
            continue
        assert path.stat().st_size <= 4 << 20, f"{path.name} is larger than 4 MiB"
        if path.suffix in {".py", ".md", ".toml", ".txt", ".ts", ".html", ".json", ".j2"}:
            found = places.search(path.read_text(encoding="utf-8"))
            assert found is None or path == Path(__file__), f"{path.name} names {found.group()}"


def test_the_changelog_names_every_model() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    missing = [name for name in catalogue.models() if f"`{name}`" not in text]
    assert not missing, f"CHANGELOG.md lacks a line for: {', '.join(missing)}"


def test_constraints_hold_versions_only() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[\w.\-]+==[\w.+!]+|#.*|", line), line
