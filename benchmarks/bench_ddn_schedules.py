"""How DDN is trained: five steps or all at once, all classes or one; and parts of it, in less time.

``python -m benchmarks.bench_ddn train lean lean_five`` trains (the names: ``SCHEDULES`` and
``ALONE`` of ddn_runs), this script writes ``schedules`` and ``alone`` from those that are trained.
"""

from __future__ import annotations

from typing import Any

import torch

import triscope
from benchmarks import page
from benchmarks.bench_ddn import done, score_of, scored, spent
from benchmarks.data import DATA
from benchmarks.ddn_runs import ALONE, SCHEDULES, TOGETHER, TWICE, showing, trained
from benchmarks.known_page import with_earlier, write

COMMAND = "python -m benchmarks.bench_ddn_schedules"


def main() -> None:
    """Write what is trained."""
    torch.set_num_threads(1)
    for section in (with_earlier(schedules()), with_earlier(alone())):
        if len(section.rows) > 1:
            print(write(section))


def schedules() -> page.Section:
    """A row a network, all after the same updates."""
    rows: list[tuple[object, ...]] = []
    for run in done(SCHEDULES):
        found, _ = score_of(run, trained(run))
        each = [f"{100 * row['ap_50']:.1f}" for row in found["classes"]]
        rows.append((run.title, *each, f"{100 * found['map_50']:.1f}", spent(run)))
    classes = triscope.data(DATA / "neu_det").classes
    return page.Section(
        "schedules",
        "Five steps or all at once, in little time",
        f"The same {TWICE} updates of 4 images of 224 × 224 for each (two walks over the training "
        "images; the page's other tables have longer ones), otherwise the recipes `ddn-cpu` and "
        "`faster_rcnn-cpu`. The five steps share the updates as 20, 20, 30, 15 and 15 %, and each "
        "begins its walk anew: the heads learn in 45 % of the updates, from 60 % of the images. "
        "The paper's 300,000 updates have room for that, these have not. Average "
        "precision at IoU 0.5 of the 540 test images, in percent; CPU minutes of one thread of the "
        "training.",
        ("", *classes, "mAP", "CPU min"),
        rows,
        COMMAND,
    )


def alone() -> page.Section:
    """Each class by a detector of its own, and by the one that learned all of them."""
    rows: list[tuple[object, ...]] = []
    if done((TOGETHER,)):
        together = trained(TOGETHER)
        for run in done(ALONE):
            (name,) = run.changes["classes"]
            both = [100 * precision_of(model, name) for model in (together, trained(run))]
            rows.append((name, *(f"{value:.1f}" for value in both)))
        means = [sum(float(row[i]) for row in rows) / max(1, len(rows)) for i in (1, 2)]
        rows.append(("mean", *(f"{value:.1f}" for value in means)))
    return page.Section(
        "alone",
        "One class alone, or all together",
        f"DDN as in the table above: one detector that learned six classes in {TWICE} updates, or "
        f"six detectors with {TWICE // 6} updates each on the images of their class, which are as "
        "many walks over them. Average precision at IoU 0.5 in percent on the test images that "
        "show the class.",
        ("", "all together", "alone"),
        rows,
        COMMAND,
    )


def precision_of(model: Any, name: str) -> float:
    """Average precision of one class on the test images that show it."""
    test = showing(triscope.data(DATA / "neu_det").split("test"), [name])
    found, _ = scored(model, test)
    return float(next(row["ap_50"] for row in found["classes"] if row["name"] == name))


if __name__ == "__main__":
    main()
