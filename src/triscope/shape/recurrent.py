"""What R-MVSNet answers once an image has features: its settings and its sweep, without torch.

The model of the library computes features with PyTorch, an exported check with ``features.onnx``;
all that follows is the same code for both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.config import require
from triscope.kernel.results import Depth
from triscope.kernel.runtime.engine import Engine, OnnxEngine
from triscope.shape.golden import Golden
from triscope.shape.refinement import refined
from triscope.shape.stereo import at_scale, flatness, standardised
from triscope.shape.sweep import sweep
from triscope.shape.sweep.answer import depth_between
from triscope.shape.warp import warp_of

SCALE = 4  # image to features
MULTIPLE = 16  # of the sides of an image: the U-Net halves four times
GRAPH = "features"  # of the exported check
LARGE = 3_000_000  # numbers of a photo from which the engine's memory is given back after each
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Settings(Golden):
    """The numbers of section 4 and of the released scripts."""

    form: Literal["released", "paper"] = "released"  # network of the code, or of the paper
    weights: str = ""  # file of weights, or own, or official; empty: official ones where they are
    planes: int = 192  # depth planes of a sweep
    between: bool = True  # depth between the planes, by a parabola through three scores
    refine: bool = False  # variational refinement of section 3.5, on the photos
    threads: int = 1  # of the compiled sweep
    precision: Literal["fp32", "bf16"] = "fp32"  # of the compiled sweep

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        super().__post_init__()
        require(
            self,
            planes=(self.planes >= 2, "2 or more"),
            threads=(self.threads >= 1, "1 or more"),
        )


class Recurrent(ABC):
    """A stereo model (``shape.stereo.Stereo``) whose cost a recurrent network regularises."""

    settings: Settings

    @abstractmethod
    def features(self, unit: Floats) -> Floats:
        """Features (32, ceil(h/4), ceil(w/4)) of a standardised BGR image (3, h, w)."""

    @abstractmethod
    def regulariser(self) -> Any:
        """The recurrent network: an RMVSNet, or its tensors by their published names."""

    def prepare(self, image: NDArray[np.uint8]) -> tuple[Floats, Any]:
        """Features of one RGB image (h, w, 3), and its grey values where they are used."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if self.settings.refine else None
        return self.features(standardised(image, bgr=True)), grey

    def match(self, prepared: Sequence[Any], K: Any, cam_T_world: Any, depths: Any) -> Depth:
        """See :class:`triscope.shape.stereo.Stereo`."""
        small, numbers = at_scale(K, SCALE), np.asarray(depths, np.float64)
        maps = np.stack([one for one, _ in prepared])
        warp = warp_of(small, cam_T_world)
        swept = sweep(maps, warp, numbers, self.regulariser(), **self._options())
        values = depth_between(numbers, swept.index, swept.offset() * self.settings.between)
        flat = flatness(swept.probability, len(numbers))
        depth = Depth(values, swept.probability, small[0], flat)
        if not self.settings.refine:
            return depth
        return refined(depth, [grey for _, grey in prepared], K, cam_T_world, depths)

    def _options(self) -> dict[str, Any]:
        half = self.settings.precision == "bf16"
        chosen = {"form": "native", "precision": "bf16"} if half else {}
        return {"threads": self.settings.threads, **chosen}


class Exported(Recurrent):
    """R-MVSNet of a check folder: features by the engine of ``features.onnx``."""

    def __init__(
        self, settings: Settings, engine: Engine, weights: Mapping[str, NDArray[Any]]
    ) -> None:
        self.settings, self.engine, self.weights = settings, engine, weights

    def features(self, unit: Floats) -> Floats:
        """See :class:`Recurrent`; the image goes on to the right and below by its last pixels."""
        h, w = unit.shape[1:]
        padding = ((0, 0), (0, -h % MULTIPLE), (0, -w % MULTIPLE))
        if h % MULTIPLE or w % MULTIPLE:
            unit = np.pad(unit, padding, mode="edge")
        found = self.engine.run({"images": unit[None]})[GRAPH][0]
        small = np.array(found[:, : -(-h // SCALE), : -(-w // SCALE)])
        del found  # the answer is part of the engine's memory
        if unit.size > LARGE and isinstance(self.engine, OnnxEngine):
            self.engine.forget()
        return small

    def regulariser(self) -> Mapping[str, NDArray[Any]]:
        """The tensors of the folder."""
        return self.weights
