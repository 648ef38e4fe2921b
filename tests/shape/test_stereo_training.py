"""Training of the stereo networks: what an example is, what the losses are, what is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from triscope.errors import BadSettings, DataError, EmptyData
from triscope.kernel.results import Depth
from triscope.shape import fusion
from triscope.shape.evaluation import truth_at
from triscope.shape.formats import mvsnet
from triscope.shape.formats.pfm import write_pfm
from triscope.shape.formats.training import read_blended, read_dtu, training_scenes
from triscope.shape.scene import Scene
from triscope.shape.stereo import at_scale
from triscope.shape.synth import clutter, heap
from triscope.shape.training import (
    Examples,
    Learner,
    classified,
    fitted,
    planes_of,
    regressed,
    train_stereo,
)
from triscope.shape.training_settings import Settings

TINY = Settings(steps=3, planes=8, longest=64, warm_up=1, checkpoint_every=1)


@pytest.fixture(scope="module")
def room() -> Scene:
    return clutter(3, 3, (48, 64))


@pytest.mark.parametrize("make", [clutter, heap])
def test_a_scene_is_the_same_for_a_seed_and_its_views_agree(make: Callable[..., Scene]) -> None:
    scene, again = make(3, 3, (48, 64)), make(3, 3, (48, 64))
    for one, two in zip(scene.views, again.views, strict=True):
        assert np.array_equal(one.read(), two.read())
        assert np.array_equal(one.true_depth(), two.true_depth())  # type: ignore[arg-type]
    assert not np.array_equal(make(4, 2, (48, 64)).views[0].read(), scene.views[0].read())
    seen = [
        fusion.Seen(Depth(view.depth, np.ones(view.size, np.float32), view.K), view.cam_T_world)
        for view in scene.views
    ]  # type: ignore[arg-type]
    found = fusion.agreement(seen[0], {1: seen[1], 2: seen[2]})
    known = scene.views[0].true_depth() > 0  # type: ignore[operator]
    assert known.mean() > 0.03 and (found.views[known] >= 2).mean() > 0.5


def test_an_example_is_drawn_by_its_seed(room: Scene) -> None:
    examples = Examples([room], TINY)
    assert len(examples(0)) == 3
    one, two, other = examples(0)[0], Examples([room], TINY)(0)[0], examples(1)[0]
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[3], other[3])
    images, K, poses, depths, truth = one
    assert images.shape == (3, 3, 48, 64) and truth.shape == (12, 16) and depths.shape == (8,)
    assert K.shape == (3, 3, 3) and poses.shape == (3, 4, 4)
    assert images.mean().abs() < 1e-4
    known = truth[truth > 0]
    assert min(depths) <= known.median() <= max(depths)


def test_the_truth_lies_in_the_middles_of_the_small_pixels() -> None:
    truth = np.arange(48 * 64, dtype=np.float32).reshape(48, 64)
    assert truth_at(truth, (12, 16))[1, 2] == truth[6, 10]
    assert truth_at(truth[::2, ::2], (12, 16))[1, 2] == truth[6, 10]
    assert np.array_equal(truth_at(truth, truth.shape), truth)
    image = np.zeros((50, 100, 3), np.uint8)
    small, K = fitted(image, np.array([[80.0, 0, 49.5], [0, 80, 24.5], [0, 0, 1]]), 64)
    assert small.shape == (32, 64, 3) and np.allclose(K[:2, 2], [31.5, 15.5])


def test_the_losses_by_hand() -> None:
    depths = torch.tensor([1.0, 1 / 0.75, 2.0, 4.0], dtype=torch.float64)  # even in 1/depth
    truth = torch.tensor([[1 / 0.75, 2.0], [0.0, 9.0]])
    index, valid = planes_of(truth, depths)
    assert torch.allclose(index[0], torch.tensor([1.0, 2.0]), atol=1e-5)
    assert valid.tolist() == [[True, True], [False, False]]
    scores = torch.randn(4, 2, 2, generator=torch.Generator().manual_seed(0))
    loss, near = classified(scores, index, valid)
    logs = F.log_softmax(scores, 0)
    assert loss.item() == pytest.approx(-(logs[1, 0, 0] + logs[2, 0, 1]).item() / 2, rel=1e-5)
    hits = [abs(int(scores[:, 0, i].argmax()) - n) <= 1 for i, n in ((0, 1), (1, 2))]
    assert near.item() == pytest.approx(sum(hits) / 2)
    depth = truth + torch.tensor([[1 / 3, -3.0], [5, 5]])
    loss, near = regressed(depth, truth, depths, index, valid)
    first = (1 / 3) / (2 - 1 / 0.75)
    assert loss.item() == pytest.approx((first + 3.0 / 2.0) / 2, rel=1e-4)
    assert near.item() == pytest.approx(0.5)
    turned, _ = planes_of(truth, depths.flip(0))
    assert torch.allclose(turned[0], torch.tensor([2.0, 1.0]), atol=1e-5)


@pytest.mark.parametrize(("name", "rate"), [("mvsnet", 3e-3), ("rmvsnet_paper", 1e-2)])
def test_a_network_learns_one_example(room: Scene, name: str, rate: float) -> None:
    torch.manual_seed(0)
    learner, batch = Learner(name), Examples([room], TINY)(0)[0]
    optimizer = torch.optim.Adam(learner.network().parameters(), rate)
    seen = []
    for _ in range(20):
        loss = learner.losses(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        seen.append(loss.item())
    assert min(seen[-3:]) < 0.85 * seen[0]


def test_a_training_that_was_stopped_ends_the_same(room: Scene, tmp_path: Path) -> None:
    whole, _ = train_stereo("mvsnet", [room], TINY, tmp_path / "a")

    def stop(step: int, steps: int, losses: Any) -> None:
        if step == 2:
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        train_stereo("mvsnet", [room], TINY, tmp_path / "b", stop)
    again, report = train_stereo("mvsnet", [room], TINY, tmp_path / "b")
    assert report.resumed_at == 2 and report.steps == 3
    for one, two in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


def test_what_cannot_be_trained_is_said(room: Scene) -> None:
    with pytest.raises(BadSettings, match="'patchmatchnet' is not trained here: choose rmvsnet"):
        Learner("patchmatchnet")
    with pytest.raises(EmptyData, match="no view has both a true depth and sources"):
        Examples([room.with_(sources={})])
    with pytest.raises(BadSettings, match="planes=2: expected 4 or more"):
        Settings(planes=2)


# ---- layouts


def write_blended(folder: Path, room: Scene) -> None:
    for part in ("blended_images", "cams", "rendered_depth_maps"):
        (folder / part).mkdir(parents=True)
    for i, view in enumerate(room.views):
        cv2.imwrite(str(folder / "blended_images" / f"{i:08d}.jpg"), view.read()[..., ::-1])
        K = view.K + np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        camera = mvsnet.Camera(view.cam_T_world, K, 1.0, 0.1, 64, 9.0)
        mvsnet.write_cam(folder / "cams" / f"{i:08d}_cam.txt", camera)
        write_pfm(folder / "rendered_depth_maps" / f"{i:08d}.pfm", view.depth)  # type: ignore[arg-type]
    mvsnet.write_pairs(folder / "cams" / "pair.txt", room.sources)


def test_blended_scans_are_found_below_a_folder(room: Scene, tmp_path: Path) -> None:
    write_blended(tmp_path / "all" / "5a3ca9cb", room)
    scenes = training_scenes(tmp_path / "all")
    assert len(scenes) == 1 and scenes[0].layout == "blended" and scenes[0].unit == ""
    assert scenes[0].sources == room.sources and scenes[0].ranges[0].far == 9.0
    for one, two in zip(scenes[0].views, room.views, strict=True):
        assert np.allclose(one.K, two.K) and np.array_equal(one.true_depth(), two.depth)  # type: ignore[arg-type]
    assert len(Examples(scenes, TINY).examples) == 3
    (tmp_path / "all" / "5a3ca9cb" / "blended_images" / "00000001.jpg").unlink()
    with pytest.raises(DataError, match=r"no image 00000001\.jpg"):
        read_blended(tmp_path / "all" / "5a3ca9cb")


def write_dtu(folder: Path, room: Scene) -> None:
    """Photos of 640 x 512 that count from 1, K and depth of 160 x 128."""
    for part in ("Rectified/scan7_train", "Cameras/train", "Depths/scan7_train"):
        (folder / part).mkdir(parents=True)
    for i, view in enumerate(room.views):
        large = cv2.resize(view.read(), (640, 512))
        cv2.imwrite(str(folder / f"Rectified/scan7_train/rect_{i + 1:03d}_3_r5000.png"), large)
        K = np.array([[160.0, 0, 80], [0, 160, 64], [0, 0, 1]])
        camera = mvsnet.Camera(view.cam_T_world, K, 425.0, 2.5)
        mvsnet.write_cam(folder / f"Cameras/train/{i:08d}_cam.txt", camera)
        depth = cv2.resize(view.true_depth(), (160, 128), interpolation=cv2.INTER_NEAREST)
        write_pfm(folder / f"Depths/scan7_train/depth_map_{i:04d}.pfm", np.asarray(depth))
    mvsnet.write_pairs(folder / "Cameras" / "pair.txt", {**room.sources, 40: ((41, 1.0),)})


def test_the_training_layout_of_dtu_is_read(room: Scene, tmp_path: Path) -> None:
    write_dtu(tmp_path, room)
    scene = training_scenes(tmp_path)[0]
    assert scene.unit == "mm" and len(scene.views) == 3 and set(scene.sources) == {0, 1, 2}
    view = scene.views[1]
    assert view.size == (512, 640) and np.allclose(view.K[:2, 2], [319.5, 255.5])
    assert np.allclose(at_scale(view.K[None], 4)[0][:2, 2], [79.5, 63.5])
    images, *_, truth = Examples([scene], Settings(longest=640))(0)[0]
    assert images.shape[-2:] == (512, 640) and truth.shape == (128, 160)
    with pytest.raises(DataError, match=r"no photo rect_NNN_5_r5000\.png"):
        read_dtu(tmp_path, "scan7", light=5)


def test_folders_without_depth_are_said_so(tmp_path: Path) -> None:
    with pytest.raises(EmptyData, match=r"no scene with true depth: looked for Rectified/"):
        training_scenes(tmp_path)
    with pytest.raises(DataError, match="is not a folder: training reads"):
        training_scenes(tmp_path / "none")
