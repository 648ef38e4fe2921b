"""Boxes, masks and points go where the pixels go; nothing of the caller is written to."""

from itertools import product

import numpy as np
import pytest
from data_sets import image_of, put, spot
from hypothesis import given, settings
from hypothesis import strategies as st

from triscope.errors import BadLabels, BadSettings
from triscope.kernel.data import BoxLabel, Sample
from triscope.kernel.data.cache import ImageCache
from triscope.kernel.data.transforms import (
    Affine,
    Blur,
    Chain,
    Colour,
    Crop,
    Flip,
    Light,
    Noise,
    QuarterTurn,
    Sometimes,
    View,
    flipped,
    turned,
    view_of,
)

H, W = 48, 64
EVERYTHING = [
    Flip(0.5, 0.5),
    QuarterTurn(),
    Affine(degrees=(-40, 40), scale=(0.7, 1.4), shear=(-8, 8), shift=(-0.2, 0.2)),
    Affine(degrees=(-10, 10), border="reflect"),
    Affine(shift=(-0.1, 0.1), border="edge"),
    Crop((30, 40)),
    Crop((30, 40), at_labels=1.0),
    Crop((80, 40)),
    Light(brightness=(-0.2, 0.2), contrast=(0.7, 1.3), gamma=(0.7, 1.4)),
    Colour(gain=(0.8, 1.2), saturation=(0, 2)),
    Blur((0, 2)),
    Noise((0, 0.1)),
    Sometimes(Flip(), 0.5),
    Chain(QuarterTurn(), Affine(degrees=(0, 90)), Crop((32, 32), at_labels=0.5), Noise()),
]


def scene(rows=(20, 28), columns=(24, 36), dtype=np.uint8, channels=3):
    """A bright block on dark ground; box, mask, mask of the box and point at its middle."""
    mask = np.zeros((H, W), bool)
    mask[slice(*rows), slice(*columns)] = True
    full = np.iinfo(dtype).max
    image = np.where(mask, full, full // 10).astype(dtype)
    if channels == 3:
        image = np.dstack([image, image // 2, image // 4])
    middle = [(sum(columns) - 1) / 2, (sum(rows) - 1) / 2]
    box = [columns[0], rows[0], columns[1], rows[1]]
    return View(image, mask, [box], ("block",), mask[None], [middle])


@pytest.mark.parametrize("step", EVERYTHING, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_transform_keeps_the_kinds_and_the_callers_arrays(step, dtype, channels):
    view = scene(dtype=dtype, channels=channels)
    before = [view.image.copy(), view.mask.copy(), view.boxes.copy(), view.points.copy()]
    for array in (view.image, view.mask, view.boxes, view.masks, view.points):
        array.setflags(write=False)
    for seed in range(4):
        out = step(view, np.random.default_rng(seed))
        again = step(view, np.random.default_rng(seed))
        assert (out.image.dtype, out.image.ndim) == (dtype, view.image.ndim)
        assert (out.mask.dtype, out.mask.shape) == (np.dtype(bool), out.hw)
        assert len(out.boxes) == len(out.labels) == len(out.masks)
        assert len(out.points) == 1
        np.testing.assert_array_equal(out.image, again.image)
        np.testing.assert_array_equal(out.boxes, again.boxes)
    for array, copy in zip((view.image, view.mask, view.boxes, view.points), before, strict=True):
        np.testing.assert_array_equal(array, copy)


GEOMETRIC = [step for step in EVERYTHING[:8] if getattr(step, "border", "fill") == "fill"]


@pytest.mark.parametrize("step", GEOMETRIC, ids=str)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    top=st.integers(0, 36),
    left=st.integers(0, 50),
)
def test_labels_follow_the_pixels(step, seed, top, left):
    view = scene((top, top + 8), (left, left + 10))
    out = step(view, np.random.default_rng(seed))
    bright = out.image[..., 0] > 140
    disagreeing = np.count_nonzero(bright != out.mask)
    assert disagreeing <= 0.25 * 4 * 18 + 4  # a rim of half pixels
    if len(out.boxes):
        rows, columns = np.nonzero(out.mask)
        x0, y0, x1, y1 = out.boxes[0]
        assert (x0, x1) == (columns.min(), columns.max() + 1)
        assert (y0, y1) == (rows.min(), rows.max() + 1)
    if out.mask.sum() > 60 and out.inside().all():
        rows, columns = np.nonzero(out.mask)
        touches = min(rows.min(), columns.min()) == 0
        touches |= rows.max() == out.hw[0] - 1 or columns.max() == out.hw[1] - 1
        if not touches:
            np.testing.assert_allclose(out.points[0], [columns.mean(), rows.mean()], atol=0.7)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1))
def test_turns_and_flips_are_exact_and_a_group(a, b, axis):
    view = scene()
    one, two = turned(turned(view, a), b), turned(view, a + b)
    for field in ("image", "mask", "boxes", "points", "masks"):
        np.testing.assert_allclose(getattr(one, field), getattr(two, field))
    twice = flipped(flipped(view, axis), axis)
    for field in ("image", "mask", "boxes", "points", "masks"):
        np.testing.assert_allclose(getattr(twice, field), getattr(view, field))


@pytest.mark.parametrize(("quarters", "axis"), list(product(range(4), (None, 0, 1))))
def test_boxes_without_masks_are_exact_under_turns_and_flips(quarters, axis):
    view = scene()
    plain = View(view.image, view.mask, view.boxes, view.labels, None, view.points)
    out = turned(plain if axis is None else flipped(plain, axis), quarters)
    rows, columns = np.nonzero(out.mask)
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(out.boxes[0], expected, atol=1e-9)
    np.testing.assert_allclose(out.points[0], [columns.mean(), rows.mean()], atol=1e-9)


def test_a_quarter_turn_is_anticlockwise():
    image = np.zeros((3, 3), np.uint8)
    image[1, 2] = 9  # on the right
    assert turned(View(image), 1).image[0, 1] == 9  # above


def test_a_rotation_of_a_quarter_is_the_quarter_turn():
    view = scene()
    square = View(view.image[:48, :48], points=view.points)
    out = Affine(degrees=(90, 90))(square, np.random.default_rng(0))
    expected = turned(square, 1)
    np.testing.assert_array_equal(out.image, expected.image)
    np.testing.assert_allclose(out.points, expected.points, atol=1e-9)


def test_a_turned_box_is_the_ellipse_in_it():
    view = scene()
    plain = View(view.image, boxes=view.boxes, labels=view.labels)
    out = Affine(degrees=(45, 45))(plain, np.random.default_rng(0))
    width, height = out.boxes[0, 2:] - out.boxes[0, :2]
    assert width == pytest.approx(np.hypot(12, 8) / np.sqrt(2))
    assert height == pytest.approx(width)


def test_boxes_that_hardly_show_are_dropped():
    view = scene(columns=(40, 60))
    plain = View(view.image, boxes=view.boxes, labels=view.labels)
    rng = np.random.default_rng(0)
    assert len(Affine(shift=(0.2, 0.2))(plain, rng).boxes) == 1
    assert len(Affine(shift=(0.3, 0.3), min_visible=0.5)(plain, rng).boxes) == 0
    kept = Affine(shift=(0.2, 0.2))(plain, rng)
    assert kept.boxes[0, 2] == W


def test_crops_hold_the_label_when_asked():
    view = scene((0, 4), (60, 64))
    for seed in range(20):
        out = Crop((16, 16), at_labels=1.0)(view, np.random.default_rng(seed))
        assert len(out.boxes) == 1
    mask_only = View(view.image, view.mask)
    out = Crop((16, 16), at_labels=1.0)(mask_only, np.random.default_rng(0))
    assert out.mask.any()
    nothing = View(view.image)
    assert Crop((16, 16), at_labels=1.0)(nothing, np.random.default_rng(0)).hw == (16, 16)


def test_a_crop_is_a_piece_of_the_image():
    view = View(image_of(40, 50, seed=2), points=[[0, 0]])
    out = Crop((11, 13))(view, np.random.default_rng(5))
    left, top = -out.points[0].astype(int)
    np.testing.assert_array_equal(out.image, view.image[top : top + 11, left : left + 13])


def test_light_and_colour_by_hand():
    image = np.array([[[0, 100, 200]]], np.uint8)
    rng = np.random.default_rng(0)
    lighter = Light(brightness=(0.1, 0.1))(View(image), rng).image
    np.testing.assert_array_equal(lighter, [[[26, 126, 226]]])
    flat = Light(contrast=(0, 0))(View(image), rng).image
    np.testing.assert_array_equal(flat, np.full((1, 1, 3), 128))
    grey = Colour(saturation=(0, 0))(View(image), rng).image
    np.testing.assert_array_equal(grey, np.full((1, 1, 3), 82))  # 0.587 * 100 + 0.114 * 200
    deep = Light(gamma=(2, 2))(View(np.array([[32768]], np.uint16)), rng).image
    assert deep[0, 0] == round(32768**2 / 65535)


def test_noise_and_blur_do_what_they_say():
    view = View(np.full((200, 200), 128, np.uint8))
    noisy = Noise((0.05, 0.05))(view, np.random.default_rng(0)).image
    assert noisy.std() == pytest.approx(0.05 * 255, rel=0.02)
    blurred = Blur((2, 2))(View(noisy), np.random.default_rng(0)).image
    assert blurred.std() < 3
    assert Blur((0, 0))(view, np.random.default_rng(0)) is view


def test_sometimes_draws_alike_whether_it_is_done_or_not():
    view = scene()
    for chance in (0.0, 1.0):
        rng = np.random.default_rng(1)
        Sometimes(Noise(), chance)(view, rng)
        rest = rng.random()
        assert rest == pytest.approx(0.1441596)


def test_a_view_of_a_sample(tmp_path):
    path = put(tmp_path / "a.png")
    boxes = (BoxLabel("dent", (10, 5, 16, 9), spot() > 0),)
    sample = Sample(path, "a", "dent", spot(), boxes)
    cache = ImageCache(10**6)
    view = view_of(sample, masks=True, cache=cache)
    assert view.labels == ("dent",)
    np.testing.assert_array_equal(view.masks[0], view.mask)
    view_of(sample, cache=cache)
    assert (cache.hits, cache.misses) == (1, 1)
    with pytest.raises(BadLabels, match="mask"):
        view_of(Sample(path, "a", "dent", spot(9, 9)))


def test_messages():
    image = np.zeros((4, 5), np.uint8)
    with pytest.raises(BadLabels, match="1 boxes and 0 labels: one each"):
        View(image, boxes=[[0, 0, 1, 1]])
    with pytest.raises(BadLabels, match=r"mask of \(5, 5\) on an image of \(4, 5\)"):
        View(image, np.zeros((5, 5), bool))
    with pytest.raises(BadLabels, match=r"0 boxes and 1 masks"):
        View(image, masks=np.zeros((1, 4, 5), bool))
    with pytest.raises(BadLabels, match=r"mask of float64: expected bool, uint8 or uint16"):
        View(image, np.zeros((4, 5)))
    for wrong, says in (
        (lambda: Flip(horizontal=2), r"horizontal=2: expected a chance in \[0, 1\]"),
        (lambda: Affine(scale=(0, 1)), r"scale=\(0, 1\): expected \(least, most\), above 0"),
        (lambda: Affine(border="none"), r"border='none': expected one of fill, edge, reflect"),
        (lambda: Affine(degrees=(3, 1)), r"degrees=\(3, 1\): expected \(least, most\)"),
        (lambda: Crop((0, 4)), r"size=\(0, 4\): expected \(h, w\) in pixels, 1 or more"),
        (lambda: Light(gamma=(0, 1)), r"gamma=\(0, 1\)"),
        (lambda: Colour(gain=(-1, 1)), r"gain=\(-1, 1\)"),
        (lambda: Blur((-1, 1)), r"sigma_px=\(-1, 1\)"),
        (lambda: Noise((2, 1)), r"sigma=\(2, 1\)"),
        (lambda: Sometimes(Flip(), 3), "chance=3"),
    ):
        with pytest.raises(BadSettings, match=says):
            wrong()
