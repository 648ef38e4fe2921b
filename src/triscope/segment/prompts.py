"""Prompts in pixels of an image, checked; NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triscope.errors import BadPrompt
from triscope.segment.frame import Frame

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prompts:
    """``n`` prompts of one kind on one image, in pixels of the network's square.

    points float32 (n, p, 2) with labels float32 (n, p), boxes float32 (n, 4), masks float32
    (n, 1, m, m); what is absent is None.
    """

    points: Floats | None
    labels: Floats | None
    boxes: Floats | None
    masks: Floats | None

    def __len__(self) -> int:
        return next(len(part) for part in (self.points, self.boxes, self.masks) if part is not None)

    def inside(self, index: int) -> Floats:
        """The inside clicks (p, 2) of one prompt; there may be none."""
        if self.points is None or self.labels is None:
            return np.zeros((0, 2), np.float32)
        return self.points[index][self.labels[index] == 1]

    def with_boxes(self, side: int) -> Prompts:
        """The boxes of the masks beside them; all of the square where a mask is empty."""
        assert self.masks is not None
        scale, boxes = side / self.masks.shape[-1], []
        for logits in self.masks[:, 0]:
            rows, columns = np.nonzero(logits > 0)
            box = [0, 0, side, side]
            if len(rows):
                ends = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                box = list(ends * scale)
            boxes.append(box)
        return Prompts(self.points, self.labels, np.array(boxes, np.float32), self.masks)

    def __getitem__(self, which: slice) -> Prompts:
        parts = (self.points, self.labels, self.boxes, self.masks)
        return Prompts(*(None if part is None else part[which] for part in parts))


def read_prompts(
    frame: Frame,
    mask_size: int,
    points: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    boxes: ArrayLike | None = None,
    masks: ArrayLike | None = None,
) -> Prompts:
    """Check prompts in pixels of the image and bring them into the square.

    points (n, p, 2), labels (n, p), boxes (n, 4) xyxy, masks (n, m, m) logits of an earlier answer.
    Raises BadPrompt, naming the first that does not fit.
    """
    xy, marks = _points(frame, points, labels)
    if points is None and boxes is None and masks is None:
        raise BadPrompt("no prompt: give points with labels, a box, or a mask.")
    corners = None if boxes is None else _boxes(frame, boxes)
    logits = None if masks is None else _masks(mask_size, masks)
    counts = {
        what: len(part)
        for what, part in (("points", xy), ("boxes", corners), ("masks", logits))
        if part is not None
    }
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{count} of {what}" for what, count in counts.items())
        raise BadPrompt(f"prompts of several kinds belong together one by one, got {said}.")
    return Prompts(
        None if xy is None else frame.points_in(xy).astype(np.float32),
        marks,
        None if corners is None else frame.boxes_in(corners).astype(np.float32),
        logits,
    )


def _points(
    frame: Frame, points: ArrayLike | None, labels: ArrayLike | None
) -> tuple[Doubles | None, Floats | None]:
    if points is None:
        if labels is not None:
            raise BadPrompt("labels without points: give points (n, p, 2) beside labels (n, p).")
        return None, None
    xy = _numbers("points", points, "(n, p, 2)", 3, 2)
    if labels is None:
        raise BadPrompt(
            f"{xy.shape[1]} points without labels: give 1 (inside) or 0 (outside) for each."
        )
    marks = np.asarray(labels, np.float32)
    if marks.shape != xy.shape[:2]:
        raise BadPrompt(f"labels have shape {marks.shape}, the points expect {xy.shape[:2]}.")
    strange = np.setdiff1d(marks, (0, 1))
    if len(strange):
        raise BadPrompt(f"a label is 1 (inside) or 0 (outside), got {strange[0]:g}.")
    _inside_image(frame, "point", xy.reshape(-1, 2))
    return xy, marks


def _boxes(frame: Frame, boxes: ArrayLike) -> Doubles:
    corners = _numbers("boxes", boxes, "(n, 4)", 2, 4)
    h, w = frame.image_hw
    for x0, y0, x1, y1 in corners:
        said = f"box (x0, y0, x1, y1) = ({x0:g}, {y0:g}, {x1:g}, {y1:g})"
        if not (x0 < x1 and y0 < y1):
            raise BadPrompt(f"{said} is reversed or empty: expected x0 < x1 and y0 < y1.")
        if x0 < 0 or y0 < 0 or x1 > w or y1 > h:
            raise BadPrompt(
                f"{said} reaches outside the image of {w}x{h} (width x height): "
                "cut it to the image first."
            )
    return corners


def _masks(size: int, masks: ArrayLike) -> Floats:
    logits = np.asarray(masks, np.float32)
    if logits.ndim == 4 and logits.shape[1] == 1:
        logits = logits[:, 0]
    if logits.ndim != 3 or logits.shape[1:] != (size, size):
        raise BadPrompt(
            f"a mask prompt has {size}x{size} logits, got shape {np.shape(masks)[1:]}: give the "
            "logits of an earlier answer, or turn a mask of the image into them with mask_prompt()."
        )
    if not np.isfinite(logits).all():
        raise BadPrompt("a mask prompt has finite logits, got nan or infinity.")
    return logits[:, None]


def _numbers(what: str, values: ArrayLike, layout: str, ndim: int, last: int) -> Doubles:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != ndim or numbers.shape[-1] != last or 0 in numbers.shape:
        raise BadPrompt(f"{what} have the layout {layout}, got shape {numbers.shape}.")
    if not np.isfinite(numbers).all():
        raise BadPrompt(f"{what} are finite numbers, got nan or infinity.")
    return numbers


def _inside_image(frame: Frame, what: str, xy: Doubles) -> None:
    h, w = frame.image_hw
    outside = (xy < 0).any(axis=1) | (xy[:, 0] >= w) | (xy[:, 1] >= h)
    if outside.any():
        x, y = xy[int(outside.argmax())]
        raise BadPrompt(
            f"{what} (x, y) = ({x:g}, {y:g}) lies outside the image of {w}x{h} (width x height): "
            f"expected 0 <= x < {w} and 0 <= y < {h}."
        )
