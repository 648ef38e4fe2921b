"""Fitting PatchCore: ours against anomalib's, the same backbone file, layers, size and coreset.

Claim: at least 10 times faster, peak memory at most a third, image AUROC and AUPRO lower by no
more than 0.3 points. ``python -m benchmarks.bench_fit [--stored]``; ``--stored`` takes anomalib's
figures of an earlier run on this machine where they are there: its fit takes minutes.
"""

from __future__ import annotations

import json
import sys

from benchmarks import page, peers
from benchmarks.measure import Run, child, middle

DATASETS = ("mvtec_bottle", "magnetic_tile")
KEEP = 0.01
FASTER, MEMORY, LOWER = 10, 1 / 3, 0.3


def main(stored: bool) -> None:
    """Measure and write the section; the exported forms stay for ``bench_inspect``."""
    found = {}
    for dataset in DATASETS:
        ours = [child("side_triscope", "fit", dataset, KEEP, peers.BENCH / f"{dataset}.ours")]
        theirs = anomalib(dataset, stored)
        ours += [child("side_triscope", "fit", dataset, KEEP, peers.BENCH / f"{dataset}.ours")]
        found[dataset] = (ours, theirs)
    print(page.write(section(found)))


def anomalib(dataset: str, stored: bool) -> Run:
    """anomalib's fit; its figures and its bank stay in the second environment's folder."""
    python, folder = peers.python(), peers.BENCH / dataset
    known = folder.with_suffix(".json")
    if not (stored and known.is_file() and known.stat().st_size):
        run = child("side_anomalib", "fit", dataset, KEEP, folder, python=python)
        known.write_text(json.dumps(run.said))
    return Run(json.loads(known.read_text()), 0.0, 0.0)


def section(found: dict[str, tuple[list[Run], Run]]) -> page.Section:
    """The table from the runs."""
    rows, short = [], []
    for dataset, (ours, theirs) in found.items():
        us, them = {k: middle(ours, k) for k in ours[0].said}, theirs.said
        rows.append(_row(f"{dataset}, Triscope", us, them))
        rows.append(_row(f"{dataset}, anomalib 2.7", them, them))
        short += _short_of(dataset, us, them)
    return page.Section(
        "fit",
        "Fitting PatchCore",
        "MobileNetV2 of `weights/mobilenetv2_100_tf_imagenet.safetensors`, strides 8 and 16, "
        f"images of 256 × 256, {100 * KEEP:g} % of the patches kept, nothing held out; from the "
        "list of files to a model that answers. anomalib runs without its engine, which is the "
        "faster way, and reads through our reader. Figures on the test images, all by our metrics "
        "at the size of the captures. Of `magnetic_tile` two thirds of the free tiles are for "
        "training, one third and all defective ones are the test.",
        ("", "CPU s", "faster", "peak memory", "image AUROC", "pixel AUROC", "AUPRO 0.3"),
        rows,
        "python -m benchmarks.bench_fit",
        short,
        [
            "Seed 0 on both sides; anomalib was run once, ours twice (the median is given).",
            "anomalib's process holds "
            f"{found[DATASETS[0]][1].said['before']:.0f} MB once it has imported what it needs, "
            "before any image is read; ours some 700 MB (PyTorch built for CUDA, timm).",
        ],
    )


def _row(name: str, us: dict[str, float], them: dict[str, float]) -> tuple[str, ...]:
    interval = f"{us['image_auroc_low']:.1f}–{us['image_auroc_high']:.1f}"
    return (
        name,
        f"{us['cpu_s']:.1f}",
        f"{them['cpu_s'] / us['cpu_s']:.1f}×",
        f"{us['peak_mb']:.0f} MB",
        f"{us['image_auroc']:.2f} ({interval})",
        f"{us['pixel_auroc']:.2f}",
        f"{us['aupro']:.2f}",
    )


def _short_of(dataset: str, us: dict[str, float], them: dict[str, float]) -> list[str]:
    short = []
    faster, memory = them["cpu_s"] / us["cpu_s"], us["peak_mb"] / them["peak_mb"]
    if faster < FASTER:
        short.append(f"`{dataset}`: {faster:.1f} times faster, {FASTER} were the aim.")
    if memory > MEMORY:
        short.append(f"`{dataset}`: {memory:.2f} of anomalib's peak memory, a third was the aim.")
    for name, key in (("Image AUROC", "image_auroc"), ("AUPRO", "aupro")):
        lower = them[key] - us[key]
        if lower > LOWER:
            short.append(f"`{dataset}`: {name} lower by {lower:.2f} points, {LOWER} were allowed.")
    return short


if __name__ == "__main__":
    main("--stored" in sys.argv[1:])
