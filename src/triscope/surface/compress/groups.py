"""The channels that each network can lose without its graph changing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from triscope.surface.compress.channels import Group, Reader
from triscope.surface.models import classifier, unet
from triscope.surface.models._necks import Branch, MultilevelFusion
from triscope.surface.models._roi import AverageHead
from triscope.surface.models._two_stage import TwoStage


def groups_of(net: nn.Module) -> list[Group]:
    """Of the backbone's blocks, the fusion, the proposals and the decoder, by name.

    What is added to a residual path keeps its width: removing there would touch every block.
    """
    found = [*_blocks(net)]
    for name, module in net.named_modules():
        if isinstance(module, Branch):
            found += _resizing(name, module)
    if isinstance(net, TwoStage):
        found += _two_stage(net)
    if isinstance(net, classifier.Network):
        found += _fusion(net.neck, [net.head])
    found += [group for n, m in net.named_modules() for group in _decoder(n, m)]
    return [group for group in found if group.count > 1]


def _blocks(net: nn.Module) -> Iterator[Group]:
    """What stands between the two ends of a residual block: expansions and bottlenecks of timm."""
    for name, block in net.named_modules():
        kind, b = type(block).__name__, _Attributes(block)
        if kind == "InvertedResidual" and _plain(b.get("se")):
            between = [b.bn1, b.conv_dw, b.bn2]
            yield Group(f"{name}.expansion", b.conv_pw, between, [Reader(b.conv_pwl)])
        elif kind == "BasicBlock" and _plain(b.get("aa")) and _ordinary(b.conv1, b.conv2):
            yield Group(f"{name}.inner", b.conv1, [b.bn1], [Reader(b.conv2)])
        elif kind == "Bottleneck" and _ordinary(b.conv1, b.conv2, b.conv3) and _plain(b.get("aa")):
            yield Group(f"{name}.inner1", b.conv1, [b.bn1], [Reader(b.conv2)])
            yield Group(f"{name}.inner2", b.conv2, [b.bn2], [Reader(b.conv3)])


def _resizing(name: str, branch: Branch) -> Iterator[Group]:
    """The maps between the strided convolutions of a branch, and before its 1x1 convolution."""
    steps = [step for step in branch.resize if isinstance(step, nn.Sequential)]
    ends = [*steps[1:], branch.last] if steps else []
    for number, (step, end) in enumerate(zip(steps, ends, strict=True)):
        if isinstance(end, nn.Sequential):
            maker, *norm = step
            assert isinstance(maker, nn.Conv2d) and isinstance(end[0], nn.Conv2d)
            yield Group(f"{name}.step{number}", maker, norm, [Reader(end[0])])


def _two_stage(net: TwoStage) -> Iterator[Group]:
    rpn = net.rpn
    yield Group("rpn.hidden", rpn.conv, [], [Reader(rpn.objectness), Reader(rpn.offsets)])
    if isinstance(net.head, AverageHead):
        yield from _fusion(net.neck, [rpn.conv, net.names, net.head.score, net.head.box])


def _fusion(neck: nn.Module, layers: list[Any]) -> Iterator[Group]:
    """The width of each branch of the fusion; ``layers`` read them one behind the other."""
    if not isinstance(neck, MultilevelFusion):
        return
    if isinstance(neck.join, nn.Sequential):
        maker, *norm = neck.join
        assert isinstance(maker, nn.Conv2d)
        yield Group("neck.join", maker, norm, [Reader(layer) for layer in layers])
        return
    # From the last to the first: what is removed behind a branch does not move its first channel.
    first = neck.out
    for number in reversed(range(len(neck.branches))):
        branch = neck.branches[number]
        assert isinstance(branch, Branch) and isinstance(branch.last, nn.Sequential)
        maker, *norm = branch.last
        assert isinstance(maker, nn.Conv2d)
        first -= maker.out_channels
        readers = [Reader(layer, first) for layer in layers]
        yield Group(f"neck.branch{number}", maker, norm, readers)


def _decoder(name: str, net: nn.Module) -> Iterator[Group]:
    """The widths of U-Net's way up."""
    if not isinstance(net, unet.Network):
        return
    before = f"{name}." if name else ""
    ups: list[Any] = list(net.ups)
    for number, up in enumerate(ups):
        (first, norm1, _), (second, norm2, _) = up.convs[0], up.convs[1]
        yield Group(f"{before}ups{number}.inner", first, [norm1], [Reader(second)])
        if not name or number != 1:  # the decision of 'mixed' reads this one as well
            reader = ups[number + 1].convs[0][0] if number + 1 < len(ups) else net.head
            yield Group(f"{before}ups{number}", second, [norm2], [Reader(reader)])


def _ordinary(*layers: Any) -> bool:
    """Convolutions over all channels, with nothing about them."""
    return all(isinstance(layer, nn.Conv2d) and layer.groups == 1 for layer in layers)


def _plain(module: Any) -> bool:
    """Nothing in between that would read the channels too, as squeeze and excitation does."""
    return module is None or isinstance(module, nn.Identity)


class _Attributes:
    """Modules of a block by name, untyped: timm's blocks have no common class."""

    def __init__(self, block: nn.Module) -> None:
        self._block = block

    def __getattr__(self, name: str) -> Any:
        return getattr(self._block, name)

    def get(self, name: str) -> Any:
        """The module of that name, or None."""
        return getattr(self._block, name, None)
