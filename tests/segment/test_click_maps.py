"""Clicks and boxes as maps: where they lie, and what they do not change."""

from __future__ import annotations

import torch

from triscope.segment.models._click_maps import drawn
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


def test_the_published_networks_have_none() -> None:
    with torch.device("meta"):
        assert mobile_sam().prompt_encoder.click_maps is None
        nano = sam_nano()
    assert nano.prompt_encoder.click_maps is not None
    assert sum(p.numel() for p in nano.parameters()) <= 2_000_000


def test_boxes_and_their_corners_are_shown_alike() -> None:
    torch.manual_seed(0)
    encoder = sam_nano(128).prompt_encoder
    box = torch.tensor([[10.0, 20, 50, 60]])
    _, dense = encoder(boxes=box)
    absent = encoder.dense(None, 1)
    shown = encoder.shown(box.reshape(1, 2, 2), torch.tensor([[2, 3]]))
    torch.testing.assert_close(dense - absent, shown, atol=1e-6, rtol=1e-5)
