"""What the models that learn from labels share: their classes, their weights, their life cycle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from triscope.errors import BadLabels, BadSettings, NotFitted
from triscope.kernel.data import GOOD, Dataset, Split
from triscope.kernel.data.transforms import Chain, Crop, Transform
from triscope.kernel.data.transforms.warp import Border
from triscope.surface.labelled import Batches
from triscope.surface.models._distillation import Parts, seeded


class Supervised(ABC):
    """A network that is built once its classes are known: from the settings, or from the data."""

    parts: Parts
    classes: tuple[str, ...] = ()
    model_name: str
    learns_good = False  # whether "good" is a class of its own
    names_images = False  # whether the label of a whole image is learned, which no window has
    border: Border = "fill"  # of what stands where an image is smaller than a window
    window = 0  # pixels of a side of what is looked at; 0: whole images

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self._held: tuple[Dataset, Batches] | None = None
        if settings.classes:
            self._build(settings.classes)

    @abstractmethod
    def build(self, classes: int) -> nn.Module:
        """The untrained network for so many classes."""

    def begin(self, data: Dataset) -> None:
        """Build the network for the classes of the settings, or of the data."""
        named = self.settings.classes or data.classes or named_by(data)
        names = tuple(name for name in named if self.learns_good or name != GOOD)
        if self.learns_good and not self.settings.classes and any(sample.good for sample in data):
            names = (GOOD, *(name for name in names if name != GOOD))  # layouts list defects only
        if not names or (self.learns_good and len(names) < 2):
            raise BadLabels(
                f"{self.model_name} learns to tell classes, but {data.root or 'the data'} names "
                f"{', '.join(names) or 'none'}. Label more, or fit a model of good parts, such as "
                f"'patchcore'. 'triscope data show' tells what was recognised.{why(data)}"
            )
        self._build(names)

    def at_windows(self, tile: int) -> None:
        """Learn from windows of so many pixels, as inspection cuts them."""
        if self.names_images:
            raise BadSettings(
                f"tile={tile}: {self.model_name} learns what whole images are called, and their "
                "windows may be called otherwise. Leave tile out, raise size, or fit a model of "
                "boxes or masks, such as 'ddn' or 'unet'."
            )
        self.window = tile

    def seen(self, change: Transform) -> Transform:
        """The change; of windows where inspection cuts some, at least half of them at a label."""
        if not self.window:
            return change
        return Chain(Crop((self.window, self.window), at_labels=0.5, border=self.border), change)

    @abstractmethod
    def batches(self, data: Dataset, split: Split, seed: int) -> Batches:
        """The samples as batches of tensors."""

    def held_out(self, data: Dataset) -> Iterator[Any]:
        """All held-out samples at the input of the network; their images are read once."""
        if self._held is None or self._held[0] is not data:
            self._held = (data, self.batches(data, "calibrate", 0))
        yield from self._held[1].whole()

    @property
    def net(self) -> nn.Module:
        """The network; NotFitted before the classes are known."""
        if not hasattr(self, "parts"):
            raise NotFitted(f"{self.model_name} does not know its classes yet: call fit() first.")
        return self.parts["net"]

    def card(self) -> dict[str, Any]:
        """The classes, for the card."""
        return {"classes": self.classes}

    def network(self) -> nn.Module:
        """What learns."""
        self.net.requires_grad_(True)
        return self.parts

    def trained(self) -> nn.Module:
        """The network in eval mode; NotFitted before the training."""
        net = self.net
        self.parts.must_be_trained(self.model_name)
        return net.eval()

    def weights(self) -> dict[str, Tensor]:
        """Everything that was learned."""
        return self.parts.weights()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put the result of ``weights`` back."""
        self.parts.restore(self.model_name, weights)

    def _build(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        with seeded(self.settings.seed):
            net = self.build(len(classes))
        self.parts = Parts(frozen={}, learned={"net": net})


def why(data: Dataset) -> str:
    """What of the labels could not be used, as the end of a message; empty where all could."""
    return f" Of the labels: {'; '.join(data.problems[:3])}." if data.problems else ""


def named_by(data: Dataset) -> tuple[str, ...]:
    """The labels of the samples and of their boxes, in alphabetical order."""
    names = {sample.label for sample in data if sample.label is not None}
    names |= {box.label for sample in data for box in sample.boxes}
    return tuple(sorted(names))
