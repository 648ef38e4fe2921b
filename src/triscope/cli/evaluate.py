"""Measure a check on labelled parts that it has not met."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._exits import DONE, FAILED
from triscope.cli._options import add, explain, option, workers
from triscope.cli._output import emit, json_option, note, people, show_table
from triscope.cli._progress import progress

SECTION = "Checks"
KEYS = {
    "check": "model and version that was measured",
    "images": "how many were good and defective",
    "image": "auroc, average_precision, f1_max of the image scores, each {value, low, high}",
    "pixel": "auroc, average_precision, aupro_30, aupro_05, dice_max, iou_max of the heat maps, "
    "each {value, error, threshold}; null without masks",
    "pixel_confusion": "pixels at the region threshold of the check",
    "types": "list, one a defect type: name, images, auroc, outcomes, escapes_interval, "
    "pixel_auroc, aupro",
    "zones": "the thresholds of the check, or null",
    "outcomes": "how many good and defective parts pass, go to review, fail",
    "confusion": "accuracy, precision, recall, fpr, fnr, f1 at the fail line",
    "intervals": "exact intervals of the shares false_reject and escape",
    "sweep": "the rates at thresholds from the lowest to the highest score",
    "mistakes": "list of {name, label, score, verdict}: escapes, then rejected good parts",
    "notes": "what could not be measured, or was left out, and why",
    "known": "of timelines: frame_accuracy, edit, f1_10, f1_25, f1_50, matrix, classes; of boxes: "
    "map_50, map_50_95, classes; of classes: accuracy, matrix, classes, regions "
    "(iou, dice, boundary_f of the class map at its threshold, where parts are drawn); of "
    "masks: iou, dice, boundary_f, types; null for models of good parts",
    "confidence": "of the intervals",
    "f1_threshold": "the score above which F1 is highest",
    "skipped": "list of {source, error}: captures that could not be read",
    "report": "path of the page, or null",
}


TYPE_COLUMNS = ("type", "parts", "pass", "review", "fail", "AUROC", "AUPRO")


@click.command("evaluate")
@click.argument("check", type=click.Path(path_type=Path))
@click.argument("data")
@click.option("--exact", is_flag=True, help="Pixel metrics from all pixels; needs memory.")
@json_option
def command(check: Path, data: str, as_json: bool, **options: Any) -> int:
    """Measure CHECK on DATA: labelled parts; of a data set with splits those of the test.

    What taught or calibrated the check is left out and counted. The thresholds of the check are
    judged as they are; nothing is chosen on these images.
    """
    import triscope

    opened = triscope.open(check)
    names = ("exact", "draws", "confidence", "seed", "workers")
    with progress() as report:
        measured = opened.evaluate(data, **{name: options[name] for name in names}, progress=report)
        if options["report"]:
            _write_report(opened, data, measured, options, report)
    skipped = list({item.source: item for item in opened.skipped}.values())
    if as_json:
        answer = {**measured.to_dict(), "check": opened.label, "skipped": skipped}
        emit({**answer, "report": options["report"]}, KEYS)
    else:
        show(opened, measured, skipped)
        if options["report"]:
            people().print(f"report: {options['report']}", markup=False)
    return FAILED if skipped else DONE


add(
    command,
    option("--report", "FILE.html", "Write one page here.", type=click.Path(path_type=Path)),
    option("--pictures", "N", "Most pictures in the report.", default=160),
    explain(),
    option("--draws", "N", "Bootstrap draws of the intervals.", default=1000),
    option("--confidence", "SHARE", "Of the intervals.", type=click.FloatRange(0, 1), default=0.95),
    option("--seed", "N", "Of the draws.", default=0),
    workers(),
)


def show(check: Any, measured: Any, skipped: list[Any]) -> None:
    """The answer for people."""
    from triscope.cli._figures import doubts, figures_of
    from triscope.kernel.metrics.evaluation import ONLY_BAD, ONLY_GOOD

    images, doubt = measured.images, doubts(check)
    title = f"{check.label} on {images['good']} good and {images['defective']} defective parts"
    if doubt:
        title = f"{check.label} on {sum(images.values())} videos, {images['good']} answered rightly"
    columns = ("figure", "value", f"{measured.confidence:.0%} interval", "what it is")
    rows = [(f.name, f.value, f.interval, f.meaning) for f in figures_of(measured, doubt)]
    show_table(title, columns, rows, right=[1])
    if measured.types:
        show_table("", TYPE_COLUMNS, _types(measured), right=range(1, 7))
    if measured.mistakes:
        columns = ("part", "labelled", "score", "verdict")
        rows = [
            (wrong["name"], wrong["label"], f"{wrong['score']:.4g}", wrong["verdict"])
            for wrong in measured.mistakes
        ]
        show_table("mistakes", columns, rows, right=[2], coloured=3)
    needless = (ONLY_BAD, ONLY_GOOD) if doubt else ()  # there right and wrong answers are meant
    for text in (*measured.notes, *_unknown(measured.known or {})):
        if text not in needless:
            note(text)
    for item in skipped:
        note(f"not read: {item.error}")


def _unknown(known: dict[str, Any]) -> list[str]:
    """One line that counts the labels which the check does not know, where there are any."""
    counts = known.get("unknown")
    if not counts:
        return []
    told = ", ".join(f"{name} ({count})" for name, count in counts.items())
    return [f"left out, since the check does not know their labels: {told}"]


def _types(measured: Any) -> list[tuple[Any, ...]]:
    rows = []
    for row in measured.types:
        counts = row.outcomes or {}
        numbers = [counts.get(name, "–") for name in ("pass", "review", "fail")]
        aupro = None if row.aupro is None else row.aupro.value
        shares = ["–" if share is None else f"{share:.3f}" for share in (row.auroc, aupro)]
        rows.append((row.name, row.images, *numbers, *shares))
    return rows


def _write_report(check: Any, data: str, measured: Any, options: Any, report: Any) -> None:
    from triscope.cli._figures import doubts, figures_of
    from triscope.cli._run import OPTIONS, Run
    from triscope.cli._sources import Captures
    from triscope.kernel.report import known_sections
    from triscope.kernel.runtime.evaluating import to_measure

    samples, _ = to_measure(check, check.captures(data))
    asked = {name: options[name] for name in ("report", "pictures", "workers", "explain")}
    run = Run(check, {**OPTIONS, **asked}, title=f"{check.label} measured on {data}")
    run.go(Captures(samples, len(samples)), report)
    assert run.report is not None
    run.report.figures = figures_of(measured, doubts(check))
    run.report.more = known_sections(measured.known)
    run.write_report()
