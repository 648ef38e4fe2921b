"""Make a trained check smaller: prune its channels, or teach a smaller network its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._exits import DONE
from triscope.cli._options import add, option, workers
from triscope.cli._output import emit, json_option, note, people, show_table
from triscope.cli._progress import progress
from triscope.errors import UsageError, needs_extra

SECTION = "Checks"
KEYS = {
    "check": "folder of the smaller check",
    "from": "folder of the check that it was made from",
    "compression": "method, how, steps, and before and after: {bytes, parameters, cpu_ms, and "
    "map_50, accuracy or dice with the number of test images}",
    "zones": "the thresholds of the smaller check",
    "problems": "list of lines: labels that were left out or changed, and why",
}


@click.command("compress")
@click.argument("check", type=click.Path(path_type=Path))
@click.argument("data")
@json_option
def command(check: Path, data: str, as_json: bool, **options: Any) -> int:
    """Make CHECK smaller, with the labelled parts DATA that it was fitted on.

    'prune' removes the weakest channels of each layer and tunes the rest; 'distil' teaches a
    smaller network, named by --backbone, the labels and the answers of CHECK. Thresholds are chosen
    again on what was held out; the card has size, speed and accuracy of both.
    """
    import triscope

    out = options["output"]
    if out is None:
        raise UsageError("say where the smaller check goes: -o FOLDER.")
    try:
        from triscope.surface.compress.running import compress
    except ModuleNotFoundError as error:
        raise needs_extra("compressing", "train", error.name or "torch") from error
    with progress() as report:
        made = compress(
            triscope.open(check),
            data,
            out,
            _how(options),
            _changes(options),
            seed=options["seed"],
            workers=options["workers"],
            accelerator=options["accelerator"],
            devices=options["devices"],
            progress=report,
        )
    record = made.card.proof["compression"]
    if as_json:
        answer = {"check": out, "from": check, "compression": record, "zones": made.card.zones}
        emit({**answer, "problems": made.problems}, KEYS)
    else:
        show(out, record, made.problems)
    return DONE


add(
    command,
    option("-o --output", "FOLDER", "The smaller check.", type=click.Path(path_type=Path)),
    option(
        "--method",
        "[prune|distil]",
        "Remove channels, or teach a smaller network.",
        type=click.Choice(["prune", "distil"]),
        default="prune",
    ),
    option("--share", "X", "Of the channels of each layer that are removed.", default=0.3),
    option(
        "--by",
        "[l1|scale]",
        "Which channels are weak: by their filters, or by their batch norm.",
        type=click.Choice(["l1", "scale"]),
        default="l1",
    ),
    option("--backbone", "NAME", "Of the smaller network."),
    option("--weights", "FILE", "Of that backbone; random:SEED starts from nothing."),
    option("--temperature", "X", "Softens the answers that are taught.", default=2.0),
    option("--logits", "X", "Weight of the teacher's answers.", default=1.0),
    option("--features", "X", "Weight of the teacher's features.", default=1.0),
    option("--steps", "N", "Updates; by default a fifth of those of the fit, or all of them."),
    option("--learning-rate", "X", "Of these updates."),
    option("--set", "NAME=VALUE", "Another setting of the smaller network.", multiple=True),
    option("--seed", "N", "Of everything that is drawn.", default=0),
    workers(),
    option(
        "--accelerator",
        "[auto|cpu|gpu]",
        "Learn on it.",
        type=click.Choice(["auto", "cpu", "gpu"]),
        default="auto",
    ),
    option("--devices", "N", "Processes that learn.", default=1),
)


def show(out: Path, record: dict[str, Any], problems: tuple[str, ...]) -> None:
    """The answer for people."""
    from triscope.surface.compress.running import table

    for problem in problems:
        note(problem)
    show_table(f"{out}: {record['method']}", ("", "before", "after", ""), list(table(record)))
    images = record["after"].get("images")
    told = f"measured on {images} test images" if images else "no test images to measure with"
    people().print(f"{told}; CPU time is that of all threads", style="dim")


def _how(options: dict[str, Any]) -> Any:
    from triscope.surface.compress.distil import Distilling
    from triscope.surface.compress.prune import Pruning

    if options["method"] == "prune":
        return Pruning(share=options["share"], by=options["by"])
    return Distilling(
        logits=options["logits"], features=options["features"], temperature=options["temperature"]
    )


def _changes(options: dict[str, Any]) -> dict[str, str]:
    """Settings as text; they are read as the types of their fields."""
    if options["method"] == "prune" and (options["backbone"] or options["weights"]):
        raise UsageError("pruning keeps the backbone: --backbone and --weights are of 'distil'.")
    names = ("backbone", "weights", "steps", "learning_rate")
    changes = {name: options[name] for name in names if options[name] is not None}
    for text in options["set"]:
        name, sign, value = text.partition("=")
        if not sign:
            raise UsageError(f"--set {text}: expected NAME=VALUE, such as --set width=64.")
        changes[name.strip().replace("-", "_")] = value.strip()
    return changes
