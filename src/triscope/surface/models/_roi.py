"""What happens to each proposed region: pooling, class and box (Faster R-CNN, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from triscope.surface.models import _boxes

WEIGHTS: _boxes.Weights = (10.0, 10.0, 5.0, 5.0)
SAMPLES = 2  # points a side in each bin of RoI align
CANONICAL = 224.0  # side of a region that belongs to the level of stride 16 (arXiv:1612.03144)
Maps = Sequence[Float[Tensor, "b c _ _"]]
HeadKind = Literal["average", "dense"]
Answer = tuple[Float[Tensor, "k _"], Float[Tensor, "k _"]]


@dataclass(frozen=True)
class Detecting:
    """Which regions teach the heads, and which detections are answered."""

    sampled: int = 64  # regions an image in the loss
    share: float = 0.25  # of them that are objects, at most
    found: float = 0.5  # IoU with the truth from which a region is an object
    balance: float = 2.0  # weight of the box loss (lambda of the paper)
    beta: float = 1.0  # where smooth L1 turns from a square into a line
    threshold: float = 0.05  # score from which a detection is answered
    overlap: float = 0.5  # IoU above which the weaker detection of a class is dropped
    candidates: int = 1000  # detections an image before suppression
    most: int = 100  # detections an image after it


class AverageHead(nn.Module):
    """7x7 bins, global average pooling, two linear heads (DDN, section III-C).

    Pooling and heads are linear, so the heads run first, on the map, as 1x1 convolutions: the same
    answer from pooling 5 C + 1 channels in place of all.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, classes + 1)
        self.box = nn.Linear(channels, 4 * classes)
        start(self.score, self.box)

    def forward(self, maps: Maps, regions: Float[Tensor, "k 5"], size: tuple[int, int]) -> Answer:
        weight = torch.cat([self.score.weight, self.box.weight])[..., None, None]
        scores = self.score.out_features
        projected = F.conv2d(maps[0], weight)  # (b, 5 C + 1, h, w)
        pooled = pool(projected, regions, size, 7).mean((2, 3))  # (k, 5 C + 1)
        return pooled[:, :scores] + self.score.bias, pooled[:, scores:] + self.box.bias


class StageHead(nn.Module):
    """Each region of R4 goes through the last stage of the backbone (arXiv:1512.03385, A)."""

    def __init__(self, stage: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.stage = stage
        self.score = nn.Linear(channels, classes + 1)
        self.box = nn.Linear(channels, 4 * classes)
        start(self.score, self.box)

    def forward(self, maps: Maps, regions: Float[Tensor, "k 5"], size: tuple[int, int]) -> Answer:
        pooled = self.stage(pool(maps[0], regions, size, 14)).mean((2, 3))
        return self.score(pooled), self.box(pooled)


class DenseHead(nn.Module):
    """Two hidden layers on 7x7 bins of the level that fits the region (arXiv:1612.03144, 4.2)."""

    def __init__(self, channels: int, classes: int, *, levels: int = 1, hidden: int = 1024) -> None:
        super().__init__()
        self.levels = levels
        self.fc6 = nn.Linear(channels * 49, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.score = nn.Linear(hidden, classes + 1)
        self.box = nn.Linear(hidden, 4 * classes)
        start(self.score, self.box)

    def forward(self, maps: Maps, regions: Float[Tensor, "k 5"], size: tuple[int, int]) -> Answer:
        pooled = pool_levels(maps[: self.levels], regions, size, 7)
        x = F.relu(self.fc7(F.relu(self.fc6(pooled.flatten(1)))))
        return self.score(x), self.box(x)


class CompressedHead(nn.Module):
    """A convolution to fewer channels before the hidden layers: on the map, once for all regions.

    3x3 to 63 channels in HyperNet (arXiv:1604.00600).
    """

    def __init__(
        self, channels: int, classes: int, *, width: int, kernel: int, hidden: int = 1024
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, padding=(kernel - 1) // 2)
        self.dense = DenseHead(width, classes, levels=1, hidden=hidden)

    def forward(self, maps: Maps, regions: Float[Tensor, "k 5"], size: tuple[int, int]) -> Answer:
        return self.dense([F.relu(self.conv(maps[0]))], regions, size)


def head_of(kind: HeadKind, channels: int, classes: int) -> nn.Module:
    """The heads of a single map.

    ``dense`` knows where in a region something lies, which an average has to guess: 64 channels and
    512 units, for few updates and small backbones, at little cost a region.
    """
    if kind == "average":
        return AverageHead(channels, classes)
    return CompressedHead(channels, classes, width=64, kernel=1, hidden=512)


def start(score: nn.Linear, box: nn.Linear) -> None:
    """Small weights: no class and no offset is preferred at the start."""
    for layer, std in ((score, 0.01), (box, 0.001)):
        nn.init.normal_(layer.weight, std=std)
        nn.init.zeros_(layer.bias)


def pool(
    x: Float[Tensor, "b c h w"], regions: Float[Tensor, "k 5"], size: tuple[int, int], bins: int
) -> Float[Tensor, "k c s s"]:
    """RoI align of regions (image, x0, y0, x1, y1) in pixels of an input (h, w)."""
    return roi_align(x, regions, bins, x.shape[-2] / size[0], SAMPLES)


def pool_levels(
    maps: Maps, regions: Float[Tensor, "k 5"], size: tuple[int, int], bins: int
) -> Float[Tensor, "k c s s"]:
    """RoI align on the level that fits each region: stride 16 for a side of 224 pixels."""
    if len(maps) == 1:
        return pool(maps[0], regions, size, bins)
    side = (regions[:, 3:] - regions[:, 1:3]).prod(1).clamp_min(0).sqrt()
    level = (4 + torch.log2(side / CANONICAL) + 1e-6).floor().clamp(2, 1 + len(maps)) - 2
    answer = None
    for i, x in enumerate(maps):
        some = pool(x, regions, size, bins) * (level == i)[:, None, None, None]
        answer = some if answer is None else answer + some
    assert answer is not None
    return answer


def regions_of(boxes: Float[Tensor, "b p 4"]) -> Float[Tensor, "k 5"]:
    """Boxes of a batch as rows (image, x0, y0, x1, y1)."""
    b, p, _ = boxes.shape
    image = torch.arange(b, device=boxes.device, dtype=boxes.dtype)[:, None, None]
    return torch.cat([image.expand(b, p, 1), boxes], 2).reshape(-1, 5)


def teach(
    boxes: Float[Tensor, "b p 4"],
    truths: Sequence[Float[Tensor, "_ 4"]],
    classes: Sequence[Tensor],
    how: Detecting,
) -> tuple[Float[Tensor, "k 5"], Tensor, Float[Tensor, "k 4"]]:
    """Sampled regions with their classes (0: background) and the offsets to learn."""
    regions, labels, targets = [], [], []
    for i, (truth, label) in enumerate(zip(truths, classes, strict=True)):
        some = torch.cat([boxes[i], truth])
        matches = _boxes.match(_boxes.iou(some, truth), how.found, how.found, best_of_each=False)
        positive, negative = _boxes.sample(matches, how.sampled, how.share)
        chosen = (positive | negative).nonzero().flatten()
        some, index = some[chosen], matches[chosen]
        regions.append(torch.cat([torch.full_like(some[:, :1], i), some], 1))
        target = truth[index.clamp_min(0)] if len(truth) else some
        targets.append(
            _boxes.encode(torch.where((index >= 0)[:, None], target, some), some, WEIGHTS)
        )
        named = label[index.clamp_min(0)] + 1 if len(truth) else torch.zeros_like(index)
        labels.append(torch.where(index >= 0, named, torch.zeros_like(named)))
    return torch.cat(regions), torch.cat(labels), torch.cat(targets)


def losses(
    answer: Answer, labels: Tensor, targets: Float[Tensor, "k 4"], how: Detecting
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy of the classes, and smooth L1 of the boxes of objects."""
    logits, offsets = answer
    k = max(1, len(labels))
    rows = (labels > 0).nonzero().flatten()
    own = offsets.view(len(labels), -1, 4)[rows, labels[rows] - 1]
    place = F.smooth_l1_loss(own, targets[rows], beta=how.beta, reduction="sum") / k
    return F.cross_entropy(logits, labels), place


def detect(
    answer: Answer,
    boxes: Float[Tensor, "b p 4"],
    scores: Float[Tensor, "b p"],
    size: tuple[int, int],
    how: Detecting,
) -> tuple[Float[Tensor, "b d 4"], Tensor, Float[Tensor, "b d"]]:
    """Boxes, classes (0 is the first) and scores, best first; what was not found scores 0."""
    b, p, _ = boxes.shape
    logits, offsets = answer
    chance = logits.softmax(1)[:, 1:].view(b, p, -1)  # (b, p, C)
    c = chance.shape[2]
    chance = chance.masked_fill((scores < 0)[..., None], 0.0).reshape(b, -1)  # (b, p*C)
    best, index = _boxes.highest(chance, how.candidates)
    moved = offsets.view(b, p * c, 4).gather(1, index[..., None].expand(-1, -1, 4))
    place = torch.div(index, c, rounding_mode="floor")
    label = index - place * c
    base = boxes.gather(1, place[..., None].expand(-1, -1, 4))
    found = _boxes.clip(_boxes.decode(moved, base, WEIGHTS), size)
    weak = (best <= how.threshold) | ((found[..., 2:] - found[..., :2]).amin(-1) < 1e-2)
    kept = _boxes.suppress(found, best.masked_fill(weak, 0.0), label, how.overlap)
    kept = kept.masked_fill(weak, 0.0).clamp_min(0)
    best, index = _boxes.highest(kept, how.most)
    found = found.gather(1, index[..., None].expand(-1, -1, 4))
    return found, label.gather(1, index), best
