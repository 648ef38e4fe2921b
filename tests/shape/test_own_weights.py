"""The training of the weights in the package: its scenes, its volume, its stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from triscope.errors import WeightsMismatch, WeightsMissing
from triscope.shape.evaluation import truth_at
from triscope.shape.lessons import APART, Batches, Lessons, drawn_planes, lessons, room
from triscope.shape.models._warp import variance, warped
from triscope.shape.models.mvsnet import MVSNet
from triscope.shape.models.rmvsnet import RMVSNet, build
from triscope.shape.own_weights import Expects, Stage, begun, run_stage, volume
from triscope.shape.stereo import OWN, at_scale, read_weights, stereo
from triscope.shape.variety import Taking
from triscope.shape.warp import planes, warp_of

SIZE, COUNTS = (32, 48), (2, 1, 2)  # of the photos; rooms, parts, heaps


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture(scope="module")
def made(folder: Path) -> Lessons:
    return lessons(folder, SIZE, *COUNTS)


def test_scenes_are_made_once_and_read_again(made: Lessons, tmp_path: Path) -> None:
    assert made.images.shape == (5, 4, *SIZE, 3) and made.truth.shape == (5, 4, 8, 12)
    one = lessons(tmp_path, SIZE, 1, 0)
    assert np.array_equal(one.images[0], made.images[0])
    assert np.array_equal(lessons(tmp_path, SIZE, 9, 9).images, one.images)


def test_planes_hold_the_depth_of_rooms_and_of_parts() -> None:
    rng = np.random.default_rng(0)
    for low, high in ((1.0, 6.0), (290.0, 300.0)):
        depths = drawn_planes(np.linspace(low, high, 99, dtype=np.float32), 16, rng)
        assert len(depths) == 16 and depths.min() < low * 1.02 and depths.max() > high * 0.98
        assert depths.min() > low / 3


def test_the_volume_is_that_of_one_plane_after_the_other(made: Lessons) -> None:
    images, K, poses, depths, _ = Batches(made, 1, 0, (6,)).read([1], np.random.default_rng(3))
    assert images.shape == (1, 3, 3, *SIZE)
    features = torch.randn(3, 32, 8, 12)
    found = volume(features, K[0], poses[0], depths[0])
    warp = warp_of(at_scale(K[0].numpy(), 4), poses[0].numpy())
    for i, depth in enumerate(depths[0]):
        others = warped(features[1:], warp, float(depth), (8, 12))
        assert torch.allclose(found[:, i], variance(features[0], others), atol=1e-6)


def test_varied_photos_show_the_same_place_where_the_cameras_say(made: Lessons) -> None:
    """Mirrored or not: the truth of the reference, moved into the sources, meets their truth."""
    image = np.arange(32 * 48 * 3, dtype=np.uint8).reshape(32, 48, 3)
    truth, K, poses = made.truth[0, 0], made.K[0], made.poses[0]
    for mirrored in (False, True):
        taking = Taking(mirrored, negative=False, channels=np.arange(3))
        seen = [taking.scene(made.truth[0, i], K, poses, SIZE[1])[0] for i in range(2)]
        _, matrices, moved = taking.scene(truth, K, poses, SIZE[1])
        x, y, depth = carried(seen[0], at_scale(matrices, 4), moved)
        inside = (x > -0.5) & (x < 11.5) & (y > -0.5) & (y < 7.5)
        there = seen[1][y[inside].round().astype(int), x[inside].round().astype(int)]
        assert inside.mean() > 0.3
        assert np.median(np.abs(depth[inside] / there - 1)) < 0.03
        assert taking.photo(image, np.random.default_rng(0)).shape == image.shape


def carried(truth: Any, K: Any, poses: Any) -> tuple[Any, Any, Any]:
    """Column, row and depth in the second view of each pixel of the first."""
    warp = warp_of(K[:2], poses[:2])
    y, x = np.mgrid[: truth.shape[0], : truth.shape[1]]
    rays = np.stack([x, y, np.ones_like(x)]).reshape(3, -1).astype(float)
    moved = warp.turn[0] @ rays * truth.ravel() + warp.shift[0][:, None]
    return moved[0] / moved[2], moved[1] / moved[2], (moved[2])


def test_varied_batches_are_the_same_for_a_seed_and_meet_the_truth(made: Lessons) -> None:
    batches = Batches(made, 1, 0, (6, 9), varied=True)
    counts = set()
    for seed in range(12):
        one, again = (batches.read([seed % 5], np.random.default_rng(seed)) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
        images, K, poses, depths, truth = one
        counts.add((images.shape[1], depths.shape[1]))
        assert K.shape[1] == poses.shape[1] == images.shape[1] and (truth > 0).any()
        assert (depths.diff() > 0).all()
        assert depths.min() <= truth[truth > 0].median() <= depths.max()
        assert torch.allclose(poses[0, :, :3, :3].det(), torch.ones(len(poses[0])).double())
    assert counts == {(3, 6), (3, 9), (4, 6), (4, 9)}


@pytest.mark.parametrize(
    ("name", "learned", "still"),
    [("rmvsnet", "features", "gru1"), ("rmvsnet", "planes", "feature_extractor"),
     ("rmvsnet", "all", None), ("mvsnet", "planes", "feature_extractor"), ("mvsnet", "all", None)],
)  # fmt: skip
def test_a_stage_trains_its_part_and_goes_on(
    name: str, learned: Any, still: str | None, made: Lessons, folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = begun(name)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    stage = Stage("one", learned, 2, 1e-3, SIZE, *COUNTS, planes=(5,), varied=learned == "all")
    (tmp_path / f"scenes_{SIZE[0]}x{SIZE[1]}").symlink_to(folder)
    report = run_stage(stage, network, tmp_path)
    changed = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert changed and not any(still and name.startswith(still) for name in changed)
    again = begun(name)
    assert run_stage(stage, again, tmp_path).steps == report.steps == 2
    for name, value in again.state_dict().items():
        assert torch.equal(value, network.state_dict()[name])


def test_mvsnet_begins_with_the_features_of_rmvsnet() -> None:
    ours, its = (network.feature_extractor.state_dict() for network in (
        begun("mvsnet"), build("rmvsnet", read_weights("rmvsnet", "own"))))  # fmt: skip
    assert ours.keys() == its.keys()
    assert all(torch.equal(ours[name], its[name]) for name in ours)


def test_the_loss_of_the_volume_is_the_gap_of_its_expected_depth_in_planes(made: Lessons) -> None:
    images, K, poses, depths, truth = Batches(made, 1, 0, (8,)).read([1], np.random.default_rng(3))
    network = MVSNet().eval()
    with torch.no_grad():
        features = network.feature_extractor(images[0])
        warp = warp_of(at_scale(K[0].numpy(), 4), poses[0].numpy())
        found, _ = network.depth(images[0, :1], features, warp, depths[0].numpy())
        loss = Expects(network, "all").losses((images, K, poses, depths, truth))
    known = truth[0] > 0
    low, high = depths[0].min(), depths[0].max()
    known &= (truth[0] > low) & (truth[0] < high)
    planes_, gaps = depths[0].numpy(), []
    for true, ours in zip(truth[0][known].tolist(), found[known].tolist(), strict=True):
        between = [
            i for i in range(7) if min(planes_[i : i + 2]) <= true <= max(planes_[i : i + 2])
        ]
        gaps.append(abs(ours - true) / abs(planes_[between[0] + 1] - planes_[between[0]]))
    assert loss["loss"].item() == pytest.approx(np.mean(gaps), rel=0.02)  # features in bf16
    assert loss["near"].item() == pytest.approx(np.mean(np.array(gaps) <= 1), abs=0.05)


@pytest.mark.parametrize("name", OWN)
def test_the_weights_of_the_package_know_a_room_that_they_never_met(name: str) -> None:
    assert OWN[name].stat().st_size <= 4_000_000
    model, scene = stereo(name, {"weights": "own"}), room(APART + 700, (128, 160))
    ends = scene.ranges[0]
    depth = model.match(
        [model.prepare(view.read()) for view in scene.views],
        np.stack([view.K for view in scene.views]),
        np.stack([view.cam_T_world for view in scene.views]),
        planes(ends.near, ends.far, 32),
    )
    truth = scene.views[0].true_depth()
    assert truth is not None
    small = truth_at(truth, depth.values.shape)
    known = small > 0
    assert (np.abs(depth.values - small)[known] < 0.1 * small[known]).mean() > 0.6


def test_the_own_weights_serve_where_the_official_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRISCOPE_WEIGHTS", str(tmp_path))
    assert "gru1.gate_conv.weight" in read_weights("rmvsnet", "")
    with pytest.raises(WeightsMissing, match=r"RMVSNet-pretrained\.pth .* is not in"):
        read_weights("rmvsnet", "official")
    (tmp_path / "RMVSNet-pretrained.pth").write_bytes(b"not the authors'")
    with pytest.raises(WeightsMismatch):
        read_weights("rmvsnet", "")
    assert read_weights("rmvsnet", "own").keys() == RMVSNet().state_dict().keys()
    assert read_weights("mvsnet", "").keys() == MVSNet().state_dict().keys()
