"""What is done to a backbone once before it is used: batch norms folded, TensorFlow's padding."""

from __future__ import annotations

import copy
import importlib
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


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


def folded(net: Any) -> Any:
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


def pairs(net: nn.Module) -> list[tuple[str, str]]:
    """Names of the convolutions, each with the name of the batch norm behind it."""
    return [
        (".".join([*path, name]), ".".join([*path, following]))
        for place, parent in net.named_modules()
        for path in [place.split(".") if place else []]
        for (name, conv), (following, norm) in pairwise(parent.named_children())
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        if conv.out_channels == norm.num_features
    ]


def _fold(net: nn.Module) -> None:
    for name, following in pairs(net):
        conv, norm = net.get_submodule(name), net.get_submodule(following)
        assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        net.set_submodule(name, fuse_conv_bn_eval(conv, norm))
        rest = [getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)]
        net.set_submodule(following, nn.Sequential(*rest))
