"""Bad input is reported, skipped or refused with the reason; the rest goes on."""

import struct
import zipfile

import cv2
import numpy as np
import pytest
from data_sets import image_of, mvtec, put, spot

from triscope.errors import BadSettings, EmptyData, UnreadableImage
from triscope.kernel.data import (
    Loaded,
    Sample,
    decode,
    load,
    open_data,
    read_image,
    read_mask,
    to_input,
)
from triscope.kernel.data.cache import ImageCache
from triscope.kernel.data.header import image_size
from triscope.kernel.data.source import fingerprint


def forged(ending, h, w):
    """A small image whose header says another size."""
    data = bytearray(cv2.imencode(ending, image_of(8, 8))[1].tobytes())
    if ending == ".png":
        data[16:24] = struct.pack(">II", w, h)
    if ending == ".jpg":
        at = data.find(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", h, w)
    if ending == ".bmp":
        data[18:26] = struct.pack("<ii", w, h)
    return bytes(data)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp"])
def test_a_picture_of_20000_by_20000_is_refused_by_its_header(ending):
    with pytest.raises(
        UnreadableImage,
        match=r"big is 20000 x 20000 pixels, more than the limit of 268,435,456\. Cut it up, or "
        r"raise the limit in the environment: TRISCOPE_MAX_PIXELS=400000000",
    ):
        decode(forged(ending, 20000, 20000), "big")


def test_the_limit_must_be_a_number(monkeypatch):
    monkeypatch.setenv("TRISCOPE_MAX_PIXELS", "many")
    with pytest.raises(BadSettings, match="TRISCOPE_MAX_PIXELS='many': expected a whole number"):
        decode(forged(".png", 4, 4))


def test_one_pixel_is_an_image(tmp_path):
    path = put(tmp_path / "one.png", np.full((1, 1), 7, np.uint8))
    assert read_image(path).shape == (1, 1)
    assert to_input(read_image(path), (32, 32)).shape == (3, 32, 32)


def test_a_broken_file_does_not_stop_the_rest(tmp_path):
    put(mvtec(tmp_path) / "train/good/aa.png", "not an image")
    data = open_data(tmp_path)
    items = list(load(data, lambda s: read_image(s.source).shape, workers=2))
    assert sum(isinstance(item, Loaded) for item in items) == 7
    (skipped,) = [item for item in items if not isinstance(item, Loaded)]
    assert skipped.source == "train/good/aa.png"
    assert "is damaged, or not an image of a known format (PNG, JPEG, TIFF" in skipped.error


def test_floats_in_a_tiff_are_refused():
    data = cv2.imencode(".tiff", np.zeros((4, 4), np.float32))[1].tobytes()
    with pytest.raises(UnreadableImage, match="holds float32 values: expected 8 or 16 bit"):
        decode(data)


def test_a_damaged_archive_says_so(tmp_path):
    put(tmp_path / "a.zip", "no archive")
    with pytest.raises(EmptyData, match=r"a\.zip cannot be opened: BadZipFile"):
        open_data(tmp_path / "a.zip")
    with pytest.raises(EmptyData, match="there is no such file or folder"):
        open_data(f"zip://::{tmp_path / 'none.zip'}")


def test_an_archive_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"\0" * 5000)
    monkeypatch.setattr("triscope.kernel.data.source.MAX_BYTES", 4000)
    (sample,) = open_data(tmp_path / "a.zip")
    with pytest.raises(UnreadableImage, match="is larger than 0 GB"):
        read_image(sample.source)


def test_a_folder_of_too_many_files_is_refused(tmp_path, monkeypatch):
    mvtec(tmp_path)
    monkeypatch.setattr("triscope.kernel.data.tree.FILES_LIMIT", 3)
    with pytest.raises(EmptyData, match="holds more than 3 files: give a folder inside"):
        open_data(tmp_path)


def test_a_file_that_changed_has_another_fingerprint(tmp_path):
    path = put(tmp_path / "a.png", image_of(seed=1))
    first = fingerprint(path)
    put(tmp_path / "a.png", image_of(9, 9, seed=2))
    assert fingerprint(path) != first
    put(tmp_path / "b.png", image_of(9, 9, seed=2))
    assert fingerprint(path) == fingerprint(tmp_path / "b.png")


def test_the_callers_arrays_stay_as_they_are():
    image = image_of()
    image.setflags(write=False)
    assert read_image(image) is image
    to_input(image, (8, 8))
    mask = spot()
    mask.setflags(write=False)
    assert read_mask(mask).dtype == np.bool_


def test_the_cache_keeps_what_fits(tmp_path):
    paths = [put(tmp_path / f"{i}.png", image_of(10, 10)) for i in range(3)]
    cache = ImageCache(650)
    for _ in range(2):
        for path in paths:
            cache.read(path)
    assert (len(cache), cache.used, cache.hits, cache.misses) == (2, 600, 2, 4)
    assert not cache.read(paths[0]).flags.writeable
    array = image_of()
    assert cache.read(array) is array
    with pytest.raises(BadSettings, match="budget=-1: expected 0 or more bytes"):
        ImageCache(-1)


def test_masks_with_a_broken_or_unknown_source():
    with pytest.raises(UnreadableImage, match="got int"):
        read_mask(5)
    sample = Sample("nowhere.png", "nowhere")
    (skipped,) = load([sample], lambda s: read_image(s.source))
    assert skipped.error == "nowhere.png cannot be read: there is no such file."


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tiff", ".webp", ".ppm", ".jp2"])
@pytest.mark.parametrize("shape", [(37, 42, 3), (300, 35, 3), (37, 42)])
def test_sizes_are_read_from_headers(ending, shape):
    if ending == ".ppm" and len(shape) == 2:
        ending = ".pgm"
    image = image_of(*shape[:2], channels=3 if len(shape) == 3 else 1)
    data = cv2.imencode(ending, image)[1].tobytes()
    assert image_size(data) == shape[:2]
    assert decode(data).shape[:2] == shape[:2]
