"""Residual networks over space and time: stem, bottlenecks, stages, non-local blocks, heads.

One bottleneck serves `nonlocal`, `slowfast`, `csn` and `tpn`; what differs is the policy of its
middle convolution and the reach in time of its first one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Middle = Literal["spatial", "depthwise", "pointwise+depthwise"]
PairFunction = Literal["gaussian", "embedded_gaussian", "dot_product", "concatenation"]
Pooling = Literal["before", "after", "none"]
EVERYWHERE = (1 << 20,) * 3  # a window that holds every map: mmaction2's heads average over all
BLOCKS: Mapping[int, tuple[int, int, int, int]] = {
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
Clip = Float[Tensor, "b c t h w"]


class Stem(nn.Module):
    """Convolution t x 7 x 7, batch normalisation, ReLU, max pool over 3 x 3: a quarter the size.

    ``strides``: those of convolution and pool in time.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        time: int,
        *,
        strides: tuple[int, int] = (1, 1),
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.pool_stride = strides[1]
        self.conv = nn.Conv3d(
            channels, width, (time, 7, 7), (strides[0], 2, 2), (time // 2, 3, 3), bias=False
        )
        self.bn = nn.BatchNorm3d(width, eps=eps)

    def forward(self, x: Clip) -> Float[Tensor, "b d s i j"]:
        x = F.relu(self.bn(self.conv(x)))
        return F.max_pool3d(x, (1, 3, 3), (self.pool_stride, 2, 2), (0, 1, 1))


class Bottleneck(nn.Module):
    """``time`` x 1 x 1 down, the middle convolution, 1 x 1 x 1 up, and a shortcut.

    Middle: ``spatial`` 1 x 3 x 3; ``depthwise`` 3 x 3 x 3 of each channel by itself (ir-CSN);
    ``pointwise+depthwise`` the same behind a 1 x 1 x 1 without ReLU (ip-CSN).
    """

    def __init__(
        self,
        wide_in: int,
        inner: int,
        wide: int,
        *,
        time: int = 1,
        stride: tuple[int, int, int] = (1, 1, 1),
        middle: Middle = "spatial",
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        if wide_in != wide or stride != (1, 1, 1):
            self.shortcut = nn.Conv3d(wide_in, wide, 1, stride, bias=False)
            self.shortcut_bn = nn.BatchNorm3d(wide, eps=eps)
        self.a = nn.Conv3d(wide_in, inner, (time, 1, 1), padding=(time // 2, 0, 0), bias=False)
        self.a_bn = nn.BatchNorm3d(inner, eps=eps)
        if middle == "pointwise+depthwise":
            self.b_mix = nn.Conv3d(inner, inner, 1, bias=False)
            self.b_mix_bn = nn.BatchNorm3d(inner, eps=eps)
        reach, groups = (1, 1) if middle == "spatial" else (3, inner)
        padding = (reach // 2, 1, 1)
        self.b = nn.Conv3d(inner, inner, (reach, 3, 3), stride, padding, groups=groups, bias=False)
        self.b_bn = nn.BatchNorm3d(inner, eps=eps)
        self.c = nn.Conv3d(inner, wide, 1, bias=False)
        self.c_bn = nn.BatchNorm3d(wide, eps=eps)

    def forward(self, x: Clip) -> Float[Tensor, "b d s i j"]:
        kept = self.shortcut_bn(self.shortcut(x)) if hasattr(self, "shortcut") else x
        x = F.relu(self.a_bn(self.a(x)))
        if hasattr(self, "b_mix"):
            x = self.b_mix_bn(self.b_mix(x))
        x = F.relu(self.b_bn(self.b(x)))
        return F.relu(kept + self.c_bn(self.c(x)))


class NonLocal(nn.Module):
    """y = x + BN(W y'), y'_i = sum_j f(x_i, x_j) g(x_j) / C over all places and times (eq. 1).

    The four pair functions f of section 3.2 of arXiv:1711.07971. ``pool`` halves the places that
    are looked at, not those that look: ``before`` phi and g (SlowFast) or ``after`` them (the
    paper, mmaction2). ``scaled``: the products of the embedded Gaussian are divided by the root of
    the width. As in the paper the last normalisation starts at zero, so that a new block changes
    nothing.
    """

    def __init__(
        self,
        channels: int,
        *,
        pair: PairFunction = "embedded_gaussian",
        pool: Pooling = "before",
        scaled: bool = True,
        out_bias: bool = True,
    ) -> None:
        super().__init__()
        inner = channels // 2
        self.pair, self.pool, self.inner, self.scaled = pair, pool, inner, scaled
        if pair != "gaussian":
            self.theta = nn.Conv3d(channels, inner, 1)
            self.phi = nn.Conv3d(channels, inner, 1)
        if pair == "concatenation":
            self.project = nn.Conv3d(2 * inner, 1, 1, bias=False)
        self.g = nn.Conv3d(channels, inner, 1)
        self.out = nn.Conv3d(inner, channels, 1, bias=out_bias)
        self.bn = nn.BatchNorm3d(channels)
        nn.init.zeros_(self.bn.weight)

    def forward(self, x: Clip) -> Clip:
        seen = F.max_pool3d(x, (1, 2, 2)) if self.pool == "before" else x
        phi, g = seen if self.pair == "gaussian" else self.phi(seen), self.g(seen)
        if self.pool == "after":
            phi, g = (F.max_pool3d(value, (1, 2, 2)) for value in (phi, g))
        looks = (x if self.pair == "gaussian" else self.theta(x)).flatten(2)  # (b, c, n)
        weights = self._weights(looks, phi.flatten(2))  # (b, n, m)
        answer = weights @ g.flatten(2).transpose(1, 2)  # (b, n, c)
        answer = answer.transpose(1, 2).reshape(x.shape[0], self.inner, *x.shape[2:])
        return x + self.bn(self.out(answer))

    def _weights(
        self, looks: Float[Tensor, "b c n"], shown: Float[Tensor, "b c m"]
    ) -> Float[Tensor, "b n m"]:
        if self.pair == "concatenation":
            own, other = self.project.weight.reshape(2, self.inner)
            both = (own @ looks).unsqueeze(2) + (other @ shown).unsqueeze(1)
            return F.relu(both) / shown.shape[2]
        products = looks.transpose(1, 2) @ shown
        if self.pair == "dot_product":
            return products / shown.shape[2]
        if self.pair == "embedded_gaussian" and self.scaled:
            products = products * self.inner**-0.5
        return products.softmax(dim=2)


class Stage(nn.Module):
    """Bottlenecks of one width, some of them followed by a non-local block."""

    def __init__(self, blocks: Sequence[nn.Module], nonlocals: Mapping[int, NonLocal]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.nonlocals = nn.ModuleDict({str(i): block for i, block in nonlocals.items()})

    def forward(self, x: Clip) -> Float[Tensor, "b d s i j"]:
        for i, block in enumerate(self.blocks):
            x = block(x)
            if str(i) in self.nonlocals:
                x = self.nonlocals[str(i)](x)
        return x


def stage(
    wide_in: int,
    inner: int,
    wide: int,
    count: int,
    *,
    times: Sequence[int] = (1,),
    stride: tuple[int, int, int] = (1, 1, 1),
    middle: Middle = "spatial",
    eps: float = 1e-5,
    nonlocals: Mapping[int, NonLocal] | None = None,
) -> Stage:
    """``count`` bottlenecks; ``times`` is repeated over them; the first one takes the stride."""
    blocks = [
        Bottleneck(
            wide_in if i == 0 else wide,
            inner,
            wide,
            time=times[i % len(times)],
            stride=stride if i == 0 else (1, 1, 1),
            middle=middle,
            eps=eps,
        )
        for i in range(count)
    ]
    return Stage(blocks, nonlocals or {})


def pooled(x: Clip, window: tuple[int, int, int]) -> Float[Tensor, "b i j k c"]:
    """Means over windows that slide by 1, channels last: one place for the size of training.

    Larger inputs give several places; the published heads classify each and average after that.
    """
    reach = [min(w, s) for w, s in zip(window, x.shape[2:], strict=True)]
    return F.avg_pool3d(x, reach, 1).permute(0, 2, 3, 4, 1)


class ResNet3D(nn.Module):
    """Stem, four stages and a linear head: C2D, I3D and Slow networks, with non-local blocks."""

    def __init__(
        self,
        *,
        depth: int,
        stem_time: int,
        stem_strides: tuple[int, int] = (1, 1),
        times: Sequence[Sequence[int]],
        middle_pool: int = 1,
        nonlocals: Sequence[Sequence[int]] = ((), (), (), ()),
        pair: PairFunction = "embedded_gaussian",
        pool_nonlocals: Pooling = "before",
        scaled: bool = True,
        nonlocal_out_bias: bool = True,
        classes: int = 400,
        channels: int = 3,
        dropout: float = 0.5,
        window: tuple[int, int, int] = (8, 7, 7),
    ) -> None:
        super().__init__()
        self.middle_pool, self.window = middle_pool, window
        self.stem = Stem(channels, 64, stem_time, strides=stem_strides)
        self.stages = nn.ModuleList()
        for k, count in enumerate(BLOCKS[depth]):
            wide = 256 * 2**k
            blocks = {
                i: NonLocal(
                    wide, pair=pair, pool=pool_nonlocals, scaled=scaled, out_bias=nonlocal_out_bias
                )
                for i in nonlocals[k]
            }
            self.stages.append(
                stage(
                    64 if k == 0 else wide // 2,
                    64 * 2**k,
                    wide,
                    count,
                    times=times[k],
                    stride=(1, 1, 1) if k == 0 else (1, 2, 2),
                    nonlocals=blocks,
                )
            )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2048, classes)

    def forward(self, clips: Clip | list[Clip]) -> Float[Tensor, "b k"]:
        x = self.stem(one_clip(clips))
        for k, part in enumerate(self.stages):
            x = part(x)
            if k == 0 and self.middle_pool > 1:
                x = F.max_pool3d(x, (self.middle_pool, 1, 1))
        window = (self.window[0] // self.middle_pool, *self.window[1:])
        return self.head(self.dropout(pooled(x, window))).mean((1, 2, 3))


def placed(keys: Iterable[str], start: str = "") -> tuple[tuple[int, ...], ...]:
    """After which bottlenecks of each stage the keys have non-local blocks; empty: nowhere."""
    found: list[set[int]] = [set(), set(), set(), set()]
    for key in keys:
        if match := re.match(rf"{start}stages\.(\d)\.nonlocals\.(\d+)\.", key):
            found[int(match[1])].add(int(match[2]))
    return tuple(tuple(sorted(numbers)) for numbers in found) if any(found) else ()


def one_clip(clips: Tensor | Sequence[Tensor]) -> Tensor:
    """The clip itself where a list of one is given, as the published code takes it."""
    return clips if isinstance(clips, torch.Tensor) else clips[0]
