"""Pre- and post-processing against the stored answers of the published code."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from segment_stored import MARKS, TOLERANCE, arrays, difference, drawn, load, names_of, size_of

from triscope.segment.frame import Frame
from triscope.segment.predictor import from_square, resized

pytestmark = MARKS


def test_sizes_in_the_square() -> None:
    for name, stored in load("sam_pre_post")["sizes"].items():
        expected = tuple(max(side, 1) for side in stored["preprocess_shape_HW"])  # never 0 here
        assert Frame(size_of(name)).resized_hw == expected


@pytest.mark.parametrize("name", names_of("sam_pre_post_coords"))
def test_coordinates(name: str) -> None:
    stored, (h, w) = arrays("sam_pre_post_coords"), size_of(name)
    rng = np.random.default_rng(h * 10007 + w)
    points = rng.uniform(0, 1, (2, 6, 2)) * [w, h]
    boxes = (np.sort(rng.uniform(0, 1, (5, 2, 2)), axis=1) * [w, h]).reshape(5, 4)
    whole = np.array([[0, 0], [w - 1, h - 1], [w // 2, h // 3]])
    frame = Frame((h, w))
    assert difference(frame.points_in(points), stored[f"{name}__coords"]) < 1e-12
    assert difference(frame.boxes_in(boxes), stored[f"{name}__boxes"]) < 1e-12
    assert difference(frame.points_in(whole), stored[f"{name}__coords_int"]) < 1e-12
    assert difference(frame.points_in(points), stored[f"{name}__coords_torch"]) < 1e-6
    assert difference(frame.boxes_in(boxes), stored[f"{name}__boxes_torch"]) < 1e-6


@pytest.mark.parametrize("name", names_of("sam_pre_post_images"))
def test_images(name: str) -> None:
    stored, (h, w) = arrays("sam_pre_post_images"), size_of(name)
    figures = load("sam_pre_post")["sizes"][name]
    image = np.random.default_rng(h * 10007 + w + 1).integers(0, 256, (h, w, 3), dtype=np.uint8)
    resized = Frame((h, w)).resize(image)
    assert list(resized.shape) == figures["resized_shape"]
    assert np.array_equal(resized[::17, ::17], stored[f"{name}__image_resized"])
    assert zlib.crc32(resized.tobytes()) == figures["resized_crc32"]
    pixels = Frame((h, w)).pixels(image)
    assert difference(pixels[:, :, ::17, ::17], stored[f"{name}__preprocessed"]) < 1e-6
    sums = pixels.astype(np.float64).sum((0, 2, 3))
    assert difference(sums, stored[f"{name}__preprocessed_sum"]) < TOLERANCE


@pytest.mark.parametrize("name", names_of("sam_pre_post_masks"))
def test_masks_at_image_size(name: str) -> None:
    stored, figures = arrays("sam_pre_post_masks"), load("sam_pre_post")["sizes"][name]
    stride = figures["postprocess"]["stride"]
    low = drawn(3, (2, 3, 256, 256)).numpy().reshape(6, 256, 256)
    frame = Frame(size_of(name))
    full = np.stack([frame.logits_out(one) for one in low]).reshape(2, 3, *frame.image_hw)
    assert difference(full[..., ::stride, ::stride], stored[f"{name}__postprocessed"]) < TOLERANCE
    positive = (full > 0).sum((2, 3))
    # Noise has many logits within the rounding of zero.
    changed = np.abs(positive - stored[f"{name}__postprocessed_positive"])
    assert changed.max() <= 1 + 1e-5 * full[0, 0].size
    assert difference(full.mean((2, 3), np.float64), stored[f"{name}__postprocessed_mean"]) < 1e-4


@pytest.mark.parametrize("name", names_of("sam_pre_post_masks"))
def test_the_tensor_twin_of_masks(name: str) -> None:
    stored, figures = arrays("sam_pre_post_masks"), load("sam_pre_post")["sizes"][name]
    stride = figures["postprocess"]["stride"]
    full = from_square(drawn(3, (2, 3, 256, 256)), Frame(size_of(name)))
    assert difference(full[..., ::stride, ::stride], stored[f"{name}__postprocessed"]) < TOLERANCE
    positive = np.asarray((full > 0).sum((2, 3)))
    assert np.array_equal(positive, stored[f"{name}__postprocessed_positive"])


@pytest.mark.parametrize("name", names_of("sam_pre_post_images"))
def test_the_tensor_twin_of_images(name: str) -> None:
    stored, (h, w) = arrays("sam_pre_post_images"), size_of(name)
    image = np.random.default_rng(h * 10007 + w + 1).integers(0, 256, (h, w, 3), dtype=np.uint8)
    small = resized(torch.from_numpy(image).permute(2, 0, 1)[None].float(), Frame((h, w)))
    assert difference(small[:, :, ::17, ::17], stored[f"{name}__image_torch_resized"]) < TOLERANCE
