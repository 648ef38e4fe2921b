"""Everything mode: masks of all that a grid of points finds, arXiv:2304.02643 appendix B.

The settings, their defaults and the order of the filters are those of the published generator; the
masks are the same. Memory does not grow with the number of points: masks are kept as run lengths.
NumPy and OpenCV only; the network sits behind :class:`GridDecoder`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.config import require
from triscope.kernel.geometry.rle import Rle
from triscope.segment import grid
from triscope.segment.frame import Frame, as_rgb
from triscope.segment.grid import Crop

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Survivors:
    """Masks that a decoder found good enough, from the points up to ``done``.

    Index of the point (k,), IoU (k,), logits (k, l, l).
    """

    point: NDArray[np.int64]
    iou: Floats
    logits: Floats
    done: int


class GridDecoder(Protocol):
    """A network behind everything mode."""

    side: int

    def look(self, pixels: Floats) -> None:
        """Embed one input float32 (1, 3, side, side)."""

    def survivors(self, points: NDArray[np.float64], iou_above: float) -> Iterable[Survivors]:
        """Masks of points (n, 2), in pixels of the square, whose predicted IoU is above.

        Three masks a point, in the order of the points; all of them if ``iou_above`` is 0.
        """


@dataclass(frozen=True)
class Settings:
    """What is looked for and what is kept; the published names and defaults."""

    points_per_side: int = 32  # the grid has the square of this many points
    pred_iou_thresh: float = 0.88  # predicted IoU above which masks stay; 0: all; sam_nano: 0.3
    stability_score_thresh: float = 0.95  # stability from which on they stay; 0: all; sam_nano: 0.7
    stability_score_offset: float = 1.0  # logits by which the threshold of the mask is moved
    box_nms_thresh: float = 0.7  # overlap of boxes above which the worse mask goes
    crop_n_layers: int = 0  # 1 looks at 2x2 crops too, 2 at 4x4 as well
    crop_nms_thresh: float = 0.7  # as box_nms_thresh, between crops
    crop_overlap_ratio: float = 512 / 1500  # overlap of crops as a share of the shorter side
    crop_n_points_downscale_factor: int = 1  # divides points_per_side from layer to layer
    min_mask_region_area: int = 0  # holes and islands below this many pixels go; 0 leaves them

    def __post_init__(self) -> None:
        shares = ("pred_iou_thresh", "stability_score_thresh", "box_nms_thresh", "crop_nms_thresh")
        require(
            self,
            points_per_side=(self.points_per_side >= 1, "at least 1"),
            **{name: (0 <= getattr(self, name) <= 1, "a share in [0, 1]") for name in shares},
            stability_score_offset=(self.stability_score_offset >= 0, "a number from 0 on"),
            crop_n_layers=(0 <= self.crop_n_layers <= 4, "0 to 4"),
            crop_overlap_ratio=(0 <= self.crop_overlap_ratio < 1, "a share in [0, 1)"),
            crop_n_points_downscale_factor=(self.crop_n_points_downscale_factor >= 1, "at least 1"),
            min_mask_region_area=(self.min_mask_region_area >= 0, "a number from 0 on"),
        )


def usual(small: bool) -> Settings:
    """The settings of a network where nobody gave others; ``small`` is the predictor's.

    A small network trusts itself less than the published ones: chosen on five generated scenes.
    """
    return Settings(pred_iou_thresh=0.3, stability_score_thresh=0.7) if small else Settings()


@dataclass(frozen=True, eq=False)
class FoundMask:
    """One mask of everything mode, in pixels of the image.

    ``box`` runs from the first to the last pixel (xyxy, so one less than its width), as published.
    """

    rle: Rle
    box: Crop
    predicted_iou: float
    stability_score: float
    point: tuple[float, float]
    crop: Crop

    def mask(self) -> NDArray[np.bool_]:
        """The mask, bool (h, w)."""
        return self.rle.decode()

    def to_dict(self) -> dict[str, Any]:
        """The published record with compressed run lengths; boxes are XYWH."""
        return {
            "segmentation": self.rle.to_coco(),
            "area": self.rle.area,
            "bbox": _xywh(self.box),
            "predicted_iou": self.predicted_iou,
            "point_coords": [list(self.point)],
            "stability_score": self.stability_score,
            "crop_box": _xywh(self.crop),
        }


Progress = Callable[[int, int], None]


def everything(
    decoder: GridDecoder,
    image: NDArray[np.uint8] | NDArray[np.uint16],
    settings: Settings = Settings(),
    progress: Progress | None = None,
) -> list[FoundMask]:
    """All masks of an RGB or grey image (h, w, 3) or (h, w), the most confident first.

    ``progress(done, all)`` is told how many points were decoded.
    """
    rgb = as_rgb(image)
    crops, layers = grid.crop_boxes(
        (rgb.shape[0], rgb.shape[1]), settings.crop_n_layers, settings.crop_overlap_ratio
    )
    grids = grid.layer_grids(
        settings.points_per_side, settings.crop_n_layers, settings.crop_n_points_downscale_factor
    )
    total, done = sum(len(grids[layer]) for layer in layers), 0
    found: list[FoundMask] = []
    for crop, layer in zip(crops, layers, strict=True):
        report = _shifted(progress, done, total)
        inside = list(_in_crop(decoder, rgb, crop, grids[layer], settings, report))
        found += _best(inside, [mask.predicted_iou for mask in inside], settings.box_nms_thresh)
        done += len(grids[layer])
    if len(crops) > 1:  # masks of smaller crops first: they were seen from nearer
        nearness = [1 / ((x1 - x0) * (y1 - y0)) for x0, y0, x1, y1 in (m.crop for m in found)]
        found = _best(found, nearness, settings.crop_nms_thresh)
    return _tidied(found, settings) if settings.min_mask_region_area else found


def _in_crop(
    decoder: GridDecoder,
    image: NDArray[np.uint8],
    crop: Crop,
    unit_points: NDArray[np.float64],
    settings: Settings,
    report: Callable[[int], None],
) -> Iterator[FoundMask]:
    """The masks that pass the filters, before overlaps are resolved."""
    x0, y0, x1, y1 = crop
    frame = Frame((y1 - y0, x1 - x0), decoder.side)
    decoder.look(frame.pixels(image[y0:y1, x0:x1]))
    points = unit_points * [x1 - x0, y1 - y0]
    for some in decoder.survivors(frame.points_in(points), settings.pred_iou_thresh):
        for i, iou, low in zip(some.point, some.iou, some.logits, strict=True):
            logits = frame.logits_out(low)
            stability = grid.stability_score(logits, settings.stability_score_offset)
            mask = logits > 0
            box = _moved(grid.box_of(mask), x0, y0)
            whole = (image.shape[0], image.shape[1])
            if _stable(stability, settings) and not grid.near_crop_edge(box, crop, whole)[0]:
                rle = Rle.encode(_placed(mask, crop, whole))
                point = (float(points[i, 0] + x0), float(points[i, 1] + y0))
                yield FoundMask(rle, box, float(iou), float(stability), point, crop)
        report(some.done)


def _stable(score: np.float32, settings: Settings) -> bool:
    threshold = settings.stability_score_thresh
    return threshold == 0 or bool(score >= np.float32(threshold))  # an empty mask scores nan


def _best(masks: list[FoundMask], scores: Sequence[float], above: float) -> list[FoundMask]:
    """Masks whose box does not overlap that of a better one, best first."""
    return [masks[i] for i in grid.nms([mask.box for mask in masks], scores, above)]


def _tidied(masks: list[FoundMask], settings: Settings) -> list[FoundMask]:
    """Without small holes and islands; masks that had none win where boxes now overlap."""
    cleaned, scores = [], []
    for one in masks:
        mask, holes = grid.without_small_regions(one.mask(), settings.min_mask_region_area, "holes")
        mask, islands = grid.without_small_regions(mask, settings.min_mask_region_area, "islands")
        if holes or islands:
            one = replace(one, rle=Rle.encode(mask), box=grid.box_of(mask))
        cleaned.append(one)
        scores.append(0.0 if holes or islands else 1.0)
    return _best(cleaned, scores, max(settings.box_nms_thresh, settings.crop_nms_thresh))


def _placed(mask: NDArray[np.bool_], crop: Crop, image_hw: tuple[int, int]) -> NDArray[np.bool_]:
    if mask.shape == image_hw:
        return mask
    out = np.zeros(image_hw, bool)
    out[crop[1] : crop[3], crop[0] : crop[2]] = mask
    return out


def _moved(box: Crop, x: int, y: int) -> Crop:
    return (box[0] + x, box[1] + y, box[2] + x, box[3] + y)


def _xywh(box: Crop) -> list[int]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _shifted(progress: Progress | None, before: int, total: int) -> Callable[[int], None]:
    def report(done: int) -> None:
        if progress is not None:
            progress(before + done, total)

    return report
