"""Prompts as maps: where they lie, and what they do not change."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from triscope.segment.models._drawn_prompts import MAPS, DrawnPrompts, drawn
from triscope.segment.models._nano_decoder import alike, regions
from triscope.segment.models.sam import mobile_sam, sam_nano


def test_a_click_is_brightest_where_it_lies() -> None:
    points = torch.tensor([[[40.0, 9.0], [100.0, 80.0]]])
    maps = drawn(points, torch.tensor([[1, 0]]), 128, 32)
    for kind, (x, y) in enumerate(points[0].tolist()):
        row, column = divmod(int(maps[0, kind].argmax()), 32)
        assert (row, column) == (int((y + 0.5) // 4), int((x + 0.5) // 4))
    assert maps[0, 2].abs().max() == 0


def test_a_box_shows_what_it_covers() -> None:
    corners = torch.tensor([[[10.0, 20.0], [50.0, 24.0]]])
    maps = drawn(corners, torch.tensor([[2, 3]]), 128, 32)
    assert maps[0, :2].abs().max() == 0
    shares = maps[0, 2]
    assert abs(float(shares.sum()) * 16 - 40 * 4) < 1e-3
    assert shares[:5].abs().max() == 0 and shares[7:].abs().max() == 0


def test_padding_shows_nothing() -> None:
    maps = drawn(torch.zeros(1, 1, 2), torch.tensor([[-1]]), 128, 32)
    assert maps.abs().max() == 0


def test_the_published_networks_draw_nothing() -> None:
    with torch.device("meta"):
        assert not isinstance(mobile_sam().prompt_encoder, DrawnPrompts)
        nano = sam_nano()
    assert isinstance(nano.prompt_encoder, DrawnPrompts)
    assert sum(p.numel() for p in nano.parameters()) <= 2_000_000


def test_maps_follow_the_dense_prompt() -> None:
    torch.manual_seed(0)
    encoder = sam_nano(128).prompt_encoder
    mask = torch.randn(1, 1, 32, 32)
    _, dense = encoder(boxes=torch.tensor([[10.0, 20, 50, 60]]), masks=mask)
    torch.testing.assert_close(dense[:, :128], encoder.dense(mask, 1))
    maps = F.pixel_shuffle(dense[:, 128:], 4)
    assert maps.shape == (1, MAPS, 32, 32)
    assert maps[0, 2, 6:14, 4:11].min() == 1 and maps[0, 2, 16:].max() == 0
    assert torch.equal(maps[:, 3:] > 0, mask > 0)


def test_what_looks_like_the_clicked_place_is_alike() -> None:
    image = torch.zeros(2, 4, 8, 8)  # each image with a left and a right half of its own
    image[:, :, :, 4:] = 3
    image[1] += 5
    clicks = torch.zeros(4, 1, 8, 8)  # two prompts an image: left, right
    clicks[0::2, 0, 4, 1], clicks[1::2, 0, 4, 6] = 1, 1
    found = alike(image, clicks, heads=2)
    assert found.shape == (4, 2, 8, 8)
    for prompt in range(4):
        own, other = (slice(4), slice(4, 8)) if prompt % 2 == 0 else (slice(4, 8), slice(4))
        torch.testing.assert_close(found[prompt, :, :, own], torch.ones(2, 8, 4))
        assert found[prompt, :, :, other].max() < 0.01


def test_without_a_region_nothing_is_alike() -> None:
    torch.manual_seed(0)
    where = regions(torch.zeros(1, MAPS, 8, 8))
    assert alike(torch.randn(1, 4, 8, 8), where, heads=2).abs().max() == 0
