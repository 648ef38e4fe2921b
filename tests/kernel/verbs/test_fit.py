"""``fit``: the loop by the model's methods, parts of the data kept apart, resumption, messages."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toy_models import Settings, mvtec, part, save_image

import triscope
from triscope.errors import (
    BadSettings,
    CheckError,
    DataError,
    EmptyData,
    LeakedData,
    TriscopeError,
    UnknownModel,
    UsageError,
)
from triscope.kernel.data import Sample
from triscope.kernel.runtime.seen import read_seen

pytestmark = pytest.mark.usefixtures("toy_catalogue")


def test_the_example_of_the_design_works_as_written(tmp_path: Path) -> None:
    mvtec(tmp_path / "parts/bottle", good=40)
    save_image(tmp_path / "new.png", part(7, defect=True))
    check = triscope.fit("toy_watcher", tmp_path / "parts/bottle")
    check.calibrate(false_reject=0.4)
    inspection = check.inspect(tmp_path / "new.png")
    assert inspection.verdict.outcome == "fail" and inspection.findings
    check.save(tmp_path / "checks/bottle")
    again = triscope.open(tmp_path / "checks/bottle").inspect(tmp_path / "new.png")
    assert again.score == pytest.approx(inspection.score, rel=1e-4)
    assert [f.box for f in again.findings] == [f.box for f in inspection.findings]


@pytest.mark.parametrize("name", ["toy_watcher", "toy_descender"])
def test_a_check_answers_alike_before_and_after_saving(tmp_path: Path, name: str) -> None:
    data = mvtec(tmp_path / "parts")
    check = triscope.fit(name, data, engine="onnxruntime")
    images = [part(i, defect=i % 2 == 0) for i in range(3)]
    before = [check.inspect(image) for image in images]
    check.save(tmp_path / "check")
    opened = triscope.open(tmp_path / "check")
    assert type(opened) is type(check)
    for image, one in zip(images, before, strict=True):
        for other in (check.inspect(image), opened.inspect(image)):
            assert other.verdict == one.verdict and other.heatmap and one.heatmap
            assert np.allclose(other.heatmap.values, one.heatmap.values, atol=1e-4)
    proof = opened.card.proof
    assert proof["relative"] < 1e-4 and proof["inputs"] == 3
    assert set(proof["absolute"]) == {"model.heat", "model.score"}


def test_train_calibrate_and_test_are_kept_apart(tmp_path: Path) -> None:
    data = mvtec(tmp_path / "parts", good=10)
    check = triscope.fit("toy_watcher", data, calibrate=0.3, seed=4)
    learned, held = check.seen.of("train"), check.seen.of("calibrate")
    assert (len(learned), len(held)) == (7, 3)
    assert not {i.hash for i in learned} & {i.hash for i in held}
    assert all(image.name.startswith("train/good/") for image in check.seen.images)
    again = triscope.fit("toy_watcher", data, calibrate=0.3, seed=4)
    assert [i.name for i in again.seen.of("calibrate")] == [i.name for i in held]
    other = triscope.fit("toy_watcher", data, calibrate=0.3, seed=5)
    assert [i.name for i in other.seen.of("calibrate")] != [i.name for i in held]
    assert check.card.data["train"] == 7 and check.card.data["layout"] == "mvtec"


def test_settings_come_as_themselves_as_a_mapping_or_not_at_all(tmp_path: Path) -> None:
    data = mvtec(tmp_path / "parts")
    check = triscope.fit("toy_watcher", data, {"size": "16"}, memory="2MB")
    assert check.card.size == (16, 16)
    assert check.card.settings["memory"] == 2_000_000
    assert triscope.fit("toy_watcher", data, Settings(size=24)).card.size == (24, 24)
    with pytest.raises(BadSettings, match=r"no setting named 'sise'. Did you mean 'size'"):
        triscope.fit("toy_watcher", data, {"sise": 16})
    with pytest.raises(BadSettings, match="size=4: expected 8 or more"):
        triscope.fit("toy_watcher", data, {"size": 4})
    with pytest.raises(BadSettings, match=r"toy_models.Settings or a mapping.*got builtins.int"):
        triscope.fit("toy_watcher", data, 16)
    with pytest.raises(BadSettings, match="memory='much': expected an amount such as 2GB"):
        triscope.fit("toy_watcher", data, memory="much")


def test_wrong_names_and_ways_are_said(tmp_path: Path) -> None:
    data = mvtec(tmp_path / "parts")
    with pytest.raises(UnknownModel, match=r"'toy_wacher'. Did you mean 'toy_watcher'"):
        triscope.fit("toy_wacher", data)
    with pytest.raises(TypeError, match=r"NoWay has none of losses\(\)"):
        triscope.fit("no_way", data)


def test_data_without_a_good_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyData, match="empty holds no image"):
        triscope.fit("toy_watcher", tmp_path / "empty")
    save_image(tmp_path / "bad" / "bad" / "1.png", part(1, defect=True))
    save_image(tmp_path / "bad" / "scratch" / "2.png", part(2, defect=True))
    with pytest.raises(DataError, match=r"in the folders bad, scratch, none of them called good"):
        triscope.fit("toy_watcher", tmp_path / "bad")
    save_image(tmp_path / "ng" / "NG" / "1.png", part(1, defect=True))
    with pytest.raises(DataError, match=r"in the folders NG, none of them called good"):
        triscope.fit("toy_watcher", tmp_path / "ng")
    save_image(tmp_path / "odd" / "test" / "good" / "3.png", part(3))
    with pytest.raises(EmptyData, match=r"no good image to learn from: 1 images.*train/good"):
        triscope.fit("toy_watcher", tmp_path / "odd")


def test_images_without_a_label_are_good_only_where_none_has_one() -> None:
    good = [Sample(part(i), f"{i}.png", "good") for i in range(4)]
    unknown = [Sample(part(9), "9.png"), Sample(part(8), "8.png")]
    check = triscope.fit("toy_watcher", [*good, *unknown], calibrate=0)
    assert "images without a label were left out: 2 (9.png, 8.png)" in check.problems
    assert {image.name for image in check.seen.of("train")} == {s.name for s in good}
    check = triscope.fit("toy_watcher", unknown, calibrate=0)
    assert len(check.seen.of("train")) == 2 and not check.problems


def test_one_good_image_is_too_few_to_calibrate(tmp_path: Path) -> None:
    data = mvtec(tmp_path / "parts", good=1, test=0)
    with pytest.raises(DataError, match=r"holds one usable image.*calibrate=0"):
        triscope.fit("toy_watcher", data)
    check = triscope.fit("toy_watcher", data, calibrate=0)
    assert check.card.zones is None
    assert check.inspect(part(3)).verdict.outcome == "review"
    with pytest.raises(EmptyData, match="kept no images to calibrate with"):
        check.calibrate()


def test_images_of_one_group_are_divided_and_that_is_told(tmp_path: Path) -> None:
    data = triscope.data(mvtec(tmp_path / "parts", good=10, test=0))
    board = replace(data, samples=tuple(replace(s, group="board 7") for s in data))
    check = triscope.fit("toy_watcher", board)
    assert check.card.data["train"] == 8 and check.card.data["calibrate"] == 2
    assert check.problems[0].startswith("all 10 images to learn from are of the group board 7")


def test_broken_images_are_counted_and_the_rest_is_learned(tmp_path: Path) -> None:
    data = mvtec(tmp_path / "parts", good=8, test=0)
    for name in ("toy_watcher", "toy_descender"):
        (data / "train" / "good" / "000.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
        check = triscope.fit(name, data, calibrate=0)
        assert check.card.data["train"] == 7 and check.card.data["skipped"] == 1
        assert [item.source for item in check.skipped] == ["train/good/000.png"]
    for path in (data / "train" / "good").iterdir():
        path.write_bytes(b"")
    for name in ("toy_watcher", "toy_descender"):
        with pytest.raises(EmptyData, match=r"none of the 8 images to learn from could be.*0 b"):
            triscope.fit(name, data, calibrate=0)


def test_an_iterator_is_watched_once_and_never_held() -> None:
    held = 0

    def stream() -> Iterator[np.ndarray]:
        nonlocal held
        for i in range(50):
            held = i
            yield part(i)

    check = triscope.fit("toy_watcher", stream(), calibrate=[part(70), part(71)])
    assert held == 49 and check.card.data["train"] == 50
    assert len(check.seen.of("calibrate")) == 2
    assert check.inspect(part(3, defect=True)).verdict.outcome == "fail"
    with pytest.raises(BadSettings, match=r"calibrate=0\.2: nothing can be held out of"):
        triscope.fit("toy_watcher", stream())
    with pytest.raises(UsageError, match="toy_descender walks its images many times"):
        triscope.fit("toy_descender", stream(), calibrate=0)


def test_calibration_images_of_their_own_may_not_be_training_images(tmp_path: Path) -> None:
    data = mvtec(tmp_path / "parts", good=6)
    with pytest.raises(LeakedData, match="2 of the images given to calibrate"):
        triscope.fit(
            "toy_watcher",
            data,
            calibrate=[data / "train/good/000.png", data / "train/good/001.png"],
        )


def test_large_images_are_learned_in_windows(tmp_path: Path) -> None:
    for i in range(4):
        save_image(tmp_path / "parts/good" / f"{i}.png", part(i, size=100))
    check = triscope.fit("toy_watcher", tmp_path / "parts", calibrate=0.25, tile=40, overlap=8)
    assert len(check.origin.model.means) == 3  # type: ignore[union-attr]
    assert all(len(m) == 9 for m in check.origin.model.means.values())  # type: ignore[union-attr]
    image = part(9, size=100)
    image[60:72, 80:96] = (250, 20, 20)
    heat = check.inspect(image).heatmap
    assert heat and heat.values.shape == (100, 100)
    rows, columns = np.nonzero(heat.values > 0.5 * heat.values.max())
    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert abs(found - (80, 60, 96, 72)).max() <= 2


@pytest.mark.alone
def test_ctrl_c_keeps_what_was_learned_and_the_same_call_goes_on(tmp_path: Path) -> None:
    data = mvtec(tmp_path / "parts")
    whole = triscope.fit("toy_descender", data, out=tmp_path / "whole", engine="onnxruntime")

    def interrupt(stage: str, done: int, total: int | None) -> None:
        if stage == "train" and done == 5:
            signal.raise_signal(signal.SIGINT)

    out = tmp_path / "check"
    with pytest.raises(KeyboardInterrupt, match="stopped at step 5 of 12; start the same"):
        triscope.fit("toy_descender", data, out=out, progress=interrupt)
    assert not out.exists() and (tmp_path / ".check.fit").is_dir()
    steps: list[int] = []
    triscope.fit(
        "toy_descender",
        data,
        out=out,
        engine="onnxruntime",
        progress=lambda stage, done, total: steps.append(done) if stage == "train" else None,
    )
    assert steps == list(range(6, 13))
    assert not (tmp_path / ".check.fit").exists()
    one, other = (load_file(folder / "weights.safetensors") for folder in (tmp_path / "whole", out))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert triscope.open(out).card.zones == whole.card.zones


@pytest.mark.alone
def test_a_checkpoint_of_other_images_is_refused(tmp_path: Path) -> None:
    data = mvtec(tmp_path / "parts")

    def interrupt(stage: str, done: int, total: int | None) -> None:
        if stage == "train" and done == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        triscope.fit("toy_descender", data, out=tmp_path / "c", progress=interrupt)
    save_image(data / "train/good/000.png", part(55))
    with pytest.raises(triscope.errors.TrainingError, match="belongs to another training"):
        triscope.fit("toy_descender", data, out=tmp_path / "c")


def test_fitting_again_makes_the_next_version(tmp_path: Path) -> None:
    data = mvtec(tmp_path / "parts")
    for number in (1, 2):
        triscope.fit("toy_watcher", data, out=tmp_path / "c", engine="onnxruntime")
        assert triscope.open(tmp_path / "c").card.version.number == number
    assert (tmp_path / "c/history/1/card.json").is_file()
    assert len(read_seen(tmp_path / "c").of("train")) == 8
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(CheckError, match="exists and is not a check"):
        triscope.fit("toy_watcher", data, out=tmp_path / "mine")


@pytest.mark.parametrize("stage", ["graph", "weights"])
def test_a_disk_that_fills_up_while_saving_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    from triscope.kernel.export import fitted

    data = mvtec(tmp_path / "parts")
    triscope.fit("toy_descender", data, out=tmp_path / "c", engine="onnxruntime")
    before = {p.name: p.read_bytes() for p in (tmp_path / "c").iterdir()}
    check = triscope.fit("toy_descender", data, {"seed": 1}, engine="onnxruntime")
    write = {"graph": fitted.write_onnx, "weights": fitted.save_weights}[stage]
    with monkeypatch.context() as patched:
        patched.setattr(fitted, write.__name__, lambda *args: _on_a_full_disk(write, *args))
        with pytest.raises(TriscopeError, match=r"c could not be written: .*is unchanged"):
            check.save(tmp_path / "c")
    assert {p.name: p.read_bytes() for p in (tmp_path / "c").iterdir()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "parts"]
    check.save(tmp_path / "c")
    assert triscope.open(tmp_path / "c").card.version.number == 2


def _on_a_full_disk(write: Callable[..., None], *args: object) -> None:
    """No file may grow beyond 300 bytes: the writer meets the system's own error."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        write(*args)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_learns_at_once_gets_all_images_and_labels(tmp_path: Path) -> None:
    data = mvtec(tmp_path / "parts", good=6)
    check = triscope.fit("toy_at_once", data, out=tmp_path / "c", engine="onnxruntime")
    mean = check.engine.run({"images": np.zeros((1, 3, 32, 32), np.float32)})["heat"]
    shown = [check.prepare(s).inputs["images"][0] for s in check.seen.samples("train")]
    assert len(shown) == 5
    expected = np.square(np.stack(shown).mean(0)).mean(0)
    assert np.allclose(mean[0], expected, atol=1e-5)
    assert check.inspect(part(9, defect=True)).verdict.outcome == "fail"
