"""Generated scenes: the same for the same seed, masks that fit what is painted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from triscope.segment.frame import PIXEL_MEAN, PIXEL_STD
from triscope.segment.synth import Scene, scene
from triscope.segment.synth.canvas import Canvas, filled
from triscope.segment.training.groups import FEWEST_PX, LARGEST_SHARE, usable_groups
from triscope.segment.training.scenes import Scenes, mosaic, shares_of


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [scene(seed, (96, 128)) for seed in range(12)]


def test_the_seed_decides(scenes: list[Scene]) -> None:
    again = scene(3, (96, 128))
    assert np.array_equal(again.image, scenes[3].image)
    assert np.array_equal(again.pieces, scenes[3].pieces)
    assert again.groups == scenes[3].groups
    assert not np.array_equal(scenes[4].image, scenes[3].image)


def test_layout(scenes: list[Scene]) -> None:
    for one in scenes:
        assert one.image.shape == (96, 128, 3) and one.image.dtype == np.uint8
        assert one.pieces.shape == (96, 128)
        assert one.groups
        assert one.pieces.min() >= 1  # every pixel belongs to something


def test_areas_are_those_of_the_masks(scenes: list[Scene]) -> None:
    for one in scenes:
        counted = [int(one.mask(group).sum()) for group in range(len(one.groups))]
        assert one.areas().tolist() == counted


def test_groups_are_nested_or_apart_in_pieces(scenes: list[Scene]) -> None:
    """A part belongs to its object wholly: no piece is half inside another group's meaning."""
    for one in scenes:
        singles = {group[0] for group in one.groups if len(group) == 1}
        for group in one.groups:
            if len(group) > 1:
                assert set(group) <= singles


def test_a_picture_has_edges_where_the_masks_have_them(scenes: list[Scene]) -> None:
    """Neighbours in one piece are alike, neighbours in two pieces differ more, on average."""
    ratios = []
    for one in scenes:
        grey = one.image.mean(axis=2)
        step = np.abs(np.diff(grey, axis=1))
        border = one.pieces[:, 1:] != one.pieces[:, :-1]
        if border.sum() > 50:
            ratios.append(step[border].mean() / (step[~border].mean() + 0.5))
    assert np.median(ratios) > 2


def test_usable_groups_are_neither_tiny_nor_everything(scenes: list[Scene]) -> None:
    for one in scenes:
        for group in usable_groups(one):
            area = int(one.mask(int(group)).sum())
            assert FEWEST_PX <= area <= LARGEST_SHARE * one.pieces.size


def test_shares_keep_the_area() -> None:
    mask = np.zeros((64, 64), bool)
    mask[5:30, 9:42] = True
    assert shares_of(mask).shape == (16, 16)
    assert shares_of(mask).sum() * 16 == pytest.approx(mask.sum(), rel=1e-5)


def test_even_odd_makes_holes() -> None:
    square = np.array([[4.0, 4], [27, 4], [27, 27], [4, 27]])
    hole = np.array([[10.0, 10], [20, 10], [20, 20], [10, 20]])
    found = filled([square, hole], (32, 32))
    assert found is not None
    cover, window = found
    whole = np.zeros((32, 32), np.float32)
    whole[window] = cover
    assert whole[6, 6] == 1 and whole[15, 15] == 0 and whole[1, 1] == 0


def test_what_lies_outside_is_not_painted() -> None:
    assert filled([np.array([[50.0, 50], [60, 50], [60, 60]])], (32, 32)) is None


def test_a_polished_ground_mirrors_what_stands_on_it() -> None:
    canvas = Canvas.empty(np.random.default_rng(0), (40, 40))
    canvas.image[:] = 0.2
    thing = np.zeros((40, 40), bool)
    thing[10:20, 15:25] = True
    canvas.image[thing] = (0.9, 0.1, 0.1)
    before = canvas.image.copy()
    canvas.mirror(thing, 0.8)
    assert np.array_equal(canvas.image[:20], before[:20])  # nothing above its foot changes
    below = canvas.image[21:24, 18:22]
    assert (below[..., 0] > 0.4).all() and (below[..., 1] < 0.2).all()
    assert np.allclose(canvas.image[20:, :5], 0.2, atol=1e-3)
    edge = np.zeros((40, 40), bool)
    edge[30:, 5:9] = True
    again = canvas.image.copy()
    canvas.mirror(edge, 0.8)  # its foot is the border of the image: there is nothing to see
    assert np.array_equal(canvas.image, again)


def test_a_mosaic_keeps_the_groups_of_its_scenes() -> None:
    four = [scene(seed, (64, 64)) for seed in range(4)]
    whole = mosaic(four)
    assert whole.image.shape == (128, 128, 3) and len(whole.groups) == sum(
        len(one.groups) for one in four
    )
    last = four[3]
    first = len(whole.groups) - len(last.groups)
    for number in range(len(last.groups)):
        mask = whole.mask(first + number)
        assert (mask[64:, 64:] == last.mask(number)).all()
        assert mask.sum() == last.mask(number).sum()


def bytes_of(images: torch.Tensor) -> np.ndarray:
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (PIXEL_MEAN, PIXEL_STD))
    return (images * std + mean).round().numpy()


def test_views_are_of_one_scene() -> None:
    batches = Scenes(64, batch=2, masks=3, per_epoch=6, views=3)(0)
    first, second, other = (bytes_of(batches[i]["images"]) for i in (0, 1, 3))
    # The second view is mirrored, its colours moved on by one.
    assert (np.roll(second, -1, axis=1)[:, :, :, ::-1] == first).all()
    assert (other != first).any()
    again = Scenes(64, batch=2, masks=3, per_epoch=6, views=3)(0)
    assert torch.equal(again[1]["masks"], batches[1]["masks"])  # whatever was asked for before
