"""What one should know of a comparison beside its findings: sentences, none where all is well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.shape.alignment import Alignment
from triscope.shape.distance import Distance

FITS = 0.95  # share of the scan that a pose found by its shape should explain
RIVAL = 0.98  # of the share that fits: from here on another pose is as good
JUDGED = 0.5  # share of the points that should lie in cells with enough of them
SEEN = 0.001  # share of the reference below which nothing was compared
SMALL = 0.05  # of the reference: a scan that is no larger is of another unit


def holes_of(reference: Distance) -> tuple[str, ...]:
    """Where the reference is not closed: no verdict hangs on it."""
    edges = reference.mesh.open_edges()
    if not edges:
        return ()
    return (
        f"the reference is not closed ({edges:,} edges belong to one face only): at its holes and "
        "borders the distance is that to the border, and its sign that of the nearest face. Close "
        "it, or take no account of findings there.",
    )


def loose_of(alignment: Alignment) -> tuple[str, ...]:
    """Where the shape does not fix the pose: a plane slides along itself."""
    told: tuple[str, ...] = ()
    if alignment.rival > RIVAL * alignment.share:
        told += (
            f"the scan fits the reference in another pose nearly as well ({alignment.rival:.0%} of "
            f"it against {alignment.share:.0%}): the shape alone does not tell which. Give "
            "markers, or trust the cameras (placed).",
        )
    if alignment.how == "shape" and alignment.share < FITS:
        told += (
            f"only {alignment.share:.0%} of the scan lies on the reference where its shape fits "
            "best: it may lie there wrongly. Look at the report, or give markers.",
        )
    if alignment.free:
        told += (
            f"what the scan sees of the part leaves {alignment.free} of 6 ways to move open (a "
            "plane slides along itself, a cylinder turns): along them it lies as it was placed. "
            "Give markers, or scan more sides.",
        )
    return told


def unjudged(
    cells: str, share: float, covered: float, points: NDArray[np.float64], reference: Distance
) -> tuple[str, ...]:
    """Where much of the scan lies in no cell that is judged; raises DataError where nothing is.

    ``cells`` says which are judged, ``share`` how many of the points they hold, ``covered`` how
    much of the reference.
    """
    if covered < SEEN:
        size, whole = float(np.linalg.norm(np.ptp(points, axis=0))), reference.mesh.extent()
        hint = (
            f"The scan is {size:.3g} mm across, the reference {whole:.3g} mm: check the units."
            if size < SMALL * whole
            else f"Its {cells} hold {share:.0%} of its points: larger cells (--cell) suit it."
        )
        raise DataError(
            f"the scan says nothing of the reference ({covered:.2%} of it). {hint} There is no "
            "verdict."
        )
    if share >= JUDGED:
        return ()
    return (
        f"only {share:.0%} of the points lie in {cells}: the rest is not judged. Larger cells "
        "(--cell) or more photos tell more.",
    )
