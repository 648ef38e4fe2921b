"""The data engine: masks make a model, which makes more masks, in three stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._output import emit, json_option, show_table
from triscope.cli._progress import progress
from triscope.cli._segment._shared import PATH

KEYS = {
    "folder": "the engine's folder",
    "stage": "assisted, semi or automatic",
    "waiting": "how many images wait in this stage",
    "figures": "object: stage, object of images, masks, masks an image, seconds a mask, prefilled",
    "rounds": "list of objects: round, stage, weights, figures",
}
STEPS = ("status", "start", "advance", "automatic", "retrain", "serve")


@click.command("engine")
@click.argument("folder", type=PATH)
@click.argument("step", type=click.Choice(STEPS), default="status")
@click.argument("images", required=False)
@click.option("--network", default="sam_nano", show_default=True, help="For 'start'.")
@click.option("--weights", type=PATH, help="For 'start': weights from elsewhere.")
@click.option("--steps", default=200, show_default=True, help="For 'retrain': updates.")
@click.option("--part", default="decoder", show_default=True, help="decoder, lora or full.")
@click.option("--port", default=8765, show_default=True, help="For 'serve'.")
@json_option
def command(folder: Path, step: str, images: str | None, **values: Any) -> None:
    """Run one STEP of the engine in FOLDER; without one, show where it stands.

    'start' begins over IMAGES, 'serve' offers the work to a browser tool, 'advance' goes to the
    next stage, 'automatic' makes the masks of the last one, 'retrain' teaches the network.
    """
    from triscope.errors import UsageError
    from triscope.segment.engine import Engine

    if step == "start":
        if not images:
            raise UsageError("'start' needs the images: a folder, a glob or a list.")
        weights = str(values["weights"].resolve()) if values["weights"] else ""
        engine = Engine.start(folder, images, load, network=values["network"], weights=weights)
    else:
        engine = Engine(folder, load)
    if step == "advance":
        with progress() as report:
            engine.advance(lambda done, total: report("what was drawn", done, total))
    elif step == "automatic":
        with progress() as report:
            engine.automatic(lambda done, total: report("images", done, total))
    elif step == "retrain":
        _retrain(engine, values)
    elif step == "serve":
        _serve(engine, values["port"])
    _show(engine, values["as_json"])


def load(manifest: Any) -> Any:
    """The predictor that a manifest names."""
    from triscope.segment.networks import load_network
    from triscope.segment.predictor import Predictor

    return Predictor(load_network(manifest.network, manifest.weights or None))


def _retrain(engine: Any, values: dict[str, Any]) -> None:
    from triscope.segment.networks import load_network, save_weights
    from triscope.segment.training.finetune import finetune
    from triscope.segment.training.settings import Settings

    settings = Settings(part=values["part"], steps=values["steps"])

    def train(cases: Any, folder: Path) -> str:
        network = load_network(engine.manifest.network, engine.manifest.weights or None)
        with progress() as report:
            finetune(
                network, cases, settings, folder,
                lambda step, steps, _: report("training", step, steps),
            )  # fmt: skip
        path = (folder / "weights.safetensors").resolve()
        save_weights(network, path)
        return str(path)

    engine.retrain(train)


def _serve(engine: Any, port: int) -> None:
    from triscope.cli._output import note
    from triscope.errors import UsageError
    from triscope.segment.engine.http import serve

    try:
        server = serve(engine, port)
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be used ({error.strerror}): give another with --port N."
        ) from error
    note(f"the engine answers at http://127.0.0.1:{server.server_address[1]}/state; Ctrl-C ends.")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


def _show(engine: Any, as_json: bool) -> None:
    figures = engine.figures()
    if as_json:
        answer = {
            "folder": engine.folder, "stage": engine.stage, "waiting": len(engine.waiting()),
            "figures": figures, "rounds": engine.manifest.rounds,
        }  # fmt: skip
        emit(answer, KEYS)
        return
    cells = [
        (
            name, row["images"], row["masks"], f"{row['masks an image']:.1f}",
            f"{row['seconds a mask']:.1f}", row["prefilled"],
        )
        for name, row in figures.items()
    ]  # fmt: skip
    columns = ("stage", "images", "masks", "an image", "s a mask", "prefilled")
    show_table("", columns, cells, right=range(1, 6))
    click.echo(f"in the stage {engine.stage!r}: {len(engine.waiting())} images wait")
