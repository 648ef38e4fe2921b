"""Speed of networks of video on one thread: eager PyTorch against the exported graph.

Usage: python -m benchmarks.bench_motion_speed [--seconds 6] [--json FILE]
Both sides get the same input and alternate; CPU seconds of this process are told, the smallest of
all rounds. Answers must agree before anything is timed. Random weights: speed does not depend on
them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import cv2
import numpy as np
import onnxruntime
import torch

from triscope.kernel.export.onnx import write_onnx
from triscope.kernel.protocols import Graph
from triscope.motion.models.tsm import Online
from triscope.motion.models.tsm import network as tsm
from triscope.motion.models.x3d import SHAPES, X3d


def lively(net: torch.nn.Module) -> torch.nn.Module:
    """Random weights that let the input reach the answer."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d):
            torch.nn.init.kaiming_normal_(module.weight)
    return net.eval()


def exported(graph: Graph, folder: Path) -> Path:
    path = folder / "model.onnx"
    write_onnx(graph, path)
    return path


def by_onnxruntime(path: Path) -> Callable[[dict[str, Any]], np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def by_openvino(path: Path, precision: str) -> Callable[[dict[str, Any]], np.ndarray]:
    import openvino

    model = openvino.Core().compile_model(
        str(path), "CPU",
        {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision},
    )  # fmt: skip
    return lambda inputs: np.array(model(inputs)[0])


def ways(graph: Graph, path: Path) -> dict[str, Callable[[dict[str, Any]], np.ndarray]]:
    """Eager, and whatever engines are here."""

    def eager(inputs: dict[str, Any]) -> np.ndarray:
        with torch.inference_mode():
            out = graph.module(*(torch.from_numpy(value) for value in inputs.values()))
        return (out if isinstance(out, torch.Tensor) else out[0]).numpy()

    found = {"PyTorch eager": eager, "ONNX Runtime": by_onnxruntime(path)}
    found["OpenVINO f32"] = by_openvino(path, "f32")
    found["OpenVINO bf16"] = by_openvino(path, "bf16")
    return found


def race(graph: Graph, seconds: float) -> list[dict[str, Any]]:
    """A row a way: milliseconds of CPU time, ratio to eager, error, whether the argmax agrees."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = exported(graph, Path(folder))
        entries = ways(graph, path)
    inputs = [
        {n: rng.standard_normal(v.shape).astype(np.float32) for n, v in graph.example.items()}
        for _ in range(6)
    ]
    truth = [entries["PyTorch eager"](one) for one in inputs]
    rows = {}
    for name, way in entries.items():
        answers = [way(one) for one in inputs]
        error = max(
            np.abs(a - t).max() / np.abs(t).max() for a, t in zip(answers, truth, strict=True)
        )
        same = sum(int(a.argmax() == t.argmax()) for a, t in zip(answers, truth, strict=True))
        rows[name] = {"way": name, "ms": float("inf"), "error": float(error), "argmax": f"{same}/6"}
    end = time.monotonic() + seconds * len(entries)
    while time.monotonic() < end:
        for name, way in entries.items():
            start = time.process_time()
            way(inputs[0])
            rows[name]["ms"] = min(rows[name]["ms"], 1000 * (time.process_time() - start))
    for row in rows.values():
        row["times"] = rows["PyTorch eager"]["ms"] / row["ms"]
    return list(rows.values())


def online() -> Graph:
    module = lively(Online(tsm("mobilenetv2", both=False, classes=27)))
    frame = torch.zeros(1, 3, 224, 224)
    state = {f"state_{i}": value for i, value in enumerate(module.start(frame))}
    outputs = ("logits", *(f"next_{i}" for i in range(len(state))))
    return Graph(module, {"frame": frame, **state}, outputs)


def clip() -> Graph:
    shape = SHAPES["x3d_s"]
    module = lively(X3d(shape))
    return Graph(module, {"clips": torch.zeros(1, 3, 13, 160, 160)}, ("logits",))


def pipeline(seconds: float) -> float:
    """Frames a second of one core: decode, resize, online network, answer."""
    from benchmarks.bench_motion_decode import paint
    from triscope.kernel.data.video import Video

    graph = online()
    with tempfile.TemporaryDirectory() as folder:
        run = onnxruntime.SessionOptions()
        run.intra_op_num_threads = run.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(exported(graph, Path(folder))), run)
        path = Path(folder) / "film.mp4"
        paint(path, frames=240)
        state = {n: v.numpy() for n, v in graph.example.items() if n != "frame"}
        best, end = 0.0, time.monotonic() + seconds
        while time.monotonic() < end or not best:
            start, count = time.process_time(), 0
            with Video(path) as video:
                for _, frame in video.walk(224):
                    cut = np.ascontiguousarray(frame[:, 37:261].transpose(2, 0, 1))[None]
                    out = session.run(None, {"frame": cut.astype(np.float32) / 255, **state})
                    state = {f"state_{i}": value for i, value in enumerate(out[1:])}
                    int(out[0].argmax())
                    count += 1
            best = max(best, count / (time.process_time() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    told: dict[str, Any] = {}
    for name, graph in (
        ("tsm online, MobileNetV2, 1 frame 224", online()),
        ("x3d_s, 13 x 160", clip()),
    ):
        told[name] = race(graph, given.seconds)
        print(name)
        for row in told[name]:
            line = "  {way:14} {ms:8.2f} ms  {times:5.2f} x  error {error:.1e}  argmax {argmax}"
            print(line.format(**row))
    told["frames a second a core"] = pipeline(given.seconds)
    print(f"decode + resize + answer: {told['frames a second a core']:.0f} frames/s a core")
    if given.json:
        given.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
