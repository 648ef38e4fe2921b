"""The stereo models on a textured plane, and their parts against formulas written out."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from stereo_toys import moved, rig
from torch.nn import functional as F

import triscope
from outside import real_data
from triscope.errors import BadSettings, WeightsMissing
from triscope.kernel import catalogue
from triscope.kernel.geometry.cameras import resize_K
from triscope.shape.models._aggregation import Deformable
from triscope.shape.models._layers import Same2d, SameTransposed2d, same_padding
from triscope.shape.models.aa_rmvsnet import AARMVSNet
from triscope.shape.models.mvsnet import MVSNet, expected
from triscope.shape.models.patchmatchnet import PatchmatchNet
from triscope.shape.models.rmvsnet import RMVSNet
from triscope.shape.models.zncc_sweep import _inside, best_share
from triscope.shape.stereo import at_scale, standardised, stereo
from triscope.shape.warp import planes, warp_of

DEPTH = 5.0


@cache
def plane_seen(views: int, size: tuple[int, int]) -> tuple[Any, Any, Any]:
    """Images of a textured plane at z = 5, with their cameras."""
    h, w = size
    K, poses = rig(views, size, 1.1 * w)
    noise = np.random.default_rng(0).integers(0, 255, (160, 240, 3)).astype(np.uint8)
    paint = cv2.GaussianBlur(noise, (0, 0), 1.2)
    on_plane = np.array([[40.0, 0, 120], [0, 40.0, 80], [0, 0, 1]])  # metres to pixels of paint
    images = []
    for matrix, pose in zip(K, poses, strict=True):
        look = matrix @ np.column_stack([pose[:3, :2], pose[:3, 2] * DEPTH + pose[:3, 3]])
        H = look @ np.linalg.inv(on_plane)
        images.append(cv2.warpPerspective(paint, H, (w, h), borderMode=cv2.BORDER_REFLECT))
    return images, K, poses


@pytest.mark.parametrize("size", [(64, 80), (67, 93)])
def test_zncc_finds_the_plane(size: tuple[int, int]) -> None:
    images, K, poses = plane_seen(3, size)
    model = stereo("zncc_sweep")
    depth = model.match([model.prepare(i) for i in images], K, poses, planes(3.0, 8.0, 40))
    inner = depth.values[8:-8, 8:-8]
    assert depth.values.shape == size
    assert np.median(np.abs(inner - DEPTH)) < 0.02
    assert (np.abs(inner - DEPTH) < 0.1).mean() > 0.95
    assert np.array_equal(depth.K, K[0])


def test_zncc_says_where_it_saw_nothing() -> None:
    images, K, poses = plane_seen(2, (64, 80))
    grey = [i.copy() for i in images]
    for image in grey:
        image[:, :40] = 128
    model = stereo("zncc_sweep")
    depth = model.match([model.prepare(i) for i in grey], K, poses, planes(3.0, 8.0, 20))
    assert not depth.values[:, :30].any() and not depth.confidence[:, :30].any()
    assert depth.values[20:-20, 55:-8].all()


@pytest.mark.parametrize("bgr", [True, False])
def test_images_are_standardised_to_the_bits_of_the_published_arithmetic(bgr: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (67, 93, 3), np.uint8)
    x = image[..., ::-1].astype(np.float32) if bgr else image.astype(np.float32)
    expected = ((x - x.mean((0, 1))) / (x.std((0, 1)) + 1e-8)).transpose(2, 0, 1)
    assert np.array_equal(standardised(image, bgr=bgr), expected)


def test_the_best_share_is_a_mean_of_the_best() -> None:
    scores = np.random.default_rng(1).standard_normal((5, 3, 4)).astype(np.float32)
    by_hand = np.sort(scores, 0)[::-1][:2].mean(0)
    assert np.allclose(best_share(list(scores), 0.4), by_hand)
    assert np.allclose(best_share(list(scores), 1.0), scores.mean(0))


@pytest.mark.parametrize("seed", range(6))
def test_what_lands_in_a_source_is_found_row_by_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    H = np.eye(3) + rng.normal(0, 1, (3, 3)) * [[0.3, 0.3, 9], [0.3, 0.3, 9], [0.03, 0.03, 0.3]]
    y, x = np.mgrid[:23, :31]
    a, b, z = (H @ np.stack([x, y, 1 + 0 * x]).reshape(3, -1)).reshape(3, *x.shape)
    slow = (z > 0) & (a >= 0) & (b >= 0) & (a <= 40 * z) & (b <= 17 * z)
    assert slow.any() and np.array_equal(_inside(H, (18, 41), (23, 31)), slow)
    assert _inside(np.eye(3), (23, 31), (23, 31)).all()
    assert not _inside(np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, -1]]), (23, 31), (23, 31)).any()


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads"),
    [(8, 3, 2, (0, 1)), (8, 5, 2, (1, 2)), (7, 3, 2, (1, 1)), (9, 3, 1, (1, 1)), (1, 5, 2, (2, 2))],
)
def test_same_padding_is_that_of_tensorflow(
    size: int, kernel: int, stride: int, pads: tuple[int, int]
) -> None:
    assert same_padding(size, kernel, stride) == pads


def test_same_convolutions_by_hand() -> None:
    x = torch.arange(1.0, 7.0).view(1, 1, 1, 6).repeat(1, 1, 6, 1)
    conv = Same2d(1, 1, 3, 2)
    conv.weight.data = torch.tensor([[0.0, 0, 0], [1, 10, 100], [0, 0, 0]]).view(1, 1, 3, 3)
    # Row 1 of the kernel meets row 1 of the map: nothing is padded in front.
    assert conv(x)[0, 0, 0].tolist() == [321.0, 543.0, 65.0]
    up = SameTransposed2d(1, 1)
    up.weight.data = torch.tensor([1.0, 10, 100]).view(1, 1, 1, 3).repeat(1, 1, 3, 1)
    assert up(x[..., :1, :2])[0, 0, 0].tolist() == [1.0, 10.0, 102.0, 20.0]


@torch.no_grad()
def test_deformable_convolution_by_hand() -> None:
    torch.manual_seed(0)
    layer = Deformable(2, 3)
    layer.load_state_dict(moved(layer.state_dict(), 1))
    x = torch.randn(1, 2, 5, 6)
    offsets, mask = layer.p_conv(x)[0], torch.sigmoid(layer.m_conv(x))[0]
    padded = F.pad(x, (3, 3, 3, 3))[0]
    y, column = 2, 3
    total = layer.conv.bias.clone()
    for k in range(9):
        row = y + k // 3 - 1 + float(offsets[k, y, column])
        col = column + k % 3 - 1 + float(offsets[9 + k, y, column])
        top, left = int(np.floor(row)), int(np.floor(col))
        value = torch.zeros(2)
        for i in (0, 1):
            for j in (0, 1):
                share = (1 - abs(row - top - i)) * (1 - abs(col - left - j))
                value += share * padded[:, top + i + 3, left + j + 3]
        total += mask[k, y, column] * (layer.conv.weight[:, :, k // 3, k % 3] @ value)
    assert torch.allclose(layer(x)[0, :, y, column], total, atol=1e-4)


def test_expected_index_and_its_four_planes() -> None:
    share = torch.tensor([0.1, 0.2, 0.4, 0.2, 0.1]).view(5, 1, 1)
    index, probability = expected(share)
    assert index.item() == pytest.approx(2.0)
    assert probability.item() == pytest.approx(0.2 + 0.4 + 0.4 + 0.2)  # a whole number: twice
    tilted = torch.tensor([0.0, 0.2, 0.3, 0.5, 0.0]).view(5, 1, 1)
    index, probability = expected(tilted)
    assert index.item() == pytest.approx(2.3)
    assert probability.item() == pytest.approx(0.2 + 0.3 + 0.5)


@pytest.mark.parametrize(
    ("network", "count"),
    [(RMVSNet(), 799_365), (AARMVSNet(), 187_203), (PatchmatchNet(), 222_632)],
)
def test_parameter_counts_are_the_published_ones(network: Any, count: int) -> None:
    assert sum(p.numel() for p in network.parameters()) == count


def test_the_unet_of_mvsnet_has_the_published_size() -> None:
    assert sum(p.numel() for p in MVSNet().regulariser.parameters()) == pytest.approx(
        308e3, rel=0.01
    )
    assert RMVSNet(form="paper").feature_extractor[0][0].weight.shape == (8, 3, 3, 3)


@pytest.mark.parametrize("size", [(48, 64), (37, 50)])
@pytest.mark.parametrize("name", ["mvsnet", "mvsnet_refined", "rmvsnet_paper"])
def test_networks_of_random_weights_answer_at_any_size(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    made = (
        MVSNet(refine=name == "mvsnet_refined")
        if name.startswith("mvsnet")
        else RMVSNet(form="paper")
    )
    network = triscope.published(name, made.state_dict())
    _, K, poses = plane_seen(3, size)
    images = torch.rand(3, 3, *size)
    with torch.no_grad():
        index, probability = network(images, K, poses, planes(3.0, 8.0, 6))
    assert index.shape == probability.shape == (-(-size[0] // 4), -(-size[1] // 4))
    assert index.dtype == torch.int64 and int(index.min()) >= 0 and int(index.max()) <= 5


def test_settings_and_weights_that_cannot_be_meant(tmp_path: Any) -> None:
    with pytest.raises(BadSettings, match="window=4: expected an odd number"):
        stereo("zncc_sweep", {"window": 4})
    with pytest.raises(WeightsMissing, match="mvsnet_refined has no published weights: train some"):
        stereo("mvsnet", {"refine": True})
    with pytest.raises(WeightsMissing, match="there is no such file"):
        stereo("patchmatchnet", {"weights": str(tmp_path / "none.ckpt")})


def test_the_catalogue_knows_them() -> None:
    for name in ("rmvsnet", "mvsnet", "aa_rmvsnet", "patchmatchnet", "zncc_sweep"):
        entry = catalogue.entry(name)
        assert entry.answers == "Depth" and ("arXiv:" in entry.summary or name == "zncc_sweep")


FILES = {
    "rmvsnet": "RMVSNet-Pytorch/RMVSNet-pretrained.pth",
    "aa_rmvsnet": "AA-RMVSNet/model_blended_v2.ckpt",
    "patchmatchnet": "PatchmatchNet/params_000007.ckpt",
}


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(FILES))
def test_published_weights_find_the_plane(name: str) -> None:
    images, K, poses = plane_seen(3, (128, 160))
    model = stereo(name, {"weights": str(real_data("weights/mvs") / FILES[name])})
    prepared = [model.prepare(image) for image in images]
    depth = model.match(prepared, K, poses, planes(3.0, 8.0, 32))
    h, w = depth.values.shape
    inner = depth.values[h // 5 : -h // 5, w // 5 : -w // 5]
    assert np.median(np.abs(inner - DEPTH)) < 0.15
    assert np.allclose(depth.K, at_scale(K, 128 // h)[0])


def test_k_of_smaller_maps_keeps_the_outer_edges() -> None:
    K = np.array([[[100.0, 0, 31.5], [0, 100, 23.5], [0, 0, 1]]])
    assert np.allclose(at_scale(K, 4)[0], resize_K(K[0], (48, 64), (12, 16)))
    assert np.allclose(at_scale(K, 4)[0, :2, 2], [7.5, 5.5])


def test_a_warp_takes_points_where_they_are_seen() -> None:
    K, poses = rig(3, (48, 64), 60.0)
    warp = warp_of(K, poses)
    x, depth = np.array([11.0, 40.0, 1.0]), 4.2
    world = np.linalg.inv(poses[0]) @ np.array([*(np.linalg.inv(K[0]) @ x * depth), 1])
    for i in (1, 2):
        seen = K[i] @ (poses[i] @ world)[:3]
        assert np.allclose(depth * warp.turn[i - 1] @ x + warp.shift[i - 1], seen)
