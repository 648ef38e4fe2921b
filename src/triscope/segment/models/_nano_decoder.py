"""The mask decoder of ``sam_nano``: that of the paper, told where prompts lie and what is there.

The published decoder knows a prompt by tokens alone and learns from a billion masks what they
mean. This one also gets the prompts drawn at the resolution of the masks, and how much each place
looks like what was pointed at; the upscaled image is joined with details of the encoder
(arXiv:2408.00714) and looks at its neighbours.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from triscope.segment.models._drawn_prompts import MAPS
from triscope.segment.models._layers import MLP
from triscope.segment.models._mask_decoder import MaskDecoder, each
from triscope.segment.models._nano_encoder import unfolded

REGIONS = 5  # under inside clicks, under outside clicks, in the box, around it, in the mask


class NanoDecoder(MaskDecoder):
    """As ``MaskDecoder``, for embeddings of ``NanoEncoder`` and prompts of ``DrawnPrompts``."""

    def __init__(
        self, *, width: int, heads: int, hidden: int, masks: int = 4, likeness: int = 8
    ) -> None:
        super().__init__(width=width, heads=heads, hidden=hidden, masks=masks, depth=1)
        middle, fine = width // 4, width // 8
        self.widths, self.likeness = (width, middle, fine), likeness
        self.embedding_width = width + 4 * middle + 16 * fine
        self.shown = nn.Conv2d(16 * MAPS, width, kernel_size=1)
        self.alike = nn.Conv2d(REGIONS * likeness, width, kernel_size=1)
        self.shown_fine = nn.Conv2d(MAPS + REGIONS * 4, fine, kernel_size=1)
        self.around, self.around_fine = Neighbours(middle), Neighbours(fine)
        self.quality = MLP(fine + 3 + width, 64, 1)
        del self.iou_prediction_head
        del self.output_upscaling
        self.up1 = nn.ConvTranspose2d(width, middle, kernel_size=2, stride=2)
        self.up2 = nn.ConvTranspose2d(middle, fine, kernel_size=2, stride=2)

    def forward(
        self,
        embedding: Float[Tensor, "e d g g"],
        dense_pe: Float[Tensor, "1 c g g"],
        sparse: Float[Tensor, "n k c"],
        dense: Float[Tensor, "n f g g"],
    ) -> tuple[Float[Tensor, "n m l l"], Float[Tensor, "n m"]]:
        """Logits of all masks (token 0 first) and their predicted IoU."""
        n, grid = dense.shape[0], dense.shape[2]
        coarse, middle, fine = unfolded(embedding, self.widths)
        dense, folded = dense[:, : self.width], dense[:, self.width :]
        maps = F.pixel_shuffle(folded, 4)  # (n, MAPS, l, l)
        where = regions(maps)
        image = dense + self.shown(folded)
        image = image + self.alike(alike(coarse, F.avg_pool2d(where, 4), self.likeness))
        image = each(image, coarse).flatten(2).transpose(1, 2)  # (n, g*g, c)
        positions = dense_pe.flatten(2).transpose(1, 2)  # (1, g*g, c)
        tokens, seen = self.transformer(self.tokens(sparse), image, positions)
        image = seen.transpose(1, 2).reshape(n, -1, grid, grid)
        image = self.around(F.relu(each(self.up1(image), middle)))
        told = self.shown_fine(torch.cat([maps, alike(fine, where, 4)], dim=1))
        image = self.around_fine(F.relu(each(self.up2(image) + told, fine)))
        logits = (self.vectors(tokens) @ image.flatten(2)).unflatten(2, image.shape[2:])
        return logits, self._judged(logits, image, tokens)

    def _judged(
        self,
        logits: Float[Tensor, "n m l l"],
        image: Float[Tensor, "n v l l"],
        tokens: Float[Tensor, "n t c"],
    ) -> Float[Tensor, "n m"]:
        """The IoU that each mask may have: by what it covers, and by how sure its cells are."""
        flat = logits.flatten(2).detach()
        p = flat.sigmoid()  # (n, m, l*l)
        whole = p.sum(dim=2, keepdim=True) + 1
        covered = (p @ image.flatten(2).transpose(1, 2).detach()) / whole  # (n, m, v)
        doubt = (p * (1 - p)).sum(dim=2, keepdim=True) / whole
        sure = (p * p).sum(dim=2, keepdim=True) / whole
        size = p.mean(dim=2, keepdim=True).sqrt()
        own = tokens[:, 1 : 1 + self.masks]
        return self.quality(torch.cat([covered, doubt, sure, size, own], dim=2))[..., 0]


class Neighbours(nn.Module):
    """Two 3x3 convolutions, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        x = x.contiguous(memory_format=torch.channels_last)
        return x + self.conv2(F.relu(self.conv1(x)))


def regions(maps: Float[Tensor, "n 4 l l"]) -> Float[Tensor, "n 5 l l"]:
    """Weights of the places that say what things look like: ``REGIONS``."""
    box = maps[:, 2:3]
    ring = F.max_pool2d(box, 7, stride=1, padding=3) - box
    return torch.cat([maps[:, :3], ring, maps[:, 3:].relu()], dim=1)


def alike(
    image: Float[Tensor, "e c h w"], where: Float[Tensor, "n r h w"], heads: int
) -> Float[Tensor, "n k h w"]:
    """How near each place comes to the mean of each region, by groups of channels; in [0, 1].

    Where a region is empty, nothing is alike.
    """
    n, count, h, w = where.shape
    e = image.shape[0]
    flat, weight = image.flatten(2), where.reshape(e, -1, h * w)  # (e, c, p), (e, n/e*r, p)
    total = weight.sum(dim=2, keepdim=True)
    mean = (weight @ flat.transpose(1, 2)) / total.clamp(min=1e-3)  # (e, n/e*r, c)
    # |a - b|^2 = |a|^2 - 2ab + |b|^2, for each group of channels
    groups = mean.reshape(e, -1, heads, flat.shape[1] // heads).transpose(1, 2)  # (e, k, n/e*r, d)
    values = flat.reshape(e, heads, -1, h * w)  # (e, k, d, p)
    square = groups.square().sum(3, keepdim=True) + values.square().sum(2)[:, :, None]
    away = (square - 2 * (groups @ values)) / values.shape[2]  # (e, k, n/e*r, p)
    near = (-away.relu()).exp() * (total > 0).to(flat.dtype)[:, None]
    return (
        near.reshape(e, heads, n // e, count, h * w).transpose(1, 2).reshape(n, heads * count, h, w)
    )
