"""All networks in one table: parameters, multiply-adds, and on demand their time and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from triscope.errors import UnknownModel
from triscope.motion.cost import cost
from triscope.motion.models import (
    csn,
    deepvideo,
    eco,
    i3d,
    mvit,
    non_local,
    r3d,
    s3d,
    slowfast,
    tpn,
    tsm,
    tsn,
    two_stream,
    video_swin,
    x3d,
)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One network at its published input."""

    name: str
    input: str
    parameters: int
    giga: float  # thousand million multiply-adds
    milliseconds: float | None = None  # eager, one thread, CPU time, the least of some rounds
    weights_mb: float = 0.0


def _networks() -> dict[str, tuple[Callable[[], nn.Module], Shape]]:
    """Every network by name, with the input of its published table."""
    found: dict[str, tuple[Callable[[], nn.Module], Shape]] = {}
    for fusion in deepvideo.FUSIONS:
        side = 178 if fusion == "multiresolution" else 170
        clip = (1, 3, deepvideo.FRAMES[fusion], side, side)
        found[f"deepvideo_{fusion}"] = (lambda f=fusion: deepvideo.DeepVideo(f)), clip  # type: ignore[misc]
    found["two_stream_spatial"] = two_stream.spatial, (1, 3, 224, 224)
    found["two_stream_temporal"] = two_stream.temporal, (1, 20, 224, 224)
    for base in ("bninception", "resnet50"):
        found[f"tsn_{base}"] = (lambda b=base: tsn.network(b)), (1, 3, 8, 224, 224)  # type: ignore[misc]
    found["i3d"] = i3d.I3d, (1, 3, 64, 224, 224)
    for base in ("c2d", "i3d", "slow"):
        found[f"{base}_nln_r50"] = (lambda b=base: non_local.network(b)), (1, 3, 8, 224, 224)  # type: ignore[misc]
    found["eco_lite_16"] = eco.Eco, (1, 3, 16, 224, 224)
    found["eco_full_16"] = (lambda: eco.Eco(full=True)), (1, 3, 16, 224, 224)
    for name, variant in slowfast.VARIANTS.items():
        clip = (1, 3, variant.frames, 224, 224)
        found[name] = (lambda n=name: slowfast.network(n)), clip  # type: ignore[misc]
    for depth in (50, 101, 152):
        for kind in ("ir", "ip"):
            found[f"csn_r{depth}_{kind}"] = (
                (lambda d=depth, k=kind: csn.Csn(depth=d, interaction=k)),  # type: ignore[misc]
                (1, 3, 32, 224, 224),
            )
    for base in ("resnet50", "mobilenetv2"):
        found[f"tsm_{base}"] = (lambda b=base: tsm.network(b)), (1, 3, 8, 224, 224)  # type: ignore[misc]
    found["tsm_online_mobilenetv2"] = (
        lambda: tsm.Online(tsm.network("mobilenetv2", both=False)),
        (1, 3, 224, 224),
    )
    for name, shape in x3d.SHAPES.items():
        clip = (1, 3, shape.frames, shape.size, shape.size)
        found[name] = (lambda s=shape: x3d.X3d(s)), clip  # type: ignore[misc]
    found["tpn_r50_8x8"] = tpn.Tpn, (1, 3, 8, 224, 224)
    for name in ("video_swin_t", "video_swin_s", "video_swin_b", "video_swin_l"):
        found[name] = (lambda n=name: video_swin.network(n)), (1, 3, 32, 224, 224)  # type: ignore[misc]
    for name, size in mvit.VARIANTS.items():
        clip = (1, 3, size.frames, size.size, size.size)
        found[name] = (lambda s=size: mvit.Mvit(s)), clip  # type: ignore[misc]
    found["s3d"] = s3d.S3d, (1, 3, 16, 224, 224)
    for name, filters in r3d.FILTERS.items():
        found[name] = (lambda f=filters: r3d.R3d(f)), (1, 3, 16, 112, 112)  # type: ignore[misc]
    return found


NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], Shape]] = _networks()


def compare(names: Iterable[str] = (), *, timed: bool = False, rounds: int = 3) -> list[Row]:
    """A row for each network, all of them where none is named; raises UnknownModel."""
    rows = []
    for name in tuple(names) or tuple(NETWORKS):
        if name not in NETWORKS:
            raise UnknownModel(f"no network named {name!r}. There are: {', '.join(NETWORKS)}.")
        build, shape = NETWORKS[name]
        with torch.device("meta"):
            blank = build()
        found = cost(blank, shape)
        took = _time(build, shape, rounds) if timed else None
        weights_mb = 4 * found.parameters / 1e6
        text = "x".join(map(str, shape[1:]))
        rows.append(Row(name, text, found.parameters, found.giga, took, weights_mb))
    return rows


def _time(build: Callable[[], nn.Module], shape: Shape, rounds: int) -> float:
    net, clip = build().eval(), torch.randn(shape)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            times = []
            for _ in range(rounds):
                start = time.process_time()
                net(clip)
                times.append(time.process_time() - start)
    finally:
        torch.set_num_threads(before)
    return 1000 * min(times)


def within(budget_ms: float, *, least_frames: int = 2) -> list[Row]:
    """Networks whose eager time fits the budget, the largest first: a first choice by latency.

    The time is estimated from the multiply-adds at a rate measured here on one of them.
    """
    small = compare(("x3d_s",), timed=True, rounds=2)[0]
    rate = (small.milliseconds or 1.0) / small.giga  # ms for one thousand million
    rows = [row for row in compare() if row.giga * rate <= budget_ms]
    moving = [row for row in rows if len(row.input.split("x")) == 4 or "online" in row.name]
    fit = [row for row in moving if "online" in row.name or _frames(row) >= least_frames]
    return sorted(fit, key=lambda row: -row.giga)


def _frames(row: Row) -> int:
    return int(row.input.split("x")[1])
