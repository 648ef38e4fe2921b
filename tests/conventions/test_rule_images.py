"""Images: RGB or grey at the surface, upright, alpha dropped, 16 bit kept; [0, 1] inside."""

import struct

import cv2
import numpy as np
import pytest

from triscope.kernel.data import decode, read_image, to_input
from triscope.kernel.data.header import orientation, upright_size


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def test_the_channels_are_red_green_blue():
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes blue, green, red
    image = decode(png(red))
    assert image[0, 0].tolist() == [255, 0, 0]
    assert to_input(image, (2, 2))[:, 0, 0].tolist() == [1, 0, 0]


def test_grey_is_two_dimensional_and_three_equal_planes_inside():
    grey = decode(png(np.full((2, 3), 51, np.uint8)))
    assert grey.shape == (2, 3)
    planes = to_input(grey, (2, 3))
    assert (planes.dtype, planes.shape) == (np.float32, (3, 2, 3))
    np.testing.assert_allclose(planes, 0.2, rtol=1e-6)


def test_alpha_is_dropped_and_changes_nothing():
    rgba = np.full((2, 2, 4), 200, np.uint8)
    rgba[..., 3] = [[0, 10], [100, 255]]
    np.testing.assert_array_equal(decode(png(rgba)), np.full((2, 2, 3), 200))
    np.testing.assert_array_equal(read_image(rgba), np.full((2, 2, 3), 200))


def test_sixteen_bits_keep_their_range():
    deep = np.array([[0, 1, 257, 65535]], np.uint16)
    image = decode(png(deep))
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, deep)
    np.testing.assert_allclose(to_input(image, (1, 4))[0, 0], deep[0] / 65535, atol=1e-7)


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def with_orientation(jpeg, number):
    """The JPEG with an EXIF block behind its first marker."""
    tiff = b"MM\x00*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, number, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


@pytest.mark.parametrize("number", range(1, 9))
def test_exif_rotation_is_applied(number):
    stored = np.zeros((16, 32), np.uint8)
    stored[:8, :8] = 255
    jpeg = with_orientation(cv2.imencode(".jpg", stored)[1].tobytes(), number)
    expected = UPRIGHT[number](stored)
    assert orientation(jpeg) == number
    assert upright_size(jpeg) == expected.shape
    image = decode(jpeg)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() < 60  # JPEG
