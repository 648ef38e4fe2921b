"""Sizes and EXIF rotation of every format, read from headers alone and equal to the decoder's."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from data_sets import image_of, put

from triscope.kernel.data import decode, read_image
from triscope.kernel.data.header import image_size, orientation, upright_size
from triscope.kernel.data.image import size_of

IMAGE = image_of(37, 52, seed=4)
EXIF = b"MM\x00*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0)


def encoded(ending, *options):
    done, data = cv2.imencode(ending, IMAGE, list(options))
    assert done
    return data.tobytes()


def png_with_exif():
    png = encoded(".png")
    chunk = struct.pack(">I", len(EXIF)) + b"eXIf" + EXIF
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + EXIF))
    return png[:33] + chunk + png[33:]


def webp_with_exif():
    inner = encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 101)[12:]
    head = struct.pack("<4sIB3x", b"VP8X", 10, 0x08)
    head += (52 - 1).to_bytes(3, "little") + (37 - 1).to_bytes(3, "little")
    exif = struct.pack("<4sI", b"EXIF", len(EXIF)) + EXIF + b"\0" * (len(EXIF) % 2)
    body = b"WEBP" + head + inner + exif
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def big_tiff():
    """Eight bytes an offset; one strip of grey values."""
    entries = [
        (256, 4, 4),
        (257, 4, 3),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 16, 16),
        (277, 3, 1),
        (278, 4, 3),
        (279, 16, 12),
    ]
    pixels = bytes(range(0, 120, 10))
    head = b"II" + struct.pack("<HHHQ", 43, 8, 0, 16 + 12)
    tags = b"".join(struct.pack("<HHQQ", tag, kind, 1, value) for tag, kind, value in entries)
    return head + pixels + struct.pack("<Q", len(entries)) + tags + struct.pack("<Q", 0)


@pytest.mark.parametrize(
    "data",
    [
        encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 60),
        encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
        webp_with_exif(),
        png_with_exif(),
        encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
        b"P6 # made by hand\n# twice\n4 3\n255\n" + bytes(36),
        big_tiff(),
    ],
    ids=["webp", "webp lossless", "webp exif", "png exif", "progressive", "restarts", "ppm", "big"],
)
def test_the_header_tells_what_the_decoder_finds(data):
    assert upright_size(data) == decode(data).shape[:2]


def test_a_big_tiff_is_read():
    np.testing.assert_array_equal(decode(big_tiff()).ravel(), range(0, 120, 10))


@pytest.mark.parametrize("ending", [".gif", ".avif"])
def test_formats_that_only_some_builds_of_opencv_write(ending):
    try:
        data = encoded(ending)
    except (cv2.error, AssertionError):
        pytest.skip(f"this OpenCV writes no {ending}")
    assert image_size(data) == (37, 52)
    assert decode(data).shape == (37, 52, 3)


@pytest.mark.parametrize("data", [png_with_exif(), webp_with_exif()], ids=["png", "webp"])
def test_exif_of_other_formats_than_jpeg(data):
    assert orientation(data) == 6
    assert (image_size(data), upright_size(data)) == ((37, 52), (52, 37))


def test_thumbnails_in_exif_are_stepped_over():
    jpeg = encoded(".jpg")
    thumb = b"Exif\0\0" + cv2.imencode(".jpg", IMAGE[:8, :8])[1].tobytes()
    inside = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(thumb) + 2) + thumb + jpeg[2:]
    assert image_size(inside) == (37, 52)


def test_a_header_longer_than_its_first_part_is_read_from_the_whole(tmp_path):
    jpeg = encoded(".jpg")
    filler = b"\xff\xe2" + struct.pack(">H", 65535) + bytes(65533)
    path = tmp_path / "long.jpg"
    path.write_bytes(jpeg[:2] + filler * 2 + jpeg[2:])
    assert size_of(path) == read_image(path).shape[:2] == (37, 52)
    assert size_of(put(tmp_path / "a.png", IMAGE)) == (37, 52)
    assert size_of(IMAGE) == (37, 52)
