"""The image encoder in the runtime beside eager torch: CPU seconds of one thread, error, masks.

``python -m benchmarks.bench_encoder NETWORK [options]``. Without ``--weights`` those of
``sam_nano`` are the package's, all others random: masks are then noise at the limit of zero, and
their overlap is a bound from below. Alternating, the least of several runs; torch runs in 32 bit,
as it stands: our network, and with ``--published CLONE`` (of MobileSAM) the encoder of its authors
too, from which the ratios are then counted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import machine
from benchmarks.published_sam import published_network
from triscope.kernel.data import open_data, read_image
from triscope.kernel.metrics.overlap import iou
from triscope.segment.evaluate.clicks import moved_box
from triscope.segment.export.folder import export_folder
from triscope.segment.frame import Frame
from triscope.segment.models.sam import BUILDERS
from triscope.segment.networks import load_network
from triscope.segment.predictor import Predictor
from triscope.segment.runtime import RuntimePredictor
from triscope.segment.synth import scene

OURS = "torch f32"
SIDES = (("onnxruntime", "f32", False), ("onnxruntime", "f32", True), ("openvino", "f32", False),
         ("openvino", "bf16", False), ("openvino", "bf16", True))  # fmt: skip


def main() -> None:
    """The table of one network."""
    args = arguments()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    name, weights = args.network, args.weights
    known = weights or name == "sam_nano"
    network = load_network(name, weights or None) if known else BUILDERS[name]().eval()
    sides: dict[str, Any] = {}
    if args.published:
        sides["torch f32, published"] = Published(args.published, name, network)
    sides[OURS] = Predictor(network)
    with TemporaryDirectory() as place:
        chosen = [side for side in SIDES if not (args.exact and side[2])]
        folders = {int8: Path(place) / str(int8) for int8 in dict.fromkeys(s[2] for s in chosen)}
        for int8, folder in folders.items():
            export_folder(name, network, folder, int8=int8)
        for engine, precision, int8 in chosen:
            label = f"{engine} {precision}{' int8' if int8 else ''}"
            sides[label] = RuntimePredictor(
                folders[int8], engine=engine, precision=precision, threads=1
            )
        print(machine(), flush=True)
        used, embeddings = timed(sides, args.times)
        overlaps = compared(sides, args.pictures, args.count) if args.pictures else {}
        told(used, embeddings, overlaps)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="The image encoder beside eager torch.")
    parser.add_argument("network", choices=sorted(BUILDERS))
    parser.add_argument("--weights", help="a file of weights; random without")
    parser.add_argument("--pictures", help="labelled pictures for the overlap of masks")
    parser.add_argument("--count", type=int, default=20, help="of them")
    parser.add_argument("--times", type=int, default=4, help="runs of each side")
    parser.add_argument("--exact", action="store_true", help="without the 8-bit sides")
    parser.add_argument("--published", type=Path, help="a clone of MobileSAM")
    return parser.parse_args()


class Published:
    """The encoder of the authors, with the weights of ours; it answers no prompts here."""

    def __init__(self, clone: Path, name: str, network: torch.nn.Module) -> None:
        whole = published_network(clone, name)
        whole.load_state_dict(network.state_dict())
        self.encoder = whole.image_encoder.eval()

    @torch.no_grad()
    def _embed(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        embedding: NDArray[np.float32] = self.encoder(torch.from_numpy(pixels)).numpy()
        return embedding


def told(used: dict[str, float], embeddings: dict[str, Any], overlaps: dict[str, Any]) -> None:
    """The table."""
    wanted, first = embeddings[OURS], next(iter(used))
    for label in used:
        error = np.linalg.norm(embeddings[label] - wanted) / np.linalg.norm(wanted)
        seen = ""
        if overlaps.get(label):
            seen = f"  IoU {np.mean(overlaps[label]):.4f}, least {min(overlaps[label]):.4f}"
        ratio = used[first] / used[label]
        print(f"{label:22} {used[label]:6.3f} s {ratio:5.2f}x  error {error:.1e}{seen}")


def timed(sides: dict[str, Any], times: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Least CPU seconds of one embedding, in turn, after one to warm up; and the embeddings."""
    best: dict[str, float] = {}
    embeddings: dict[str, Any] = {}
    image = scene(3, (600, 800)).image
    pixels = Frame((600, 800), sides[OURS].side).pixels(image)
    for turn in range(times + 1):
        for label, side in sides.items():
            start = process_time()
            embeddings[label] = side._embed(pixels)
            used = process_time() - start
            if turn:
                best[label] = min(best.get(label, np.inf), used)
            print(f"  {label}: {used:.2f} s", file=sys.stderr, flush=True)
    return best, embeddings


def compared(sides: dict[str, Any], pictures: str, count: int) -> dict[str, list[float]]:
    """Overlaps of each side's box masks with those of torch on real pictures."""
    samples = [sample for sample in open_data(pictures) if sample.mask is not None]
    samples = samples[:: max(1, len(samples) // count)][:count]
    sides = {label: side for label, side in sides.items() if not isinstance(side, Published)}
    found: dict[str, list[float]] = {label: [] for label in sides}
    from triscope.kernel.data import mask_of

    for sample in samples:
        image = read_image(sample.source)
        truth = mask_of(sample.mask, (image.shape[0], image.shape[1]))
        if not truth.any():
            continue
        box = moved_box(truth, np.random.default_rng(0))
        masks = {}
        for label, side in sides.items():
            side.set_image(image)
            answer = side.predict(box=box, multimask=False)
            masks[label] = answer.masks[0]
        for label, mask in masks.items():
            found[label].append(iou(mask, masks[OURS]))
    return found


if __name__ == "__main__":
    main()
