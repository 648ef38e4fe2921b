"""Optical flow: known motions, the cache with its stated error, colours."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from moving import frames_of, write

from outside import real_data
from triscope.errors import BadSettings, UnreadableImage, WeightsMismatch, WeightsMissing
from triscope.motion import flow as of


def shifted(dx: int, dy: int, side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    big = cv2.GaussianBlur(
        rng.integers(0, 255, (side + 40, side + 40), dtype=np.uint8), (0, 0), 2.5
    )
    big = cv2.normalize(big, None, 0, 255, cv2.NORM_MINMAX)
    return big[20:-20, 20:-20].copy(), big[20 - dy : -20 - dy, 20 - dx : -20 - dx].copy()


@pytest.mark.parametrize("method", ["dis", "tvl1"])
@pytest.mark.parametrize("move", [(3, 0), (-2, 4)])
def test_a_shift_is_found(method: of.Method, move: tuple[int, int]) -> None:
    field = of.flow(*shifted(*move), method)
    inside = field[16:-16, 16:-16]
    assert np.abs(inside - move).mean() < 0.15
    assert field.dtype == np.float32 and field.shape == (96, 96, 2)


@pytest.mark.real
def test_dis_on_the_kitti_pair() -> None:
    folder = real_data("flow_kitti")
    first, second = (cv2.imread(str(folder / f"frame{i}.png"))[..., ::-1] for i in (1, 2))
    raw = cv2.imread(str(folder / "flow_gt.png"), cv2.IMREAD_UNCHANGED)[..., ::-1].astype(
        np.float32
    )
    true, known = (raw[..., :2] - 2**15) / 64, raw[..., 2] > 0
    field = of.flow(np.ascontiguousarray(first), np.ascontiguousarray(second))
    errors = np.linalg.norm(field - true, axis=-1)[known]
    moved = np.linalg.norm(true, axis=-1)[known]
    assert np.median(moved) > 30  # a hard pair: things move by up to 180 px
    assert np.median(errors) < 0.2 * np.median(moved) and (errors < 3).mean() > 0.4


def test_bytes_keep_flow_within_the_stated_error() -> None:
    rng = np.random.default_rng(0)
    field = rng.uniform(-25, 25, (20, 30, 2)).astype(np.float32)
    back = of.restored(of.quantised(field))
    assert np.abs(back - np.clip(field, -20, 20)).max() <= of.resolution() + 1e-5
    assert of.resolution() == pytest.approx(0.0784, abs=1e-4)


def test_the_cache_computes_once_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "clip.mp4", frames_of("right", count=6))
    cache = of.FlowCache(tmp_path / "cache", short=48, workers=2)
    calls: list[int] = []
    real = of.flow
    monkeypatch.setattr(of, "flow", lambda *a: calls.append(1) or real(*a))
    assert cache.of(path) == 5 and len(calls) == 5
    fields = cache.read(path, range(5))
    assert fields.shape == (5, 48, 48, 2) and fields[2].reshape(-1, 2)[:, 0].max() > 1
    next((tmp_path / "cache").rglob("000003.jpg")).unlink()
    assert cache.of(path) == 5 and len(calls) == 6
    assert not list((tmp_path / "cache").rglob("*.part"))
    size = sum(f.stat().st_size for f in (tmp_path / "cache").rglob("*.jpg"))
    assert (
        size * 3 < fields.nbytes
    )  # noise at this size; smooth flow of a camera takes 50 times less
    exact = of.flow(*(of.grey(f) for f in frames_of_video(path)[2:4]))
    assert np.abs(fields[2] - np.clip(exact, -20, 20)).mean() < 0.3
    with pytest.raises(UnreadableImage, match="was not computed yet"):
        cache.read(path, [17])


def frames_of_video(path: Path) -> np.ndarray:
    from triscope.kernel.data.video import Video

    with Video(path) as video:
        return video.read(range(len(video)), 48)


def test_colours_tell_the_direction() -> None:
    field = np.zeros((4, 4, 2), np.float32)
    assert (of.picture(field, 1.0) == 255).all()
    right, left = field.copy(), field.copy()
    right[..., 0], left[..., 0] = 1, -1
    assert of.picture(right, 1.0)[0, 0].tolist() == [255, 0, 0]
    assert np.abs(of.picture(left, 1.0)[0, 0].astype(int) - (0, 255, 255)).max() < 10
    legend = of.wheel(64)
    assert legend.shape == (64, 64, 3) and (legend[0, 0] == 255).all()


def test_raft_is_torchvisions_network_with_the_weights_of_a_file(tmp_path: Path) -> None:
    from torchvision.models.optical_flow import raft_small

    torch.manual_seed(0)
    net = raft_small(weights=None).eval()
    torch.save(net.state_dict(), tmp_path / "raft.pth")
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 255, (2, 132, 144, 3), dtype=np.uint8)
    field = of.flow(first, second, "raft", tmp_path / "raft.pth")
    assert field.shape == (132, 144, 2) and field.dtype == np.float32
    pair = [torch.from_numpy(p.transpose(2, 0, 1)[None]).float() / 127.5 - 1
            for p in (first, second)]  # fmt: skip
    padded = [torch.nn.functional.pad(p, (0, 0, 0, 4), "replicate") for p in pair]
    with torch.no_grad():
        theirs = net(*padded)[-1][0, :, :132].permute(1, 2, 0).numpy()
    assert np.abs(field - theirs).max() <= 1e-5 * np.abs(theirs).max()
    small = of.flow(first[:40, :50, 0].copy(), second[:40, :50, 0].copy(), "raft",
                    tmp_path / "raft.pth")  # fmt: skip
    assert small.shape == (40, 50, 2) and np.isfinite(small).all()
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsMismatch, match=r"other.pth does not hold torchvision's raft_small"):
        of.flow(first, second, "raft", tmp_path / "other.pth")


def test_wrong_use_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRISCOPE_WEIGHTS", str(tmp_path))
    one = np.zeros((8, 8), np.uint8)
    with pytest.raises(BadSettings, match="expected dis, tvl1, raft"):
        of.flow(one, one, "farneback")  # type: ignore[arg-type]
    with pytest.raises(BadSettings, match="pictures of one size"):
        of.flow(one, one[:4])
    colour = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(WeightsMissing, match=r"raft_small_C_T_V2-01064c6d\.pth .* is not in"):
        of.flow(colour, colour, "raft")
