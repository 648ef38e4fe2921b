"""Paint parts, fit a check on the good ones, inspect the rest, write the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from triscope.cli._exits import DONE
from triscope.cli._options import add, option
from triscope.cli._output import emit, json_option, note, people, show_table
from triscope.cli._progress import progress
from triscope.errors import needs_extra

SECTION = "Checks"
KEYS = {
    "folder": "where everything was written",
    "report": "the page",
    "check": "folder of the check",
    "parts": "folder of the painted parts, in the MVTec layout",
    "figures": "the five that matter: caught and defective, rejected and good, image_auroc, aupro, "
    "milliseconds",
    "promise": "what the thresholds promise",
    "seconds": "of each step, and of all",
}
GOOD, BAD = 25, 10  # parts to inspect: good ones of each kind, bad ones of each defect
MM_PER_PX = 0.2  # the plates are about 5 cm wide
WORDS = {  # name of the figure: how people call it, and what it is
    "caught": ("caught", "defective parts that did not pass"),
    "rejected": ("rejected", "good parts that failed"),
    "image_auroc": ("image AUROC", "how well scores part good from defective (1 is best)"),
    "aupro": ("AUPRO", "overlap with the painted defects, pixel FPR up to 0.3 (1 is best)"),
    "milliseconds": ("time", "from file to verdict, median of all parts"),
}


@dataclass
class Steps:
    """The steps of the demo, each with the time that it took."""

    say: Callable[[str], None]
    report: Any
    seconds: dict[str, float]

    def take(self, name: str, words: str, work: Callable[[], Any]) -> Any:
        """Do one step and tell it."""
        start = perf_counter()
        made = work()
        self.seconds[name] = round(perf_counter() - start, 2)
        self.say(f"{self.seconds[name]:6.1f} s  {words}")
        return made


@click.command("demo")
@click.argument("folder", type=click.Path(path_type=Path), default="demo")
@json_option
def command(folder: Path, as_json: bool, model: str, parts: int, seed: int) -> int:
    """Show everything on painted parts, without data, weights or network.

    Brushed plates and woven cloth with scratches, dents, stains and missing threads are painted
    into FOLDER/parts; MODEL learns the good ones, thresholds are chosen on others, and what it
    says of the rest is in FOLDER/report.html.
    """
    start = perf_counter()
    with progress() as report:
        steps = Steps(note, report, {})
        answer = _demo(folder, model, parts, seed, steps)
    answer["seconds"]["all"] = round(perf_counter() - start, 2)
    if as_json:
        emit(answer, KEYS)
    else:
        show(answer)
    return DONE


add(
    command,
    option("--model", "NAME", "What learns the good parts.", default="patchcore"),
    option("--parts", "N", "Good parts of each kind to learn from.", default=60),
    option("--seed", "N", "Of the painted parts.", default=0),
)


def _demo(folder: Path, model: str, count: int, seed: int, steps: Steps) -> dict[str, Any]:
    place, target = folder / "parts", folder / "check"
    data = steps.take("paint", f"painted {place}", lambda: _paint(place, count, seed, steps.report))
    fit = f"fitted {model} on the good parts and chose thresholds: {target}"
    check = steps.take("fit", fit, lambda: _fit(model, place, target, steps.report))
    test = data.split("test")
    inspect = f"inspected {len(test)} parts that it had not seen"
    run = steps.take("inspect", inspect, lambda: _inspect(check, test, folder, steps.report))
    measure = "measured how good that is"
    measured = steps.take("evaluate", measure, lambda: check.evaluate(place, progress=steps.report))
    figures = _figures(run, measured)
    page = folder / "report.html"
    run.report.figures = _lines(figures)
    steps.take("report", f"wrote {page}", lambda: run.report.write(page, run.subtitle()))
    return {
        "folder": folder,
        "report": page,
        "check": target,
        "parts": place,
        "figures": figures,
        "promise": check.card.zones.basis,
        "seconds": steps.seconds,
    }


def _paint(place: Path, count: int, seed: int, report: Any) -> Any:
    from triscope.kernel.data import open_data
    from triscope.surface import synth

    counts = synth.Counts(train=count, calibrate=count, good=GOOD, bad=BAD)
    told = lambda done, total: report("paint", done, total)  # noqa: E731
    synth.write_set(place, counts=counts, seed=seed, progress=told)
    return open_data(place)


def _fit(model: str, place: Path, target: Path, report: Any) -> Any:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise needs_extra("the demo fits a model and", "train", "torch") from error
    import triscope

    return triscope.fit(model, place, out=target, mm_per_px=MM_PER_PX, progress=report)


def _inspect(check: Any, test: Any, folder: Path, report: Any) -> Any:
    from triscope.cli._run import OPTIONS, Run
    from triscope.cli._sources import Captures

    options = {**OPTIONS, "report": folder / "report.html"}
    run = Run(check, options, title="Painted parts: metal plates and cloth")
    run.go(Captures(list(test), len(test)), report)
    return run


def _figures(run: Any, measured: Any) -> dict[str, Any]:
    """The five figures, from what was inspected and what was measured."""
    rows = run.report.rows
    good, bad = ([row for row in rows if row.good is value] for value in (True, False))
    times = sorted(sum(seconds for _, seconds in row.seconds) for row in rows)
    return {
        "caught": sum(row.outcome != "pass" for row in bad),
        "defective": len(bad),
        "rejected": sum(row.outcome == "fail" for row in good),
        "good": len(good),
        "image_auroc": measured.image["auroc"].value,
        "aupro": measured.pixel["aupro_30"].value,
        "milliseconds": 1e3 * times[len(times) // 2],
    }


def told(figures: dict[str, Any]) -> dict[str, str]:
    """The figures as people read them, by the names of WORDS."""
    return {
        "caught": f"{figures['caught']} of {figures['defective']}",
        "rejected": f"{figures['rejected']} of {figures['good']}",
        "image_auroc": f"{figures['image_auroc']:.3f}",
        "aupro": f"{figures['aupro']:.3f}",
        "milliseconds": f"{figures['milliseconds']:.1f} ms",
    }


def _lines(figures: dict[str, Any]) -> list[Any]:
    from triscope.kernel.report import Figure

    return [
        Figure(WORDS[name][0], text, meaning=WORDS[name][1]) for name, text in told(figures).items()
    ]


def show(answer: dict[str, Any]) -> None:
    """The answer for people."""
    rows = [(WORDS[n][0], text, WORDS[n][1]) for n, text in told(answer["figures"]).items()]
    console = people()
    console.print()
    show_table("", ("figure", "value", "what it is"), rows, right=[1])
    console.print(answer["promise"], markup=False)
    console.print(f"The report: {answer['report'].resolve().as_uri()}", markup=False)
