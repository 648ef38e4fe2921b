"""A small encoder learns the embeddings of a large one; the decoder stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._output import emit, json_option
from triscope.cli._progress import progress
from triscope.cli._segment._shared import PATH, images_of

KEYS = {
    "weights": "the file that was written",
    "teacher": "the network that was learned from",
    "steps": "updates of the weights",
    "relative": "squared error of the last step over the teacher's power",
}


@click.command("distill")
@click.argument("sources", nargs=-1, required=True)
@click.option("-o", "--output", type=PATH, required=True, help="Folder for weights and checkpoint.")
@click.option("--teacher", default="mobile_sam", show_default=True, help="The network to learn.")
@click.option("--weights", type=PATH, help="The teacher's weights from elsewhere.")
@click.option("--steps", default=500, show_default=True, help="Updates of the weights.")
@click.option("--batch", default=2, show_default=True, help="Images a step.")
@click.option("--learning-rate", default=1e-3, show_default=True, help="The highest.")
@click.option("--widths", default="32,64,128", show_default=True, help="Of the student's stages.")
@json_option
def command(**values: Any) -> None:
    """Distil the encoder of the teacher on the images of SOURCES; goes on if stopped."""
    from safetensors.torch import save_file

    from triscope.cli._segment._shared import numbers
    from triscope.kernel.data import read_image
    from triscope.kernel.train import Plan
    from triscope.segment.networks import load_network
    from triscope.segment.training.distill import distil, small_encoder

    teacher = load_network(values["teacher"], values["weights"])
    first, second, third = (int(n) for n in numbers(values["widths"], (3,), "widths"))
    images = [read_image(sample.source) for sample in images_of(values["sources"])]
    plan = Plan(
        steps=values["steps"], batch=values["batch"], learning_rate=values["learning_rate"],
        optimizer="adamw", schedule="cosine", checkpoint_every=50,
    )  # fmt: skip
    output: Path = values["output"]
    with progress() as report:
        pupil, done = distil(
            teacher, small_encoder(teacher, (first, second, third)), images, plan, output,
            lambda step, steps, losses: report("distilling", step, steps),
        )  # fmt: skip
    path = output / "student.safetensors"
    save_file({key: value.contiguous() for key, value in pupil.state_dict().items()}, str(path))
    if values["as_json"]:
        answer = {
            "weights": path, "teacher": values["teacher"], "steps": done.steps,
            "relative": done.losses["relative"],
        }  # fmt: skip
        emit(answer, KEYS)
        return
    click.echo(f"{done.steps} steps, relative squared error {done.losses['relative']:.3f}")
    click.echo(f"written: {path}")
