"""The training of the weights in the package: its scenes, its volume, its stages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from triscope.errors import WeightsMismatch, WeightsMissing
from triscope.shape.lessons import APART, Batches, Lessons, drawn_planes, lessons, room
from triscope.shape.models._warp import variance, warped
from triscope.shape.models.rmvsnet import RMVSNet
from triscope.shape.own_weights import FILE, Pupil, Stage, run_stage
from triscope.shape.stereo import at_scale, read_weights, stereo
from triscope.shape.training import quarter_truth
from triscope.shape.warp import planes, warp_of

SIZE = (32, 48)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lessons:
    folder = tmp_path_factory.mktemp("scenes")
    return lessons(folder, SIZE, 2, 1)


def test_scenes_are_made_once_and_read_again(made: Lessons, tmp_path: Path) -> None:
    assert made.images.shape == (3, 4, *SIZE, 3) and made.truth.shape == (3, 4, 8, 12)
    one = lessons(tmp_path, SIZE, 1, 0)
    assert np.array_equal(one.images[0], made.images[0])
    (tmp_path / "images.npy").write_bytes((tmp_path / "images.npy").read_bytes())
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
    pupil, features = Pupil(RMVSNet(), "all"), torch.randn(3, 32, 8, 12)
    volume = pupil._volume(features, K[0], poses[0], depths[0])
    warp = warp_of(at_scale(K[0].numpy(), 4), poses[0].numpy())
    for i, depth in enumerate(depths[0]):
        others = warped(features[1:], warp, float(depth), (8, 12))
        assert torch.allclose(volume[:, i], variance(features[0], others), atol=2e-3)


@pytest.mark.parametrize(
    ("learned", "still"), [("features", "gru1"), ("planes", "feature_extractor")]
)
def test_a_stage_trains_its_part_and_goes_on(learned: str, still: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = RMVSNet()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    stage = Stage("one", learned, 2, 1e-3, SIZE, 2, 0)  # type: ignore[arg-type]
    report = run_stage(stage, network, tmp_path)
    changed = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert changed and not any(name.startswith(still) for name in changed)
    again = RMVSNet()
    assert run_stage(stage, again, tmp_path).steps == report.steps == 2
    for name, value in again.state_dict().items():
        assert torch.equal(value, network.state_dict()[name])


def test_the_weights_of_the_package_know_a_room_that_they_never_met() -> None:
    assert FILE.stat().st_size <= 4_000_000
    model, scene = stereo("rmvsnet", {"weights": "own"}), room(APART + 700, (128, 160))
    ends = scene.ranges[0]
    depth = model.match(
        [model.prepare(view.read()) for view in scene.views],
        np.stack([view.K for view in scene.views]),
        np.stack([view.cam_T_world for view in scene.views]),
        planes(ends.near, ends.far, 32),
    )
    truth = scene.views[0].true_depth()
    assert truth is not None
    small = quarter_truth(truth, truth.shape)
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
