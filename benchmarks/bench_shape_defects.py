"""Generated parts: are a bend of 0.3 mm and a missing hole of 1 mm found, and what of good ones?

    python -m benchmarks.bench_shape_defects FOLDER [--width 1200] [--good 8] [--known 6]

Drilled plates of 100 mm in a rig of 12 cameras, each with its own surface grain and sensor noise.
Parts and what was measured of them stay in FOLDER; a run that was stopped goes on. The first
``known`` good parts teach; each of them is judged by a check that learned from the others, every
other part by one that learned from all of them. The line between good and bad is twice the largest
score of the good parts that the check knows; a good part above it is a false alarm. The settings
of ``voids`` were chosen on the known good parts, ``bent/0`` and ``missing_hole/0``; nothing was
chosen on ``bent/1``, ``missing_hole/1`` and the good parts behind the known ones.
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
from triscope.shape.habits import Reference, excess, learned
from triscope.shape.stereo import Stereo, stereo
from triscope.shape.surface import Cloud
from triscope.shape.synth import Look, Part, Rig, write_part
from triscope.shape.voids import Blocks, blocks_of

BAD = {
    "bent/0": (Part("drilled", "bent", 0.3, seed=20), 2000),
    "missing_hole/0": (Part("drilled", "missing_hole", seed=21), 2100),
    "bent/1": (Part("drilled", "bent", 0.3, seed=40), 4000),
    "missing_hole/1": (Part("drilled", "missing_hole", seed=41), 4100),
}
MARGIN = 2.0  # of the line above the largest score of good parts
WEIGHTS = {"rmvsnet_dtu": "RMVSNet-Pytorch/RMVSNet-pretrained.pth"}


def parts_of(good: int) -> dict[str, tuple[Part, int]]:
    """Each part and the seed of its sensor noise."""
    return {f"good/{i}": (Part("drilled", seed=i), 100 * i) for i in range(good)} | BAD


def made(folder: Path, part: Part, seed: int, width: int) -> Path:
    """The folder of a part, written where it is not there yet."""
    if not (folder / "part.json").is_file():
        write_part(folder, part, Rig(size=(round(width * 0.73 / 8) * 8, width)), Look(seed=seed))
    return folder


def scanned(
    folder: Path, model: Stereo, name: str, kind: str, surface: Distance
) -> tuple[Cells, Blocks, float]:
    """Cells and blocks of one scan, whose points stay in the folder; the CPU seconds of that."""
    kept = folder / f"scan_{name}.npz"
    if not kept.is_file():
        start = time.process_time()
        scene = open_scene(folder, "interval")
        found = golden.compared(scene, model, kind, model.settings, surface, {}).cloud
        cpu = np.float64(time.process_time() - start)
        on = surface(found.points, 3.0).place
        np.savez(kept, allow_pickle=False, cpu=cpu, on=on, points=found.points, off=found.values)
    with np.load(kept) as stored:
        cloud, on, cpu = Cloud(stored["points"], values=stored["off"]), stored["on"], stored["cpu"]
    side = model.settings.cell
    cells = cells_of(cloud, on, side, model.settings.points)
    return cells, blocks_of(cloud.points, side), float(cpu)


def judged(
    reference: Reference, cells: Cells, blocks: Blocks, side: float, surface: Distance
) -> tuple[float, float, np.ndarray]:
    """The score in mm by deviation, that by surface where there should be none, the worst place."""
    beyond = excess(*reference.beyond(cells))
    filled = reference.voids.filled(blocks, side, surface)
    off, more = worst_pair(cells.place, beyond), float(filled.deviation.max(initial=0))
    if more > off:
        return off, more, filled.centre[filled.deviation.argmax()]
    return off, more, cells.centre[np.abs(beyond).argmax()]


def table(
    scans: dict[str, tuple[Cells, Blocks]], known: list[str], surface: Distance, side: float
) -> list[str]:
    """One line a part, then the false alarms."""
    found = {}
    for name, one in scans.items():
        cells, blocks = zip(*(scans[other] for other in known if other != name), strict=True)
        found[name] = judged(learned(surface, cells, blocks, side), *one, side, surface)
    scores = {name: max(off, more) for name, (off, more, _) in found.items()}
    rows, alarms = [], dict.fromkeys(("known", "other"), 0)
    good = [name for name in scans if name.startswith("good")]
    for name, (off, more, place) in found.items():
        limit = MARGIN * max(scores[n] for n in known if n != name)
        beyond = scores[name] > limit
        if name in good:
            alarms["known" if name in known else "other"] += beyond
        told = ("false alarm" if beyond else "passes") if name in good else (
            "found" if beyond else "missed")  # fmt: skip
        where = ", ".join(f"{value:.1f}" for value in place)
        rows.append(f"| {name} | {off:.3f} | {more:.3f} | {limit:.3f} | {told} | {where} |")
    rows.append("")
    for kind, total in (("known", len(known)), ("other", len(good) - len(known))):
        low, high = share_interval(int(alarms[kind]), total) if total else (0.0, 1.0)
        rows.append(f"False alarms: {alarms[kind]} of {total} {kind} good parts (95 %: {low:.0%} "
                    f"to {high:.0%}).")  # fmt: skip
    return rows


def main() -> None:
    """Make, measure, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--good", type=int, default=8)
    parser.add_argument("--known", type=int, default=6)
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
    surface, seconds = Distance(mesh), []
    scans: dict[str, tuple[Cells, Blocks]] = {}
    for name, (part, seed) in parts_of(chosen.good).items():
        folder = made(chosen.folder / name, part, seed, chosen.width)
        cells, blocks, cpu = scanned(folder, model, chosen.model, kind, surface)
        scans[name] = cells, blocks
        seconds.append(cpu)
        print(f"{name}: {len(cells)} cells, {cpu:.0f} CPU s", flush=True)
    known = [f"good/{i}" for i in range(chosen.known)]
    print("\n| part | deviation mm | filled mm | line mm | verdict | worst place mm |")
    print("|---|---|---|---|---|---|")
    print("\n".join(table(scans, known, surface, model.settings.cell)))
    print(f"{np.mean(seconds):.0f} CPU s a part.")


if __name__ == "__main__":
    main()
