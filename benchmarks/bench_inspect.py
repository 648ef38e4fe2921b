"""Inspecting one image, from the file to the verdict: our exported check against anomalib's.

Claim: 3 times faster than anomalib's fastest exported form. Run ``bench_fit`` before.
``python -m benchmarks.bench_inspect``
"""

from __future__ import annotations

from benchmarks import page, peers
from benchmarks.bench_fit import DATASETS, KEEP, anomalib
from benchmarks.measure import Run, alternating, child, middle

ROUNDS = 3
FASTER = 3
FLOATS = ("fp32", "bf16")
FORMS = {
    "openvino": "anomalib, OpenVINO",
    "openvino-bf16": "anomalib, OpenVINO, bf16",
    "onnx": "anomalib, ONNX Runtime",
}


def main() -> None:
    """Measure and write the section."""
    found = {dataset: measure(dataset) for dataset in DATASETS}
    print(page.write(section(found)))


def measure(dataset: str) -> dict[str, list[Run]]:
    """Both sides in turn; fits and exports whatever is not there yet."""
    python, theirs = peers.python(), peers.BENCH / dataset
    ours = peers.BENCH / f"{dataset}.ours"
    if not (theirs / "patchcore.pt").is_file():
        anomalib(dataset, stored=False)
    if not (theirs / "weights" / "openvino" / "model.xml").is_file():
        child("side_anomalib", "export", dataset, KEEP, theirs, python=python)
    if not ours.is_dir():
        child("side_triscope", "fit", dataset, KEEP, ours)

    def side(form: str) -> Run:
        return child("side_anomalib", "inspect", dataset, KEEP, theirs, form, python=python)

    accuracy = child("side_triscope", "halves", dataset, KEEP, ours)
    return {"accuracy": [accuracy]} | alternating(
        ROUNDS,
        ours=lambda: child("side_triscope", "inspect", dataset, KEEP, ours),
        halves=lambda: child("side_triscope", "inspect", dataset, KEEP, f"{ours}.bf16"),
        **{form: lambda form=form: side(form) for form in FORMS},
    )


def section(found: dict[str, dict[str, list[Run]]]) -> page.Section:
    """The table from the runs."""
    rows, short, notes = [], [], []
    for dataset, runs in found.items():
        best = min(middle(runs[form], "cpu_ms") for form in FORMS)
        engine = runs["ours"][0].said["engine"]
        ours = {"ours": f"Triscope, {engine}", "halves": "Triscope, openvino, bf16"}
        names = {**ours, **FORMS}
        for who, name in names.items():
            cpu = middle(runs[who], "cpu_ms")
            rows.append(
                (
                    f"{dataset}, {name}",
                    f"{cpu:.1f}",
                    f"{middle(runs[who], 'wall_ms'):.1f}",
                    f"{best / cpu:.2f}×",
                    f"{middle(runs[who], 'peak_mb'):.0f} MB",
                )
            )
        accuracy = runs["accuracy"][0].said
        notes.append(f"{dataset}: " + "; ".join(_accuracy(form, accuracy[form]) for form in FLOATS))
        for who, name in ours.items():
            faster = best / middle(runs[who], "cpu_ms")
            if faster < FASTER:
                short.append(
                    f"`{dataset}`, {name}: {faster:.2f} times as fast as anomalib's fastest form, "
                    f"{FASTER} were the aim."
                )
    return page.Section(
        "inspect",
        "Inspecting one image",
        "From the JPEG file of a test image to the verdict with regions and heat map; the checks "
        f"of the fit above ({100 * KEEP:g} % coreset, 256 × 256), one thread. anomalib's graphs "
        "are exported for the one size, and get images through our reader: the faster way. bf16 is "
        "`triscope export --bf16`.",
        ("", "CPU ms", "wall ms", "against anomalib's fastest", "peak memory"),
        rows,
        "python -m benchmarks.bench_inspect",
        short,
        notes,
    )


def _accuracy(form: str, found: dict[str, float]) -> str:
    return (
        f"{form} image AUROC {found['image_auroc']:.2f}, pixel AUROC {found['pixel_auroc']:.2f}, "
        f"AUPRO {found['aupro']:.2f}"
    )


if __name__ == "__main__":
    main()
