"""Generated parts: are a bend of 0.3 mm and a missing hole of 1 mm found, and what of good ones?

    python -m benchmarks.bench_shape_defects FOLDER [--width 1200] [--good 6] [--model rmvsnet]

A drilled plate of 100 mm in a rig of 12 cameras, each part with its own sensor noise. Parts and
what was measured of them stay in FOLDER; a run that was stopped goes on. A good part is judged by a
check that learned from the other good ones, a defective part by one that learned from all good
ones. No setting was chosen by the scores. The line between good and bad is the largest score of
the good parts that the check knows; a good part above the line of the others is a false alarm.
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
from triscope.shape.comparison import Cells
from triscope.shape.distance import Distance
from triscope.shape.formats import open_scene
from triscope.shape.golden import Reference
from triscope.shape.stereo import Stereo, stereo
from triscope.shape.surface import Mesh
from triscope.shape.synth import Look, Part, Rig, write_part

BAD = {"bent/0": Part("drilled", "bent", 0.3), "missing_hole/0": Part("drilled", "missing_hole")}
PARTS = ("place", "deviation", "points", "centre")
WEIGHTS = {"rmvsnet_dtu": "RMVSNet-Pytorch/RMVSNet-pretrained.pth"}


def made(root: Path, width: int, good: int) -> dict[str, Path]:
    """The folders of all parts, written where they are not there yet."""
    parts = {f"good/{i}": (Part("drilled"), 100 * i) for i in range(good)}
    parts |= {name: (part, 2000 + 100 * i) for i, (name, part) in enumerate(BAD.items())}
    rig = Rig(size=(round(width * 0.73 / 8) * 8, width))
    for name, (part, seed) in parts.items():
        if not (root / name / "part.json").is_file():
            write_part(root / name, part, rig, Look(seed=seed))
    return {name: root / name for name in parts}


def cells_of(
    folder: Path, model: Stereo, name: str, kind: str, surface: Distance
) -> tuple[Cells, float]:
    """What one scan says cell by cell, computed once; and the CPU seconds that took."""
    kept = folder / f"cells_{name}.npz"
    if not kept.is_file():
        start = time.process_time()
        cloud = golden.scan(open_scene(folder, "interval"), model, kind, model.settings)
        cells = golden.compared(cloud, surface, model.settings).cells
        cpu = time.process_time() - start
        arrays = {part: getattr(cells, part) for part in PARTS}
        np.savez_compressed(kept, allow_pickle=False, cpu=np.float64(cpu), **arrays)
    with np.load(kept) as stored:
        return Cells(*(stored[part] for part in PARTS)), float(stored["cpu"])


def judged(reference: Reference, cells: Cells) -> tuple[float, np.ndarray]:
    """The score in mm, and the place (mm) of the cell that is farthest beyond."""
    deviation, usual = reference.beyond(cells)
    beyond = np.sign(deviation) * np.maximum(np.abs(deviation) - usual, 0)
    return worst_pair(cells.place, beyond), cells.centre[np.abs(beyond).argmax()]


def table(cells: dict[str, Cells], mesh: Mesh) -> list[str]:
    """One line a part, then the false alarms."""
    good = [name for name in cells if name.startswith("good")]
    scores = {}
    for name in good:
        others = [cells[other] for other in good if other != name]
        scores[name] = judged(golden.learned(mesh, others), cells[name])
    line = max(score for score, _ in scores.values())
    whole = golden.learned(mesh, [cells[name] for name in good])
    for name in BAD:
        scores[name] = judged(whole, cells[name])
    rows = []
    alarms = 0
    for name, (score, place) in scores.items():
        limit = max(s for n, (s, _) in scores.items() if n in good and n != name)
        beyond = score > limit
        alarms += beyond and name in good
        told = ("false alarm" if beyond else "passes") if name in good else (
            "found" if beyond else "missed")  # fmt: skip
        where = ", ".join(f"{value:.1f}" for value in place)
        rows.append(f"| {name} | {score:.3f} | {limit:.3f} | {told} | {where} |")
    low, high = share_interval(int(alarms), len(good))
    rows.append("")
    rows.append(
        f"False alarms: {alarms} of {len(good)} good parts (95 %: {low:.0%} to {high:.0%}); the "
        f"line of a check that knows all of them: {line:.3f} mm."
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
    settings = {"planes": chosen.planes, "cell": 0.75, "points": 4, "area": 0.5}
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
    for name, folder in made(chosen.folder, chosen.width, chosen.good).items():
        cells[name], cpu = cells_of(folder, model, chosen.model, kind, surface)
        seconds.append(cpu)
        print(f"{name}: {len(cells[name])} cells, {cpu:.0f} CPU s", flush=True)
    print("\n| part | score mm | line mm | verdict | worst place mm |\n|---|---|---|---|---|")
    print("\n".join(table(cells, mesh)))
    print(f"{np.mean(seconds):.0f} CPU s a part.")


if __name__ == "__main__":
    main()
