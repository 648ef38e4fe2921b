"""One painted part, or one defect on a given picture."""

from __future__ import annotations

import difflib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings
from triscope.surface.synth.defects import ON_ANYTHING
from triscope.surface.synth.metal import metal
from triscope.surface.synth.woven import woven

GOOD = "good"
KINDS: dict[str, tuple[str, ...]] = {
    "metal": ("scratch", "dent", "stain"),
    "woven": ("missing_thread", "stain"),
}
SIZE = (256, 256)


class Painted(NamedTuple):
    """``image`` uint8 (h, w, 3) RGB and ``mask`` bool (h, w): where the defect is."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def paint(
    kind: str, defect: str, rng: np.random.Generator, size: tuple[int, int] = SIZE
) -> Painted:
    """One part of this kind, ``defect`` being ``"good"`` or one of ``KINDS[kind]``."""
    _known(kind, KINDS, "painted part")
    _known(defect, (GOOD, *KINDS[kind]), f"defect on {kind}")
    if min(size) < 64:
        raise BadSettings(f"size={size}: painted parts are 64 x 64 pixels or larger.")
    if kind == "woven":
        image, mask = woven(rng, size, missing=defect == "missing_thread")
        where = np.ones(size, np.bool_)
    else:
        image, where = metal(rng, size)
        mask = np.zeros(size, np.bool_)
    if defect in ON_ANYTHING:
        image, mask = ON_ANYTHING[defect](image, where, rng)
    return Painted(image, mask)


def spoil(
    image: NDArray[np.uint8],
    defect: str,
    rng: np.random.Generator,
    where: NDArray[np.bool_] | None = None,
) -> Painted:
    """A copy of any picture uint8 (h, w, 3) with a scratch, a dent or a stain.

    ``where`` bool (h, w) is the surface on which it may lie; everywhere if None.
    """
    _known(defect, ON_ANYTHING, "defect for any picture")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise BadSettings(
            f"a picture to spoil is uint8 (h, w, 3), got {image.dtype} {image.shape}."
        )
    surface = np.ones(image.shape[:2], np.bool_) if where is None else where
    return Painted(*ON_ANYTHING[defect](image, surface, rng))


def _known(name: str, names: object, what: str) -> None:
    known = list(names)  # type: ignore[call-overload]
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise BadSettings(f"no {what} named {name!r}.{hint} There are: {', '.join(known)}.")
