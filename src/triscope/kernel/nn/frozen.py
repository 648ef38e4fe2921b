"""Networks whose batch norms are frozen, as they are trained: the norms inside the convolutions.

A frozen norm multiplies and adds what never changes. Done to the weights of the convolution before
it, once an update, the large maps are not walked again, forward and backward.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call

from triscope.kernel.nn.folding import folded, pairs


class Folded:
    """The function of the submodules of ``net`` with its own parameters; its norms are frozen.

    Only the shape of the network is kept here; what it learns stays in ``net``.
    """

    def __init__(self, net: nn.Module) -> None:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            self.body = folded(copy.deepcopy(net).cpu().eval())
        self.pairs = [] if pairs(self.body) else pairs(net)
        self.own: dict[str, str] = {}  # names of what moved into a wrapper, as the network has them
        for name, module in list(self.body.named_modules()):
            if isinstance(module, nn.Conv2d) and module.groups > 1 and max(module.stride) > 1:
                self.body.set_submodule(name, _Whole(module))
                self.own |= {f"{name}.conv.{kind}": f"{name}.{kind}" for kind in ("weight", "bias")}
        self.body.to("meta")

    def __call__(self, net: nn.Module, part: str, x: Tensor) -> Tensor:
        """What the submodule ``part`` of ``net`` answers."""
        values = {**dict(net.named_parameters()), **dict(net.named_buffers())}
        for conv, norm in self.pairs:
            if conv.startswith(f"{part}."):
                values |= _inside(net, conv, norm)
        body = self.body.get_submodule(part)
        names = [*dict(body.named_parameters()), *dict(body.named_buffers())]
        own = {name: self.own.get(f"{part}.{name}", f"{part}.{name}") for name in names}
        answer: Tensor = functional_call(body, {name: values[own[name]] for name in names}, x)
        return answer


def _inside(net: nn.Module, name: str, following: str) -> dict[str, Tensor]:
    """Weight and bias of a convolution that does what the norm behind it does, too."""
    conv, norm = net.get_submodule(name), net.get_submodule(following)
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt() * norm.weight
    shift = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    weight = conv.weight * scale[:, None, None, None]
    return {f"{name}.weight": weight, f"{name}.bias": shift * scale + norm.bias}


class _Whole(nn.Module):
    """A strided depthwise convolution in float32 on CPUs: bfloat16 is several times slower."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return self.conv(x)
        with torch.autocast("cpu", enabled=False):
            return self.conv(x.float()).to(x.dtype)
