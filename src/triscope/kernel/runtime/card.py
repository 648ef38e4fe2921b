"""``card.json``: what a check is, what it promises, and the hashes of its files.

The card is sealed: a hash over its own content. A threshold edited by hand breaks the seal, so the
numbers on a line are always numbers that a command of Triscope chose and recorded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from triscope.errors import CheckDamaged, CheckError, CheckTooNew
from triscope.kernel.results import Zones

FORMAT = 1
CARD = "card.json"
Capture = Literal["image", "views", "clip"]


@dataclass(frozen=True)
class Version:
    """One state of a check: a running number, the state it came from, and why."""

    number: int = 1
    parent: int | None = None
    why: str = "fit"
    created: str = ""


@dataclass(frozen=True)
class Card:
    """Everything about a check but its weights.

    ``answers`` chooses the reader in ``kernel.runtime``, ``capture`` says what one look at a part
    is, ``classes`` names the numbers that the graph answers. ``graphs`` are files ``NAME.onnx``.

    ``size`` (h, w) is the input of the graph in pixels, fixed at export: images of any size are
    brought to it. With ``tile`` > 0 captures are cut into windows of that many pixels, overlapping
    by ``overlap``, which are resized to ``size``; else the whole image is. ``input`` says what else
    a reader must know: ``{"fit": "letterbox"}`` keeps the aspect of images, ``{"frames": 8}`` ...

    ``promise`` records how ``zones`` were chosen, ``data`` what was learned from, ``proof`` how far
    the exported graph is from the library, ``files`` the SHA-256 of each file of the folder.
    """

    model: str
    answers: str
    settings: Mapping[str, Any]
    size: tuple[int, int]
    capture: Capture = "image"
    classes: tuple[str, ...] = ()
    input: Mapping[str, Any] = field(default_factory=dict)
    graphs: tuple[str, ...] = ("model",)
    tile: int = 0
    overlap: int = 0
    zones: Zones | None = None
    mm_per_px: float | None = None
    promise: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    engine: str = "onnxruntime"
    precision: str = "fp32"
    tolerance: float = 1e-3
    proof: Mapping[str, Any] = field(default_factory=dict)
    version: Version = field(default_factory=Version)
    code: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def with_(self, **changes: Any) -> Card:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, in the order of the fields."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain["zones"] = self.zones.to_dict() if self.zones else None
        plain["version"] = {f.name: getattr(self.version, f.name) for f in fields(Version)}
        for name in ("size", "classes", "graphs"):
            plain[name] = list(plain[name])
        for name in ("settings", "input", "promise", "data", "proof", "files"):
            plain[name] = dict(plain[name])
        return plain


def seal_of(plain: Mapping[str, Any]) -> str:
    """SHA-256 over the card's content without the seal itself."""
    content = {name: value for name, value in plain.items() if name != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_card(card: Card, folder: Path) -> None:
    """Write ``card.json`` with its seal."""
    plain = json.loads(json.dumps(card.to_dict()))
    plain["seal"] = seal_of(plain)
    (folder / CARD).write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


def read_card(folder: Path) -> Card:
    """Read and verify ``card.json``.

    Raises CheckError (no check there), CheckTooNew, CheckDamaged (not JSON, or seal broken).
    """
    path = folder / CARD
    if not path.is_file():
        raise CheckError(
            f"{folder} is not a check: it holds no {CARD}. "
            "A check folder is made by 'triscope fit MODEL DATA -o FOLDER'."
        )
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        found = int(plain["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckDamaged(f"{path} cannot be read as a card: {error}.") from error
    if found > FORMAT:
        raise CheckTooNew(
            f"{path} is of format {found}; this Triscope reads up to {FORMAT}. "
            "Update with: pip install --upgrade triscope"
        )
    if plain.pop("seal", None) != seal_of(plain):
        raise CheckDamaged(
            f"{path} was changed after it was sealed. Restore it, or choose new thresholds with "
            f"'triscope calibrate {folder}'."
        )
    return _card(plain)


def _card(plain: dict[str, Any]) -> Card:
    known = {f.name for f in fields(Card)}
    values = {name: value for name, value in plain.items() if name in known}
    values["zones"] = Zones(**plain["zones"]) if plain["zones"] else None
    values["version"] = Version(**plain["version"])
    values |= {name: tuple(plain[name]) for name in ("size", "classes", "graphs")}
    return Card(**values)


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def verify_files(card: Card, folder: Path) -> None:
    """Compare every file named by the card with its hash; raises CheckDamaged."""
    for name, expected in card.files.items():
        path = folder / name
        if not path.is_file():
            raise CheckDamaged(f"{folder} lacks {name}, which its card names. Export it again.")
        if sha256(path) != expected:
            raise CheckDamaged(
                f"{path} differs from the hash in {CARD}: it was changed or cut short. "
                "Copy the folder again, or export it again."
            )
