"""Everything mode over any decoder: points in small batches, nothing re-arranged.

For networks whose prompts change the image embedding itself (``sam_nano``), and for exported
folders, where no torch is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import UsageError
from triscope.segment.answers import Prompted
from triscope.segment.everything import GridDecoder, Survivors
from triscope.segment.prompts import Prompts

Floats = NDArray[np.float32]


class PlainPoints:
    """A grid of points through a predictor's decoder, ``at_once`` prompts together."""

    def __init__(self, predictor: Prompted, at_once: int = 4) -> None:
        self.predictor, self.side, self.at_once = predictor, predictor.side, at_once
        self._embedding: Floats | None = None

    def look(self, pixels: Floats) -> None:
        """Embed one input float32 (1, 3, side, side)."""
        self._embedding = self.predictor._embed(pixels)

    def survivors(self, points: NDArray[np.float64], iou_above: float) -> Iterator[Survivors]:
        """Masks of points (n, 2), in pixels of the square, whose predicted IoU is above."""
        if self._embedding is None:
            raise UsageError("no image yet: call look(pixels) first.")
        for start in range(0, len(points), self.at_once):
            some = points[start : start + self.at_once].astype(np.float32)[:, None]
            prompts = Prompts(some, np.ones(some.shape[:2], np.float32), None, None)
            logits, iou = self.predictor._decode(self._embedding, prompts)
            kept = iou[:, 1:] > iou_above if iou_above > 0 else np.ones_like(iou[:, 1:], bool)
            which = np.nonzero(kept)
            yield Survivors(
                point=start + which[0],
                iou=iou[:, 1:][kept],
                logits=logits[:, 1:][kept],
                done=start + len(some),
            )


def grid_decoder(predictor: Prompted) -> GridDecoder:
    """The fastest decoder of everything mode for this predictor."""
    network: Any = getattr(predictor, "network", None)
    if network is None:
        return PlainPoints(predictor)
    from triscope.segment.many_points import ManyPoints
    from triscope.segment.models._nano_decoder import NanoDecoder

    if isinstance(network.mask_decoder, NanoDecoder):
        return PlainPoints(predictor)

    return ManyPoints(network)
