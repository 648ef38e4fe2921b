"""Generated parts: are a bend of 0.3 mm and a missing hole of 1 mm found, and what of good ones?

    python -m benchmarks.bench_shape_defects FOLDER [--width 1200] [--good 6] [--model rmvsnet]

Drilled plates of 100 mm in a rig of 12 cameras, each with its own surface grain and sensor noise.
Parts and what was measured of them stay in FOLDER; a run that was stopped goes on. A good part is
judged by a check that learned from the other good ones, a defective part by one that learned from
all good ones. No setting was chosen on these parts. The line between good and bad is twice the
largest score of the good parts that the check knows; a good part above the line of the others is a
false alarm.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.data import DATA
from triscope.kernel.metrics.binomial import share_interval
from triscope.shape import golden
from triscope.shape.check import worst_pair
from triscope.shape.comparison import Cells, cells_of
from triscope.shape.distance import Distance
from triscope.shape.formats import open_scene
from triscope.shape.habits import Reference, learned
from triscope.shape.stereo import Stereo, stereo
from triscope.shape.surface import Cloud, Mesh
from triscope.shape.synth import Look, Part, Rig, write_part

BAD = {
    "bent/0": Part("drilled", "bent", 0.3, seed=20),
    "missing_hole/0": Part("drilled", "missing_hole", seed=21),
}
MARGIN = 2.0  # of the line above the largest score of good parts
WEIGHTS = {"rmvsnet_dtu": "RMVSNet-Pytorch/RMVSNet-pretrained.pth"}


def parts_of(good: int) -> dict[str, tuple[Part, int]]:
    """Each part and the seed of its sensor noise; the first ones suffice for a first table."""
    some: dict[str, tuple[Part, int]] = {"good/0": (Part("drilled"), 0)}
    some |= {name: (part, 2000 + 100 * i) for i, (name, part) in enumerate(BAD.items())}
    return some | {f"good/{i}": (Part("drilled", seed=i), 100 * i) for i in range(1, good)}


def made(folder: Path, part: Part, seed: int, width: int) -> Path:
    """The folder of a part, written where it is not there yet."""
    if not (folder / "part.json").is_file():
        write_part(folder, part, Rig(size=(round(width * 0.73 / 8) * 8, width)), Look(seed=seed))
    return folder


def scanned(
    folder: Path, model: Stereo, name: str, kind: str, surface: Distance
) -> tuple[Cells, float]:
    """The cells of one scan, whose points are kept in the folder; and the CPU seconds of that."""
    kept = folder / f"scan_{name}.npz"
    if not kept.is_file():
        start = time.process_time()
        cloud = golden.scan(open_scene(folder, "interval"), model, kind, model.settings)
        found = golden.compared(cloud, surface, model.settings).cloud
        cpu = np.float64(time.process_time() - start)
        on = surface(found.points, 3.0).place
        np.savez(kept, allow_pickle=False, cpu=cpu, on=on, points=found.points, off=found.values)
    with np.load(kept) as stored:
        cloud, on, cpu = Cloud(stored["points"], values=stored["off"]), stored["on"], stored["cpu"]
    return cells_of(cloud, on, model.settings.cell, model.settings.points), float(cpu)


def judged(reference: Reference, cells: Cells, side: float) -> tuple[float, float, np.ndarray]:
    """The score in mm by deviation, that by surface where there should be none, the worst place."""
    deviation, usual = reference.beyond(cells)
    beyond = np.sign(deviation) * np.maximum(np.abs(deviation) - usual, 0)
    filled = reference.filled(cells, side)
    off, more = (worst_pair(cells.place, one) for one in (beyond, filled))
    worst = filled if more > off else beyond
    return off, more, cells.centre[np.abs(worst).argmax()]


def table(cells: dict[str, Cells], mesh: Mesh, side: float) -> list[str]:
    """One line a part, then the false alarms."""
    good = [name for name in cells if name.startswith("good")]
    found = {}
    for name, one in cells.items():
        others = [cells[other] for other in good if other != name]
        found[name] = judged(learned(mesh, others, side), one, side)
    scores = {name: max(off, more) for name, (off, more, _) in found.items()}
    rows, alarms = [], 0
    for name, (off, more, place) in found.items():
        limit = MARGIN * max(scores[n] for n in good if n != name)
        beyond = scores[name] > limit
        alarms += beyond and name in good
        told = ("false alarm" if beyond else "passes") if name in good else (
            "found" if beyond else "missed")  # fmt: skip
        where = ", ".join(f"{value:.1f}" for value in place)
        rows.append(f"| {name} | {off:.3f} | {more:.3f} | {limit:.3f} | {told} | {where} |")
    low, high = share_interval(int(alarms), len(good))
    rows.append("")
    rows.append(
        f"False alarms: {alarms} of {len(good)} good parts (95 %: {low:.0%} to {high:.0%}); the "
        f"line of a check that knows all of them: {MARGIN * max(scores[n] for n in good):.3f} mm."
    )
    return rows


def main() -> None:
    """Make, measure, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--good", type=int, default=6)
    parser.add_argument("--model", default="zncc_sweep")
    parser.add_argument("--planes", type=int, default=64)
    chosen = parser.parse_args()
    settings = {"planes": chosen.planes, "cell": 0.5, "points": 6, "area": 0.5}
    if chosen.model == "zncc_sweep":
        settings["window"] = 5
    else:  # its maps have a quarter of the size of the photos
        settings |= {"cell": 1.0, "points": 3, "weights": "own"}
    if chosen.model in WEIGHTS:
        settings["weights"] = str(DATA / "weights" / "mvs" / WEIGHTS[chosen.model])
    kind = chosen.model.partition("_dtu")[0]
    model = stereo(kind, settings)
    mesh = Part("drilled").mesh(0.5)
    surface, cells, seconds = Distance(mesh), {}, []
    for name, (part, seed) in parts_of(chosen.good).items():
        folder = made(chosen.folder / name, part, seed, chosen.width)
        cells[name], cpu = scanned(folder, model, chosen.model, kind, surface)
        seconds.append(cpu)
        print(f"{name}: {len(cells[name])} cells, {cpu:.0f} CPU s", flush=True)
    print("\n| part | deviation mm | filled mm | line mm | verdict | worst place mm |")
    print("|---|---|---|---|---|---|")
    print("\n".join(table(cells, mesh, model.settings.cell)))
    print(f"{np.mean(seconds):.0f} CPU s a part.")


if __name__ == "__main__":
    main()
