"""Fit a model on good parts and choose its thresholds: a check folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from triscope.cli._exits import DONE
from triscope.cli._options import json_flag, mm_per_px, option, workers
from triscope.cli._output import emit, note, people
from triscope.cli._progress import progress
from triscope.cli._thresholds import threshold_options, wishes

if TYPE_CHECKING:
    from triscope.kernel.catalogue import Entry

SECTION = "Checks"
KEYS = {
    "check": "folder of the check",
    "model": "name of the model",
    "version": "number of the version that is in force",
    "settings": "all settings of the model, with their values",
    "data": "what was learned from: layout, train, calibrate, skipped, seed, hash",
    "zones": "the thresholds: review_above, fail_above, pixel_above ...; null if none were chosen",
    "promise": "how the thresholds were chosen and what they promise",
    "proof": "how far the exported graph is from the library",
    "skipped": "list of {source, error}: images that could not be read",
    "problems": "list of lines: labels that were left out or changed, and why",
    "seconds": "wall time of everything",
}


_LABELLED = "parts with their labels"
_LEARNED_FROM = {
    "Heatmap": "good parts alone, or among labelled ones",
    "Depth": "repeated good scans of one part",
    "Moments": "clips with their actions or steps",
}


class FitGroup(click.Group):
    """``triscope fit MODEL DATA``: each model is a command with the flags of its settings."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The models of the catalogue."""
        from triscope.kernel import catalogue

        return ["auto", *catalogue.models()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """The command of one model; raises UnknownModel with a suggestion."""
        from triscope.kernel import catalogue

        if cmd_name == "auto":
            return auto
        entry = catalogue.entry(cmd_name)
        return FitCommand(entry)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Options may stand before the model: ``triscope fit -o checks/a patchcore parts/a``."""
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            names = self.list_commands(ctx)
            place = next((i for i, word in enumerate(args) if word in names), None)
            if place is not None:
                args = [args[place], *args[:place], *args[place + 1 :]]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The models with the first lines of their files."""
        from triscope.kernel import catalogue

        with formatter.section("Models ('triscope fit MODEL --help' shows the settings of one)"):
            formatter.write_dl([("auto", "Pick by the labels of the data, and say why.")])
            formatter.write_dl([(e.name, e.summary) for e in catalogue.models().values()])


class FitCommand(click.Command):
    """Fit one model; its settings become flags when the command is used."""

    def __init__(self, entry: Entry) -> None:
        self.own = [*own_options(), *threshold_options()]
        super().__init__(
            entry.name,
            callback=lambda **options: fit(entry.name, self.settings_class(), options),
            params=[click.Argument(["data"]), *self.own],
            help=f"{entry.summary}\n\nDATA is {_LEARNED_FROM.get(entry.answers, _LABELLED)}, "
            "in a layout that 'triscope data' knows: a folder, a glob or an address.",
            no_args_is_help=True,
        )
        self._settings: type | None = None

    def settings_class(self) -> type:
        """The Settings of the model; imports the model."""
        if self._settings is None:
            from triscope.errors import needs_extra
            from triscope.kernel import catalogue

            try:
                self._settings = catalogue.settings_class(str(self.name))
            except ModuleNotFoundError as error:
                package = (error.name or "").partition(".")[0]
                if package == "triscope":
                    raise
                raise needs_extra(f"fitting {self.name}", "train", package) from error
        return self._settings

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of ``fit`` and one flag for each setting."""
        from triscope.cli._settings import flags_of

        params = super().get_params(ctx)
        names = {option.name for option in self.own if option.name}
        return [*params[:-1], *flags_of(self.settings_class(), names), params[-1]]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options in three parts: of the command, of the thresholds, of the model."""
        from triscope.cli._settings import PREFIX

        thresholds = {option.name for option in threshold_options()}
        parts: dict[str, list[tuple[str, str]]] = {"Options": [], "Thresholds": [], "Settings": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                part = "Thresholds" if param.name in thresholds else "Options"
                parts["Settings" if str(param.name).startswith(PREFIX) else part].append(record)
        titles = {"Settings": f"Settings of {self.name}"}
        for part, records in parts.items():
            with formatter.section(titles.get(part, part)):
                formatter.write_dl(records)


@click.command("auto", no_args_is_help=True, context_settings={"ignore_unknown_options": True})
@click.argument("data")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.option("--latency-ms", type=float, help="Of videos: how long an answer may take here.")
@click.pass_context
def auto(ctx: click.Context, data: str, options: tuple[str, ...], latency_ms: float | None) -> int:
    """Look at what is known of DATA, pick the model that suits it, say why, and fit it.

    Of videos it is the most able network that answers in time, or a small one where they are few.
    All options of 'triscope fit MODEL' may follow.
    """
    from triscope.kernel import catalogue
    from triscope.kernel.verbs import choose

    name, why, settings = choose(data, latency_ms)
    own_file = any(word.partition("=")[0] == "--settings" for word in options)
    flags = [] if own_file else _flags(settings)  # a file of the user's counts
    note(f"{name}: {why}")
    if flags:
        note(f"settings: {' '.join(flags)}")
    chosen = FitCommand(catalogue.entry(name))
    with chosen.make_context(name, [data, *flags, *options], parent=ctx.parent) as own:
        return int(chosen.invoke(own))


def _flags(settings: dict[str, Any]) -> list[str]:
    """Settings as the flags that set them."""
    words = []
    for key, value in settings.items():
        flag = "--" + key.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            several = isinstance(value, list | tuple)
            words += [flag, ",".join(map(str, value)) if several else str(value)]
    return words


command = FitGroup(
    "fit",
    help="Fit MODEL on DATA and choose its thresholds: 'triscope fit patchcore parts/bottle "
    "-o checks/bottle'.",
    subcommand_metavar="MODEL DATA [OPTIONS]",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)


def fit(name: str, cls: type, options: dict[str, Any]) -> int:
    """Fit, calibrate and save; where thresholds were wished, choose them for the next version."""
    from time import perf_counter

    from triscope.cli._settings import settings_from

    start = perf_counter()
    settings = settings_from(cls, options, _given(options), options["settings"])
    out = options["output"] or default_output(options["data"])
    with progress() as report:
        check = _fitted(name, settings, out, options, report)
        asked = wishes(options, options["mm_per_px"])
        if asked:
            # The check is safe by now, with the lowest promise: a wish that fails loses nothing.
            check.calibrate(**asked, workers=options["workers"], progress=report)
            check.save(out, why="calibrate")
    seconds = perf_counter() - start
    if options["as_json"]:
        emit(answer(check, seconds), KEYS)
    else:
        show(check, seconds)
    return DONE


def answer(check: Any, seconds: float) -> dict[str, Any]:
    """What --json prints."""
    card = check.card
    return {
        "check": check.folder,
        "model": card.model,
        "version": card.version.number,
        "settings": card.settings,
        "data": card.data,
        "zones": card.zones,
        "promise": card.promise or None,
        "proof": card.proof,
        "skipped": check.skipped,
        "problems": check.problems,
        "seconds": round(seconds, 3),
    }


def show(check: Any, seconds: float) -> None:
    """The answer for people."""
    console, data = people(), check.card.data
    things, sources = ("videos", "VIDEOS") if check.card.capture == "clip" else ("images", "PHOTOS")
    for skipped in check.skipped[:20]:
        note(f"not read: {skipped.error}")
    for problem in check.problems:
        note(problem)
    learned = f"{check.card.model}, learned from {data.get('train', 0)} {things}"
    console.print(
        f"[bold]{check.folder}[/]: {learned} in {seconds:.1f} s, "
        f"version {check.card.version.number}"
    )
    if check.card.zones is None:
        console.print("No thresholds yet: run 'triscope calibrate' with good parts.")
    else:
        console.print(check.card.zones.basis, markup=False)
    then = f"triscope inspect {check.folder} {sources} --report report.html"
    console.print(f"Next: {then}", style="dim")


def default_output(data: str) -> Path:
    """``checks/NAME`` after the last part of the data's place."""
    name = Path(data.split("::")[0].split("://")[-1].rstrip("/*?.")).name
    return Path("checks") / (name or "check")


def _fitted(name: str, settings: Any, out: Path, options: dict[str, Any], report: Any) -> Any:
    import triscope

    data: Any = options["data"]
    if options["layout"]:
        data = triscope.data(data, options["layout"])
    return triscope.fit(
        name,
        data,
        settings,
        out=out,
        calibrate=_share_or_data(options["calibrate"]),
        tile=options["tile"],
        overlap=options["overlap"],
        memory=options["memory"],
        mm_per_px=options["mm_per_px"],
        logs=options["logs"],
        seed=options["seed"] or 0,
        workers=options["workers"],
        accelerator=options["accelerator"],
        devices=options["devices"],
        engine=options["engine"],
        progress=report,
    )


def _share_or_data(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Options of the command that are settings of many models too; ``verbs.fit`` sets memory."""
    return {"seed": options["seed"]}


def own_options() -> list[click.Option]:
    """Fresh options of the command itself, without thresholds and settings."""
    files = click.Path(path_type=Path)
    held = (
        "Share of the good parts that is held out to choose thresholds, or a folder of good parts "
        "for that; 0: no thresholds."
    )
    tile = "Cut captures into windows of so many pixels, for small defects in large images."
    accelerators = click.Choice(["auto", "cpu", "gpu"])
    engines = click.Choice(["auto", "onnxruntime", "openvino"])
    return [
        option("-o --output", "FOLDER", "The check. [default: checks/NAME]", type=files),
        option(
            "--settings",
            "FILE",
            "TOML file or recipe of settings; flags win.",
            type=files,
        ),
        option("--layout", "NAME", "Layout of the data, where two would fit."),
        option("--calibrate", "SHARE|DATA", held, default="0.2"),
        option("--tile", "N", tile, default=0),
        option("--overlap", "N", "Pixels by which windows overlap.", default=0),
        option("--memory", "AMOUNT", "Ceiling of what the fit may hold: 2GB, 800MB."),
        mm_per_px(),
        option("--logs", "FOLDER", "Keep the losses of each step here.", type=files),
        option("--seed", "N", "Of everything that is drawn. [default: 0]", type=int),
        workers(),
        option(
            "--accelerator", "[auto|cpu|gpu]", "Learn on it.", type=accelerators, default="auto"
        ),
        option("--devices", "N", "Processes that learn.", default=1),
        option("--engine", "NAME", "auto, onnxruntime, openvino.", type=engines, default="auto"),
        json_flag(),
    ]
