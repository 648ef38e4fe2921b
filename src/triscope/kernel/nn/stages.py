"""Backbones that go on learning: the last map of each stage, R2 to R5, at strides 4 to 32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from triscope.errors import BadSettings, WeightsMissing
from triscope.kernel.nn.backbones import backbone_of
from triscope.kernel.nn.folding import replace_strided
from triscope.kernel.nn.frozen import Folded

STRIDES = (4, 8, 16, 32)
Norm = Literal["frozen", "batch"]


class Stages(nn.Module):
    """Four stages in a row, normalisation of the image inside.

    With ``norm="frozen"`` batch norms keep their statistics and scales, as usual where few images
    make a batch. ``parts[i]`` maps the answer of ``parts[i - 1]`` to the next one.
    """

    mean: Tensor
    std: Tensor
    pads_as_tensorflow: Tensor

    def __init__(
        self,
        parts: Sequence[nn.Module],
        channels: Sequence[int],
        *,
        norm: Norm,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.channels = tuple(channels)
        self.norm = norm
        self._trained_form: Folded | None = None
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.register_buffer("pads_as_tensorflow", torch.tensor(False))
        if norm == "frozen":
            for module in self._norms():
                module.requires_grad_(False)
        self.train(False)

    def forward(
        self, images: Float[Tensor, "b 3 h w"], upto: int = 4
    ) -> list[Float[Tensor, "b _ _ _"]]:
        """Images in [0, 1] -> the maps of the first ``upto`` stages, finest first."""
        x = (images - self.mean) / self.std
        if self.training:  # as the weights of what is trained lie
            x = x.contiguous(memory_format=torch.channels_last)
        maps = []
        for i, part in enumerate(list(self.parts)[:upto]):
            x = self._folded()(self, f"parts.{i}", x) if self._folds() else part(x)
            maps.append(x)
        return maps

    def train(self, mode: bool = True) -> Stages:
        """Training mode; frozen batch norms stay as they are."""
        if mode != self.training:
            self._trained_form = None  # the layers may have been changed in between
        super().train(mode)
        if self.norm == "frozen":
            for module in self._norms():
                module.eval()
        return self

    def pad_as_tensorflow(self) -> None:
        """Strided convolutions pad as TensorFlow does from now on; travels with the weights."""
        replace_strided(self.parts)
        self._trained_form = None
        self.pads_as_tensorflow.fill_(True)

    def _folds(self) -> bool:
        return self.training and self.norm == "frozen"

    def _folded(self) -> Folded:
        if self._trained_form is None:
            self._trained_form = Folded(self)
        return self._trained_form

    def _norms(self) -> list[nn.Module]:
        return [m for m in self.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        saved = state_dict.get(prefix + "pads_as_tensorflow")
        if saved is not None and bool(saved) and not bool(self.pads_as_tensorflow):
            self.pad_as_tensorflow()
        super()._load_from_state_dict(state_dict, prefix, *rest)


def stages(backbone: str, weights: str = "", norm: Norm = "frozen") -> Stages:
    """The four stages of a timm backbone; ``weights`` as in :func:`triscope.kernel.nn.tap.tap`.

    Raises BadSettings for a backbone that has no maps at strides 4, 8, 16 and 32.
    """
    try:
        net, ported = backbone_of(backbone, weights)
    except WeightsMissing as error:
        raise WeightsMissing(
            f"{error} Or begin with random weights by weights='random:0', which takes many more "
            "images and updates."
        ) from error
    if hasattr(net, "layer4"):
        parts, channels = _resnet(net)
    elif hasattr(net, "conv_stem") and hasattr(net, "blocks"):
        parts, channels = _efficientnet(net)
    else:
        parts, channels = _row(net, backbone)
    config = net.pretrained_cfg
    mean, std = ((0.5,) * 3,) * 2 if ported else (config["mean"], config["std"])
    made = Stages(parts, channels, norm=norm, mean=mean, std=std)
    if ported:
        made.pad_as_tensorflow()
    return made


def _resnet(net: Any) -> tuple[list[nn.Module], list[int]]:
    first = nn.Sequential(net.conv1, net.bn1, net.act1, net.maxpool, net.layer1)
    channels = [f["num_chs"] for f in net.feature_info[-4:]]
    return [first, net.layer2, net.layer3, net.layer4], channels


def _efficientnet(net: Any) -> tuple[list[nn.Module], list[int]]:
    """Blocks cut behind the last one of each stride."""
    last = {f["reduction"]: f["stage"] for f in net.feature_info}
    ends = [last[stride] for stride in STRIDES]
    blocks = list(net.blocks)
    starts = [0, *ends[:-1]]
    parts = [nn.Sequential(*blocks[a:b]) for a, b in zip(starts, ends, strict=True)]
    parts[0] = nn.Sequential(net.conv_stem, net.bn1, *parts[0])
    return list(parts), [_out(part) for part in parts]


def _out(part: nn.Module) -> int:
    norms = [m.num_features for m in part.modules() if isinstance(m, nn.BatchNorm2d)]
    return int(norms[-1])


def _row(net: Any, backbone: str) -> tuple[list[nn.Module], list[int]]:
    """Any timm network whose children run one behind the other: cut by ``feature_info``."""
    info = [f for f in getattr(net, "feature_info", ()) if f["reduction"] in STRIDES]
    names = {f["reduction"]: (f["module"], f["num_chs"]) for f in info}
    if set(names) != set(STRIDES) or any(
        "." in name[0].partition(".")[2] for name in names.values()
    ):
        raise BadSettings(
            f"backbone={backbone!r}: a detector needs maps at strides 4, 8, 16 and 32, one stage "
            "behind the other. Take another, such as 'resnet50' or 'mobilenetv2_100'."
        )
    flat = _flattened(net)
    parts: list[nn.Module] = []
    group: list[nn.Module] = []
    waiting = [names[stride][0] for stride in STRIDES]
    for name, module in flat:
        group.append(module)
        if waiting and name == waiting[0]:
            parts.append(nn.Sequential(*group))
            group = []
            waiting.pop(0)
    if waiting:
        raise BadSettings(
            f"backbone={backbone!r}: its stage {waiting[0]!r} was not found among its modules. "
            "Take another, such as 'resnet50' or 'mobilenetv2_100'."
        )
    return parts, [int(names[stride][1]) for stride in STRIDES]


def _flattened(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """Children in order; a ``stages`` sequence is taken apart."""
    found = []
    for name, child in net.named_children():
        if name == "stages" and isinstance(child, nn.Sequential | nn.ModuleList):
            found += [(f"stages.{i}", stage) for i, stage in enumerate(child)]
        else:
            found.append((name, child))
    return found
