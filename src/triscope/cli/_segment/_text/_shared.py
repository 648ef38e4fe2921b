"""Options that the commands about words share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from triscope.cli._segment._shared import PATH, Network
from triscope.errors import UsageError

C = TypeVar("C", bound=Callable[..., Any])


def word_options(command: C) -> C:
    """``--clip`` and ``--head``."""
    for decorate in (
        click.option("--head", type=PATH, required=True, help="Weights from `text train`."),
        clip_option,
    ):
        command = decorate(command)
    return command


def clip_option(command: C) -> C:
    """``--clip``."""
    text = "A folder with a CLIPModel and its tokenizer, as transformers saves them."
    return click.option("--clip", type=PATH, required=True, help=text)(command)


def word_predictor(network: Network, values: dict[str, Any]) -> Any:
    """A predictor that answers words; it needs torch."""
    if network.runtime:
        raise UsageError("words need the network itself: leave --runtime out.")
    from triscope.segment.networks import load_network
    from triscope.segment.text import Clip, TextPredictor, load_head

    clip, head = Clip(values["clip"]), load_head(values["head"])
    return TextPredictor(load_network(network.name, network.weights), head, clip)
