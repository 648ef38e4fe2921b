"""Pictures for the report: small copies of captures and heat maps, and PNG overlays."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import TriscopeError
from triscope.kernel.results import Finding, Heatmap, Inspection

Image = NDArray[np.generic]
Polygon = list[list[float]]
SIDE = 448  # longest side of a picture in the page, in pixels
HEAT_SIDE = 96
OVERLAY_SIDE = 2048
OVERLAY_LEAST = 640  # smaller captures are enlarged, so that lines stay thin
COLOURS = {"pass": (27, 127, 77), "review": (214, 138, 0), "fail": (214, 40, 40)}


@dataclass(frozen=True)
class Scale:
    """How heat is coloured: nothing at ``low``, half at ``middle``, full at ``high``."""

    low: float
    middle: float
    high: float

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Strength in [0, 1]."""
        points = [self.low, max(self.middle, self.low), max(self.high, self.middle)]
        return np.interp(values, _rising(points), [0.0, 0.5, 1.0]).astype(np.float32)


def scale_of(heats: Sequence[tuple[float, float]], pixel_above: float | None) -> Scale:
    """One scale for all pictures, from the (median, largest) of each heat map.

    The pixel threshold, where there is one, stands in the middle.
    """
    finite = [pair for pair in heats if all(map(math.isfinite, pair))] or [(0.0, 1.0)]
    low = float(np.median([median for median, _ in finite]))
    high = float(np.quantile([largest for _, largest in finite], 0.98))
    middle = pixel_above if pixel_above is not None else (low + high) / 2
    return Scale(min(low, middle), middle, max(high, middle + (middle - min(low, middle)) * 0.25))


def picture_bytes(image: Image, side: int = SIDE) -> str:
    """A small JPEG copy as base64 text."""
    small = _shrunk(as_rgb8(image), side)
    return _encoded(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 84])


def heat_bytes(heat: Heatmap, side: int = HEAT_SIDE) -> dict[str, Any]:
    """The map as a small grey PNG in base64, with the values of its black and white."""
    values = np.nan_to_num(heat.values, nan=0.0, posinf=0.0, neginf=0.0)
    small = _shrunk(values, side, cv2.INTER_AREA)
    low, high = float(small.min()), float(small.max())
    grey = (small - low) / (high - low or 1.0) * 255
    png = _encoded(".png", np.round(grey).astype(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return {"png": png, "low": float(f"{low:.6g}"), "high": float(f"{high:.6g}")}


def median_and_largest(heat: Heatmap) -> tuple[float, float]:
    """What :func:`scale_of` needs to know of a map."""
    return float(np.median(heat.values)), float(heat.values.max())


def outlines_of(mask: NDArray[np.bool_]) -> list[Polygon]:
    """Contours of a mask as polygons of (x, y), in its pixels."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    tolerance = max(mask.shape) / 400
    simple = [cv2.approxPolyDP(line, tolerance, closed=True)[:, 0] for line in found]
    return [[[float(x), float(y)] for x, y in line] for line in simple[:100] if len(line) > 2]


def overlay(image: Image, inspection: Inspection, scale: Scale | None = None) -> NDArray[np.uint8]:
    """The capture with heat and contours drawn in: uint8 (h, w, 3), at most 2048 pixels long."""
    h, w = image.shape[:2]
    picture = _enlarged(_shrunk(as_rgb8(image), OVERLAY_SIDE))
    if inspection.heatmap is not None:
        picture = _heated(picture, inspection.heatmap, scale)
    factor = picture.shape[1] / w, picture.shape[0] / h
    thick = max(1, round(max(picture.shape[:2]) / 450))
    for finding in inspection.findings:
        _draw(picture, finding, factor, thick)
    band = max(3, thick * 3)
    picture[:band] = COLOURS[inspection.verdict.outcome]
    return picture


def write_overlay(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a PNG; raises TriscopeError where the place cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
    try:
        path.write_bytes(content)
    except OSError as error:
        raise TriscopeError(f"{path} could not be written: {error.strerror or error}.") from error


def as_rgb8(image: Image) -> NDArray[np.uint8]:
    """Any image of the API as uint8 (h, w, 3); the range of 16 bits is spread over what is used."""
    plain = image
    if plain.dtype != np.uint8:
        values = plain.astype(np.float32)
        low, high = np.quantile(values, [0.001, 0.999])
        plain = np.clip((values - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
    if plain.ndim == 2:
        plain = np.repeat(plain[..., None], 3, axis=2)
    return np.ascontiguousarray(plain)


def _heated(picture: NDArray[np.uint8], heat: Heatmap, scale: Scale | None) -> NDArray[np.uint8]:
    scale = scale or scale_of([median_and_largest(heat)], None)
    size = (picture.shape[1], picture.shape[0])
    strength = cv2.resize(scale(heat.values), size, interpolation=cv2.INTER_LINEAR)
    colour = cv2.applyColorMap(_ramp_input(strength), cv2.COLORMAP_AUTUMN)[..., ::-1]
    cover = np.clip((strength - 0.25) / 0.35, 0, 1)[..., None] * 0.6
    return np.asarray(picture * (1 - cover) + colour * cover).astype(np.uint8)


def _ramp_input(strength: NDArray[Any]) -> NDArray[np.uint8]:
    """COLORMAP_AUTUMN runs from red to yellow; strong heat is red here."""
    return np.round((1 - np.clip((strength - 0.25) / 0.75, 0, 1)) * 255).astype(np.uint8)


def _draw(
    picture: NDArray[np.uint8], finding: Finding, factor: tuple[float, float], thick: int
) -> None:
    if finding.outline:
        points = np.asarray(finding.outline) * factor
        line = np.round(points).astype(np.int32)[:, None]
        cv2.polylines(picture, [line], True, (255, 255, 255), thick + 2, cv2.LINE_AA)
        cv2.polylines(picture, [line], True, COLOURS["fail"], thick, cv2.LINE_AA)
    elif finding.box is not None:
        x0, y0, x1, y1 = (round(v * factor[i % 2]) for i, v in enumerate(finding.box))
        cv2.rectangle(picture, (x0, y0), (x1, y1), (255, 255, 255), thick + 2)
        cv2.rectangle(picture, (x0, y0), (x1, y1), COLOURS["fail"], thick)


def _shrunk(image: NDArray[Any], side: int, how: int = cv2.INTER_AREA) -> NDArray[Any]:
    h, w = image.shape[:2]
    factor = side / max(h, w)
    if factor >= 1:
        return image.copy()
    size = max(1, round(w * factor)), max(1, round(h * factor))
    return np.asarray(cv2.resize(image, size, interpolation=how))


def _enlarged(image: NDArray[Any]) -> NDArray[Any]:
    factor = min(4, OVERLAY_LEAST // max(image.shape[:2]))
    if factor <= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC))


def _encoded(ending: str, pixels: NDArray[Any], options: list[int]) -> str:
    content = cv2.imencode(ending, np.ascontiguousarray(pixels), options)[1]
    return base64.b64encode(content.tobytes()).decode("ascii")


def _rising(points: list[float]) -> list[float]:
    """The points with the least step that ``np.interp`` needs between them."""
    least = max(abs(points[0]), abs(points[-1]), 1e-6) * 1e-6
    return [points[0], max(points[1], points[0] + least), max(points[2], points[1] + 2 * least)]
