"""A guarded XML parser: no entities, no depth without end. Labels need neither."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from triscope.errors import BadLabels

DEPTH = 64


def parse(data: bytes, name: str) -> Element:
    """The root element; raises BadLabels for damaged XML and for any entity declaration."""
    builder = TreeBuilder()
    depth = 0

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEPTH:
            raise BadLabels(f"{name} nests more than {DEPTH} elements: labels do not.")
        builder.start(tag, dict(attributes))

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: Any) -> NoReturn:
        raise BadLabels(
            f"{name} declares XML entities. Labels need none, and entities can blow up memory or "
            "read other files: the file is refused."
        )

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, ValueError, LookupError, AssertionError) as error:
        raise BadLabels(f"{name} is not well-formed XML: {error}.") from error


def text_at(element: Element, path: str) -> str:
    """The text at a path below an element, stripped; empty where there is none."""
    found = element.find(path)
    return (found.text or "").strip() if found is not None else ""
