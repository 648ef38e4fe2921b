"""Prompts to masks with a PyTorch network: NumPy in pixels of the image, and a tensor twin."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from triscope.segment.answers import Embedding, Prompted
from triscope.segment.frame import PIXEL_MEAN, PIXEL_STD, Frame
from triscope.segment.models._nano_decoder import NanoDecoder
from triscope.segment.models.sam import Sam
from triscope.segment.prompts import Prompts

Floats = NDArray[np.float32]


class Predictor(Prompted):
    """``set_image`` once, ``predict`` often; see :class:`Prompted` for both.

    The network stays where it is (its device); nothing is learned here.
    """

    def __init__(self, network: Sam) -> None:
        self.network = network
        self.side, self.mask_size = network.image_size, network.mask_size
        self.fingerprint = fingerprint(network)
        self.small = isinstance(network.mask_decoder, NanoDecoder)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.mask_decoder.iou_token.weight.device

    def _embed(self, pixels: Floats) -> Floats:
        with _answering(self.network):
            return self.network.embed(torch.from_numpy(pixels).to(self.device)).cpu().numpy()

    def _decode(self, embedding: Floats, prompts: Prompts) -> tuple[Floats, Floats]:
        points, labels, boxes, masks = (
            None if part is None else torch.from_numpy(part).to(self.device)
            for part in (prompts.points, prompts.labels, prompts.boxes, prompts.masks)
        )
        with _answering(self.network):
            logits, iou = self.network.decode_all(
                torch.from_numpy(embedding).to(self.device),
                points=points,
                labels=labels,
                boxes=boxes,
                masks=masks,
            )
        return logits.cpu().numpy(), iou.cpu().numpy()

    # ---- the tensor twin: coordinates in pixels of the square, nothing leaves the device

    def set_tensor(self, pixels: Float[Tensor, "1 3 s s"], image_hw: tuple[int, int]) -> Embedding:
        """Look at an input that is resized, normalised and padded already (``to_square``)."""
        with _answering(self.network):
            values = self.network.embed(pixels.to(self.device)).cpu().numpy()
        return self.use(Embedding(values, Frame(image_hw, self.side), self.fingerprint))

    def predict_tensors(
        self,
        points: Float[Tensor, "n p 2"] | None = None,
        labels: Shaped[Tensor, "n p"] | None = None,
        boxes: Float[Tensor, "n 4"] | None = None,
        masks: Float[Tensor, "n 1 m m"] | None = None,
        *,
        multimask: bool = True,
    ) -> tuple[Float[Tensor, "n k h w"], Float[Tensor, "n k"], Float[Tensor, "n k m m"]]:
        """Logits at the size of the image, predicted IoU, and the network's own logits."""
        embedding = self.embedding
        with _answering(self.network):
            low, iou = self.network.decode(
                torch.from_numpy(embedding.values).to(self.device),
                points=points,
                labels=labels,
                boxes=boxes,
                masks=masks,
                multimask=multimask,
            )
            return from_square(low, embedding.frame), iou, low


def to_square(images: Float[Tensor, "b 3 h w"], side: int) -> Float[Tensor, "b 3 s s"]:
    """Images of one size, floats in 0..255, resized with antialiasing, normalised and padded.

    Close to ``Frame.pixels`` but not equal: bytes are not rounded to.
    """
    frame = Frame((images.shape[2], images.shape[3]), side)
    small = resized(images, frame)
    mean, std = (images.new_tensor(three).view(3, 1, 1) for three in (PIXEL_MEAN, PIXEL_STD))
    h, w = frame.resized_hw
    return F.pad((small - mean) / std, (0, side - w, 0, side - h))


def resized(images: Float[Tensor, "b 3 h w"], frame: Frame) -> Float[Tensor, "b 3 g f"]:
    """Images at the size that they have in the square."""
    return F.interpolate(
        images, frame.resized_hw, mode="bilinear", align_corners=False, antialias=True
    )


def from_square(low: Float[Tensor, "n k l l"], frame: Frame) -> Float[Tensor, "n k h w"]:
    """Logits over the square at the size of the image: up, cut, and to its size."""
    square = F.interpolate(low, (frame.side, frame.side), mode="bilinear", align_corners=False)
    h, w = frame.resized_hw
    inside = square[:, :, :h, :w]
    return F.interpolate(inside, frame.image_hw, mode="bilinear", align_corners=False)


def fingerprint(network: Sam) -> str:
    """Eight digits that tell networks apart: the last layers of the encoder, and the decoder."""
    digest = 0
    for key, value in sorted(network.state_dict().items()):
        if not key.startswith("image_encoder") or ".neck." in key:
            digest = zlib.crc32(np.ascontiguousarray(value.cpu().numpy()).tobytes(), digest)
    return f"{digest:08x}"


@contextmanager
def _answering(network: Sam) -> Iterator[None]:
    """No gradients, and eval mode while it lasts: batch norm must not learn from prompts."""
    training = network.training
    if training:
        network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        if training:
            network.train()
