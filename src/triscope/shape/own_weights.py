"""How the stereo weights in this package were trained: generated scenes only, in stages.

R-MVSNet: first the features alone, with the plain sum of the variances as the score of a plane
(that is what a sweep without a regulariser would say); then the recurrent regulariser on features
that stay; then both together; then again on larger photos that differ as those of real rigs do,
with things that stand alone before a plain ground. MVSNet has the same feature network and begins
with what R-MVSNet's learned: its regulariser on features that stay, then both. Each stage goes on
where it was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.train import Plan, Report, train
from triscope.shape.lessons import Batches, lessons
from triscope.shape.models._warp import variance, warped_to
from triscope.shape.models.mvsnet import MVSNet
from triscope.shape.models.rmvsnet import RMVSNet
from triscope.shape.stereo import at_scale, read_weights
from triscope.shape.training import SCALE, planes_of, regressed
from triscope.shape.warp import warp_of

Learned = Literal["features", "planes", "all"]
Told = Callable[[str, int, int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Stage:
    """One part of the training: what learns, on which scenes, for how long."""

    name: str
    learned: Learned
    steps: int
    rate: float
    size: tuple[int, int] = (128, 160)
    rooms: int = 1000
    parts: int = 96
    heaps: int = 0
    first: int = 0  # seed of the first scene
    batch: int = 2
    planes: tuple[int, ...] = (32, 48, 64)
    varied: bool = False  # photos, ranges and numbers of views as different rigs have them


VARIED = Stage(
    "varied", "all", 780, 7e-4, size=(192, 240), rooms=300, parts=100, heaps=140, first=2000,
    batch=1, planes=(24, 32, 48, 96), varied=True,
)  # fmt: skip
STAGES: Mapping[str, tuple[Stage, ...]] = {
    "rmvsnet": (
        Stage("features", "features", 1600, 2e-3),
        Stage("planes", "planes", 300, 2e-3),
        Stage("all", "all", 1250, 1e-3),
        VARIED,
    ),
    "mvsnet": (
        replace(VARIED, name="volume", learned="planes", steps=900, rate=2e-3),
        replace(VARIED, name="together", steps=1200, rate=1e-3),
    ),
}


class Pupil:
    """The network of one stage, as ``kernel.train`` drives it; what it loses is said below."""

    def __init__(self, network: Any, learned: Learned) -> None:
        self._network, self.learned = network, learned

    def network(self) -> Any:
        """The network."""
        return self._network

    def _costs(self, images: Tensor, K: Tensor, poses: Tensor, depths: Tensor) -> list[Tensor]:
        """The variance of each example on each of its planes."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.learned != "planes"):
            with torch.autocast(images.device.type, torch.bfloat16):
                features = self._network.feature_extractor(images.flatten(0, 1))
            features = features.float().reshape(*images.shape[:2], *features.shape[1:])
            return [volume(*one) for one in zip(features, K, poses, depths, strict=True)]


class Sweeps(Pupil):
    """R-MVSNet: cross-entropy with the nearest plane."""

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """The loss, and the share of pixels within a plane of the truth."""
        images, K, poses, depths, truth = batch
        costs = torch.stack(self._costs(images, K, poses, depths), 1)  # (32, b, d, h, w)
        scores = -costs.sum(0) if self.learned == "features" else self._swept(costs)
        found = [planes_of(t, d) for t, d in zip(truth, depths, strict=True)]
        number = torch.stack([index for index, _ in found]).round().long()
        valid = torch.stack([inside for _, inside in found])
        each = F.cross_entropy(scores, number, reduction="none")
        near = (scores.argmax(1) - number).abs() <= 1
        total = valid.sum() + 1e-7
        return {"loss": (each * valid).sum() / total, "near": (near * valid).sum() / total}

    def _swept(self, costs: Float[Tensor, "32 b d h w"]) -> Float[Tensor, "b d h w"]:
        scores, states = [], None
        for cost in costs.movedim(2, 0).transpose(1, 2).contiguous():  # (b, 32, h, w)
            score, states = self._network.plane(-cost, states)
            scores.append(score)
        return torch.stack(scores, 1)


class Expects(Pupil):
    """MVSNet: the absolute error of the expected depth, in planes."""

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """The loss, and the share of pixels within a plane of the truth."""
        images, K, poses, depths, truth = batch
        rows = []
        for cost, planes, true in zip(
            self._costs(images, K, poses, depths), depths.float(), truth, strict=True
        ):
            share = (-self._network.regulariser(cost[None])[0]).softmax(0)
            depth = (share * planes[:, None, None]).sum(0)
            rows.append(torch.stack(regressed(depth, true, planes, *planes_of(true, planes))))
        loss, near = torch.stack(rows).mean(0)
        return {"loss": loss, "near": near.detach()}


def volume(
    features: Float[Tensor, "n 32 h w"], K: Tensor, poses: Tensor, depths: Tensor
) -> Float[Tensor, "32 d h w"]:
    """The variance on all planes; ``K`` belongs to the photos."""
    warp = warp_of(at_scale(K.cpu().numpy(), SCALE), poses.cpu().numpy())
    size = (features.shape[-2], features.shape[-1])
    return variance(features[0, :, None], warped_to(features[1:], warp, depths.cpu(), size))


def run_stage(
    stage: Stage, network: RMVSNet | MVSNet, folder: Path, told: Told | None = None, seed: int = 0
) -> Report:
    """One stage in its folder; the scenes of its size are made there once."""
    where = folder / f"scenes_{stage.size[0]}x{stage.size[1]}"
    found = lessons(where, stage.size, stage.rooms, stage.parts, stage.heaps, first=stage.first)
    plan = Plan(
        steps=stage.steps, batch=stage.batch, learning_rate=stage.rate, optimizer="adam",
        schedule="cosine", warm_up=min(100, stage.steps // 10), clip=1.0, checkpoint_every=100,
        seed=seed, accelerator="cpu",
    )  # fmt: skip

    def progress(step: int, steps: int, losses: Mapping[str, float]) -> None:
        if told is not None:
            told(stage.name, step, steps, losses)

    pupil = (Expects if isinstance(network, MVSNet) else Sweeps)(network, stage.learned)
    batches = Batches(found, stage.batch, seed, stage.planes, stage.varied)
    return train(pupil, batches, plan, folder / stage.name, progress, key=stage.name)


def train_own(name: str, folder: Path, told: Told | None = None, seed: int = 0) -> nn.Module:
    """All stages of that network, one after the other."""
    torch.manual_seed(seed)
    network = begun(name)
    for stage in STAGES[name]:
        run_stage(stage, network, folder, told, seed)
    return network


def begun(name: str) -> RMVSNet | MVSNet:
    """The network before its first stage."""
    if name == "rmvsnet":
        return RMVSNet()
    network, part = MVSNet(), "feature_extractor."
    learned = read_weights("rmvsnet", "own")
    features = {k.removeprefix(part): v for k, v in learned.items() if k.startswith(part)}
    network.feature_extractor.load_state_dict(features)
    return network


def save(network: nn.Module, path: Path) -> None:
    """Half-precision tensors by their published names."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = network.state_dict()
    save_file({name: value.half().contiguous() for name, value in tensors.items()}, str(path))
