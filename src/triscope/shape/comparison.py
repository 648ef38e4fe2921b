"""A scan against its reference: how far each place is off, and what that amounts to.

Single points are noisy; a verdict is made on cells, small patches of the reference, by the median
of their points. Points far from the reference belong to something else (the table, a wrong
match): they are counted, not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.kernel.config import require
from triscope.kernel.results import Finding
from triscope.shape import doubts
from triscope.shape.alignment import Alignment, How, Pairs, align
from triscope.shape.distance import Distance
from triscope.shape.grid import connected, places_of
from triscope.shape.surface import Cloud

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """What counts as a deviation; lengths in millimetres."""

    tolerance: float = 0.2  # mm: a cell that is off by more is a finding
    cell: float = 1.0  # mm: side of the cells that are judged
    points: int = 4  # least number of points of a cell that is judged
    far: float = 3.0  # mm: what lies farther from the reference is not of the part
    area: float = 0.5  # mm2: smaller findings are left out
    how: How = "nearby"  # how the scan is aligned: placed, markers, nearby, shape

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            tolerance=(self.tolerance > 0, "millimetres above 0"),
            cell=(self.cell > 0, "millimetres above 0"),
            points=(self.points >= 1, "1 or more"),
            far=(self.far > self.tolerance, "more than tolerance"),
            area=(self.area >= 0, "0 or more"),
            how=(self.how in ("placed", "markers", "nearby", "shape"), "placed, markers, nearby "
                 "or shape"),
        )  # fmt: skip


def settings_for(
    tolerance: float, how: How = "nearby", *, cell: float | None = None, far: float | None = None
) -> Settings:
    """Settings for a tolerance: what is not given grows with it.

    A plate of 100 mm is judged in cells of 1 mm, a facade of 10 m in cells of 50 mm.
    """
    side = 5 * tolerance if cell is None else cell
    reach = 15 * tolerance if far is None else far
    return Settings(tolerance, side, far=reach, area=0.5 * side**2, how=how)


@dataclass(frozen=True, eq=False)
class Cells:
    """What a scan says cell by cell: integer places (n, 3), median deviation, points, centres."""

    place: NDArray[np.int64]
    deviation: Floats
    points: NDArray[np.int64]
    centre: Floats

    def __len__(self) -> int:
        return len(self.place)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The scan in the frame of the reference, with its deviations and findings."""

    cloud: Cloud  # values: signed deviation, positive where there is too much material
    cells: Cells
    findings: tuple[Finding, ...]
    alignment: Alignment
    left_out: int  # points far from the reference
    covered: float  # share of the reference that the scan saw
    unit: str
    problems: tuple[str, ...] = ()  # what one should know of the reference and the alignment

    def summary(self) -> dict[str, float]:
        """The numbers of the whole: in the unit of the reference."""
        values = self.cloud.values
        assert values is not None
        low, high = np.quantile(values, [0.02, 0.98])
        return {
            "points": len(self.cloud),
            "left_out": self.left_out,
            "covered": round(self.covered, 4),
            "mean": round(float(values.mean()), 5),
            "spread": round(float(values.std()), 5),
            "p02": round(float(low), 5),
            "p98": round(float(high), 5),
            "aligned_rms": round(self.alignment.rms, 5),
        }


def compare(
    scan: Cloud,
    reference: Distance,
    settings: Settings = Settings(),
    *,
    alignment: Alignment | None = None,
    markers: Pairs | None = None,
) -> Comparison:
    """Compare a scan with the reference, both in millimetres; ``how="markers"`` needs markers.

    Raises DataError where the scan cannot be aligned: there is no verdict then.
    """
    if alignment is None:
        alignment = align(scan, reference, settings.how, markers=markers)
    moved = scan.moved(alignment.reference_T_scan)
    near = reference(moved.points, settings.far)
    part = np.abs(near.distance) <= settings.far
    if not part.any():
        raise DataError(
            f"no point of the scan lies within {settings.far:g} mm of the reference: check the "
            "unit and the alignment."
        )
    parts = {**moved.parts(), "values": near.distance.astype(np.float32)}
    cloud = Cloud(moved.points, **parts).take(part)  # type: ignore[arg-type]
    cells = cells_of(cloud, near.place[part], settings.cell, settings.points)
    covered = coverage(reference, cells, settings.cell)
    what = f"cells of {settings.cell:g} mm with {settings.points} points or more"
    share = float(cells.points.sum()) / len(cloud)
    return Comparison(
        cloud,
        cells,
        findings_of(cells, cells.deviation, settings),
        alignment,
        int((~part).sum()),
        covered,
        "mm",
        (
            *doubts.holes_of(reference),
            *doubts.loose_of(alignment),
            *doubts.unjudged(what, share, covered, cloud.points, reference),
        ),
    )


def cells_of(cloud: Cloud, on: Floats, side: float, least: int) -> Cells:
    """The cells that the surface fills, and the median deviation in each.

    A point counts where the reference is nearest to it (``on``, one place a point): so a cell is a
    patch of the reference, and a face that has moved stays in its cells. A cell has at least
    ``least`` points and a quarter of the usual number: where the surface hardly enters, the few
    points of a rim would speak for it.
    """
    assert cloud.values is not None
    place = places_of(on, side)
    unique, index, counts = np.unique(place, axis=0, return_inverse=True, return_counts=True)
    order = np.lexsort((cloud.values, index.reshape(-1)))
    start = np.concatenate([[0], np.cumsum(counts)[:-1]])
    middle = cloud.values[order[start + (counts - 1) // 2]]
    upper = cloud.values[order[start + counts // 2]]
    sums = np.stack([np.bincount(index.reshape(-1), cloud.points[:, i]) for i in range(3)], 1)
    keep = counts >= least
    keep &= counts >= (np.median(counts[keep]) / 4 if keep.any() else 0)
    return Cells(
        unique[keep],
        ((middle + upper) / 2).astype(np.float64)[keep],
        counts[keep],
        (sums / counts[:, None])[keep],
    )


def coverage(reference: Distance, cells: Cells, side: float) -> float:
    """The share of the surface of the reference that lies in, or next to, a cell of the scan."""
    drawn = reference.mesh.sampled(4000).points
    keys = {tuple(row) for row in cells.place.tolist()}
    place = places_of(drawn, side)
    around = [(0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    hits = [any((x + a, y + b, z + c) in keys for a, b, c in around) for x, y, z in place.tolist()]
    return float(np.mean(hits))


def findings_of(
    cells: Cells,
    deviation: Floats,
    settings: Settings,
    tolerance: Floats | float | None = None,
    signs: Sequence[tuple[str, float]] = (("raised", 1.0), ("lowered", -1.0)),
) -> tuple[Finding, ...]:
    """Neighbouring cells that are off to the same side, as findings; the worst first.

    ``deviation`` (n,) is judged against ``tolerance`` (a number, or one a cell).
    """
    limit = settings.tolerance if tolerance is None else tolerance
    found = []
    for label, sign in signs:
        off = np.flatnonzero(sign * deviation > limit)
        groups = connected(cells.place[off])
        for group in range(int(groups.max()) + 1 if len(groups) else 0):
            rows = off[groups == group]
            if len(rows) * settings.cell**2 >= settings.area:
                found.append(_finding(label, cells, deviation, rows, settings.cell))
    return tuple(sorted(found, key=lambda finding: -finding.score))


def _finding(
    label: str, cells: Cells, deviation: Floats, rows: NDArray[np.int64], side: float
) -> Finding:
    """Where, how large, how far off."""
    worst = rows[np.abs(deviation[rows]).argmax()]
    low, high = (cells.place[rows].min(0) - 0.5) * side, (cells.place[rows].max(0) + 0.5) * side
    x, y, z = cells.centre[worst]
    return Finding(
        label,
        float(abs(deviation[worst])),
        measures={
            "deviation_mm": round(float(deviation[worst]), 4),
            "mean_mm": round(float(deviation[rows].mean()), 4),
            "area_mm2": round(len(rows) * side**2, 3),
            "x_mm": round(float(x), 3),
            "y_mm": round(float(y), 3),
            "z_mm": round(float(z), 3),
            "size_x_mm": round(float(high[0] - low[0]), 3),
            "size_y_mm": round(float(high[1] - low[1]), 3),
            "size_z_mm": round(float(high[2] - low[2]), 3),
        },
    )


def colours_of(values: NDArray[np.float32], tolerance: float) -> NDArray[np.uint8]:
    """Blue below, grey within, red above the tolerance; full colour at three times of it."""
    share = np.clip(values / (3 * tolerance), -1, 1)[:, None]
    grey, red, blue = (np.array(c, float) for c in ((205, 208, 212), (214, 40, 40), (33, 102, 190)))
    amount = np.clip((np.abs(share) - 1 / 6) / (5 / 6), 0, 1)  # half the tolerance stays grey
    target = np.where(share > 0, red, blue)
    return np.asarray(np.rint(grey + amount * (target - grey)), np.uint8)
