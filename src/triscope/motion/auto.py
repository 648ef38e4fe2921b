"""``triscope fit auto`` on videos: which model suits what is known of them and the time there is.

A few videos cannot teach a large network from nothing, so that the smallest one is taken whatever
the budget allows. Otherwise it is the most able network whose answer comes in time, measured on
the machine at hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from triscope.errors import BadSettings, EmptyData
from triscope.kernel.data.sample import Dataset
from triscope.kernel.data.video import open_videos
from triscope.kernel.data.video.timeline import Timeline, has_spans, open_timelines

FEW = 100  # videos a class below which a large network learns the videos by heart
LATENCY_MS = 100.0  # of an answer, where nothing is said
SMALL = {"frames": 8, "size": 64, "square": True, "seen": "difference", "sampling": "segments",
         "step": 3, "width": 2.0, "depth": 1.0, "learning_rate": 4e-3, "dropout": 0.2}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """A model, the settings that make it fit, and the sentence that says why."""

    name: str
    why: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """A network of the ladder; ``top_1`` is its published accuracy on Kinetics-400 in percent."""

    name: str
    top_1: float
    settings: Mapping[str, Any]


# From the least able to the most; accuracies as their authors publish them (SlowFast's model zoo).
LADDER = (
    Candidate("x3d", 69.5, {"variant": "x3d_xs", "frames": 4, "step": 12, "size": 160}),
    Candidate("x3d", 73.5, {"variant": "x3d_s", "frames": 13, "step": 6, "size": 160}),
    Candidate("x3d", 76.2, {"variant": "x3d_m", "frames": 16, "step": 5, "size": 224}),
    Candidate("x3d", 77.5, {"variant": "x3d_l", "frames": 16, "step": 5, "size": 312}),
    Candidate("mvit", 81.0, {"variant": "mvit_v2_s", "frames": 16, "step": 4, "size": 224}),
)


def choose(
    source: Any,
    latency_ms: float | None = None,
    measure: Callable[[Candidate], float] | None = None,
) -> Choice:
    """The model for videos; ``measure`` tells the milliseconds of one answer (default: here)."""
    if latency_ms is not None and latency_ms <= 0:
        raise BadSettings(f"latency_ms={latency_ms:g}: expected a number above 0.")
    if has_spans(source):
        return _steps(open_timelines(source))
    data = open_videos(source)
    if any(isinstance(sample, Timeline) for sample in data):
        return _steps(data)
    counts = [sum(s.label == name for s in data) for name in data.classes]
    if not counts:
        raise EmptyData(f"{data.root or 'the data'} holds no labelled video to learn from.")
    if min(counts) < FEW:
        return Choice(
            "x3d",
            f"{min(counts)} videos of a class are few for a large network: a small one that sees "
            "how frames change, and not what they look like.",
            SMALL,
        )
    return _in_time(latency_ms or LATENCY_MS, measure or eager_ms)


def _steps(data: Dataset) -> Choice:
    return Choice("ms_tcn", f"{len(data)} videos have labelled spans: each frame gets a label.")


def _in_time(budget_ms: float, measure: Callable[[Candidate], float]) -> Choice:
    """The last candidate that keeps the budget; they grow, so the first that fails ends it."""
    kept, took = LADDER[0], measure(LADDER[0])
    if took > budget_ms:
        raise BadSettings(
            f"the smallest network of clips takes {took:.0f} ms here, more than {budget_ms:g} ms. "
            "Give --latency-ms more, or fit 'tsm --no-both', which answers frame by frame."
        )
    for candidate in LADDER[1:]:
        next_took = measure(candidate)
        if next_took > budget_ms:
            break
        kept, took = candidate, next_took
    why = (
        f"{kept.settings['variant']} is the most able network that answers within {budget_ms:g} ms "
        f"here: {took:.0f} ms on one thread before export, {kept.top_1:g} % of Kinetics-400."
    )
    return Choice(kept.name, why, kept.settings)


def eager_ms(candidate: Candidate) -> float:
    """CPU milliseconds of one clip on one thread, not exported: the graph of a check is faster."""
    import torch

    from triscope.kernel import catalogue, config

    settings: Any = config.build(catalogue.settings_class(candidate.name), candidate.settings)
    network = catalogue.load(candidate.name)(settings).build(10).eval()
    clip = torch.zeros(1, 3, settings.frames, settings.size, settings.size)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            network(clip)
            start = time.process_time()
            network(clip)
            return 1000 * (time.process_time() - start)
    finally:
        torch.set_num_threads(before)
