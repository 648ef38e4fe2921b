"""The data engine: three stages, figures, resumption, what changed in between, HTTP."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from drawn_predictor import DrawnPredictor

from triscope.errors import DataError, EmptyData, UsageError
from triscope.kernel.geometry.rle import Rle
from triscope.segment.engine import Engine
from triscope.segment.engine.detector import ObjectDetector
from triscope.segment.engine.http import serve
from triscope.segment.everything import Settings
from triscope.segment.formats import read

ALL = Settings(
    points_per_side=3, pred_iou_thresh=0.6, stability_score_thresh=0.0, box_nms_thresh=1.0
)


def load(_: Any) -> DrawnPredictor:
    return DrawnPredictor()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(3):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((64, 64, 3), 40 * i, np.uint8))
    return folder


@pytest.fixture
def engine(images: Path, tmp_path: Path) -> Engine:
    return Engine.start(tmp_path / "engine", images, load, ALL)


def disc(x: int, y: int, r: float) -> Any:
    rows, columns = np.ogrid[0:64, 0:64]
    return np.hypot(columns - x, rows - y) < r


def test_a_small_network_has_thresholds_of_its_own(images: Path, tmp_path: Path) -> None:
    engine = Engine.start(tmp_path / "engine", images, load)
    assert engine.settings.pred_iou_thresh == 0.88
    engine.predictor.small = True
    assert engine.settings.pred_iou_thresh == 0.3


def test_the_first_stage_is_a_persons(engine: Engine) -> None:
    assert engine.stage == "assisted" and engine.next() == "0.png"
    found = engine.predict("0.png", points=[[30.0, 30]], labels=[1])
    engine.add("0.png", found.masks[found.best], seconds=14.0)
    engine.add("0.png", disc(10, 10, 5), seconds=34.0)
    engine.finish("0.png")
    assert engine.next() == "1.png"
    told = engine.figures()["assisted"]
    assert told["masks"] == 2 and told["masks an image"] == 2 and told["seconds a mask"] == 24


def test_it_goes_on_where_it_was_stopped(engine: Engine) -> None:
    engine.add("0.png", disc(10, 10, 5), seconds=3)
    engine.finish("0.png")
    engine.add("1.png", disc(20, 20, 5), seconds=3)
    again = Engine(engine.folder, load, ALL)
    assert again.next() == "1.png" and len(again.masks("1.png")) == 1
    assert again.remove("1.png", 0) == 0
    assert again.figures() == Engine(engine.folder, load, ALL).figures()


def through_stage_one(engine: Engine) -> None:
    """The objects are discs of the middle size, one at each point of the grid."""
    for x in (10, 31, 53):
        for y in (10, 31, 53):
            engine.add("0.png", disc(x, y, 12), seconds=10)
    engine.finish("0.png")
    engine.advance()


def test_the_second_stage_fills_in_what_it_is_sure_of(engine: Engine) -> None:
    through_stage_one(engine)
    assert engine.stage == "semi" and engine.next() == "0.png"
    filled = engine.look("1.png")
    assert filled and all(mask.extra["made"] == "prefilled" for mask in filled)
    sizes = {mask.rle.area for mask in filled}
    whole = int(disc(31, 31, 12).sum())
    assert all(area <= 1.1 * whole for area in sizes)  # never the large discs that nobody drew
    for mask in filled:
        engine.add("1.png", mask.rle, seconds=1, made="prefilled")
    engine.add("1.png", disc(5, 60, 3), seconds=20)
    engine.finish("1.png")
    told = engine.figures()["semi"]
    assert told["prefilled"] == len(filled) and told["masks"] == len(filled) + 1


def test_the_detector_learns_once_before_the_second_stage(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.add("0.png", disc(2, 2, 1))  # nothing that any proposal covers
    engine.finish("0.png")
    with pytest.raises(EmptyData, match="Draw more masks"):
        engine.advance()
    assert engine.stage == "assisted"
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(engine, "advance", partial(engine.advance, lambda *at: told.append(at)))
    through_stage_one(engine)
    assert told == [(1, 1)]
    monkeypatch.setattr(Engine, "_learn", None)  # a reopened engine has no need of it
    assert Engine(engine.folder, load, ALL).look("1.png")


def test_the_third_stage_is_the_machines(engine: Engine) -> None:
    through_stage_one(engine)
    engine.finish("0.png")
    engine.advance()
    made = engine.automatic()
    assert made > 0 and engine.next() is None
    assert engine.figures()["automatic"]["images"] == 3
    assert engine.figures()["assisted"]["masks"] == 9  # what people drew stays
    assert engine.automatic() == 0  # nothing is made twice
    records = list(read("sa1b", engine.folder / "masks"))
    assert len(records) == 3 and all(record.masks for record in records)


def test_retraining_is_a_round(engine: Engine) -> None:
    through_stage_one(engine)
    seen: list[str] = []

    def train(cases: Iterator[Any], folder: Path) -> str:
        seen.extend(case.name for case in cases)
        return str(folder / "weights.safetensors")

    told = engine.retrain(train)
    assert seen == ["0.png"] and told["round"] == 1 and told["stage"] == "semi"
    again = Engine(engine.folder, load, ALL)
    assert again.manifest.weights == told["weights"] and len(again.manifest.rounds) == 1


# ---- what cannot be done


def test_an_image_that_changed_is_named(engine: Engine, images: Path) -> None:
    cv2.imwrite(str(images / "0.png"), np.full((64, 64, 3), 99, np.uint8))
    with pytest.raises(DataError, match=r"0\.png changed since the engine was started"):
        engine.look("0.png")
    (images / "1.png").unlink()
    with pytest.raises(DataError, match=r"1\.png is gone"):
        engine.image("1.png")


def test_steps_out_of_order_are_refused(engine: Engine, images: Path) -> None:
    with pytest.raises(UsageError, match="no image is finished in the stage 'assisted'"):
        engine.advance()
    with pytest.raises(UsageError, match="belongs to the stage automatic, the engine is in 'assis"):
        engine.automatic()
    with pytest.raises(UsageError, match=r"no image 'x\.png' in this engine of 3"):
        engine.look("x.png")
    with pytest.raises(UsageError, match="holds an engine already"):
        Engine.start(engine.folder, images, load)
    with pytest.raises(UsageError, match=r"0\.png has 0 masks, so there is no mask 2"):
        engine.remove("0.png", 2)


def test_a_broken_manifest_is_named(engine: Engine, tmp_path: Path) -> None:
    (engine.folder / "engine.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as an engine's manifest"):
        Engine(engine.folder, load)
    with pytest.raises(DataError, match=r"holds no engine\.json: start one with"):
        Engine(tmp_path, load)


def test_a_detector_needs_both_kinds() -> None:
    with pytest.raises(EmptyData, match="0 of 4 proposals are objects"):
        ObjectDetector.learned(np.zeros((4, 2)), np.zeros(4, bool))


def test_a_detector_learns_a_clear_difference() -> None:
    rng = np.random.default_rng(0)
    objects = rng.random(200) < 0.3
    features = rng.normal(0, 1, (200, 5)) + 2 * objects[:, None] * [1, 0, 0, 0, -1]
    found = ObjectDetector.learned(features, objects).probability(features) > 0.5
    assert (found == objects).mean() > 0.9


# ---- HTTP


def test_a_browser_can_do_the_same(engine: Engine) -> None:
    server = serve(engine)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    base = f"http://127.0.0.1:{server.server_address[1]}"

    def ask(path: str, **given: Any) -> Any:
        data = json.dumps(given).encode() if given else None
        with urllib.request.urlopen(f"{base}/{path}", data) as answer:
            return json.loads(answer.read())

    try:
        assert ask("state")["waiting"] == ["0.png", "1.png", "2.png"]
        with urllib.request.urlopen(f"{base}/image/0.png") as answer:
            assert answer.read()[:4] == b"\x89PNG"
        found = ask("predict", name="0.png", points=[[30, 30]], labels=[1])
        rle = found["masks"][found["best"]]["rle"]
        assert Rle.from_coco(rle).area == pytest.approx(disc(30, 30, 12).sum(), rel=0.1)
        assert ask("add", name="0.png", rle=rle, seconds=7.5) == {"masks": 1}
        assert ask("finish", name="0.png") == {"done": True}
        assert ask("state")["figures"]["assisted"]["seconds a mask"] == 7.5
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask("predict", name="9.png", box=[1, 2, 3, 4])
        assert "no image '9.png'" in json.loads(refused.value.read())["error"]
        refused.value.close()
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask("dance", name="0.png")
        assert "no step /dance: there are look" in json.loads(refused.value.read())["error"]
        refused.value.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
