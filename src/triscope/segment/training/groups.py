"""Which groups of a scene are worth asking for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from triscope.segment.synth import Scene

FEWEST_PX = 12  # masks below are left out
LARGEST_SHARE = 0.9  # of the image; larger masks are left out, as published


def usable_groups(made: Scene) -> NDArray[np.int64]:
    """Groups of a scene that are neither tiny nor all of it."""
    areas = made.areas()
    return np.flatnonzero((areas >= FEWEST_PX) & (areas <= LARGEST_SHARE * made.pieces.size))
