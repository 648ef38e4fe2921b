"""Small copies, heat in its colours, overlays, and which captures are worth a picture."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from report_runs import ZONES, inspection

from triscope.cli._overlays import Overlays
from triscope.errors import TriscopeError
from triscope.kernel.report import overlay, pictures, scale_of, write_overlay
from triscope.kernel.report.choice import Choice, Kept
from triscope.kernel.report.rows import Row
from triscope.kernel.results import Heatmap


def decoded(text: str) -> np.ndarray:
    content = np.frombuffer(base64.b64decode(text), np.uint8)
    return cv2.imdecode(content, cv2.IMREAD_UNCHANGED)


def test_pictures_are_small_and_keep_their_colours() -> None:
    image = np.zeros((600, 900, 3), np.uint8)
    image[..., 0] = 200  # red
    small = decoded(pictures.picture_bytes(image, 90))
    assert small.shape == (60, 90, 3)
    assert small[30, 45, 2] > 180  # OpenCV decodes to BGR
    assert small[30, 45, 0] < 30


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (5, 3), (3000, 2)])
def test_any_shape_has_a_picture(shape: tuple[int, int]) -> None:
    grey = np.full(shape, 9, np.uint8)
    assert max(decoded(pictures.picture_bytes(grey)).shape[:2]) == min(max(shape), pictures.SIDE)


def test_sixteen_bits_are_spread_over_what_is_used() -> None:
    image = np.linspace(1000, 3000, 64 * 64).reshape(64, 64).astype(np.uint16)
    seen = pictures.as_rgb8(image)
    assert seen.dtype == np.uint8
    assert seen.min() == 0
    assert seen.max() == 255
    assert seen.shape == (64, 64, 3)


def test_heat_survives_its_eight_bits() -> None:
    values = np.random.default_rng(0).normal(5, 2, (30, 40)).astype(np.float32)
    stored = pictures.heat_bytes(Heatmap(values, 9.0, (300, 400)))
    back = stored["low"] + decoded(stored["png"]) / 255 * (stored["high"] - stored["low"])
    step = (stored["high"] - stored["low"]) / 255
    assert np.abs(back - values).max() <= 0.51 * step


def test_the_pixel_threshold_stands_in_the_middle_of_the_scale() -> None:
    scale = scale_of([(1.0, 2.0), (1.2, 9.0)], 4.0)
    found = scale(np.float32([scale.low, 4.0, scale.high, -5, 99]))
    np.testing.assert_allclose(found, [0, 0.5, 1, 0, 1], atol=1e-6)
    flat = scale_of([(1.0, 1.0)], 1.0)  # a constant map: no division by nothing
    assert np.isfinite(flat(np.float32([0, 1, 2]))).all()


def test_an_overlay_shows_verdict_heat_and_contour() -> None:
    image = np.full((48, 64, 3), 100, np.uint8)
    before = image.copy()
    seen = inspection(5.0)
    drawn = overlay(image, seen, scale_of([(0.5, 5.0)], 2.5))
    np.testing.assert_array_equal(image, before)
    factor = drawn.shape[0] // 48
    assert drawn.shape == (48 * factor, 64 * factor, 3)
    assert tuple(drawn[0, 0]) == pictures.COLOURS["fail"]
    inside, outside = drawn[22 * factor, 28 * factor], drawn[44 * factor, 5 * factor]
    assert inside[0] > inside[1] + 60  # red where the heat is
    assert np.abs(outside.astype(int) - 100).max() <= 2
    edge = drawn[14 * factor : 18 * factor, 24 * factor]
    assert (edge.min(1) > 225).any()  # the white halo of the contour


def test_overlays_are_written_below_their_folder(tmp_path: Path) -> None:
    names = Overlays(tmp_path, type("Card", (), {"zones": ZONES, "capture": "image"})())
    assert names.name("a/b/c/d.png") == "b_c_d.png"
    assert names.name("x/b/c/d.jpg") == "b_c_d-2.png"
    assert names.name("../../etc/passwd") == "etc_passwd.png"
    assert names.name("zip://in/d.png::C:\\out.zip") == "d.png_C_out.png"
    write_overlay(tmp_path / "deep" / "a.png", np.zeros((4, 4, 3), np.uint8))
    assert cv2.imread(str(tmp_path / "deep" / "a.png")).shape == (4, 4, 3)
    with pytest.raises((TriscopeError, OSError)):
        write_overlay(tmp_path / "deep" / "a.png" / "b.png", np.zeros((4, 4, 3), np.uint8))


def test_kept_are_the_highest_whatever_the_order() -> None:
    order = list(range(300))
    random.Random(1).shuffle(order)
    kept: Kept[int] = Kept(7)
    for value in order:
        if kept.wants(value):
            kept.add(value, value)
    assert kept.items() == [299, 298, 297, 296, 295, 294, 293]


def test_the_choice_holds_the_worst_the_near_and_the_wrong() -> None:
    choice: Choice[float] = Choice(20, ZONES)
    made: list[float] = []

    def offer(score: float, good: bool | None = None) -> None:
        row = Row(score, ZONES.judge(score).outcome, "x", good)
        choice.offer(row, lambda: made.append(score) or score)

    scores = [i / 100 for i in range(1000)]
    random.Random(2).shuffle(scores)
    for score in scores:
        offer(score)
    offer(0.111, good=False)  # an escape with a very low score
    items = choice.items()
    assert len(items) <= 20
    assert set(scores) >= set(items) - {0.111}
    assert 9.99 in items
    assert 0.111 in items
    assert any(abs(item - 2.0) < 0.02 for item in items)
    assert len(made) < 200  # pictures are made only for what is kept for a while
