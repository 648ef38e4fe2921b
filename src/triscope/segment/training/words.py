"""Teach a head to turn CLIP's embedding of an object's picture into a prompt; the network rests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from triscope.errors import EmptyData
from triscope.kernel.train import Report, train
from triscope.segment.evaluate.cases import Case
from triscope.segment.frame import Frame, as_rgb
from triscope.segment.models.sam import Sam
from triscope.segment.text import Clip, TextHead, TextTask, examples
from triscope.segment.training.finetune import plan_of, shares_of
from triscope.segment.training.settings import WordSettings
from triscope.segment.training.task import Recipe


class HeadTask(TextTask):
    """Words with a network at rest: only the head learns."""

    def __init__(self, network: Sam, head: TextHead) -> None:
        super().__init__(network, head, Recipe(clicks=0, rounds_without=0))
        network.requires_grad_(False)

    def losses(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As of the task; the statistics of the network stay what they are."""
        self._network.eval()
        return super().losses(batch)


def fit_words(
    network: Sam,
    clip: Clip,
    cases: Iterable[Case],
    settings: WordSettings = WordSettings(),
    folder: Path | None = None,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
) -> tuple[TextHead, Report]:
    """A head for this network and this CLIP; goes on from ``folder``."""
    shown = Shown(clip, cases, network, settings)
    torch.manual_seed(settings.seed)
    head = TextHead(clip.width, network.prompt_encoder.width)
    plan = plan_of(settings)
    try:
        key = f"words {clip.width} {len(shown.rows)}"
        report = train(HeadTask(network, head), shown, plan, folder, progress, key=key)
    finally:
        network.requires_grad_(True)
    return head.eval(), report


class Shown:
    """Inputs, masks and what CLIP sees of each object: once alone and once with its surroundings.

    CLIP looks once, before the training; a batch draws masks and views anew each epoch.
    """

    def __init__(
        self, clip: Clip, cases: Iterable[Case], network: Sam, settings: WordSettings
    ) -> None:
        self.settings, self.side, self.cells = settings, network.image_size, network.mask_size
        rows = (self._row(clip, case) for case in cases)
        self.rows = [row for row in rows if row is not None]
        if not self.rows:
            raise EmptyData(
                f"no mask of {settings.fewest_px} pixels or more to learn from: "
                "give larger ones, or lower --fewest-px."
            )

    def _row(self, clip: Clip, case: Case) -> tuple[Tensor, Tensor, Tensor] | None:
        masks = [mask for mask in case.masks if mask.sum() >= self.settings.fewest_px]
        if not masks:
            return None
        frame = Frame((case.image.shape[0], case.image.shape[1]), self.side)
        shares = np.stack([shares_of(frame, mask, self.cells) for mask in masks])
        rng = np.random.default_rng(self.settings.seed)
        views = [examples(clip, case.image, masks, rng) for _ in range(self.settings.views)]
        pixels = torch.from_numpy(frame.pixels(as_rgb(case.image))[0])
        return (
            pixels,
            torch.from_numpy(shares / np.float32(255)),
            torch.stack(views, dim=1),
        )  # (k, views, d)

    def __call__(self, epoch: int) -> Sequence[dict[str, Tensor]]:
        """Batches of one epoch: each image once."""
        rng = np.random.default_rng([self.settings.seed, epoch])
        order = rng.permutation(len(self.rows))
        size = min(self.settings.batch, len(order))
        starts = range(0, len(order) - size + 1, size)
        return [self._batch(order[start : start + size].tolist(), rng) for start in starts]

    def _batch(self, numbers: list[int], rng: np.random.Generator) -> dict[str, Tensor]:
        out: dict[str, list[Any]] = {"images": [], "masks": [], "embeddings": []}
        for pixels, shares, seen in (self.rows[number] for number in numbers):
            few = len(shares) < self.settings.masks
            chosen = rng.choice(len(shares), self.settings.masks, replace=few)
            views = rng.integers(seen.shape[1], size=len(chosen))
            out["images"].append(pixels)
            out["masks"].append(shares[chosen])
            out["embeddings"].append(seen[chosen, views])
        return {name: torch.stack(parts) for name, parts in out.items()}
