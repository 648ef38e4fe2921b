"""EfficientAD: a small student and an autoencoder imitate a small teacher (arXiv:2303.14535).

Batzner, Heckler, König: EfficientAD: Accurate Visual Anomaly Detection at Millisecond-Level
Latencies, WACV 2024. Named differences from the paper:

- The paper's teacher was distilled from a WideResNet on ImageNet. With ``teacher_weights`` such a
  file is loaded; without, the teacher is distilled in the first ``teacher_share`` of the training
  from the tap's features on the training images and on painted variants of them.
- Means and spreads of the teacher's channels come from the first images of the student's training.
- ``width`` scales the channels of teacher and student; 1 is the paper's small network.
- The map's quantiles come from the images that are watched after the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.errors import NotFitted
from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.nn.tap import tap
from triscope.surface.models._distillation import Parts, highest, resized, seeded
from triscope.surface.models._pdn import Autoencoder, Pdn, Standard, features_of, load_teacher
from triscope.surface.models._variants import Outside, painted, tinted


@dataclass(frozen=True)
class Settings:
    """The numbers of appendix A, where nothing else is said."""

    size: int = 256  # side of the square that images are resized to, in pixels
    backbone: str = "scattering"  # what the teacher is distilled from, if it has no weights
    weights: str = ""  # file of the backbone's weights; empty: the hub or none needed
    layers: tuple[int, ...] = ()  # taps of the backbone; empty: 2, 3 (strides 8 and 16)
    teacher_weights: str = ""  # file of a pretrained PDN teacher (width 1); empty: distil one
    teacher_share: float = 0.4  # share of the steps in which the teacher is distilled
    width: float = 0.25  # channels of the networks; 1 is the paper's small one
    hard: float = 0.999  # quantile of the student's errors from which on they count (q_hard)
    outside: str = ""  # folder of images of anything else, which the student must not imitate
    quantiles: tuple[float, ...] = (0.9, 0.995)  # of good maps: scaled to 0 and to 0.1
    steps: int = 1000  # updates (paper: 70000)
    batch: int = 2  # images an update (paper: 1)
    learning_rate: float = 1e-3  # of Adam (paper: 1e-4)
    weight_decay: float = 1e-5  # of Adam
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"  # rule of the updates
    schedule: Literal["constant", "cosine", "drop"] = "drop"  # a tenth in the last 5 %
    seed: int = 0  # of the first weights and of the order of the images

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        low, high = (*self.quantiles, 0.0, 0.0)[:2]
        require(
            self,
            size=(self.size >= 64, "64 or more"),
            teacher_share=(0 < self.teacher_share < 1, "a share between 0 and 1"),
            width=(0 < self.width <= 4, "a number in (0, 4]"),
            teacher_weights=(
                not self.teacher_weights or self.width == 1,
                f"no file, or width=1: published teachers have the full width, not {self.width:g}",
            ),
            hard=(0 <= self.hard < 1, "a quantile in [0, 1)"),
            quantiles=(
                len(self.quantiles) == 2 and 0 < low < high < 1,
                "two rising numbers between 0 and 1",
            ),
            steps=(self.steps >= 1, "1 or more"),
            batch=(self.batch >= 1, "1 or more"),
            learning_rate=(self.learning_rate > 0, "a number above 0"),
            weight_decay=(self.weight_decay >= 0, "0 or more"),
        )


@model("efficientad", answers="Heatmap")
class EfficientAd:
    """Where the student fails to imitate the teacher, or the autoencoder and the student differ."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings
        channels = 4 * max(1, round(96 * settings.width))  # 384 at the paper's width
        with seeded(settings.seed):
            learned = {
                "teacher": Pdn(settings.width, channels),
                "student": Pdn(settings.width, 2 * channels),
                "autoencoder": Autoencoder(settings.size, channels),
            }
        frozen: dict[str, nn.Module] = {"spread": Standard(channels)}
        if settings.teacher_weights:
            frozen["teacher"] = load_teacher(learned.pop("teacher"), settings.teacher_weights)
        else:
            usual = () if settings.backbone == "scattering" else (2, 3)
            frozen["tap"] = tap(settings.backbone, settings.weights, settings.layers or usual)
            frozen["tap_spread"] = Standard(channels)
        self.parts = Parts(frozen=frozen, learned=learned)
        self.parts.register_buffer("lines", torch.full((2, 2), float("nan")))  # map, quantile
        self.outside = Outside(settings.outside, settings.size) if settings.outside else None
        self._seen: dict[int, Tensor] = {}

    def network(self) -> nn.Module:
        """All networks, and the statistics that the training collects."""
        return self.parts

    def losses(self, images: Float[Tensor, "b 3 h w"]) -> dict[str, Tensor]:
        """The teacher's distillation in the first steps, then the losses of algorithm 1."""
        self.parts.learned_batches += 1
        distilled = 0
        if not self.settings.teacher_weights:
            distilled = max(1, round(self.settings.teacher_share * self.settings.steps))
        if int(self.parts.learned_batches) <= distilled:
            return self._teacher_losses(images)
        return self._student_losses(images)

    def _teacher_losses(self, images: Float[Tensor, "b 3 h w"]) -> dict[str, Tensor]:
        shown = torch.cat([images, painted(images)])
        answer = self.parts["teacher"](shown)
        with torch.no_grad():
            features = features_of(self.parts["tap"](shown), answer.shape[1:])
            target = self.parts["tap_spread"](features, learn=True)
        loss = F.mse_loss(answer, target)
        zero = loss.detach() * 0  # every step has the same parts, for the log
        return {"loss": loss, "teacher": loss, "student": zero, "autoencoder": zero, "both": zero}

    def _student_losses(self, images: Float[Tensor, "b 3 h w"]) -> dict[str, Tensor]:
        student, autoencoder = self.parts["student"], self.parts["autoencoder"]
        taught = self._taught(images, learn=True)
        c = taught.shape[1]
        loss_st = hard_mean((taught - student(images)[:, :c]).square(), self.settings.hard)
        if self.outside is not None:
            others = self.outside.some(len(images)).to(images)
            loss_st = loss_st + student(others)[:, :c].square().mean()
        changed = tinted(images)
        restored = resized(autoencoder(changed), taught.shape[-2:])
        loss_ae = (self._taught(changed) - restored).square().mean()
        imitated = student(changed)[:, c:]
        loss_stae = (restored - imitated).square().mean()
        loss = loss_st + loss_ae + loss_stae
        zero = loss.detach() * 0
        return {
            "loss": loss, "teacher": zero,
            "student": loss_st, "autoencoder": loss_ae, "both": loss_stae,
        }  # fmt: skip

    @torch.no_grad()
    def _taught(self, images: Float[Tensor, "b 3 h w"], learn: bool = False) -> Tensor:
        """The teacher's features, each channel with mean 0 and spread 1 on good images."""
        return self.parts["spread"](self.parts["teacher"](images), learn=learn)

    @torch.no_grad()
    def watch(self, images: Float[Tensor, "b 3 h w"], ids: Tensor) -> None:
        """Collect the maps of good images, after the training."""
        self.parts.must_be_trained("efficientad")
        maps = difference_maps(self.parts.eval(), images)
        pairs = torch.cat(maps, 1).flatten(2).cpu()  # (b, 2, places)
        self._seen.update(zip(ids.tolist(), pairs, strict=True))

    def settle(self) -> None:
        """The two quantiles of each map over all that was watched (section 3.4)."""
        if not self._seen:
            raise NotFitted("efficientad has watched no images: watch() good images first.")
        values = torch.cat(list(self._seen.values()), 1).sort(1).values  # (2, all places)
        places = torch.tensor(self.settings.quantiles, dtype=torch.float64) * (values.shape[1] - 1)
        self.parts.get_buffer("lines").copy_(values[:, places.round().long()])

    def forget(self, ids: Tensor) -> None:
        """Take images out of the quantiles; the networks keep what they learned."""
        for name in ids.tolist():
            self._seen.pop(name, None)

    def graph(self) -> nn.Module:
        """Images in, heat map and score out; NotFitted before training and settle()."""
        self.parts.must_be_trained("efficientad")
        if bool(self.parts.get_buffer("lines").isnan().any()):
            raise NotFitted(
                "efficientad has no scale for its maps yet: watch() good images, then settle()."
            )
        return _Graph(self.parts).eval()

    def weights(self) -> dict[str, Tensor]:
        """The networks and statistics that answers need: not the tap, which only taught."""
        return {k: v for k, v in self.parts.weights().items() if not k.startswith("tap")}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put the result of ``weights`` back."""
        own = {k: v for k, v in self.parts.state_dict().items() if k.startswith("tap")}
        self.parts.restore("efficientad", {**own, **weights})


def hard_mean(errors: Float[Tensor, "b c h w"], quantile: float) -> Float[Tensor, ""]:
    """The mean of each image's errors at and above their quantile (section 3.2)."""
    flat = errors.flatten(1)
    kept = max(1, round((1 - quantile) * flat.shape[1]))
    return flat.topk(kept, dim=1, sorted=False).values.mean()


def difference_maps(
    parts: nn.ModuleDict, images: Float[Tensor, "b 3 h w"]
) -> tuple[Float[Tensor, "b 1 i j"], Float[Tensor, "b 1 i j"]]:
    """Mean squared differences teacher - student (local) and autoencoder - student (global)."""
    taught = parts["spread"](parts["teacher"](images))
    imitated = parts["student"](images)
    restored = resized(parts["autoencoder"](images), taught.shape[-2:])
    c = taught.shape[1]
    local = (taught - imitated[:, :c]).square().mean(1, keepdim=True)
    whole = (restored - imitated[:, c:]).square().mean(1, keepdim=True)
    return local, whole


class _Graph(nn.Module):
    """The mean of both maps, each scaled by its quantiles; the score is the maximum (alg. 2).

    The networks do not pad, so the maps end 16 pixels inside the image: they are continued with
    their last values.
    """

    lines: Tensor

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        names = ("spread", "teacher", "student", "autoencoder")
        self.parts = nn.ModuleDict({name: parts[name] for name in names})
        self.register_buffer("lines", parts.get_buffer("lines").clone())

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b"]]:
        heat = torch.zeros_like(images[:, :1, :1, :1])
        for values, (low, high) in zip(
            difference_maps(self.parts, images), self.lines, strict=True
        ):
            heat = heat + 0.5 * 0.1 * (values - low) / (high - low).clamp_min(1e-12)
        heat = F.pad(heat, (4, 4, 4, 4), "replicate")  # 4 places of 4 pixels
        heat = resized(heat, images.shape[-2:]).squeeze(1)
        return heat, highest(heat)
