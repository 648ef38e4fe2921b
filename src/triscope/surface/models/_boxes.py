"""Boxes as networks see them: anchors, offsets, matching, suppression (R-CNN, arXiv:1311.2524)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import nms

Weights = tuple[float, float, float, float]
MOST_SCALING = math.log(1000 / 16)  # of a width or height by an offset


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Float[Tensor, "a 4"]:
    """Anchors around the origin, whole pixels: areas size**2, ratios height : width."""
    size = torch.tensor(sizes, dtype=torch.float32)
    tall = torch.tensor(ratios, dtype=torch.float32).sqrt()
    w = (1 / tall)[:, None] * size
    h = tall[:, None] * size
    w, h = w.flatten(), h.flatten()
    return (torch.stack([-w, -h, w, h], 1) / 2).round()


def grid_anchors(
    cells: Float[Tensor, "a 4"], size: tuple[int, int], stride: tuple[int, int]
) -> Float[Tensor, "n 4"]:
    """The anchors of each place of a map (rows, columns, then cells), xyxy in input pixels."""
    x = torch.arange(size[1], device=cells.device) * stride[1]
    y = torch.arange(size[0], device=cells.device) * stride[0]
    y, x = torch.meshgrid(y, x, indexing="ij")
    places = torch.stack([x, y, x, y], -1).reshape(-1, 1, 4)
    return (places + cells).reshape(-1, 4)


def encode(
    boxes: Float[Tensor, "n 4"], reference: Float[Tensor, "n 4"], weights: Weights
) -> Float[Tensor, "n 4"]:
    """Offsets (dx, dy, dw, dh) that turn the reference boxes into the boxes."""
    size, own = _size(boxes), _size(reference)
    shift = (_centre(boxes, size) - _centre(reference, own)) / own
    return torch.cat([shift, (size / own).log()], 1) * boxes.new_tensor(weights)


def decode(
    offsets: Float[Tensor, "*n 4"], reference: Float[Tensor, "*m 4"], weights: Weights
) -> Float[Tensor, "*n 4"]:
    """The boxes that the offsets make of the reference boxes."""
    size = _size(reference)
    offsets = offsets / offsets.new_tensor(weights)
    centre = offsets[..., :2] * size + _centre(reference, size)
    half = offsets[..., 2:].clamp(max=MOST_SCALING).exp() * size / 2
    return torch.cat([centre - half, centre + half], -1)


def clip(boxes: Float[Tensor, "*n 4"], size: tuple[int, int]) -> Float[Tensor, "*n 4"]:
    """The boxes inside an image of size (h, w)."""
    h, w = size
    x = boxes[..., 0::2].clamp(0, w)
    y = boxes[..., 1::2].clamp(0, h)
    return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], -1)


def iou(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Intersection over union of all pairs."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    area_a, area_b = _size(a).prod(1), _size(b).prod(1)
    return inter / (area_a[:, None] + area_b[None, :] - inter).clamp_min(1e-9)


def match(
    overlap: Float[Tensor, "n m"], low: float, high: float, *, best_of_each: bool
) -> Int[Tensor, "n"]:
    """For each of n boxes the truth it stands for; -1: none; -2: neither (between the thresholds).

    ``best_of_each``: the boxes that overlap a truth most stand for it, however little it is.
    """
    if overlap.shape[1] == 0:
        return torch.full((overlap.shape[0],), -1, dtype=torch.int64, device=overlap.device)
    best, index = overlap.max(1)
    found = index.clone()
    found[best < high] = -2
    found[best < low] = -1
    if best_of_each:
        most = overlap.max(0).values
        rows = ((overlap == most) & (most > 0)).any(1)
        found[rows] = index[rows]
    return found


def sample(
    matches: Int[Tensor, "n"], count: int, share: float
) -> tuple[Bool[Tensor, "n"], Bool[Tensor, "n"]]:
    """At most ``count`` boxes at random, at most ``share`` of them positive: masks (+, -)."""
    positive = (matches >= 0).nonzero().flatten()
    negative = (matches == -1).nonzero().flatten()
    wanted = min(len(positive), int(count * share))
    spared = min(len(negative), count - wanted)
    masks = []
    for rows, some in ((positive, wanted), (negative, spared)):
        mask = torch.zeros_like(matches, dtype=torch.bool)
        mask[rows[torch.randperm(len(rows), device=rows.device)[:some]]] = True
        masks.append(mask)
    return masks[0], masks[1]


def highest(
    scores: Float[Tensor, "b n"], count: int
) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """The ``count`` highest scores of each row with their places; of equal ones the first.

    So ONNX chooses among equal scores; ``topk`` of PyTorch does not say which it takes. Small
    regions at the border of an image pool the same features and do score alike.
    """
    count = min(count, scores.shape[1])
    if torch.compiler.is_exporting():
        return scores.topk(count, dim=1)
    best, index = scores.sort(dim=1, descending=True, stable=True)
    return best[:, :count], index[:, :count]


def suppress(
    boxes: Float[Tensor, "b n 4"],
    scores: Float[Tensor, "b n"],
    groups: Int[Tensor, "b n"],
    overlap: float,
) -> Float[Tensor, "b n"]:
    """The scores, -1 for boxes that a better one of the same image and group overlaps.

    All images at once: boxes of another image or group are moved out of reach, so that the size
    of the answer does not depend on what is found.
    """
    b, n = scores.shape
    image = torch.arange(b, device=boxes.device)[:, None]
    lane = image * (groups.max() + 1) + groups  # (b, n)
    reach = boxes.max() + 1
    moved = boxes + (lane.to(boxes.dtype) * reach)[..., None]
    kept = nms(moved.reshape(-1, 4), scores.reshape(-1), overlap)
    keep = torch.zeros_like(scores).reshape(-1).scatter(0, kept, 1.0).reshape(b, n)
    return torch.where(keep > 0, scores, torch.full_like(scores, -1.0))


def _size(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 2"]:
    return boxes[..., 2:] - boxes[..., :2]


def _centre(boxes: Float[Tensor, "*n 4"], size: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
    return boxes[..., :2] + 0.5 * size
