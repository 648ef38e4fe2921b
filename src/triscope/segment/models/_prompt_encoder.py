"""The prompt encoder: points, boxes, masks and free tokens, arXiv:2304.02643 section 3, appendix A.

Positions are random Fourier features (arXiv:2006.10739). Module names are the published keys.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from triscope.segment.models._layers import LayerNorm2d

NEGATIVE, POSITIVE, TOP_LEFT, BOTTOM_RIGHT, PADDING = 0, 1, 2, 3, -1  # labels of points


class PromptEncoder(nn.Module):
    """Prompts in the frame of the model's input to sparse tokens and a dense map."""

    def __init__(
        self,
        *,
        width: int,
        image_size: int,
        grid: int,
        mask_width: int = 16,
    ) -> None:
        super().__init__()
        self.width, self.image_size, self.grid = width, image_size, grid
        self.pe_layer = FourierPositions(width // 2)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, width)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_width // 4, kernel_size=2, stride=2),
            LayerNorm2d(mask_width // 4),
            nn.GELU(),
            nn.Conv2d(mask_width // 4, mask_width, kernel_size=2, stride=2),
            LayerNorm2d(mask_width),
            nn.GELU(),
            nn.Conv2d(mask_width, width, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, width)

    def forward(
        self,
        points: Float[Tensor, "n p 2"] | None = None,
        labels: Shaped[Tensor, "n p"] | None = None,
        boxes: Float[Tensor, "n 4"] | None = None,
        masks: Float[Tensor, "n 1 m m"] | None = None,
        tokens: Float[Tensor, "n t c"] | None = None,
    ) -> tuple[Float[Tensor, "n k c"], Float[Tensor, "n c g g"]]:
        """Sparse tokens (points, padding, box corners, free tokens in this order) and dense map."""
        sparse = self.sparse(points, labels, boxes, tokens)
        if sparse is None:
            sparse = self.no_mask_embed.weight.new_zeros(_count(masks), 0, self.width)
        return sparse, self.dense(masks, sparse.shape[0])

    def sparse(
        self,
        points: Float[Tensor, "n p 2"] | None,
        labels: Shaped[Tensor, "n p"] | None,
        boxes: Float[Tensor, "n 4"] | None,
        tokens: Float[Tensor, "n t c"] | None,
    ) -> Float[Tensor, "n k c"] | None:
        """Tokens of all prompts but masks; None without any."""
        parts: list[Tensor] = []
        if points is not None:
            if labels is None:
                raise ValueError("points need labels: 1 inside, 0 outside, -1 padding")
            if boxes is None:  # the published encoder pads only when no box follows
                points = torch.cat([points, points.new_zeros(len(points), 1, 2)], dim=1)
                labels = torch.cat([labels, labels.new_full((len(labels), 1), PADDING)], dim=1)
            parts.append(self.corners_and_points(points, labels))
        if boxes is not None:
            corners = torch.tensor([[TOP_LEFT, BOTTOM_RIGHT]], device=boxes.device)
            pairs = boxes.reshape(-1, 2, 2)
            parts.append(self.corners_and_points(pairs, corners.expand(len(pairs), 2)))
        if tokens is not None:
            parts.append(tokens)
        return torch.cat(parts, dim=1) if parts else None

    def corners_and_points(
        self, points: Float[Tensor, "n p 2"], labels: Shaped[Tensor, "n p"]
    ) -> Float[Tensor, "n p c"]:
        """Position code plus the embedding of the label; padding has no position."""
        codes = self.pe_layer((points + 0.5) / self.image_size)  # (n, p, c)
        padding = labels[..., None] == PADDING
        codes = torch.where(padding, self.not_a_point_embed.weight, codes)
        table = torch.cat([kind.get_parameter("weight") for kind in self.point_embeddings])
        chosen = labels[..., None] == torch.arange(len(table), device=labels.device)  # (n, p, 4)
        return codes + chosen.to(codes.dtype) @ table

    def dense(self, masks: Float[Tensor, "n 1 m m"] | None, count: int) -> Float[Tensor, "n c g g"]:
        """Embedded mask logits, or the embedding that stands for their absence."""
        if masks is not None:
            return self.mask_downscaling(masks)
        absent = self.no_mask_embed.weight.reshape(1, -1, 1, 1)
        return absent.expand(count, -1, self.grid, self.grid)

    def dense_pe(self) -> Float[Tensor, "1 c g g"]:
        """Position codes of the cells of the image embedding."""
        steps = (torch.arange(self.grid, device=self.no_mask_embed.weight.device) + 0.5) / self.grid
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        return self.pe_layer(torch.stack([x, y], dim=-1)).permute(2, 0, 1)[None]


class FourierPositions(nn.Module):
    """Positions in [0, 1] to sines and cosines of random frequencies."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, frequencies: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, frequencies))

    def forward(self, xy: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b c"]:
        matrix = self.positional_encoding_gaussian_matrix
        angles = 2 * math.pi * ((2 * xy.to(matrix.dtype) - 1) @ matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _count(masks: Tensor | None) -> int:
    return 1 if masks is None else len(masks)
