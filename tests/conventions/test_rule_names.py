"""Suffixes carry units and frames in one spelling: _px, _mm, _s, _hw, _bchw, target_T_source."""

import ast
from pathlib import Path

import triscope

OTHER_SPELLINGS = (
    "_sec",
    "_secs",
    "_seconds",
    "_msec",
    "_millis",
    "_pixel",
    "_pix",
    "_millimeters",
    "_millimetres",
    "_nchw",
    "_ncthw",
    "_height_width",
)


def names_in(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef):
            yield node.name


def test_units_are_spelled_alike_everywhere():
    root = Path(triscope.__file__).parent
    wrong = [
        f"{path.relative_to(root)}: {name}"
        for path in sorted(root.rglob("*.py"))
        for name in names_in(ast.parse(path.read_text(encoding="utf-8")))
        if name.lower().endswith(OTHER_SPELLINGS)
    ]
    assert wrong == []
