"""Teach a head what CLIP sees of your objects; words then take the place of pictures."""

from __future__ import annotations

from typing import Any

import click

from triscope.cli._output import json_option
from triscope.cli._progress import progress
from triscope.cli._segment._shared import (
    PATH,
    cases_from,
    data_options,
    show_learned,
    told_skipped,
    training,
)
from triscope.cli._segment._text._shared import clip_option
from triscope.cli._settings import flags_of, settings_from
from triscope.segment.training.settings import WordSettings

KEYS = {
    "head": "the file that was written",
    "network": "the network that rests behind it",
    "steps": "updates of the head's weights, those of earlier runs included",
    "losses": "object: the parts of the loss of the last step",
    "seconds": "of this run",
}


@click.command("train")
@data_options
@click.option("-o", "--output", type=PATH, required=True, help="Folder for head and checkpoint.")
@clip_option
@click.option("--network", default="sam_nano", show_default=True, help="The network.")
@click.option("--weights", type=PATH, help="Weights of that network from elsewhere.")
@click.option("--config", type=PATH, help="Settings from a TOML file.")
@json_option
def command(**values: Any) -> None:
    """Learn from the masks of DATA ('scenes': generated ones), without any words; goes on."""
    from triscope.segment.networks import load_network
    from triscope.segment.text import Clip, save_head
    from triscope.segment.training.words import fit_words

    settings = settings_from(WordSettings, values, {}, values["config"])
    network = load_network(values["network"], values["weights"])
    cases, skipped = cases_from(values["data"], values["layout"], values["limit"], values["parts"])
    with progress() as report:
        told = training(report)
        head, done = fit_words(
            network, Clip(values["clip"]), cases, settings, values["output"], told
        )
    path = values["output"] / "head.safetensors"
    save_head(head, path)
    show_learned(values, "head", path, done, KEYS)
    if told_skipped(skipped):
        click.get_current_context().exit(1)


command.params += flags_of(WordSettings, {option for p in command.params for option in p.opts})
