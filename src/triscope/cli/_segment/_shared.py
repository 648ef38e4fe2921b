"""Options and steps that the commands of `triscope segment` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from triscope.cli._output import emit, note
from triscope.errors import UsageError

C = TypeVar("C", bound=Callable[..., Any])
EXAMPLES = "scenes"  # the source that stands for generated scenes
PATH = click.Path(path_type=Path)


@dataclass(frozen=True)
class Network:
    """Which network answers, as the command line says it."""

    name: str
    weights: Path | None
    runtime: Path | None
    engine: str

    @property
    def label(self) -> str:
        """What is written into answers."""
        return f"{self.name} ({self.runtime})" if self.runtime else self.name

    def predictor(self) -> Any:
        """The predictor: an exported folder without torch, or the library's network."""
        if self.runtime:
            from triscope.segment.runtime import RuntimePredictor

            return RuntimePredictor(self.runtime, engine=self.engine)
        from triscope.segment.networks import load_network
        from triscope.segment.predictor import Predictor

        return Predictor(load_network(self.name, self.weights))


def network_options(command: C) -> C:
    """``--network``, ``--weights``, ``--runtime``, ``--engine``."""
    for decorate in (
        click.option("--engine", default="onnxruntime", help="onnxruntime or openvino."),
        click.option("--runtime", type=PATH, help="An exported folder; no torch is loaded."),
        click.option("--weights", type=PATH, help="Weights of that network from elsewhere."),
        click.option(
            "--network", default="sam_nano", show_default=True,
            help="sam_nano, mobile_sam, sam_vit_b, sam_vit_l or sam_vit_h.",
        ),
    ):  # fmt: skip
        command = decorate(command)
    return command


def network_of(values: dict[str, Any]) -> Network:
    """The network that the options name; they leave ``values``."""
    names = ("network", "weights", "runtime", "engine")
    return Network(*(values.pop(name) for name in names))


def data_options(command: C) -> C:
    """``DATA`` with ``--layout``, ``--limit``, ``--parts``."""
    for decorate in (
        click.option("--parts", is_flag=True, help="Each connected region is a mask of its own."),
        click.option("--limit", default=0, help="At most so many images, evenly spread."),
        click.option("--layout", help="The layout of the data, where two would fit."),
        click.argument("data"),
    ):
        command = decorate(command)
    return command


def cases_from(data: str, layout: str | None, limit: int, parts: bool) -> tuple[Any, list[Any]]:
    """Cases of a source, or of generated scenes (``scenes``), and what could not be read."""
    from triscope.segment.evaluate import cases

    skipped: list[Any] = []
    if data == EXAMPLES:
        return cases.scenes(limit or 50), skipped
    from triscope.kernel.data import open_data

    opened = open_data(data, layout)
    return cases.cases_of(opened, parts=parts, limit=limit, skipped=skipped), skipped


def told_skipped(skipped: list[Any]) -> int:
    """Name what could not be read on stderr; the exit code that says so."""
    for one in skipped:
        note(f"skipped {one.source}: {one.error}")
    return 1 if skipped else 0


def training(report: Any) -> Callable[[int, int, Any], None]:
    """The progress of a training, with its loss, as the bar shows it."""
    return lambda step, steps, losses: report(f"training, loss {losses['loss']:.3f}", step, steps)


def show_learned(values: dict[str, Any], what: str, path: Path, done: Any, keys: Any) -> None:
    """The answer of a training: the file ``what``, how long it took, the last losses."""
    if values["as_json"]:
        answer = {
            what: path, "network": values["network"], "steps": done.steps,
            "losses": done.losses, "seconds": done.seconds,
        }  # fmt: skip
        emit(answer, keys)
        return
    shown = ", ".join(f"{name} {value:.3f}" for name, value in done.losses.items())
    click.echo(f"{done.steps} steps in {done.seconds:.0f} s: {shown}")
    click.echo(f"written: {path}")


def images_of(sources: tuple[str, ...]) -> Iterator[Any]:
    """Samples of the sources, in order."""
    from triscope.kernel.data import open_data

    for source in sources:
        yield from open_data(source)


def numbers(text: str, count: tuple[int, ...], what: str) -> list[float]:
    """``"12,30.5"`` as numbers."""
    try:
        values = [float(part) for part in text.replace(" ", "").split(",")]
    except ValueError:
        values = []
    if len(values) not in count:
        wanted = " or ".join(map(str, count))
        raise UsageError(f"{what} is {wanted} numbers with commas between, got {text!r}.")
    return values
