"""Fine-tuning on images with masks: the decoder alone, LoRA on the encoder, or everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from triscope.errors import EmptyData
from triscope.kernel.train import Plan, Report, train
from triscope.segment.evaluate.cases import Case
from triscope.segment.frame import Frame, as_rgb
from triscope.segment.models.sam import Sam
from triscope.segment.training.lora import add_lora, merge_lora
from triscope.segment.training.settings import Part, Settings, WordSettings
from triscope.segment.training.task import PromptableTask, Recipe


class FineTuning(PromptableTask):
    """The promptable task with a part of the network at rest."""

    def __init__(self, network: Sam, recipe: Recipe, part: Part, rank: int = 4) -> None:
        super().__init__(network, recipe)
        self.part = part
        if part != "full":
            network.image_encoder.requires_grad_(False)
        if part == "lora":
            add_lora(network.image_encoder, rank)

    def losses(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As of the task; batch statistics of an encoder at rest stay what they are."""
        if self.part != "full":
            self._network.image_encoder.eval()
        return super().losses(batch)

    def finish(self) -> Sam:
        """The network with its published keys, everything learnable again."""
        merge_lora(self._network.image_encoder)
        self._network.requires_grad_(True)
        return self._network.eval()


def finetune(
    network: Sam,
    cases: Iterable[Case],
    settings: Settings = Settings(),
    folder: Path | None = None,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
) -> Report:
    """Teach the network the masks of these images, in place; goes on from ``folder``."""
    examples = Examples(cases, network, settings)
    recipe = Recipe(clicks=settings.clicks, rounds_without=settings.rounds_without)
    task = FineTuning(network, recipe, settings.part, settings.rank)
    key = f"{settings.part} {settings.rank} {len(examples.rows)}"
    try:
        return train(task, examples, plan_of(settings), folder, progress, key=key)
    finally:
        task.finish()


def plan_of(settings: Settings | WordSettings) -> Plan:
    """A short warm-up, then a cosine: of whatever learns on few images."""
    return Plan.of(
        settings,
        weight_decay=0.01,
        optimizer="adamw",
        schedule="cosine",
        warm_up=min(20, settings.steps // 10),
        clip=1.0,
        checkpoint_every=50,
    )


class Examples:
    """Inputs and masks of the cases, held in memory as bytes; a batch is drawn anew each epoch."""

    def __init__(self, cases: Iterable[Case], network: Sam, settings: Settings) -> None:
        self.settings, self.side = settings, network.image_size
        self.cells = network.mask_size
        self.rows = [self._row(case) for case in cases if case.masks]
        if not self.rows:
            raise EmptyData("no image with a mask to learn from: give at least one.")

    def _row(self, case: Case) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]], Frame]:
        frame = Frame((case.image.shape[0], case.image.shape[1]), self.side)
        shares = [shares_of(frame, mask, self.cells) for mask in case.masks]
        return frame.resize(as_rgb(case.image)), shares, frame

    def __call__(self, epoch: int) -> Sequence[dict[str, Tensor]]:
        """Batches of one epoch: each image once, its masks drawn at random."""
        rng = np.random.default_rng([self.settings.seed, epoch])
        order = rng.permutation(len(self.rows))
        size = min(self.settings.batch, len(order))
        groups = [order[i : i + size] for i in range(0, len(order) - size + 1, size)]
        seeds = rng.integers(2**32, size=len(groups))
        return [self._batch(group, int(seed)) for group, seed in zip(groups, seeds, strict=True)]

    def _batch(self, group: NDArray[np.int64], seed: int) -> dict[str, Tensor]:
        rng = np.random.default_rng(seed)
        images, masks = [], []
        for i in group:
            pixels, shares, frame = self.rows[int(i)]
            few = len(shares) < self.settings.masks
            chosen = rng.choice(len(shares), self.settings.masks, replace=few)
            images.append(Frame(frame.resized_hw, self.side).pixels(pixels)[0])
            masks.append(np.stack([shares[k] for k in chosen]).astype(np.float32) / 255)
        return {
            "images": torch.from_numpy(np.stack(images)),
            "masks": torch.from_numpy(np.stack(masks)),
        }


def shares_of(frame: Frame, mask: NDArray[np.bool_], cells: int) -> NDArray[np.uint8]:
    """What share of each cell (l, l) of the square a mask of the image covers, in 255ths."""
    h, w = frame.resized_hw
    square = np.zeros((frame.side, frame.side), np.float32)
    square[:h, :w] = cv2.resize(mask.astype(np.float32), (w, h), interpolation=cv2.INTER_AREA)
    small = cv2.resize(square, (cells, cells), interpolation=cv2.INTER_AREA)
    return np.asarray(np.round(small * 255), np.uint8)


def learns(module: nn.Module) -> int:
    """How many parameters learn."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
