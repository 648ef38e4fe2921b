"""The one key of a ``data.yaml`` that readers need: the names of the classes, in their order."""

from __future__ import annotations

import json
import re

KEY = re.compile(r"^names\s*:\s*(.*)$")
ITEM = re.compile(r"^\s*-\s*(.+)$")
QUOTED = r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\""
PAIR = re.compile(r"^\s+['\"]?(\d+)['\"]?\s*:\s*(.+)$")


def names_of(text: str) -> tuple[str, ...]:
    """Names from ``names: [a, b]``, a list of ``- a`` or a mapping ``0: a``; else empty."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if match := KEY.match(line):
            inline = _plain(match[1])
            if inline.startswith(("[", "{")):
                return _inline("\n".join([inline, *lines[at + 1 :]]))
            return _block(lines[at + 1 :])
    return ()


def _inline(text: str) -> tuple[str, ...]:
    closing = "]" if text[0] == "[" else "}"
    inside = _until(text[1:], closing)
    items = re.findall(rf"{QUOTED}|[^,\n]+", inside)
    words = [item.strip() for item in items if item.strip()]
    if text[0] == "[":
        return tuple(_plain(word) for word in words)
    pairs = re.findall(rf"['\"]?(\d+)['\"]?\s*:\s*({QUOTED}|[^,\n]+)", inside)
    return _in_order([(int(key), _plain(name)) for key, name in pairs])


def _block(lines: list[str]) -> tuple[str, ...]:
    items: list[str] = []
    pairs: list[tuple[int, str]] = []
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match := ITEM.match(line):
            items.append(_plain(match[1]))
        elif match := PAIR.match(line):
            pairs.append((int(match[1]), _plain(match[2])))
        else:
            break
    return tuple(items) or _in_order(pairs)


def _in_order(pairs: list[tuple[int, str]]) -> tuple[str, ...]:
    """Numbers that are left out become names of their own, so that the others keep their place."""
    found = dict(pairs)
    if not found or max(found) > 100_000:
        return ()
    return tuple(found.get(i, str(i)) for i in range(max(found) + 1))


def _plain(word: str) -> str:
    word = word.strip()
    if match := re.match(QUOTED, word):
        return _unquoted(match[0])
    return word.split(" #", 1)[0].strip()


def _unquoted(word: str) -> str:
    """A text in single quotes (two stand for one) or in double ones (escapes as in JSON)."""
    if word[0] == "'":
        return word[1:-1].replace("''", "'")
    try:
        return str(json.loads(word))
    except ValueError:
        return word[1:-1]


def _until(text: str, closing: str) -> str:
    """The text before a bracket that stands in no quotes."""
    for match in re.finditer(rf"{QUOTED}|{re.escape(closing)}", text):
        if match[0] == closing:
            return text[: match.start()]
    return text
