"""Images beside the good ones: tinted, painted over, or taken from a folder of other things.

All randomness comes from torch's generator, which the training loop seeds for each step.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from triscope.errors import EmptyData, UnreadableImage

ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def tinted(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Brightness, contrast or saturation times a number in [0.8, 1.2] (algorithm 1)."""
    factor = 0.8 + 0.4 * float(torch.rand(()))
    kind = int(torch.randint(3, ()))
    if kind == 0:
        base = torch.zeros_like(images)
    elif kind == 1:
        base = _grey(images).mean((1, 2, 3), keepdim=True)
    else:
        base = _grey(images)
    return (base + factor * (images - base)).clamp(0, 1)


def painted(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Each image turned, coloured anew, and covered in blobs by noise or by another such image.

    They teach the teacher to tell from each other things that good images do not show.
    """
    turned = torch.rot90(images.flip(0), int(torch.randint(4, ())), (2, 3))
    if turned.shape != images.shape:
        turned = turned.transpose(2, 3)
    mix = torch.eye(3) + 0.4 * torch.randn(3, 3)
    shift = 0.2 * torch.randn(3, 1, 1)
    coloured = torch.einsum("dc,bchw->bdhw", mix.to(images), turned) + shift.to(images)
    noise = torch.stack([_noise(image) for image in images])
    cover = torch.where(_blobs(images), noise, coloured)
    return torch.where(_blobs(images), cover, images).clamp(0, 1)


def _grey(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    weights = torch.tensor((0.299, 0.587, 0.114)).to(images).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def _noise(image: Float[Tensor, "3 h w"]) -> Float[Tensor, "3 h w"]:
    """Coloured noise of one grain, from single pixels to a quarter of the image."""
    h, w = image.shape[-2:]
    cells = [max(2, int(side * 0.25 ** float(torch.rand(())))) for side in (h, w)]
    coarse = 0.5 + 0.5 * torch.rand(3, 1, 1) * torch.randn(1, 3, *cells)
    mode = "bilinear" if float(torch.rand(())) < 0.5 else "nearest"
    return F.interpolate(coarse, size=(h, w), mode=mode)[0].to(image)


def _blobs(images: Float[Tensor, "b 3 h w"]) -> Tensor:
    """Bool (b, 1, h, w): round patches that cover about half of each image."""
    cells = int(torch.randint(3, 12, ()))
    coarse = torch.randn(len(images), 1, cells, cells)
    size = images.shape[-2:]
    return (F.interpolate(coarse, size=size, mode="bicubic", align_corners=False) > 0).to(
        images.device
    )


class Outside:
    """Images of anything else, from a folder; some in grey, as the paper's penalty asks for."""

    def __init__(self, folder: str, size: int) -> None:
        self.size = size
        self.files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in ENDINGS)
        if not self.files:
            raise EmptyData(
                f"outside={folder!r} holds no image ({', '.join(ENDINGS)}). Give a folder of "
                "images of other things, or leave it empty."
            )

    def some(self, count: int) -> Float[Tensor, "b 3 h w"]:
        """That many images drawn by chance, float32 in [0, 1]."""
        chosen = torch.randint(len(self.files), (count,)).tolist()
        grey = (torch.rand(count) < 0.3).view(-1, 1, 1, 1)  # the paper's share of grey ones
        images = torch.stack([self._read(self.files[i]) for i in chosen])
        return torch.where(grey, _grey(images), images)

    def _read(self, file: Path) -> Float[Tensor, "3 h w"]:
        image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise UnreadableImage(f"{file} cannot be decoded as an image. Take it out of outside.")
        image = cv2.resize(image, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return torch.from_numpy(image[:, :, ::-1].copy()).permute(2, 0, 1).float() / 255
