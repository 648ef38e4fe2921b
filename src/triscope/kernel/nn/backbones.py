"""Whole backbones of timm with their weights: from a file, from timm's download, or random."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from triscope.errors import (
    BadSettings,
    WeightsError,
    WeightsMismatch,
    WeightsMissing,
    needs_extra,
)
from triscope.kernel import weights as official

_TENSORFLOW_CLASSES = 1001  # ImageNet's 1000 and, as class 0, a background


def backbone_of(backbone: str, weights: str = "") -> tuple[Any, bool]:
    """The whole timm model with its weights (see ``tap``), and whether it is from TensorFlow."""
    _check_name(backbone)
    if official.follow():
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


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by key from a safetensors file or from what torch saved; never runs code of it."""
    if not path.is_file():
        raise WeightsMissing(
            f"no weights file {path}. Give a .safetensors or .pth file with the keys of the "
            "timm model."
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
            f"'{backbone}.safetensors')\" and put the file there or name it with weights=FILE."
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
