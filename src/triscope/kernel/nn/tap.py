"""A tap: a frozen backbone that answers chosen feature maps, with its normalisation inside.

Backbones come from timm (https://github.com/huggingface/pytorch-image-models), or are the
filter bank of ``scattering.py``, which needs no weights at all.
"""

from __future__ import annotations

import copy
import difflib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from triscope.errors import (
    BadSettings,
    WeightsError,
    WeightsMismatch,
    WeightsMissing,
    needs_extra,
)
from triscope.kernel import weights as official
from triscope.kernel.nn.scattering import Scattering

_EMPTY: ContextVar[bool] = ContextVar("empty_taps", default=False)
_TENSORFLOW_CLASSES = 1001  # ImageNet's 1000 and, as class 0, a background


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
    net, ported = backbone_of(backbone, weights)
    if not ported:
        return _finish(net, backbone, layers)
    made = _finish(net, backbone, layers, mean=(0.5,) * 3, std=(0.5,) * 3)
    made.pad_as_tensorflow()
    return made


def backbone_of(backbone: str, weights: str = "") -> tuple[Any, bool]:
    """The whole timm model with its weights (see ``tap``), and whether it is from TensorFlow."""
    _check_name(backbone)
    if _EMPTY.get():
        return _create(backbone), False
    if weights.startswith("random:"):
        return _random(backbone, weights), False
    path = Path(weights) if weights else official.found(f"{backbone}.safetensors")
    if path is None:
        return _download(backbone), False
    state = read_weights(path)
    classes = _classes(backbone, state)
    net = _create(backbone, num_classes=classes)
    _load(net, state, backbone, path)
    return net, classes == _TENSORFLOW_CLASSES


@contextmanager
def empty_taps() -> Iterator[None]:
    """Inside, ``tap`` reads and downloads no weights: for models whose weights are restored next.

    ``with empty_taps(): model = PatchCore(settings)`` then ``model.restore(weights)``.
    """
    token = _EMPTY.set(True)
    try:
        yield
    finally:
        _EMPTY.reset(token)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by key from a safetensors file or from what torch saved; never runs code of it."""
    if not path.is_file():
        raise WeightsMissing(
            f"no weights file {path}. Give a .safetensors or .pth file with the keys of the "
            "timm model, or use backbone='scattering', which needs none."
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, UnpicklingError, EOFError) as error:
        raise WeightsError(f"{path} cannot be read as weights: {error}") from error
    except Exception as error:  # safetensors raises its own, without a common base
        if type(error).__name__ != "SafetensorError":
            raise
        raise WeightsError(f"{path} cannot be read as safetensors: {error}") from error
    state = state.get("state_dict", state) if isinstance(state, Mapping) else {}
    tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError(f"{path} holds no tensors by key: expected a state dict.")
    return tensors


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise needs_extra("a backbone", "train", "timm") from error
    return timm


def _check_name(backbone: str) -> None:
    timm = _timm()
    if timm.is_model(backbone.partition(".")[0]):
        return
    close = difflib.get_close_matches(backbone, ["scattering", *timm.list_models()], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise BadSettings(
        f"no backbone named {backbone!r}.{hint} Give 'scattering' or a name of timm.list_models()."
    )


def _create(backbone: str, **settings: Any) -> Any:
    timm = _timm()
    fixed = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
    if fixed is not None and fixed.fixed_input_size:
        try:  # a transformer that resamples its position embedding accepts any size
            return timm.create_model(backbone, dynamic_img_size=True, **settings)
        except TypeError:
            pass
    return timm.create_model(backbone, **settings)


def _random(backbone: str, weights: str) -> Any:
    seed = weights.removeprefix("random:")
    if not seed.isdecimal():
        raise BadSettings(f"weights={weights!r}: expected random: and a seed, such as random:0.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed))
        return _create(backbone)


def _download(backbone: str) -> Any:
    try:
        return _create(backbone, pretrained=True)
    except Exception as error:  # each layer below (timm, hub, requests, httpx) raises its own kind
        reason = str(error).strip().split("\n")[0][:200]
        raise WeightsMissing(
            f"the weights of {backbone!r} are not in {official.folder()} "
            f"({backbone}.safetensors was looked for) and could not be downloaded: {reason} "
            'Where there is a network, run: python -c "import timm; from safetensors.torch import '
            f"save_file; save_file(timm.create_model('{backbone}', pretrained=True).state_dict(), "
            f"'{backbone}.safetensors')\" and put the file there or name it with weights=FILE. "
            "Or use backbone='scattering', which needs no weights."
        ) from error


def _classes(backbone: str, state: Mapping[str, Tensor]) -> int:
    """Outputs of the classifier in a file; 0 where the file has none."""
    heads = _timm().get_pretrained_cfg(backbone, allow_unregistered=True).classifier or ()
    first = heads if isinstance(heads, str) else next(iter(heads), "")
    head = state.get(f"{first}.weight")
    return 0 if head is None else int(head.shape[0])


def _load(net: nn.Module, state: Mapping[str, Tensor], backbone: str, path: Path) -> None:
    own = net.state_dict()
    missing = [key for key in own if key not in state]
    unknown = [key for key in state if key not in own]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]
    groups = {"missing": missing, "unknown": unknown, "of another shape": shapes}
    if any(groups.values()):
        told = "; ".join(f"{what}: {_first(keys)}" for what, keys in groups.items() if keys)
        raise WeightsMismatch(
            f"{path} does not fit {backbone!r}: {told}. {len(state)} keys were given, {len(own)} "
            "expected. Give the file of this timm model, or the backbone that the file is of."
        )
    net.load_state_dict(dict(state))


def _first(keys: Sequence[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


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
        _folded(Stages(net, layers)),
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


def replace_strided(parent: nn.Module) -> None:
    """Strided convolutions pad as TensorFlow's ``SAME``: more behind than before."""
    conv2d_same = importlib.import_module("timm.layers").Conv2dSame
    for name, child in parent.named_children():
        replace_strided(child)
        if type(child) is nn.Conv2d and max(child.stride) > 1 and max(child.kernel_size) > 1:
            bias = child.bias is not None
            same = conv2d_same(
                child.in_channels,
                child.out_channels,
                child.kernel_size,
                child.stride,
                0,
                child.dilation,
                child.groups,
                bias,
            )
            same.weight, same.bias = child.weight, child.bias
            setattr(parent, name, same.eval())


def _folded(net: Stages) -> Stages:
    """Batch norms folded into the convolutions before them, where that leaves the answer alone.

    Which modules follow each other is read from the order in which they were registered. That is
    a guess, so it is tried on a copy with random statistics; a network for which it fails stays
    as it is. The trial ignores the true weights, so the keys depend on the architecture alone.
    """
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    if not norms:
        return net
    generator = torch.Generator().manual_seed(0)
    trial = copy.deepcopy(net)
    for norm in (m for m in trial.modules() if isinstance(m, nn.BatchNorm2d)):
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            if values is not None:
                values.copy_(torch.rand(values.shape, generator=generator) + 0.5)
    images = torch.rand((1, 3, 64, 64), generator=generator)
    before = trial(images)
    _fold(trial)
    after = trial(images)
    close = all(
        torch.allclose(a, b, rtol=1e-3, atol=1e-3 * float(a.abs().max()))
        for a, b in zip(before, after, strict=True)
    )
    if close:
        _fold(net)
    return net


def _fold(parent: nn.Module) -> None:
    children = list(parent.named_children())
    for (name, conv), (following, norm) in pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            if conv.out_channels == norm.num_features:
                setattr(parent, name, fuse_conv_bn_eval(conv, norm))
                rest = [getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)]
                setattr(parent, following, nn.Sequential(*rest))
    for child in parent.children():
        _fold(child)
