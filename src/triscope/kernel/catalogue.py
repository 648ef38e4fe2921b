"""Which models exist: read from the source text of ``*/models/*.py``; nothing is imported.

A model file marks its class with ``@model("name", answers="Heatmap")`` and the function that
builds published networks with ``@published("name", ...)``. The arguments are literals, so that the
list of models is one pass of ``ast`` over the sources and the first docstring line is the summary.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import itertools
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from triscope.errors import UnknownModel

PACKAGE = Path(__file__).resolve().parent.parent
T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue."""

    name: str  # the written name: `patchcore`
    answers: str  # what it answers: Heatmap, Boxes, Label, Masks, Depth, Moments
    summary: str  # first line of its file
    domain: str  # surface, segment, shape or motion
    module: str  # importable module
    attribute: str  # the class in it


@dataclass(frozen=True)
class Published:
    """One published network that ``triscope.published`` builds."""

    name: str
    module: str
    attribute: str


def model(name: str, *, answers: str) -> Callable[[T], T]:
    """Mark a class as the model of that name; the catalogue reads the literals from the source."""

    def mark(cls: T) -> T:
        cls.model_name, cls.answers = name, answers  # type: ignore[attr-defined]
        return cls

    return mark


def published(*names: str) -> Callable[[T], T]:
    """Mark ``build(name, state_dict) -> nn.Module`` as the builder of these published networks."""

    def mark(build: T) -> T:
        build.published_names = names  # type: ignore[attr-defined]
        return build

    return mark


@lru_cache(maxsize=1)
def models() -> Mapping[str, Entry]:
    """Every model, by name, in alphabetical order."""
    return _scan(PACKAGE)[0]


@lru_cache(maxsize=1)
def published_names() -> Mapping[str, Published]:
    """Every published network, by name, in alphabetical order."""
    return _scan(PACKAGE)[1]


def entry(name: str) -> Entry:
    """The entry of that name; raises :class:`UnknownModel` with a suggestion."""
    return _named(name, models(), "model", "'triscope models'")


def load(name: str) -> Any:
    """Import and return the model class of that name."""
    found = entry(name)
    return getattr(importlib.import_module(found.module), found.attribute)


def recipe(name: str) -> Path | None:
    """The TOML file of named settings, looked for in the recipes of each domain; or None."""
    return next(iter(sorted(PACKAGE.glob(f"*/recipes/{name}.toml"))), None)


def recipe_settings(name: str) -> dict[str, Any]:
    """The settings of a recipe that is known to be there, as ``config.build`` takes them."""
    path = recipe(name)
    assert path is not None, name
    return tomllib.loads(path.read_text(encoding="utf-8"))


def recipes() -> tuple[str, ...]:
    """The names of all recipes."""
    return tuple(sorted(path.stem for path in PACKAGE.glob("*/recipes/*.toml")))


def settings_class(name: str) -> type:
    """The ``Settings`` dataclass beside the model of that name."""
    found: type = importlib.import_module(entry(name).module).Settings
    return found


def build_published(name: str, state_dict: Mapping[str, Any]) -> Any:
    """The published network of that name with these weights, in eval mode."""
    found = _named(name, published_names(), "published network", "'triscope models --published'")
    build = getattr(importlib.import_module(found.module), found.attribute)
    return build(name, state_dict).eval()


def _named(name: str, table: Mapping[str, Any], what: str, lister: str) -> Any:
    if name in table:
        return table[name]
    close = _closest(name, table)
    hint = f" Did you mean {close!r}?" if close else ""
    raise UnknownModel(f"no {what} named {name!r}.{hint} {lister} lists all {len(table)}.")


def _closest(name: str, names: Mapping[str, Any]) -> str | None:
    """The name that is most alike, a common beginning counted too; None where none is like it."""

    def likeness(other: str) -> tuple[float, float]:
        pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(name, other, strict=False))
        same = sum(1 for _ in pairs)
        ratio = difflib.SequenceMatcher(None, name, other).ratio()
        return ratio + same / max(len(name), len(other)), max(ratio, 0.15 * same)

    best = max(names, key=lambda other: likeness(other)[0], default=None)
    return best if best is not None and likeness(best)[1] >= 0.6 else None


def _scan(package: Path) -> tuple[dict[str, Entry], dict[str, Published]]:
    entries: dict[str, Entry] = {}
    networks: dict[str, Published] = {}
    for path in sorted(package.glob("*/models/*.py")):
        if path.name.startswith("_"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = ".".join(("triscope", *path.relative_to(package).with_suffix("").parts))
        summary = (ast.get_docstring(tree) or "").partition("\n")[0]
        for node in tree.body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef):
                continue
            for mark, names, keywords in _marks(node):
                if mark == "model":
                    domain = path.parent.parent.name
                    item = Entry(names[0], keywords["answers"], summary, domain, module, node.name)
                    _add(entries, names[0], item)
                elif mark == "published":
                    for name in names:
                        _add(networks, name, Published(name, module, node.name))
    return dict(sorted(entries.items())), dict(sorted(networks.items()))


def _marks(node: ast.ClassDef | ast.FunctionDef) -> list[tuple[str, list[str], dict[str, str]]]:
    marks = []
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            if call.func.id in ("model", "published"):
                names = [ast.literal_eval(arg) for arg in call.args]
                keywords = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
                marks.append((call.func.id, names, keywords))
    return marks


def _add(table: dict[str, Any], name: str, item: Any) -> None:
    if name in table:
        raise ValueError(f"the name {name!r} stands in {table[name].module} and in {item.module}")
    table[name] = item
