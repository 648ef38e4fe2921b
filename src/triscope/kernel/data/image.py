"""Images and masks as arrays: RGB, upright, alpha dropped, 16 bit kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels, BadSettings, UnreadableImage
from triscope.kernel.data.header import HEADER_BYTES, JPEG, image_size, upright_size, whole
from triscope.kernel.data.sample import MaskSource, Source
from triscope.kernel.data.source import read_bytes

Image = NDArray[Any]
Bools = NDArray[np.bool_]
MAX_PIXELS = 2**28  # 16,384 x 16,384; as RGB 0.8 GB
KNOWN = "PNG, JPEG, TIFF, BMP, WebP, GIF, PNM, JPEG 2000, AVIF"
LIMIT = "TRISCOPE_MAX_PIXELS"
# Upright by EXIF, as deep as the file is, grey stays grey, alpha is dropped.
DECODE = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
FULL = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}
MASK_ABOVE = {np.dtype(np.uint8): 127, np.dtype(np.uint16): 32767}

# Broken files are reported by our own errors; OpenCV would print beside them.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_image(source: Source) -> Image:
    """A path, an address or an array as uint8 or uint16 (h, w, 3) RGB or (h, w).

    EXIF rotation is applied, alpha is dropped, 16 bit stays 16 bit. An array may be the caller's
    own and is not to be written to. Raises UnreadableImage.
    """
    if isinstance(source, np.ndarray):
        return _checked(source)
    if not isinstance(source, str | Path):
        raise UnreadableImage(
            f"an image is a path, an address or an array (h, w[, 3]), got {type(source).__name__}."
        )
    return decode(read_bytes(source), str(source))


def decode(data: bytes, name: str = "image") -> Image:
    """An encoded image (PNG, JPEG, TIFF, BMP, WebP, …) as :func:`read_image` gives it."""
    if not data:
        raise UnreadableImage(f"{name} is empty (0 bytes).")
    size = image_size(data)
    if size is None:  # without a size nobody knows how much memory the decoder would take
        raise UnreadableImage(f"{name} is damaged, or not an image of a known format ({KNOWN}).")
    _within_limit(size, name)
    if not whole(data):
        raise UnreadableImage(f"{name} is cut off: its end is missing ({len(data)} bytes).")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), DECODE)
    except cv2.error as error:
        raise UnreadableImage(f"{name} cannot be decoded: {error.err}.") from error
    if image is None:
        raise UnreadableImage(f"{name} is damaged: it cannot be decoded.")
    if image.dtype not in FULL:
        raise UnreadableImage(f"{name} holds {image.dtype} values: expected 8 or 16 bit a channel.")
    if image.ndim == 3:
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
    return image


def size_of(source: Source) -> tuple[int, int]:
    """(h, w) of an image as :func:`read_image` gives it, from its first bytes where they tell."""
    if isinstance(source, np.ndarray):
        return source.shape[0], source.shape[1]
    size = upright_size(read_bytes(source, HEADER_BYTES))
    if size is not None:
        return size
    h, w = read_image(source).shape[:2]
    return h, w


def max_pixels() -> int:
    """Images with more pixels are refused: the environment's TRISCOPE_MAX_PIXELS, or 2**28."""
    text = os.environ.get(LIMIT, "")
    if not text:
        return MAX_PIXELS
    if not text.isdecimal() or int(text) < 1:
        raise BadSettings(f"{LIMIT}={text!r}: expected a whole number of pixels.")
    return int(text)


def _within_limit(size: tuple[int, int], name: str) -> None:
    if size[0] * size[1] > max_pixels():
        raise UnreadableImage(
            f"{name} is {size[1]} x {size[0]} pixels, more than the limit of {max_pixels():,}. "
            f"Cut it up, or raise the limit in the environment: {LIMIT}={size[0] * size[1]}"
        )


def _checked(image: Image) -> Image:
    shape = "x".join(map(str, image.shape))
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim == 3 and image.shape[2] == 4:
        image = image[:, :, :3]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or not image.size:
        raise UnreadableImage(f"array {shape}: expected (h, w), (h, w, 3) RGB or (h, w, 4) RGBA.")
    if image.dtype not in FULL:
        raise UnreadableImage(
            f"array {shape} of {image.dtype}: expected uint8 or uint16. Values in [0, 1] become "
            "an image by (values * 65535).round().astype('uint16')."
        )
    return image


def read_mask(source: MaskSource) -> Bools:
    """A mask as bool (h, w): set in the upper half of the range of a picture.

    Where no value is that high, all that is not 0 is set (masks of 0 and 1), unless the picture is
    a JPEG, whose black is not always 0. Of colours the largest channel counts. An object with
    ``decode()`` (run lengths, polygons) is asked for its mask.
    """
    if isinstance(source, np.ndarray) and source.dtype == np.bool_ and source.ndim == 2:
        return np.asarray(source, np.bool_)
    if hasattr(source, "decode") and not isinstance(source, str | Path):
        return np.asarray(source.decode(), np.bool_)
    exact = True
    if isinstance(source, str | Path):
        data = read_bytes(source)
        exact = not data.startswith(JPEG)
        picture = decode(data, str(source))
    else:
        picture = read_image(source)
    grey = picture.max(axis=2) if picture.ndim == 3 else picture
    middle = MASK_ABOVE[grey.dtype]
    return np.asarray(grey > (0 if exact and grey.max() <= middle else middle))


def mask_of(source: MaskSource, hw: tuple[int, int], name: str = "the mask") -> Bools:
    """The mask, checked to be of the size (h, w) of its image; raises BadLabels."""
    mask = read_mask(source)
    if mask.shape != tuple(hw):
        raise BadLabels(
            f"{name} is {mask.shape[1]} x {mask.shape[0]} pixels, its image {hw[1]} x {hw[0]}: "
            "a mask has the size of its image."
        )
    return mask


def to_input(image: Image, size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """An image as networks read it: float32 (3, h, w) in [0, 1], resized to ``size_hw``.

    Shrinking averages over areas, enlarging is bilinear; grey becomes three equal channels.
    """
    full = FULL.get(image.dtype)
    if full is None:
        raise UnreadableImage(f"an image is uint8 or uint16, got {image.dtype}.")
    h, w = size_hw
    if image.shape[:2] != (h, w):
        shrinks = image.shape[0] >= h and image.shape[1] >= w
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        image = cv2.resize(image, (w, h), interpolation=way)
    if image.ndim == 2:
        plane = image.astype(np.float32) / np.float32(full)
        return np.repeat(plane[None], 3, axis=0)
    planes = np.empty((3, h, w), np.float32)
    for plane, channel in zip(planes, cv2.split(image), strict=True):
        np.multiply(channel, np.float32(1 / full), out=plane)
    return planes
