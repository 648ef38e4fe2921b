"""Every kind of picture is read as one kind of array; what cannot be read says why."""

import cv2
import numpy as np
import pytest

from triscope.errors import BadLabels, UnreadableImage
from triscope.kernel.data import decode, mask_of, read_image, read_mask, to_input

RNG = np.random.default_rng(3)
COLOUR = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encoded(image, ending=".png"):
    return cv2.imencode(ending, image)[1].tobytes()


def test_colours_come_as_rgb():
    np.testing.assert_array_equal(decode(encoded(COLOUR[..., ::-1])), COLOUR)


def test_grey_stays_grey_and_alpha_is_dropped():
    assert decode(encoded(COLOUR[..., 0])).shape == (20, 30)
    rgba = np.dstack([COLOUR, COLOUR[..., 0]])
    np.testing.assert_array_equal(decode(encoded(rgba[..., [2, 1, 0, 3]])), COLOUR)


def test_sixteen_bits_keep_their_range():
    deep = RNG.integers(0, 65536, (9, 7), dtype=np.uint16)
    np.testing.assert_array_equal(decode(encoded(deep)), deep)
    assert to_input(np.full((4, 4), 65535, np.uint16), (4, 4)).max() == 1


@pytest.mark.parametrize("ending", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.99])
def test_a_cut_off_file_is_refused(ending, share):
    data = encoded(RNG.integers(0, 256, (300, 300, 3), dtype=np.uint8), ending)
    with pytest.raises(UnreadableImage, match=r"part\.x (is cut off|is empty|is damaged)"):
        decode(data[: int(share * len(data))], "part.x")


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(UnreadableImage, match=r"none\.png cannot be read: there is no such file"):
        read_image(tmp_path / "none.png")


def test_too_many_pixels_are_refused_before_decoding(monkeypatch):
    monkeypatch.setenv("TRISCOPE_MAX_PIXELS", "599")
    with pytest.raises(UnreadableImage, match=r"30 x 20 pixels, more than the limit of 599.*=600"):
        decode(encoded(COLOUR), "big.png")
    monkeypatch.setenv("TRISCOPE_MAX_PIXELS", "600")
    assert decode(encoded(COLOUR)).shape == (20, 30, 3)


def test_arrays_are_checked():
    assert read_image(np.zeros((4, 5, 4), np.uint8)).shape == (4, 5, 3)
    assert read_image(np.zeros((4, 5, 1), np.uint8)).shape == (4, 5)
    with pytest.raises(UnreadableImage, match="array 4x5 of float64: expected uint8 or uint16"):
        read_image(np.zeros((4, 5)))
    with pytest.raises(UnreadableImage, match=r"array 4x5x2: expected \(h, w\)"):
        read_image(np.zeros((4, 5, 2), np.uint8))
    with pytest.raises(UnreadableImage, match="got int"):
        read_image(5)


def test_masks_are_cut_in_the_middle_and_small_numbers_count():
    grey = np.array([[0, 100, 127, 128, 255]], np.uint8)
    np.testing.assert_array_equal(read_mask(grey), [[False, False, False, True, True]])
    np.testing.assert_array_equal(read_mask(grey // 128), [[False, False, False, True, True]])
    assert not read_mask(np.zeros((2, 2), np.uint8)).any()


def test_the_black_of_a_jpeg_is_not_quite_black(tmp_path):
    grey = np.random.default_rng(0).integers(0, 4, (16, 16), dtype=np.uint8)
    for ending in (".jpg", ".png"):
        (tmp_path / f"m{ending}").write_bytes(encoded(grey, ending))
    assert not read_mask(tmp_path / "m.jpg").any()
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), grey > 0)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(BadLabels, match="mask is 3 x 2 pixels, its image 5 x 4"):
        mask_of(np.zeros((2, 3), bool), (4, 5))


def test_to_input_is_planes_between_zero_and_one():
    planes = to_input(COLOUR, (20, 30))
    assert planes.dtype == np.float32
    np.testing.assert_allclose(planes, COLOUR.transpose(2, 0, 1) / 255, atol=1e-6)
    assert to_input(COLOUR[..., 0], (8, 9)).shape == (3, 8, 9)
    assert to_input(np.full((1, 1), 255, np.uint8), (8, 9)).min() == 1
