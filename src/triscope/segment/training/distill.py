"""A small encoder learns what a large one says, MobileSAM's way (arXiv:2306.14289 section 3.2).

The decoder is kept: only the embeddings are learned, by their mean squared error ("decoupled
distillation"). The teacher's embeddings are computed once and kept in half precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from triscope.errors import EmptyData, UsageError
from triscope.kernel.train import Plan, Report, train
from triscope.segment.frame import Frame, as_rgb
from triscope.segment.models._tiny_vit import Stage, TinyViT
from triscope.segment.models.sam import Sam
from triscope.segment.predictor import Predictor


class Distillation:
    """A student encoder that learns the teacher's embeddings; ``kernel.train`` drives it."""

    def __init__(self, student: nn.Module) -> None:
        self.student = student

    def network(self) -> nn.Module:
        """The student."""
        return self.student

    def losses(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean squared error of the embeddings."""
        found: Float[Tensor, "b d g g"] = self.student(batch["images"]).float()
        wanted = batch["embeddings"].float()
        loss = F.mse_loss(found, wanted)
        return {"loss": loss, "relative": loss / wanted.pow(2).mean()}


def small_encoder(teacher: Sam, widths: tuple[int, int, int] = (32, 64, 128)) -> TinyViT:
    """A TinyViT with the output of the teacher's encoder: a sixteenth of its side."""
    first, second, third = widths
    return TinyViT(
        stages=(
            Stage(width=first, depth=1, stride=2),
            Stage(width=second, depth=2, heads=max(second // 32, 1), window=8, stride=2),
            Stage(width=third, depth=4, heads=max(third // 32, 1), window=16),
        ),
        out=teacher.embedding_width,
    )


class Taught:
    """Batches of inputs with the teacher's embeddings, written once into a folder."""

    def __init__(
        self, teacher: Sam, images: Sequence[NDArray[Any]], folder: Path, batch: int, seed: int = 0
    ) -> None:
        if not images:
            raise EmptyData("there is no image to distil on: give at least one.")
        self.images, self.folder = images, folder
        self.batch, self.seed = min(batch, len(images)), seed
        self.predictor = Predictor(teacher)
        folder.mkdir(parents=True, exist_ok=True)

    def example(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
        """Input and embedding of one image; the embedding is made when first asked for."""
        path = self.folder / f"{self.predictor.fingerprint}-{index:08d}.npy"
        rgb = as_rgb(self.images[index])
        pixels = Frame((rgb.shape[0], rgb.shape[1]), self.predictor.side).pixels(rgb)
        if not path.exists():
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                np.save(file, self.predictor._embed(pixels).astype(np.float16))
            part.replace(path)
        return pixels, np.load(path)

    def __call__(self, epoch: int) -> Sequence[dict[str, Tensor]]:
        """One epoch, loaded on access."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.images))
        count = len(order) // self.batch
        return _Lazy(self, [order[i * self.batch : (i + 1) * self.batch] for i in range(count)])


class _Lazy(Sequence[dict[str, Tensor]]):
    def __init__(self, taught: Taught, groups: list[NDArray[np.int64]]) -> None:
        self.taught, self.groups = taught, groups

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return _Lazy(self.taught, self.groups[index])
        pairs = [self.taught.example(int(i)) for i in self.groups[index]]
        return {
            "images": torch.from_numpy(np.concatenate([pixels for pixels, _ in pairs])),
            "embeddings": torch.from_numpy(np.concatenate([found for _, found in pairs])),
        }


def distil(
    teacher: Sam,
    student: nn.Module,
    images: Sequence[NDArray[Any]],
    plan: Plan,
    folder: Path,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
) -> tuple[Sam, Report]:
    """Train the student; answers a network of the student and the teacher's decoder."""
    with torch.no_grad():
        side = teacher.image_size
        blank = torch.zeros(1, 3, side, side)
        found, wanted = student.eval()(blank).shape, teacher.embed(blank).shape
    if found != wanted:
        raise UsageError(
            f"the student answers {tuple(found)}, the teacher {tuple(wanted)}: their embeddings "
            "must have one shape. Build the student with small_encoder(teacher)."
        )
    taught = Taught(teacher, images, folder / "embeddings", plan.batch, plan.seed)
    report = train(
        Distillation(student), taught, plan, folder, progress, key=taught.predictor.fingerprint
    )
    pupil = Sam(
        image_encoder=student,
        prompt_encoder=teacher.prompt_encoder,
        mask_decoder=teacher.mask_decoder,
    )
    return pupil.eval(), report
