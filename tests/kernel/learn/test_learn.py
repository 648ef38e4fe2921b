"""``learn``: add, forget, roll back, and the regression set that every version must catch."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from toy_models import mvtec, part, save_image, toys

import triscope
from triscope.errors import (
    CheckDamaged,
    CheckError,
    EmptyData,
    LeakedData,
    RegressionFailed,
    UsageError,
)
from triscope.kernel import learn
from triscope.kernel.runtime import Check
from triscope.kernel.runtime.seen import Seen

pytestmark = pytest.mark.usefixtures("toy_catalogue")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("learn")
    with pytest.MonkeyPatch.context() as patch:
        toys(patch)
        data = mvtec(place / "parts", good=60)
        triscope.fit("toy_watcher", data, out=place / "check", calibrate=0.9, engine="onnxruntime")
    return place


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A check of its own for each test; the parts are shared."""
    return Path(shutil.copytree(original / "check", tmp_path / "check"))


def green(number: int) -> np.ndarray:
    """A good part of another make, which the check has never seen."""
    image = part(number)
    image[..., 1] += 60
    return image


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def answers(check: Check) -> list[float]:
    return [check.inspect(image).score for image in (part(60), green(61), part(62, defect=True))]


def test_added_images_are_good_from_then_on(folder: Path, tmp_path: Path) -> None:
    before = triscope.open(folder)
    assert before.inspect(green(30)).verdict.outcome == "fail"
    for i in range(3):
        save_image(tmp_path / "more" / f"{i}.png", green(20 + i))
    change = learn.add(folder, tmp_path / "more")
    assert (change.added, change.known, change.version) == (3, 0, 2)
    after = triscope.open(folder)
    assert after.inspect(green(30)).score < 0.1 * before.inspect(green(30)).score
    assert after.inspect(part(62, defect=True)).verdict.outcome == "fail"
    assert after.card.version.parent == 1 and after.card.version.why == "learned 3 more images"
    assert after.card.data["train"] == before.card.data["train"] + 3
    assert answers(triscope.open(folder / "history" / "1")) == answers(before)
    assert change.calibrated
    again = learn.add(folder, tmp_path / "more")
    assert (again.added, again.known, again.version) == (0, 3, 2)


def test_adding_gives_what_fitting_on_all_would_have_given(folder: Path) -> None:
    more = [part(i + 70) for i in range(8)]
    before = triscope.open(folder)
    learn.add(folder, more)
    after = triscope.open(folder)
    everything = [sample.source for sample in before.seen.samples("train")] + more
    whole = triscope.fit("toy_watcher", everything, calibrate=0)
    assert answers(after) == pytest.approx(answers(whole), rel=1e-4)
    whole.calibrate([sample.source for sample in before.seen.samples("calibrate")])
    assert after.card.zones and whole.card.zones and before.card.zones
    assert after.card.zones.fail_above == pytest.approx(whole.card.zones.fail_above, rel=1e-4)
    assert after.card.zones.fail_above < before.card.zones.fail_above


def test_forgotten_images_leave_no_trace(folder: Path, tmp_path: Path) -> None:
    before = answers(triscope.open(folder))
    save_image(tmp_path / "wrong.png", green(20))
    learn.add(folder, tmp_path / "wrong.png")
    assert answers(triscope.open(folder)) != before
    number = learn.learned(folder)[-1].id
    change = learn.forget(folder, [tmp_path / "wrong.png"])
    assert (change.forgotten, change.version) == (1, 3)
    assert answers(triscope.open(folder)) == pytest.approx(before, rel=1e-6)
    assert number not in [image.id for image in learn.learned(folder)]
    with pytest.raises(UsageError, match=r"has not learned from 'wrong\.png'; it knows 6 images"):
        learn.forget(folder, ["wrong.png"])
    with pytest.raises(UsageError, match="these are all 6 images"):
        learn.forget(folder, [image.id for image in learn.learned(folder)])


def test_rolling_back_is_a_new_version_with_the_old_answers(folder: Path, tmp_path: Path) -> None:
    before = answers(triscope.open(folder))
    learn.add(folder, [green(20)])
    assert learn.rollback(folder).version == 3
    check = triscope.open(folder)
    assert answers(check) == before and check.card.version.why == "rolled back to 1"
    assert [v.number for v in learn.history(folder)] == [1, 2, 3]
    learn.rollback(folder, to=2)
    assert triscope.open(folder).card.version.number == 4
    with pytest.raises(CheckError, match=r"keeps no version 9; kept are: 1, 2, 3"):
        learn.rollback(folder, to=9)


def test_a_new_check_has_nothing_to_go_back_to(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"keeps no version before it; kept are: none"):
        learn.rollback(folder)


def test_a_version_that_misses_a_known_defect_is_refused(
    original: Path, folder: Path, tmp_path: Path
) -> None:
    save_image(tmp_path / "defect.png", green(30))  # someone declared the green make a defect
    change = learn.regression_add(folder, tmp_path / "defect.png")
    assert (change.added, change.version) == (1, 2)
    (tmp_path / "defect.png").unlink()
    assert [image.name for image in learn.regression_list(folder)] == [str(tmp_path / "defect.png")]
    before = content(folder)
    with pytest.raises(RegressionFailed, match=r"1 of 1 defects that must be caught would pass"):
        learn.add(folder, [green(30 + i) for i in (16, 32, 48)])
    assert content(folder) == before
    data = original / "parts"
    with pytest.raises(RegressionFailed):  # a whole new fit in its place must catch it as well
        triscope.fit("toy_watcher", [green(i) for i in range(100, 160)], calibrate=0.5, out=folder)
    assert content(folder) == before
    triscope.fit("toy_watcher", data, out=folder, engine="onnxruntime")
    assert len(learn.regression_list(folder)) == 1
    triscope.open(folder)


def test_thresholds_that_let_a_known_defect_pass_are_refused(folder: Path, tmp_path: Path) -> None:
    learn.regression_add(folder, [part(30, defect=True)])
    check = triscope.open(folder)
    check.calibrate([part(i, defect=True) for i in range(100, 130)], false_reject=0.3)
    with pytest.raises(RegressionFailed, match="The version in force stays"):
        check.save()
    assert triscope.open(folder).card.version.number == 2


def test_defects_that_are_not_caught_today_are_not_promised(folder: Path, tmp_path: Path) -> None:
    change = learn.regression_add(folder, [part(40, defect=True), part(41)])
    assert change.added == 1 and [found.source for found in change.missed] == ["array 1"]
    with pytest.raises(UsageError, match=r"catches none of these 1 defects"):
        learn.regression_add(folder, [part(42)])
    assert triscope.open(folder).card.version.number == 2


def test_reviewed_captures_go_where_their_label_says(folder: Path, tmp_path: Path) -> None:
    save_image(tmp_path / "reviewed/good/1.png", green(1))
    save_image(tmp_path / "reviewed/spot/2.png", part(31, defect=True))
    (tmp_path / "reviewed/good/3.png").write_bytes(b"")
    change = learn.add(folder, tmp_path / "reviewed")
    assert (change.added, len(change.skipped)) == (1, 1)
    assert [image.name for image in learn.regression_list(folder)] == ["spot/2.png"]
    copy = next(folder.glob("regression-*.png"))
    assert np.array_equal(cv2.imread(str(copy)), cv2.imread(str(tmp_path / "reviewed/spot/2.png")))


def test_images_that_calibrate_are_not_learned(folder: Path, tmp_path: Path) -> None:
    held = triscope.open(folder).seen.samples("calibrate")
    with pytest.raises(LeakedData, match=r"calibrated on them"):
        learn.add(folder, [held[0].source])


def test_thresholds_stay_and_say_so_when_the_held_out_images_are_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = triscope.open(folder)
    with monkeypatch.context() as patched:
        patched.setattr(Seen, "samples", lambda self, role: [])
        change = learn.add(folder, [green(20)])
    assert not change.calibrated
    zones = triscope.open(folder).card.zones
    assert zones and before.card.zones and zones.fail_above == before.card.zones.fail_above
    assert zones.basis.endswith("(Chosen for version 1.)")


def test_models_that_descend_and_stripped_folders_are_told_apart(
    folder: Path, tmp_path: Path
) -> None:
    data = mvtec(tmp_path / "parts", good=3)
    triscope.fit("toy_descender", data, out=tmp_path / "other", engine="onnxruntime")
    with pytest.raises(UsageError, match=r"toy_descender learns by training.*fit it again"):
        learn.add(tmp_path / "other", [green(20)])
    triscope.open(folder).export(tmp_path / "line", weights=False, engine="onnxruntime")
    with pytest.raises(CheckError, match="was exported without weights and cannot learn"):
        learn.add(tmp_path / "line", [green(20)])


def test_what_cannot_be_read_is_told_and_changes_nothing(folder: Path, tmp_path: Path) -> None:
    change = learn.add(folder, [tmp_path / "absent.png"])
    assert (change.added, change.version) == (0, 1)
    assert "no such file" in change.skipped[0].error
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(EmptyData, match="none of the 1 new images could be read"):
        learn.add(folder, [tmp_path / "cut.png"])
    assert triscope.open(folder).card.version.number == 1


def test_a_copy_that_was_lost_is_noticed(folder: Path, tmp_path: Path) -> None:
    learn.regression_add(folder, [part(31, defect=True)])
    next(folder.glob("regression-*.png")).unlink()
    with pytest.raises(CheckDamaged, match=r"lacks regression-.*\.png"):
        triscope.open(folder)
