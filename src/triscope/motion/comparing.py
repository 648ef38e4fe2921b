"""All networks in one table: parameters, multiply-adds, and on demand their time and memory."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

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
    weights_mb: float = 0.0
    milliseconds: float | None = None  # eager, one thread, CPU time, the least of some rounds
    peak_mb: float | None = None  # of memory, the weights included, above a process with torch


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


def compare(
    names: Iterable[str] = (), *, timed: bool = False, rounds: int = 3, most_giga: float = math.inf
) -> list[Row]:
    """A row for each network, all of them where none is named; raises UnknownModel.

    With ``timed`` each network up to ``most_giga`` also runs, in a process of its own, so that the
    memory of one is not taken for that of the next.
    """
    rows = []
    for name in tuple(names) or tuple(NETWORKS):
        if name not in NETWORKS:
            raise UnknownModel(f"no network named {name!r}. There are: {', '.join(NETWORKS)}.")
        build, shape = NETWORKS[name]
        with torch.device("meta"):
            blank = build()
        found = cost(blank, shape)
        text = "x".join(map(str, shape[1:]))
        row = Row(name, text, found.parameters, found.giga, 4 * found.parameters / 1e6)
        if timed and found.giga <= most_giga:
            took, peak = _in_own_process(name, rounds)
            row = replace(row, milliseconds=took, peak_mb=peak)
        rows.append(row)
    return rows


def _in_own_process(name: str, rounds: int) -> tuple[float, float]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, name, rounds).result()


def measure(name: str, rounds: int = 3) -> tuple[float, float]:
    """Milliseconds of CPU time of one forward pass on one thread, and megabytes at its peak."""
    build, shape = NETWORKS[name]
    torch.set_num_threads(1)
    _forget_peak()
    before = _peak_mb()
    net, clip, times = build().eval(), torch.randn(shape), []
    with torch.inference_mode():
        for _ in range(rounds):
            start = time.process_time()
            net(clip)
            times.append(time.process_time() - start)
    return 1000 * min(times), _peak_mb() - before


def _forget_peak() -> None:
    """Let the peak count from now on, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    """The most memory that this process held; NaN where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return math.nan


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
