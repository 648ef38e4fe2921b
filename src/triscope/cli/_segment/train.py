"""Teach a network your masks, or train sam_nano from scratch on generated scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._output import json_option
from triscope.cli._progress import progress
from triscope.cli._segment._shared import (
    EXAMPLES,
    PATH,
    cases_from,
    data_options,
    show_learned,
    told_skipped,
    training,
)
from triscope.cli._settings import flags_of, settings_from
from triscope.segment.training.settings import Settings

KEYS = {
    "weights": "the file that was written",
    "network": "the network",
    "steps": "updates of the weights, those of earlier runs included",
    "losses": "object: the parts of the loss of the last step",
    "seconds": "of this run",
}


@click.command("train")
@data_options
@click.option("-o", "--output", type=PATH, required=True, help="Folder for weights and checkpoint.")
@click.option("--network", default="sam_nano", show_default=True, help="The network.")
@click.option("--weights", type=PATH, help="Weights to begin with.")
@click.option("--scratch", is_flag=True, help="Train sam_nano from nothing, in stages, on scenes.")
@click.option("--config", type=PATH, help="Settings from a TOML file.")
@json_option
def command(**values: Any) -> None:
    """Fine-tune on the images with masks of DATA ('scenes': generated ones); goes on if stopped."""
    settings = settings_from(Settings, values, {}, values["config"])
    output: Path = values["output"]
    with progress() as report:
        told = training(report)
        skipped: list[Any] = []
        if values["scratch"]:
            network, done = _scratch(values, output, told)
        else:
            network, done, skipped = _finetune(values, settings, output, told)
    from triscope.segment.networks import save_weights

    path = output / f"{values['network']}.safetensors"
    save_weights(network, path)
    show_learned(values, "weights", path, done, KEYS)
    if told_skipped(skipped):
        click.get_current_context().exit(1)


def _finetune(values: dict[str, Any], settings: Any, output: Path, told: Any) -> Any:
    from triscope.segment.networks import load_network
    from triscope.segment.training.finetune import finetune

    network = load_network(values["network"], values["weights"])
    cases, skipped = cases_from(values["data"], values["layout"], values["limit"], values["parts"])
    return network, finetune(network, cases, settings, output, told), skipped


def _scratch(values: dict[str, Any], output: Path, told: Any) -> Any:
    from triscope.errors import UsageError
    from triscope.segment.training.nano import train_nano

    if values["data"] != EXAMPLES:
        raise UsageError(f"--scratch trains on generated scenes: give {EXAMPLES!r} as DATA.")
    return train_nano(output, told)


command.params += flags_of(Settings, {option for p in command.params for option in p.opts})
