"""Grow an X3D network for a data set of clips, axis by axis, to a given cost."""

from __future__ import annotations

from typing import Any

import click

from triscope.cli._output import emit, json_option, people, show_table

SECTION = "Motion"
KEYS = {
    "steps": "list of objects: axis, giga, shape (frames, step, size, width, bottleneck, depth), "
    "scores of the six candidates",
    "fit": "the words of 'triscope fit' for the last shape",
}


@click.command("expand")
@click.argument("data")
@click.option("--target", required=True, type=float, help="1e9 multiply-adds that it may cost.")
@click.option("--steps", default=60, show_default=True, help="Updates that judge a candidate.")
@click.option("--hold-out", default=0.3, show_default=True, help="Share of videos that judges.")
@click.option("--seed", default=0, help="Of the split and the trainings.")
@json_option
def command(
    data: str, target: float, steps: int, hold_out: float, seed: int, as_json: bool
) -> None:
    """Expand X3D on DATA (videos): six candidates a step, each trained shortly, the best kept.

    A part of the videos (whole groups) judges; it must not be the test data.
    """
    from triscope.kernel.data.splits import hold_out as divide
    from triscope.kernel.data.video import open_videos
    from triscope.kernel.verbs import fit
    from triscope.motion.expansion import expand

    videos = open_videos(data)
    usable = [sample for sample in videos if sample.split != "test"]
    taught, judged = divide(usable, hold_out, seed, data)

    def judge(shape: Any) -> float:
        settings = {**_flags(shape), "steps": steps, "seed": seed, "warm_up": 0}
        check = fit("x3d", list(taught), settings, calibrate=0)
        right = [check.inspect(s).details["label"] == s.label for s in judged]
        return sum(right) / len(right)

    console = people(stderr=True)
    found = expand(
        target, judge, told=lambda s: console.print(f"{s.axis}: {s.giga:.4f} G, {s.scores}")
    )
    rows = [{"axis": s.axis, "giga": s.giga, "shape": s.shape, "scores": s.scores} for s in found]
    last = found[-1].shape
    words = " ".join(f"--{k.replace('_', '-')} {v:g}" for k, v in _flags(last).items())
    if as_json:
        plain = [{**row, "shape": vars(row["shape"])} for row in rows]
        emit({"steps": plain, "fit": f"triscope fit x3d {data} {words}"}, KEYS)
        return
    cells = [(s.axis, f"{s.giga:.4f}", f"{max(s.scores.values()):.3f}") for s in found]
    show_table("", ("axis", "1e9 multiply-adds", "best score"), cells, right=(1, 2))
    people().print(f"triscope fit x3d {data} {words}", markup=False)


def _flags(shape: Any) -> dict[str, Any]:
    names = ("frames", "step", "size", "width", "bottleneck", "depth")
    return {name: getattr(shape, name) for name in names}
