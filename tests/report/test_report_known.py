"""Sections about known defects: confusion, classes, curves, worst misses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from triscope.kernel.data import BoxLabel, Sample
from triscope.kernel.metrics.detection import Detections
from triscope.kernel.metrics.named import Names
from triscope.kernel.report import InspectionReport, known_sections
from triscope.kernel.report.misses import boxes_of, compare, window
from triscope.kernel.report.sections.curves import HEIGHT, path
from triscope.kernel.results import Finding, Inspection, Zones
from triscope.kernel.runtime.card import Card

HW = (120, 160)
ZONES = Zones(0.5, 0.5, basis="By hand.")
BOXES = Card("ddn", "Boxes", {}, HW, classes=("dent", "scratch"), zones=ZONES)
MASKS = Card("unet", "Masks", {}, HW, classes=("dent",), zones=ZONES)
DENT, SCRATCH = (20.0, 20.0, 60.0, 50.0), (90.0, 60.0, 150.0, 80.0)


def inspection(*findings: Finding, name: str = "a.png") -> Inspection:
    score = max((f.score for f in findings), default=0.0)
    return Inspection(name, ZONES.judge(score), score, findings, image_size=HW)


def sample(*boxes: tuple[str, tuple[float, float, float, float]], name: str = "a.png") -> Sample:
    rng = np.random.default_rng(1)
    image = rng.integers(90, 130, (*HW, 3), np.uint8)
    for _, (x0, y0, x1, y1) in boxes:
        image[int(y0) : int(y1), int(x0) : int(x1)] = 200
    labels = tuple(BoxLabel(label, box) for label, box in boxes)
    return Sample(image, name, labels[0].label if labels else "good", boxes=labels)


def boxed_report() -> InspectionReport:
    """A dent that is found, a scratch taken for a dent, and a false alarm on a good part."""
    report = InspectionReport(BOXES, "Known")
    truth = sample(("dent", DENT), ("scratch", SCRATCH))
    seen = inspection(Finding("dent", 0.9, (22, 21, 61, 50)), Finding("dent", 0.8, SCRATCH))
    report.add(seen, truth)
    alarm = inspection(Finding("scratch", 0.6, (5, 5, 40, 15)), name="b.png")
    report.add(alarm, sample(name="b.png"))
    scored = Detections(BOXES.classes)
    scored.add([("dent", DENT), ("scratch", SCRATCH)], [("dent", DENT, 0.9)])
    report.more = known_sections(scored.result())
    return report


def test_misses_are_told_and_drawn(tmp_path: Path) -> None:
    text = boxed_report().write(tmp_path / "page.html").read_text()
    assert 'data-count="missed">1</b>' in text and 'data-count="alarms">2</b>' in text
    assert "scratch not found, taken for dent" in text
    assert "dent 0.80 on scratch" in text and "scratch 0.60" in text
    assert len(re.findall('figure data-kind="alarm"', text)) == 2
    own = re.search(
        r'rect class="own truth" x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"', text
    )
    assert own is not None
    x, y, w, h = map(float, own.groups())
    assert (w, h) == (60, 20) and (x, y) == (SCRATCH[0] - 60, SCRATCH[1] - 10)


def test_misses_are_named_without_the_folder_that_all_share() -> None:
    report = InspectionReport(BOXES)
    for name in ("../data/parts/a/1.png", "../data/parts/b/2.png"):
        report.add(inspection(name=name), sample(("dent", DENT), name=name))
    found = report._misses.section()
    assert found is not None and ">a/1.png<" in found.html and ">b/2.png<" in found.html


def test_tables_and_curves_follow_the_evaluation(tmp_path: Path) -> None:
    text = boxed_report().write(tmp_path / "page.html").read_text()
    row = re.search(r'<tr data-class="dent">.*?</tr>', text)
    assert row is not None and 'data-figure="ap_50">1.000' in row[0]
    assert 'class="curve" data-class="dent"' in text
    assert "labelled ↓ found →" not in text  # no classes of whole images
    names = Names(("good", "dent"))
    for truth, found in (("good", "good"), ("good", "dent"), ("dent", "dent"), ("dust", "dent")):
        names.add(truth, found)
    sections = {part.name: part.html for part in known_sections(names.result())}
    assert list(sections) == ["confusion", "classes"]
    assert (
        '<td class="number wrong" data-row="good" data-column="dent" style="--share: 50%">1'
        in (sections["confusion"])
    )
    assert "dust (1)" in sections["confusion"]
    assert known_sections(None) == known_sections({}) == []


def test_a_curve_ends_at_the_highest_recall() -> None:
    assert path([1.0, 0.5, 0.0]) == f"M0.0 0.0L260.0 {HEIGHT / 2:.1f}L260.0 {HEIGHT}"
    assert path([0.0, 0.0]).startswith(f"M0.0 {HEIGHT:.1f}")


def test_each_truth_is_met_once_by_boxes_and_by_any_region_of_a_mask() -> None:
    twice = [Finding("dent", 0.9, DENT), Finding("dent", 0.7, DENT)]
    assert compare([("dent", DENT)], twice, 0.5).alarms == [1]
    part = [Finding("dent", 0.9, (20, 20, 25, 25)), Finding("dent", 0.7, (40, 30, 50, 40))]
    compared = compare([("dent", DENT)], part, 0.0)
    assert compared.alarms == [] and compared.missed == []
    assert compare([("dent", DENT)], [], 0.5).missed == [0]


def test_masks_are_compared_by_their_regions() -> None:
    mask = np.zeros(HW, np.bool_)
    mask[10:20, 30:50] = mask[80:90, 100:110] = True
    assert boxes_of(mask) == [(30, 10, 50, 20), (100, 80, 110, 90)]
    report = InspectionReport(MASKS)
    part = Sample(np.full((*HW, 3), 90, np.uint8), "m.png", "dent", mask)
    report.add(inspection(Finding("dent", 0.8, (32, 12, 44, 18))), part)
    found = report._misses.section()
    assert (
        found is not None and "Of 2 known defects" in found.html and "dent not found" in found.html
    )


@pytest.mark.parametrize("box", [(0, 0, 4, 4), (150, 110, 160, 120), (0, 0, 160, 120)])
def test_pieces_stay_inside_the_image(box: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = window(box, HW)
    assert 0 <= x0 < x1 <= HW[1] and 0 <= y0 < y1 <= HW[0]
    assert x0 <= box[0] and y0 <= box[1] and x1 >= box[2] and y1 >= box[3]
