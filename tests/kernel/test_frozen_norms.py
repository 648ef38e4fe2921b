"""A network of frozen norms learns with the norms inside the convolutions: the same function."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from triscope.kernel.nn.stages import Stages, stages


@pytest.fixture(params=["plain", "as tensorflow"])
def net(request: pytest.FixtureRequest) -> Stages:
    """Stages whose norms have statistics that matter."""
    torch.manual_seed(0)
    net = stages("mobilenetv2_050", "random:0", "frozen")
    for norm in net._norms():
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 1.5)
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.normal_(0, 0.1)
    if request.param == "as tensorflow":
        net.pad_as_tensorflow()
    return net


def learned(net: Stages, images: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The maps, and the gradient of each parameter that learns."""
    net.zero_grad()
    maps = net(images)
    torch.stack([m.square().mean() for m in maps]).sum().backward()
    return maps, [p.grad.clone() for p in net.parameters() if p.grad is not None]


def test_training_computes_what_inspection_does(net: Stages) -> None:
    images = torch.rand(2, 3, 96, 96)
    maps, slopes = learned(net, images)
    trained, steps = learned(net.train(), images)
    for a, b in zip([*maps, *slopes], [*trained, *steps], strict=True):
        torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-3 * float(a.detach().abs().max()))


def test_no_norm_is_walked_while_training(net: Stages) -> None:
    walked: list[nn.Module] = []
    images = torch.rand(1, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        net.train()(images)
        for norm in net._norms():
            norm.register_forward_hook(lambda module, _x, _y: walked.append(module))
        net(images)
    assert not walked


def test_layers_changed_between_trainings_count(net: Stages) -> None:
    images = torch.rand(1, 3, 64, 64)
    net.train()(images)
    net.eval()
    net.parts[3] = nn.Conv2d(net.channels[2], 5, 1)
    assert net.train()(images)[-1].shape[1] == 5


def test_a_copy_learns_on_its_own(net: Stages) -> None:
    images = torch.rand(1, 3, 64, 64)
    before = net.train()(images)[-1]
    other = copy.deepcopy(net)
    with torch.no_grad():
        for p in other.parameters():
            p.zero_()
    torch.testing.assert_close(net(images)[-1], before)
