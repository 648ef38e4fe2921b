"""Every model of good parts on real data: accuracy, latency, memory, size.

``python -m benchmarks.bench_accuracy [MODEL ...]``. A row that was measured before, with the same
code of the package, is kept (``.bench/accuracy``): the models that train take long.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import page, peers
from benchmarks.measure import child

ROOT = Path(__file__).resolve().parent.parent
STORE = peers.BENCH / "accuracy"
DATASETS = ("mvtec_bottle", "hazelnut_toy", "magnetic_tile")
BACKBONES = ("mobilenetv2_100", "scattering")
MODELS = {
    "patchcore": BACKBONES,
    "padim": BACKBONES,
    "spade": BACKBONES,
    "stfpm": BACKBONES,
    "reverse_distillation": BACKBONES,
    "efficientad": BACKBONES,
}
SHARED = ("_patches", "_distillation", "_pdn", "_variants")
AIMS = {"image_auroc": 99.0, "pixel_auroc": 97.0, "aupro": 92.0}  # PatchCore, bottle, MobileNetV2


def main(models: list[str]) -> None:
    """Measure what is missing of the named models (all where none is named), write the section."""
    for model in models or MODELS:
        for backbone in MODELS[model]:
            for dataset in DATASETS:
                row(dataset, model, backbone, measure_it=True)
                page.write(section())
    print(page.write(section()))


def row(dataset: str, model: str, backbone: str, measure_it: bool) -> dict[str, Any] | None:
    """The figures of one fit; None where they are not there and nothing is to be measured."""
    name = f"{dataset}.{model}.{backbone}"
    known, folder = STORE / f"{name}.json", STORE / name
    measure_it = measure_it and (ROOT / f"src/triscope/surface/models/{model}.py").is_file()
    stamp = code_of(model)
    if known.is_file():
        found: dict[str, Any] = json.loads(known.read_text())
        if found["code"] == stamp or not measure_it:
            return found
    if not measure_it:
        return None
    STORE.mkdir(parents=True, exist_ok=True)
    print(name, file=sys.stderr, flush=True)
    try:
        said = child("side_accuracy", dataset, model, backbone, folder).said
        said |= child("side_triscope", "inspect", dataset, 0, folder).said
    except RuntimeError as error:
        said = {"failed": str(error).strip().splitlines()[-1]}
    found = {**said, "code": stamp}
    known.write_text(json.dumps(found))
    return found


def code_of(model: str) -> str:
    """A stamp of what decides a model's figures: its file and those that it stands on."""
    source = ROOT / "src" / "triscope"
    files = [source / "surface" / "models" / f"{model}.py"]
    files += [source / "surface" / "models" / f"{name}.py" for name in SHARED]
    files += [source / "surface" / "coreset.py", source / "surface" / "memory.py"]
    files += [source / "kernel" / "nn" / f"{name}.py" for name in ("scattering", "tap")]
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def section() -> page.Section:
    """The table of what was measured so far."""
    rows, short, old = [], [], []
    for dataset in DATASETS:
        for model, backbones in MODELS.items():
            for backbone in backbones:
                found = row(dataset, model, backbone, measure_it=False)
                name = f"{dataset}, {model}, {backbone}"
                if found is None:
                    short.append(f"`{name}` was not measured yet.")
                elif "failed" in found:
                    short.append(f"`{name}` failed: {found['failed']}")
                else:
                    rows.append(_cells(name, found))
                    if found["code"] != code_of(model):
                        old.append(name)
                    if (dataset, model, backbone) == ("mvtec_bottle", "patchcore", BACKBONES[0]):
                        short += _short_of(found)
    notes = [
        "Split: every fifth good training image or so (seed 0) is held out for the thresholds and "
        "takes no part in the fit; test images are looked at once, by the saved check, in the "
        "runtime. Of `magnetic_tile` two thirds of the free tiles are for training.",
        "Settings are the defaults of each model, the same on all data. Intervals: 95 %, "
        "stratified bootstrap over the test images, seed 0.",
        "CPU ms, memory and size are of the runtime: file to verdict, without torch, one thread.",
    ]
    if old:
        notes.append(f"Measured with code that has changed since: {', '.join(old)}.")
    return page.Section(
        "accuracy",
        "Accuracy on real data",
        "All figures in percent, at the size of the captures.",
        (
            "data, model, backbone",
            "image AUROC",
            "pixel AUROC",
            "AUPRO 0.3",
            "fit CPU s",
            "CPU ms an image",
            "memory",
            "graph",
        ),
        rows,
        "python -m benchmarks.bench_accuracy",
        short,
        notes,
    )


def _cells(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    interval = f"{found['image_auroc_low']:.1f}–{found['image_auroc_high']:.1f}"
    return (
        name,
        f"{found['image_auroc']:.2f} ({interval})",
        f"{found['pixel_auroc']:.2f}",
        f"{found['aupro']:.2f}",
        f"{found['fit_cpu_s']:.0f}",
        f"{found['cpu_ms']:.1f}",
        f"{found['peak_mb']:.0f} MB",
        f"{found['graph_mb']:.1f} MB",
    )


def _short_of(found: dict[str, Any]) -> list[str]:
    return [
        f"PatchCore on `mvtec_bottle`, MobileNetV2: {name} {found[name]:.2f}, {aim:g} were the aim."
        for name, aim in AIMS.items()
        if found[name] < aim
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
