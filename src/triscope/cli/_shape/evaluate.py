"""Score depth maps against true depth, or a cloud against a true one, as the benchmarks do."""

from __future__ import annotations

from typing import Any

import click

from triscope.cli._exits import DONE
from triscope.cli._options import json_flag, option
from triscope.cli._output import emit, show_table
from triscope.cli._shape._shared import FOLDER, depth_line

DEPTH = {
    "depth": "folder of the depth maps",
    "views": "errors of each view with true depth, by name",
    "mean": "their means: pixels, known share, mean_abs, median_abs, median_rel, within 1, 2, 5 %",
}
CLOUD = {
    "answer": "the cloud or folder that was scored",
    "points": "points after thinning",
    "accuracy": "mean distance of the answer to the truth",
    "completeness": "mean distance of the truth to the answer, unseen sides of it too",
    "overall": "mean of the two",
    "precision": "share of the answer within the distance of --within",
    "recall": "share of the truth within that distance",
    "f": "their harmonic mean",
    "to_mesh_mean": "signed distance to the mesh, where the truth is one",
    "to_mesh_mean_abs": "its mean size",
    "to_mesh_median_abs": "its median size",
    "to_mesh_rms": "its root mean square",
    "to_mesh_p95_abs": "95 % of the sizes lie below",
}

KEYS = {name: f"depth: {what}" for name, what in DEPTH.items()} | {
    name: f"clouds: {what}" for name, what in CLOUD.items()
}


def evaluate(**options: Any) -> int:
    """Score what was given."""
    from triscope.shape.stages import facts_of

    if facts_of(options["answer"]).get("stage") == "depth":
        _depth(options)
    else:
        _cloud(options)
    return DONE


def _depth(options: dict[str, Any]) -> None:
    from triscope.shape import scoring

    found = scoring.score_depth(
        options["answer"],
        options["truth"],
        options["confidence"],
        options["depth_line"] or "interval",
    )
    mean = scoring.mean_of(found)
    if options["as_json"]:
        views = {name: errors.to_dict() for name, errors in found.items()}
        emit({"depth": options["answer"], "views": views, "mean": mean}, DEPTH)
        return
    titles = ("view", "pixels", "answered", "median error", "relative", "within 1 %", "2 %", "5 %")
    rows = [(name, *_cells(errors.to_dict())) for name, errors in found.items()]
    show_table("", titles, [*rows, ("mean", *_cells(mean))], right=range(1, 8))


def _cells(errors: dict[str, float]) -> list[str]:
    shares = [f"{errors[name]:.1%}" for name in ("within_1", "within_2", "within_5")]
    return [f"{errors['pixels']:,.0f}", f"{errors['known']:.0%}", f"{errors['median_abs']:.4g}",
            f"{errors['median_rel']:.2%}", *shares]  # fmt: skip


def _cloud(options: dict[str, Any]) -> None:
    from triscope.shape import scoring

    settings = scoring.Settings(options["cut"], options["thin"], options["within"])
    found = scoring.score_cloud(
        options["answer"],
        options["truth"],
        settings,
        observed=options["observed"],
        plane=options["plane"],
    )
    if options["as_json"]:
        emit({"answer": options["answer"], **found}, CLOUD)
        return
    rows = [(name, _number(name, value), CLOUD[name]) for name, value in found.items()]
    show_table("", ("measure", "value", "what it is"), rows, right=(1,))


def _number(name: str, value: float) -> str:
    if name in ("precision", "recall", "f"):
        return f"{value:.1%}"
    return f"{value:,.0f}" if name == "points" else f"{value:.6g}"


command = click.Command(
    "evaluate",
    callback=evaluate,
    params=[
        click.Argument(["answer"], type=FOLDER),
        click.Argument(["truth"], type=FOLDER),
        option("--confidence", "P", "Depth: leave out pixels of less confidence.", default=0.0),
        option("--cut", "X", "Clouds: distances of so much or more count in no mean.",
               default=20.0),
        option("--thin", "X", "Clouds: the answer keeps one point in a cube of this side; 0: all.",
               default=0.2),
        option("--within", "X", "Clouds: distance of precision, recall and F-score.", default=1.0),
        option("--observed", "FILE", "Clouds: DTU's ObsMask*.mat.", type=FOLDER),
        option("--plane", "FILE", "Clouds: DTU's Plane*.mat.", type=FOLDER),
        depth_line(),
        json_flag(),
    ],
    help="Score ANSWER: the folder of shape depth against the scene TRUTH, or a cloud (or the "
    "folder of shape fuse) against the cloud or mesh TRUTH, in their common unit.",
    no_args_is_help=True,
)  # fmt: skip
