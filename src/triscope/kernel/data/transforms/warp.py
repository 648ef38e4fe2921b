"""One affine change of a view: the image is resampled once, coordinates follow exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.data.transforms.view import Floats, View
from triscope.kernel.geometry import boxes as box_math
from triscope.kernel.geometry import masks as mask_math

Border = Literal["fill", "edge", "reflect"]
MODES = {
    "fill": cv2.BORDER_CONSTANT,
    "edge": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
}
SLACK_PX = 1e-6


@dataclass(frozen=True, eq=False)
class Warp:
    """Where each pixel goes: ``matrix`` (3, 3) takes centres (x, y, 1) to those of the output.

    ``border`` says what stands where nothing was: the mean colour, the edge, or the mirrored image
    (whose defects are then there twice, and boxes know of one: for masks and good parts).
    """

    matrix: Floats
    out_hw: tuple[int, int]
    border: Border = "fill"
    min_visible: float = 0.25

    def __call__(self, view: View) -> View:
        """The view after the change; boxes of which less than ``min_visible`` is left are gone."""
        image = self._resampled(view.image, cv2.INTER_LINEAR, _mean(view.image))
        mask = self.of_mask(view.mask) if view.mask is not None else None
        masks = None
        if view.masks is not None:
            each = [self.of_mask(one) for one in view.masks]
            masks = np.stack(each) if each else np.zeros((0, *self.out_hw), np.bool_)
        return self.coordinates(view, image, mask, masks)

    def coordinates(
        self,
        view: View,
        image: NDArray[Any],
        mask: NDArray[Any] | None,
        masks: NDArray[np.bool_] | None,
    ) -> View:
        """The view of arrays that were changed already, with coordinates that follow."""
        whole = self.of_boxes(view.boxes)
        clipped = box_math.clip(whole, self.out_hw)
        share = np.divide(
            box_math.areas(clipped),
            box_math.areas(whole),
            out=np.zeros(len(whole)),
            where=box_math.areas(whole) > 0,
        )
        stays = (share >= self.min_visible) & (box_math.areas(clipped) > SLACK_PX)
        points = self.of_points(view.points)
        done = replace(view, image=image, mask=mask, boxes=clipped, masks=masks, points=points)
        return _tightened(done.only(stays))

    def of_points(self, points: Floats) -> Floats:
        """Points (n, 2) after the change."""
        return np.asarray(points @ self.matrix[:2, :2].T + self.matrix[:2, 2])

    def of_boxes(self, boxes: Floats) -> Floats:
        """Boxes (n, 4) around the ellipse in each box, not cut to the image.

        The box around turned corners grows by half at 45°; a defect seldom fills its corners, and
        ellipses keep labels tighter (arXiv:2109.13488). Turns by 90° and mirrors are exact.
        """
        centres = self.of_points((boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5) + 0.5
        half = (boxes[:, 2:] - boxes[:, :2]) / 2
        reach = np.sqrt((half**2) @ (self.matrix[:2, :2] ** 2).T)
        return np.concatenate([centres - reach, centres + reach], axis=1)

    def of_mask(self, mask: NDArray[Any]) -> NDArray[Any]:
        """A mask, bool or of class numbers, by the nearest pixel; nothing beyond the border."""
        plain = mask.view(np.uint8) if mask.dtype == np.bool_ else mask
        out = self._resampled(plain, cv2.INTER_NEAREST, 0)
        return out.view(np.bool_) if mask.dtype == np.bool_ else out

    def _resampled(self, image: NDArray[Any], way: int, fill: Any) -> NDArray[Any]:
        size = (self.out_hw[1], self.out_hw[0])
        mode = MODES["fill" if way == cv2.INTER_NEAREST and self.border == "edge" else self.border]
        return np.asarray(
            cv2.warpAffine(
                np.ascontiguousarray(image),
                self.matrix[:2],
                size,
                flags=way,
                borderMode=mode,
                borderValue=fill,
            )
        )


def _mean(image: NDArray[Any]) -> tuple[float, ...]:
    values = cv2.mean(image)
    return tuple(float(round(value)) for value in values)


def _tightened(view: View) -> View:
    """Boxes with masks become the boxes of what is left of their masks."""
    if view.masks is None:
        return view
    found = [mask_math.box_of(mask) for mask in view.masks]
    stays = np.array([box is not None for box in found], np.bool_)
    tight = np.array([box for box in found if box is not None], np.float64).reshape(-1, 4)
    return replace(view.only(stays), boxes=tight)
