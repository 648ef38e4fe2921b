"""Write a copy of a check for the line: in int8, without weights, for another engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._exits import DONE
from triscope.cli._options import add, option
from triscope.cli._output import emit, json_option, people, show_table
from triscope.cli._progress import progress
from triscope.errors import needs_extra

SECTION = "Checks"
KEYS = {
    "check": "folder of the copy",
    "from": "folder of the check that it was made from",
    "precision": "fp32, bf16 or int8",
    "engine": "onnxruntime or openvino",
    "bytes": "size of the folder",
    "proof": "what was measured: differences to the original, milliseconds, change of AUROC and "
    "AUPRO where labelled data were given",
}


@click.command("export")
@click.argument("check", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--int8", is_flag=True, help="Quantise to 8 bits, and choose thresholds again.")
@click.option("--bf16", is_flag=True, help="Half floats on OpenVINO; chooses thresholds again.")
@click.option("--no-weights", is_flag=True, help="Leave out what only 'triscope learn' needs.")
@json_option
def command(check: Path, folder: Path, as_json: bool, **options: Any) -> int:
    """Write a copy of CHECK into FOLDER and prove what it answers.

    A check folder runs on any machine as it is. A copy can be smaller and quicker; its card says
    how far it is from the original.
    """
    import triscope

    opened = triscope.open(check)
    try:
        with progress() as report:
            made = opened.export(
                folder,
                int8=options["int8"],
                bf16=options["bf16"],
                engine=options["engine"],
                weights=not options["no_weights"],
                data=options["data"],
                progress=report,
            )
    except ModuleNotFoundError as error:
        raise needs_extra("exporting", "train", error.name or "torch") from error
    answer = {
        "check": folder,
        "from": check,
        "precision": made.card.precision,
        "engine": made.card.engine,
        "bytes": sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        "proof": made.card.proof,
    }
    if as_json:
        emit(answer, KEYS)
    else:
        show(answer)
    return DONE


add(
    command,
    option(
        "--engine",
        "NAME",
        "auto, onnxruntime or openvino; auto takes the faster one.",
        type=click.Choice(["auto", "onnxruntime", "openvino"]),
        default="auto",
    ),
    option("--data", "DATA", "Labelled parts: also measure the change of AUROC and AUPRO."),
)


def show(answer: dict[str, Any]) -> None:
    """The answer for people."""
    from triscope.kernel.report.sections.card import flat

    title = f"{answer['check']}: {answer['precision']} on {answer['engine']}"
    show_table(title, ("proof", "value"), flat(answer["proof"]))
    people().print(f"{answer['bytes'] / 1e6:.1f} MB")
