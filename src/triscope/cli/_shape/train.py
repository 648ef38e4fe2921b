"""Train a stereo network on scenes whose depth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._output import emit, json_option
from triscope.cli._progress import progress
from triscope.cli._settings import flags_of, settings_from
from triscope.cli._shape._shared import FOLDER
from triscope.shape.training_settings import NAMES, Settings

ROOMS = "rooms"
KEYS = {
    "weights": "the file that was written",
    "network": "the network",
    "scenes": "scenes that were learned from",
    "steps": "updates of the weights, those of earlier runs included",
    "losses": "object: the parts of the loss of the last step",
    "seconds": "of this run",
}


@click.command("train")
@click.argument("data", type=FOLDER)
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder: weights, checkpoint.")
@click.option("--network", type=click.Choice(NAMES), default="mvsnet", show_default=True)
@click.option("--begin", type=FOLDER, help="Weights to begin with.")
@click.option("--rooms", type=int, default=0, help="Also so many generated rooms.")
@click.option("--config", type=FOLDER, help="Settings from a TOML file.")
@json_option
def command(**values: Any) -> None:
    """Train on all scenes with depth under DATA ('rooms': generated ones only); goes on if stopped.

    DATA is a folder of DTU's training layout, BlendedMVS, or scenes of any other layout with depth.
    """
    from safetensors.torch import save_file

    from triscope.shape.training import train_stereo

    settings = settings_from(Settings, values, {}, values["config"])
    output: Path = values["output"]
    scenes, network = _scenes(values), _begun(values)
    with progress() as report:

        def told(step: int, steps: int, losses: Any) -> None:
            report(f"training, {losses['near']:.0%} within a plane", step, steps)

        learned, done = train_stereo(
            values["network"], scenes, settings, output, told, network=network
        )
    path = output / f"{values['network']}.safetensors"
    save_file({k: v.contiguous() for k, v in learned.state_dict().items()}, str(path))
    if values["as_json"]:
        answer = {
            "weights": path, "network": values["network"], "scenes": len(scenes),
            "steps": done.steps, "losses": done.losses, "seconds": done.seconds,
        }  # fmt: skip
        emit(answer, KEYS)
    else:
        shown = ", ".join(f"{name} {value:.3f}" for name, value in done.losses.items())
        click.echo(f"{done.steps} steps in {done.seconds:.0f} s: {shown}")
        click.echo(f"written: {path}")


def _scenes(values: dict[str, Any]) -> list[Any]:
    from triscope.shape.formats.training import training_scenes
    from triscope.shape.synth.rooms import clutter

    only = str(values["data"]) == ROOMS
    rooms = values["rooms"] or (200 if only else 0)
    scenes = [] if only else training_scenes(values["data"])
    return scenes + [clutter(seed) for seed in range(rooms)]


def _begun(values: dict[str, Any]) -> Any:
    if values["begin"] is None:
        return None
    from triscope.kernel.catalogue import build_published
    from triscope.shape.stereo import read_weights

    return build_published(values["network"], read_weights(values["network"], values["begin"]))


command.params += flags_of(Settings, {option for p in command.params for option in p.opts})
