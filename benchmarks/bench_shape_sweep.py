"""The compiled sweep against a plain PyTorch form: CPU seconds of one thread, same input.

    python benchmarks/bench_shape_sweep.py [--rounds 3] [--large]

The plain form is what one writes from the paper: per plane a grid_sample of all sources, the
variance, three GRU cells, and a running maximum with a sum of exponentials. Both sides get the same
features and alternate in one run. Weights and features are random; agreement is printed.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from triscope.shape.models.rmvsnet import RMVSNet
from triscope.shape.sweep import sweep
from triscope.shape.sweep.native import has_bf16
from triscope.shape.warp import planes, warp_of

PLAIN = "plain PyTorch"


def rig(views: int, size: tuple[int, int]) -> tuple[Any, Any]:
    """Cameras side by side, turned to a place 5 units away."""
    h, w = size
    K = np.array([[1.1 * w, 0, (w - 1) / 2], [0, 1.1 * w, (h - 1) / 2], [0, 0, 1.0]])
    poses = []
    for i in range(views):
        angle = np.radians(4.0) * ((i + 1) // 2) * (-1) ** i
        turn = np.array(
            [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        )
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn, np.array([0, 0, 5.0]) - turn @ np.array([0, 0, 5.0])
        poses.append(pose)
    return np.stack([K] * views), np.stack(poses)


@torch.no_grad()
def plain(features: torch.Tensor, warp: Any, depths: Any, network: RMVSNet) -> Any:
    """The plain form."""
    n, _, h, w = features.shape
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    rays = torch.stack([x, y, torch.ones_like(x)]).reshape(3, -1).float()
    turn = torch.tensor(warp.turn, dtype=torch.float32)
    shift = torch.tensor(warp.shift, dtype=torch.float32)[..., None]
    best = torch.zeros(h, w)
    index = torch.zeros(h, w, dtype=torch.long)
    total = torch.zeros(h, w)
    states = None
    for d, depth in enumerate(depths):
        p = turn @ rays * float(depth) + shift
        xy = p[:, :2] / p[:, 2:]
        grid = torch.stack([2 * xy[:, 0] / (w - 1) - 1, 2 * xy[:, 1] / (h - 1) - 1], -1)
        others = F.grid_sample(features[1:], grid.view(n - 1, h, w, 2), align_corners=True)
        everything = torch.cat([features[:1], others])
        cost = everything.square().mean(0) - everything.mean(0).square()
        score, states = network.plane(-cost[None], states)
        prob = score[0].exp()
        higher = prob > best
        best, index = torch.where(higher, prob, best), torch.where(higher, d, index)
        total += prob
    return index.numpy(), (best / (total + 1e-7)).numpy()


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """The answer, CPU seconds and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    answer = work()
    return answer, time.process_time() - cpu, time.perf_counter() - wall


def compare(rounds: int) -> None:
    """544 x 352, 4 views, 180 planes."""
    torch.manual_seed(0)
    network = RMVSNet().eval()
    features = torch.randn(4, 32, 88, 136)
    features = F.avg_pool2d(features, 3, 1, 1) * 3
    warp = warp_of(*rig(4, (88, 136)))
    depths = planes(3.0, 12.0, 180)
    forms = {
        PLAIN: lambda: plain(features, warp, depths, network),
        f"{PLAIN}, 2 threads": lambda: on_two(lambda: plain(features, warp, depths, network)),
        "compiled": lambda: sweep(features, warp, depths, network, form="native"),
        "compiled, 2 threads": lambda: sweep(
            features, warp, depths, network, form="native", threads=2
        ),
    }
    if has_bf16():
        forms["compiled, bf16"] = lambda: sweep(
            features, warp, depths, network, form="native", precision="bf16"
        )
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
    answers: dict[str, Any] = {}
    for _ in range(rounds):
        for name, work in forms.items():
            answers[name], cpu, wall = timed(work)
            seconds[name].append((cpu, wall))
    index, probability = answers[PLAIN]
    base = min(cpu for cpu, _ in seconds[PLAIN])
    least = min(wall for name, times in seconds.items() if PLAIN in name for _, wall in times)
    print(
        "| form | CPU s | wall s | ratio CPU | wall, to the quicker plain form | planes equal | "
        "largest gap of probability |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, times in seconds.items():
        cpu, wall = min(c for c, _ in times), min(w for _, w in times)
        other = answers[name]
        theirs = other if isinstance(other, tuple) else (other.index, other.probability)
        equal = (theirs[0] == index).mean()
        gap = np.abs(theirs[1] - probability).max()
        print(
            f"| {name} | {cpu:.2f} | {wall:.2f} | {base / cpu:.2f} | {least / wall:.2f} | "
            f"{equal:.4f} | {gap:.1e} |"
        )


def on_two(work: Callable[[], Any]) -> Any:
    """With two threads of PyTorch."""
    torch.set_num_threads(2)
    try:
        return work()
    finally:
        torch.set_num_threads(1)


def large() -> None:
    """Memory and time as planes and sizes grow; run alone, since the peak is of the process."""
    torch.manual_seed(0)
    network = RMVSNet().eval()
    print("| features | views | planes | CPU s | peak of the process, MB |")
    print("|---|---|---|---|---|")
    for size, views, count in (
        ((128, 160), 5, 64),
        ((128, 160), 5, 512),
        ((296, 400), 5, 256),
    ):
        features = np.random.default_rng(0).standard_normal((views, 32, *size), np.float32)
        warp = warp_of(*rig(views, size))
        _, cpu, _ = timed(
            lambda f=features, w=warp, c=count: sweep(
                f, w, planes(3.0, 12.0, c), network, form="native"
            )
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {size[1]} x {size[0]} | {views} | {count} | {cpu:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.large:
        large()
    else:
        compare(chosen.rounds)
