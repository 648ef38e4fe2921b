"""The deviation of a scan as one page, as CSV and as PLY."""

from __future__ import annotations

import base64
import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.report import Page, section, write_page
from triscope.kernel.results import Verdict
from triscope.shape.comparison import Comparison, colours_of
from triscope.shape.formats.ply import write_ply
from triscope.shape.surface import Cloud

SHOWN = 150_000  # points of the page; the PLY has all
FACTS = {
    "points": "points of the scan on the part",
    "left_out": "points left out: far from the reference",
    "covered": "share of the reference that was seen",
    "mean": "mean deviation, mm",
    "spread": "standard deviation of single points, mm",
    "p02": "2 % of the points lie below, mm",
    "p98": "2 % of the points lie above, mm",
    "aligned_rms": "root mean square after alignment, mm",
}


def write_deviation(
    folder: Path,
    found: Comparison,
    tolerance: float,
    *,
    title: str = "Deviation from the reference",
    verdict: Verdict | None = None,
) -> dict[str, Path]:
    """Write ``deviation.ply``, ``deviation.csv``, ``findings.json`` and ``report.html``."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {
        name: folder / f for name, f in (
            ("ply", "deviation.ply"), ("csv", "deviation.csv"),
            ("findings", "findings.json"), ("report", "report.html"),
        )
    }  # fmt: skip
    values = found.cloud.values
    assert values is not None
    parts = {**found.cloud.parts(), "colours": colours_of(values, tolerance)}
    write_ply(paths["ply"], Cloud(found.cloud.points, **parts))  # type: ignore[arg-type]
    _write_cells(paths["csv"], found)
    plain = {
        "unit": found.unit,
        "tolerance_mm": tolerance,
        "findings": [finding.to_dict() for finding in found.findings],
        "problems": list(found.problems),
        **found.summary(),
    }
    paths["findings"].write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
    subtitle = f"{verdict.outcome}: {verdict.reason}" if verdict else found_in_words(found)
    write_page(paths["report"], Page(title, subtitle), [surface_section(found, tolerance)])
    return paths


def found_in_words(found: Comparison) -> str:
    """One line: how many findings, and the worst."""
    if not found.findings:
        return "nothing beyond the tolerance"
    worst = found.findings[0].measures
    return (
        f"{len(found.findings)} finding{'s' * (len(found.findings) > 1)}, the worst "
        f"{worst['deviation_mm']:+.3f} mm at ({worst['x_mm']:.1f}, {worst['y_mm']:.1f}, "
        f"{worst['z_mm']:.1f}) mm"
    )


def surface_section(found: Comparison, tolerance: float) -> Any:
    """The 3-D view, the findings and the facts, as a section of the page."""
    summary = found.summary()
    facts = [(meaning, _shown(summary[name])) for name, meaning in FACTS.items()]
    return section(
        "surface",
        "Deviation",
        data=_points(found),
        tolerance=f"{tolerance:.4g}",
        still=_still(found, tolerance),
        findings=[_row(finding.label, dict(finding.measures)) for finding in found.findings[:200]],
        facts=facts,
        problems=found.problems,
    )


def _row(label: str, m: dict[str, float]) -> dict[str, Any]:
    return {
        "label": label,
        "deviation": m["deviation_mm"],
        "area": m["area_mm2"],
        "size": f"{m['size_x_mm']:.1f} × {m['size_y_mm']:.1f} × {m['size_z_mm']:.1f}",
        "place": f"{m['x_mm']:.1f}, {m['y_mm']:.1f}, {m['z_mm']:.1f}",
    }


def _points(found: Comparison) -> dict[str, Any]:
    """Places, deviations and normals in small whole numbers, as base64."""
    cloud = found.cloud
    if len(cloud) > SHOWN:
        cloud = cloud.take(np.sort(np.random.default_rng(0).permutation(len(cloud))[:SHOWN]))
    values = cloud.values
    assert values is not None
    low, high = cloud.points.min(0), cloud.points.max(0)
    span = np.maximum(high - low, 1e-9)
    unit = max(float(np.abs(values).max()), 1e-9) / 32767
    normals = cloud.normals if cloud.normals is not None else np.zeros_like(cloud.points)
    return {
        "points": len(found.cloud),
        "shown": len(cloud),
        "low": low.tolist(),
        "span": span.tolist(),
        "middle": ((low + high) / 2).tolist(),
        "extent": float(np.linalg.norm(span)),
        "unit": unit,
        "places": _base64(np.rint((cloud.points - low) / span * 65535 - 32768).astype("<i2")),
        "values": _base64(np.rint(values / unit).astype("<i2")),
        "normals": _base64(np.rint(normals * 127).astype(np.int8)),
        "findings": [
            [f.measures["x_mm"], f.measures["y_mm"], f.measures["z_mm"]] for f in found.findings
        ],
    }


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _still(found: Comparison, tolerance: float, width: int = 900) -> str:
    """The scan from above, as a picture that needs no script."""
    image = cv2.imencode(".png", picture(found, tolerance, width)[..., ::-1])[1]
    return "data:image/png;base64," + base64.b64encode(image.tobytes()).decode()


def picture(found: Comparison, tolerance: float, width: int = 900) -> NDArray[np.uint8]:
    """The scan from above (+z), RGB; the highest point of each pixel shows its colour."""
    points, values = found.cloud.points, found.cloud.values
    assert values is not None
    low, high = points.min(0), points.max(0)
    scale = (width - 1) / max(high[0] - low[0], 1e-9)
    height = max(1, min(4 * width, int((high[1] - low[1]) * scale) + 1))
    column = np.rint((points[:, 0] - low[0]) * scale).astype(int).clip(0, width - 1)
    row = np.rint((high[1] - points[:, 1]) * scale).astype(int).clip(0, height - 1)
    image = np.full((height, width, 3), 28, np.uint8)
    order = np.argsort(points[:, 2], kind="stable")
    image[row[order], column[order]] = colours_of(values, tolerance)[order]
    empty = (image == 28).all(-1)
    near = cv2.dilate(image, np.ones((3, 3), np.uint8))
    image[empty] = near[empty]
    return image


def _write_cells(path: Path, found: Comparison) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["x_mm", "y_mm", "z_mm", "deviation_mm", "points"])
        cells = found.cells
        for (x, y, z), value, count in zip(
            cells.centre, cells.deviation, cells.points, strict=True
        ):
            rows.writerow([f"{x:.4f}", f"{y:.4f}", f"{z:.4f}", f"{value:.5f}", int(count)])


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
