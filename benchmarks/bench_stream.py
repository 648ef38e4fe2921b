"""PatchCore fitted on 20,000 images that a generator paints: memory under the ceiling, time linear.

``python -m benchmarks.bench_stream``
"""

from __future__ import annotations

from benchmarks import page
from benchmarks.measure import Run, child

COUNTS = (5000, 10000, 20000)
CEILING_MB = 1100
LINEAR = 1.25  # seconds an image at the end, against those at the beginning


def main() -> None:
    """Measure and write the section."""
    runs = {n: child("side_stream", n, CEILING_MB, "mobilenetv2_100") for n in COUNTS}
    print(page.write(section(runs)))


def section(runs: dict[int, Run]) -> page.Section:
    """The table from the runs."""
    each = {n: 1000 * run.said["cpu_s"] / n for n, run in runs.items()}
    rows = [
        (
            f"{n:,} images",
            f"{run.said['cpu_s']:.1f}",
            f"{each[n]:.2f}",
            f"{run.said['peak_mb']:.0f} MB",
        )
        for n, run in runs.items()
    ]
    short = []
    highest = max(run.said["peak_mb"] for run in runs.values())
    if highest * 2**20 > CEILING_MB * 1e6:
        short.append(f"{highest:.0f} MB at the peak, above the ceiling of {CEILING_MB} MB.")
    ratio = each[COUNTS[-1]] / each[COUNTS[0]]
    if ratio > LINEAR:
        short.append(f"An image takes {ratio:.2f} times as long at {COUNTS[-1]:,} images.")
    return page.Section(
        "stream",
        "A fit on a stream",
        f'`triscope.fit("patchcore", generator, memory="{CEILING_MB}MB")`, images of 64 × 64 '
        "painted as they are asked for (a brushed surface, seed 0), MobileNetV2 file, nothing held "
        "out; the memory is full after some 10,000 images and is condensed from then on. What "
        "painting takes is not counted. The ceiling is in units of 10^6 bytes, the peak in units "
        "of 2^20.",
        ("", "CPU s", "CPU ms an image", "peak memory"),
        rows,
        "python -m benchmarks.bench_stream",
        short,
    )


if __name__ == "__main__":
    main()
