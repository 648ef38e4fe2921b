"""Channels that can be removed for good: who makes them, who passes them on, who reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

By = Literal["l1", "scale"]
Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.BatchNorm2d


@dataclass(frozen=True, eq=False)
class Reader:
    """A layer that reads the channels from ``first`` on; each fills ``each`` of its inputs."""

    layer: nn.Conv2d | nn.Linear
    first: int = 0
    each: int = 1


@dataclass(frozen=True, eq=False)
class Group:
    """Channels that are removed together: outputs of ``maker``, kept apart by ``between``."""

    name: str
    maker: nn.Conv2d
    between: Sequence[nn.Module]  # batch norms and depthwise convolutions
    readers: Sequence[Reader]

    @property
    def count(self) -> int:
        """How many channels there are now."""
        return self.maker.out_channels

    def importance(self, by: By) -> Float[Tensor, "c"]:
        """Of each channel: the L1 norm of its filter, or the size of its scale in the batch norm.

        ``l1``: arXiv:1608.08710; ``scale``: arXiv:1708.06519. Filters are measured behind the
        batch norm that follows, which may shrink them.
        """
        norm = next((m for m in self.between if isinstance(m, nn.BatchNorm2d)), None)
        size = self.maker.weight.detach().abs().flatten(1).sum(1)
        if norm is None:
            return size
        scale = norm.weight.detach().abs()
        if by == "scale":
            return scale
        assert norm.running_var is not None
        return size * scale / (norm.running_var + norm.eps).sqrt()

    def keep(self, places: Int[Tensor, "k"]) -> None:
        """Remove all channels but these."""
        before = self.count
        keep_outputs(self.maker, places)
        for module in self.between:
            keep_outputs(module, places)
        for reader in self.readers:
            each = torch.arange(reader.each)
            mine = (reader.first * reader.each + places[:, None] * reader.each + each).flatten()
            end = (reader.first + before) * reader.each
            head = torch.arange(reader.first * reader.each)
            tail = torch.arange(end, _inputs(reader.layer))
            keep_inputs(reader.layer, torch.cat([head, mine, tail]))


def best(values: Float[Tensor, "c"], share: float, multiple: int) -> Int[Tensor, "k"]:
    """The places of the most important channels, in order; about ``1 - share`` of them.

    Their number is a multiple of ``multiple``, which suits vector units, and never 0.
    """
    wanted = (1 - share) * len(values)
    count = max(1, round(wanted / multiple)) * multiple
    return values.topk(min(count, len(values))).indices.sort().values


def keep_outputs(module: nn.Module, places: Int[Tensor, "k"]) -> None:
    """Remove output channels of a layer; of a depthwise one its inputs with them."""
    if isinstance(module, nn.BatchNorm2d | nn.Conv2d | nn.ConvTranspose2d):
        axis = 0
        if isinstance(module, nn.ConvTranspose2d) and module.groups == 1:
            axis = 1
        _slice(module, places, axis)
        _count(module)
    else:
        raise TypeError(f"channels do not pass through {type(module).__name__} one by one")


def keep_inputs(module: nn.Conv2d | nn.Linear, places: Int[Tensor, "k"]) -> None:
    """Remove what a layer reads of some channels."""
    module.weight = nn.Parameter(
        module.weight.detach()[:, places].clone(), requires_grad=module.weight.requires_grad
    )
    _count(module)


def fit_shapes(net: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give all layers the shapes of these weights: the network as it was after pruning."""
    for name, module in net.named_modules():
        shaped = False
        for key, value in [*module._parameters.items(), *module._buffers.items()]:
            saved = weights.get(f"{name}.{key}" if name else key)
            if value is None or saved is None or saved.shape == value.shape:
                continue
            fresh = torch.empty(saved.shape, dtype=value.dtype)
            if isinstance(value, nn.Parameter):
                module._parameters[key] = nn.Parameter(fresh, requires_grad=value.requires_grad)
            else:
                module._buffers[key] = fresh
            shaped = True
        if shaped:
            _count(module)


def _inputs(layer: nn.Conv2d | nn.Linear) -> int:
    return layer.weight.shape[1]


def _slice(module: nn.Module, places: Tensor, axis: int) -> None:
    for key, value in list(module._parameters.items()):
        if value is not None:
            chosen = value.detach().index_select(axis if value.ndim > 1 else 0, places).clone()
            module._parameters[key] = nn.Parameter(chosen, requires_grad=value.requires_grad)
    for key, buffer in list(module._buffers.items()):
        if buffer is not None and buffer.ndim:
            module._buffers[key] = buffer.index_select(0, places).clone()


def _count(module: nn.Module) -> None:
    """Make the numbers that a layer knows of itself those of its weights."""
    if isinstance(module, nn.BatchNorm2d):
        module.num_features = module.weight.shape[0]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        out, into = module.weight.shape[:2]
        if isinstance(module, nn.ConvTranspose2d):
            out, into = into, out
        if module.groups > 1:  # depthwise: as many groups as channels
            module.groups = module.weight.shape[0]
            out = into = module.groups
        module.out_channels, module.in_channels = out, into
