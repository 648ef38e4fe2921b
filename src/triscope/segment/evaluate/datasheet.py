"""A datasheet of masks: counts, sizes, positions, concavity (arXiv:2304.02643, figures 5 and 6).

Figures are histograms and a map of centres, drawn as SVG into one HTML page without scripts.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import EmptyData
from triscope.segment.formats import Record

Floats = NDArray[np.float64]
CELLS = 24  # of the map of centres
COUNTS = (0, 1, 3, 10, 30, 100, 300, np.inf)  # masks an image; the published groups are similar
SIZES = np.linspace(0, 1, 21)  # square root of a mask's share of its image
CONCAVITY = np.linspace(0, 1, 21)  # one minus the share that the mask fills of its convex hull


@dataclass
class Datasheet:
    """Sums over all masks; memory does not grow with them."""

    images: int = 0
    masks: int = 0
    empty: int = 0  # images without a mask
    counts: Floats = field(default_factory=lambda: np.zeros(len(COUNTS) - 1))
    sizes: Floats = field(default_factory=lambda: np.zeros(len(SIZES) - 1))
    concavity: Floats = field(default_factory=lambda: np.zeros(len(CONCAVITY) - 1))
    centres: Floats = field(default_factory=lambda: np.zeros((CELLS, CELLS)))
    labels: dict[str, int] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Count one image."""
        self.images += 1
        self.masks += len(record.masks)
        self.empty += not record.masks
        self.counts += np.histogram([len(record.masks)], COUNTS)[0]
        for mask in record.masks:
            self.labels[mask.label] = self.labels.get(mask.label, 0) + 1
            self._shape(mask.rle.decode())

    def _shape(self, mask: NDArray[np.bool_]) -> None:
        if not mask.any():
            return
        h, w = mask.shape
        self.sizes += np.histogram([np.sqrt(mask.sum() / mask.size)], SIZES)[0]
        self.concavity += np.histogram([concavity(mask)], CONCAVITY)[0]
        rows, columns = np.nonzero(mask)
        y, x = int(rows.mean() / h * CELLS), int(columns.mean() / w * CELLS)
        self.centres[min(y, CELLS - 1), min(x, CELLS - 1)] += 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "images": self.images,
            "masks": self.masks,
            "masks an image": self.masks / max(self.images, 1),
            "images without masks": self.empty,
            "labels": self.labels,
            "masks an image (histogram)": _named(_ranges(COUNTS), self.counts),
            "size (histogram)": _named(_ranges(SIZES), self.sizes),
            "concavity (histogram)": _named(_ranges(CONCAVITY), self.concavity),
            "centres": self.centres.astype(int).tolist(),
        }


def datasheet(records: Iterable[Record]) -> Datasheet:
    """Of a stream of records; raises EmptyData without any."""
    sheet = Datasheet()
    for record in records:
        sheet.add(record)
    if not sheet.images:
        raise EmptyData("no image in this data set: nothing to describe.")
    return sheet


def concavity(mask: NDArray[np.bool_]) -> float:
    """One minus the mask's area over that of its convex hull; holes count as concave."""
    points = np.argwhere(mask)[:, ::-1].astype(np.int32)
    # The hull of pixel squares, not of their centres: a rectangle has concavity 0.
    offsets = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.int32)
    hull = cv2.convexHull((points[:, None] + offsets).reshape(-1, 2))
    return float(max(0.0, 1 - mask.sum() / max(cv2.contourArea(hull), 1e-9)))


def page(sheet: Datasheet, title: str) -> str:
    """The datasheet as one HTML page."""
    told = sheet.to_dict()
    facts = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{_number(told[name])}</td></tr>"
        for name in ("images", "masks", "masks an image", "images without masks")
    )
    rows = sorted(sheet.labels.items(), key=lambda row: -row[1])[:40]
    labels = "".join(f"<tr><th>{html.escape(n)}</th><td>{c:,}</td></tr>" for n, c in rows)
    share = SIZES[:-1] + np.diff(SIZES) / 2
    concave = CONCAVITY[:-1] + np.diff(CONCAVITY) / 2
    plots = [
        _bars("Masks an image", _ranges(COUNTS), sheet.counts, "share of images"),
        _bars("Size: √(mask / image)", [f"{v:.2f}" for v in share], sheet.sizes, "share of masks"),
        _bars("Concavity: 1 − mask / hull", [f"{v:.2f}" for v in concave], sheet.concavity,
              "share of masks"),
        _map("Centres of masks", sheet.centres),
    ]  # fmt: skip
    return PAGE.format(title=html.escape(title), facts=facts, labels=labels, plots="\n".join(plots))


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; color: #222;
       background: #fff; padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; }} th {{ text-align: left; font-weight: 500; padding-right: 1.5rem; }}
td {{ text-align: right; font-variant-numeric: tabular-nums; }}
.tables {{ display: flex; gap: 4rem; flex-wrap: wrap; align-items: flex-start; }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; }}
svg {{ width: 100%; height: auto; }} text {{ font: 11px system-ui, sans-serif; fill: #444; }}
.name {{ font-size: 13px; font-weight: 600; fill: #222; }}
</style>
<h1>{title}</h1>
<div class="tables"><table>{facts}</table><table>{labels}</table></div>
<div class="plots">
{plots}
</div></html>
"""


def _bars(name: str, labels: Sequence[str], values: Floats, axis: str) -> str:
    share = values / max(values.sum(), 1)
    most = max(float(share.max()), 1e-9)
    width, step = 440, 400 / len(values)
    parts = [f'<text class="name" x="34" y="14">{html.escape(name)}</text>']
    every = max(1, round(len(values) / 7))
    for i, (label, value) in enumerate(zip(labels, share, strict=True)):
        tall = 150 * value / most
        x = 36 + i * step
        parts.append(
            f'<rect x="{x:.1f}" y="{180 - tall:.1f}" width="{step * 0.86:.1f}" '
            f'height="{tall:.1f}" fill="#0072b2"><title>{html.escape(label)}: {value:.2%}</title>'
            "</rect>"
        )
        if i % every == 0:
            middle = x + step * 0.43
            parts.append(f'<text x="{middle:.1f}" y="194" text-anchor="middle">{label}</text>')
    parts.append('<line x1="34" y1="180" x2="438" y2="180" stroke="#888"/>')
    parts.append(f'<text x="34" y="26">{most:.0%}, {html.escape(axis)}</text>')
    return f'<svg viewBox="0 0 {width} 204" role="img">{"".join(parts)}</svg>'


def _map(name: str, cells: Floats) -> str:
    most = max(float(cells.max()), 1.0)
    side = 170 / len(cells)
    parts = [f'<text class="name" x="34" y="14">{html.escape(name)}</text>']
    for y, row in enumerate(cells):
        for x, value in enumerate(row):
            parts.append(
                f'<rect x="{36 + x * side:.1f}" y="{22 + y * side:.1f}" width="{side:.2f}" '
                f'height="{side:.2f}" fill="#0072b2" fill-opacity="{value / most:.3f}"/>'
            )
    parts.append('<rect x="36" y="22" width="170" height="170" fill="none" stroke="#888"/>')
    parts.append(f'<text x="214" y="32">darkest: {most:,.0f} masks</text>')
    return f'<svg viewBox="0 0 440 204" role="img">{"".join(parts)}</svg>'


def _ranges(edges: Iterable[float]) -> list[str]:
    plain = [f"{edge:g}" for edge in edges]
    return [f"{a}+" if b == "inf" else f"{a}-{b}" for a, b in pairwise(plain)]


def _named(names: Sequence[str], values: Floats) -> dict[str, int]:
    return {name: int(value) for name, value in zip(names, values, strict=True)}


def _number(value: float) -> str:
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
