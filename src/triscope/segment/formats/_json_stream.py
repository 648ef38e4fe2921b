"""The members of long lists in one JSON object, read without holding the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from triscope.errors import BadLabels

PIECE = 1 << 16  # characters read at a time
LARGEST = 1 << 28  # characters of one member; more is no label file
SPACE = " \t\r\n"


def members(path: Path, lists: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """``(name, member)`` of the named lists, in the order of the file; other values are skipped.

    Raises BadLabels naming the place where the file stops being JSON.
    """
    try:
        with path.open(encoding="utf-8") as file:
            yield from _Reader(file).members(lists)
    except (ValueError, RecursionError) as error:
        raise BadLabels(
            f"{path} is not whole JSON ({error}): it was cut off or edited. Copy it again."
        ) from error
    except OSError as error:
        raise BadLabels(f"{path} cannot be read: {error.strerror}.") from error


class _Reader:
    """A window over the text that moves with what was understood."""

    def __init__(self, file: IO[str]) -> None:
        self.file, self.text, self.at, self.before = file, "", 0, 0
        self.decoder = json.JSONDecoder()

    def members(self, lists: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        self._expect("{")
        while self._peek() != "}":
            name = self._value()
            self._expect(":")
            if name in lists and self._peek() == "[":
                yield from ((name, row) for row in self._list())
            else:
                self._value()
            if self._peek() != "}":
                self._expect(",")

    def _list(self) -> Iterator[Any]:
        self._expect("[")
        while self._peek() != "]":
            yield self._value()
            if self._peek() != "]":
                self._expect(",")
        self.at += 1

    def _peek(self) -> str:
        """The next character that is no space."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in SPACE:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                raise ValueError(f"it ends at character {self.before + self.at}")

    def _expect(self, character: str) -> None:
        found = self._peek()
        if found != character:
            place = self.before + self.at
            raise ValueError(f"{found!r} instead of {character!r} at character {place}")
        self.at += 1

    def _value(self) -> Any:
        """The value that begins here, however long it is."""
        self._peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if len(self.text) - self.at > LARGEST or not self._more():
                    raise ValueError(
                        f"{error.msg} at character {self.before + error.pos}"
                    ) from error
                continue
            if end == len(self.text) and self._more():  # a number may go on behind the window
                continue
            self.at = end
            return value

    def _more(self) -> bool:
        """Read on, twice as far each time a value does not fit; what was understood goes."""
        piece = self.file.read(max(PIECE, len(self.text) - self.at))
        self.before += self.at
        self.text, self.at = self.text[self.at :] + piece, 0
        return bool(piece)
