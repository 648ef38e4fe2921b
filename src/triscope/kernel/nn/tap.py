"""A tap: a frozen backbone that answers chosen feature maps, with its normalisation inside.

Backbones come from timm (https://github.com/huggingface/pytorch-image-models), or are the
filter bank of ``scattering.py``, which needs no weights at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from triscope.errors import BadSettings, WeightsMissing
from triscope.kernel.nn.backbones import backbone_of
from triscope.kernel.nn.folding import folded, replace_strided
from triscope.kernel.nn.scattering import Scattering


class Tap(nn.Module):
    """Feature maps of a backbone: frozen, always in eval mode, normalisation inside."""

    def __init__(
        self,
        net: nn.Module,
        name: str,
        layers: Sequence[int],
        channels: Sequence[int],
        strides: Sequence[int],
        *,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__()
        self.net = net
        self.name = name
        self.layers = tuple(layers)
        self.channels = tuple(channels)
        self.strides = tuple(strides)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.register_buffer("pads_as_tensorflow", torch.tensor(False))
        self.requires_grad_(False)
        self.eval()

    mean: Tensor
    std: Tensor
    pads_as_tensorflow: Tensor

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Images in [0, 1] -> a map (b, channels[i], h / strides[i], w / strides[i]) a layer."""
        images = (images - self.mean) / self.std
        return list(self.net(images))

    def train(self, mode: bool = True) -> Tap:
        """Stays in eval mode: running statistics of a frozen backbone must not move."""
        return super().train(False)

    def pad_as_tensorflow(self) -> None:
        """Strided convolutions pad as TensorFlow's ``SAME`` from now on: more behind."""
        replace_strided(self.net)
        self.pads_as_tensorflow.fill_(True)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """The padding is no parameter, but it belongs to the weights: it is saved with them."""
        saved = state_dict.get(prefix + "pads_as_tensorflow")
        if saved is not None and bool(saved) and not bool(self.pads_as_tensorflow):
            self.pad_as_tensorflow()
        super()._load_from_state_dict(state_dict, prefix, *rest)


class Stages(nn.Module):
    """Chosen feature maps of a timm model."""

    def __init__(self, model: Any, layers: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        self.layers = tuple(layers)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Normalised images -> a map (b, c_i, h_i, w_i) a layer, finest first."""
        return list(
            self.model.forward_intermediates(
                images, indices=list(self.layers), intermediates_only=True, stop_early=True
            )
        )


def tap(backbone: str, weights: str = "", layers: Sequence[int] = ()) -> Tap:
    """The feature maps ``layers`` of a backbone.

    ``backbone``: ``scattering`` or any timm name. ``layers``: indices into the backbone's list of
    features, finest first (timm's ``out_indices``); empty: those of strides 8 and 16.
    ``weights``: a ``.safetensors`` or ``.pth`` file with the keys of the full timm model;
    ``random:SEED`` for tests; empty: ``BACKBONE.safetensors`` in the weights folder, else timm's
    download. A file whose classifier has 1001 classes was ported from TensorFlow: images are then
    scaled to [-1, 1] and strided convolutions pad as TensorFlow does.

    Raises BadSettings (unknown backbone or layer), WeightsMissing, WeightsMismatch.
    """
    if backbone == "scattering":
        if weights:
            raise BadSettings(
                f"weights={weights!r}: scattering has fixed filters and reads no weights. "
                "Leave weights empty, or name a timm backbone."
            )
        net = Scattering(layers)
        return Tap(net, backbone, net.layers, net.channels, net.strides)
    try:
        net, ported = backbone_of(backbone, weights)
    except WeightsMissing as error:
        raise WeightsMissing(
            f"{error} Or use backbone='scattering', which needs no weights."
        ) from error
    if not ported:
        return _finish(net, backbone, layers)
    made = _finish(net, backbone, layers, mean=(0.5,) * 3, std=(0.5,) * 3)
    made.pad_as_tensorflow()
    return made


def _finish(net: Any, backbone: str, layers: Sequence[int], **scaling: Any) -> Tap:
    """Choose the layers, drop what lies behind them, fold batch norms, wrap."""
    if not hasattr(net, "forward_intermediates"):
        raise BadSettings(
            f"backbone={backbone!r}: timm offers no feature maps for it. "
            "Take another, such as 'resnet18' or 'mobilenetv2_100'."
        )
    features = list(net.feature_info)
    layers = tuple(layers) or _middle([int(f["reduction"]) for f in features])
    outside = [i for i in layers if not 0 <= i < len(features)]
    if outside:
        raise BadSettings(
            f"layers={tuple(layers)}: {backbone!r} has the layers 0 to {len(features) - 1}."
        )
    layers = tuple(sorted(set(layers)))
    config = net.pretrained_cfg
    scaling = scaling or {"mean": config["mean"], "std": config["std"]}
    net.requires_grad_(False).eval()
    net.prune_intermediate_layers(list(layers), prune_norm=True, prune_head=True)
    return Tap(
        folded(Stages(net, layers)),
        backbone,
        layers,
        [int(features[i]["num_chs"]) for i in layers],
        [int(features[i]["reduction"]) for i in layers],
        **scaling,
    )


def _middle(strides: Sequence[int]) -> tuple[int, ...]:
    """The last layer of stride 8 and of stride 16; of one-stride transformers, two depths."""
    if len(set(strides)) == 1:
        return tuple(sorted({len(strides) // 2 - 1, 3 * len(strides) // 4 - 1}))
    chosen = [i for i, s in enumerate(strides) if s in (8, 16) and s not in strides[i + 1 :]]
    return tuple(chosen) or tuple(range(len(strides)))[-2:]
