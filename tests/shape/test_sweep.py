"""The sweep: its forms against the slow reference, and what does not change its answer."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stereo_toys import maps, moved, rig, same_answers, toy_warp

from triscope.errors import BadSettings, DataError
from triscope.shape.models.rmvsnet import RMVSNet
from triscope.shape.sweep import sweep
from triscope.shape.sweep.answer import depth_between
from triscope.shape.sweep.build import library
from triscope.shape.sweep.native import has_bf16
from triscope.shape.warp import Warp, planes, warp_of

DEPTHS = planes(2.0, 9.0, 7)


@cache
def network(form: str = "released") -> RMVSNet:
    torch.manual_seed(1)
    made = RMVSNet(form=form)  # type: ignore[arg-type]
    weights = {k: v for k, v in made.state_dict().items() if not k.startswith("feature")}
    made.load_state_dict(moved(weights, 2), strict=False)
    return made.eval()


needs_compiler = pytest.mark.skipif(library() is None, reason="no C++ compiler here")


@needs_compiler
@pytest.mark.parametrize("size", [(9, 13), (4, 40), (1, 1), (17, 24), (2, 3)])
@pytest.mark.parametrize("views", [2, 4])
def test_native_answers_as_the_reference(size: tuple[int, int], views: int) -> None:
    features, warp = maps(views, size), toy_warp(views, size)
    slow = sweep(features, warp, DEPTHS, network(), form="numpy")
    same_answers(sweep(features, warp, DEPTHS, network(), form="native"), slow)


@pytest.mark.parametrize("form", ["released", "paper"])
def test_torch_answers_as_the_reference(form: str) -> None:
    features, warp = maps(3, (11, 14)), toy_warp(3, (11, 14))
    slow = sweep(features, warp, DEPTHS, network(form), form="numpy")
    same_answers(sweep(torch.from_numpy(features), warp, DEPTHS, network(form), form="torch"), slow)


@needs_compiler
def test_threads_do_not_change_a_bit() -> None:
    features, warp = maps(3, (13, 20)), toy_warp(3, (13, 20))
    one = sweep(features, warp, DEPTHS, network(), form="native", threads=1)
    for threads in (2, 3, 40):
        other = sweep(features, warp, DEPTHS, network(), form="native", threads=threads)
        assert np.array_equal(one.index, other.index)
        assert np.array_equal(one.around, other.around)


@needs_compiler
def test_points_behind_a_source_count_as_outside() -> None:
    """A source that looks the other way sees nothing, whatever the plane."""
    size = (6, 8)
    K, poses = rig(2, size, 8.0)
    poses[1] = np.diag([-1.0, 1, -1, 1]) @ poses[1]
    features, warp = maps(2, size), warp_of(K, poses)
    slow = sweep(features, warp, DEPTHS, network(), form="numpy")
    same_answers(sweep(features, warp, DEPTHS, network(), form="native"), slow)
    same_answers(sweep(features, warp, DEPTHS, network(), form="torch"), slow)
    features[1] = 7.0
    again = sweep(features, warp, DEPTHS, network(), form="native")
    assert np.array_equal(again.around, sweep(maps(2, size), warp, DEPTHS, network()).around)


@pytest.mark.skipif(not has_bf16(), reason="this processor has no AVX-512 BF16")
def test_bf16_is_near() -> None:
    features, warp = maps(3, (24, 32)), toy_warp(3, (24, 32))
    full = sweep(features, warp, DEPTHS, network(), form="native")
    half = sweep(features, warp, DEPTHS, network(), form="native", precision="bf16")
    assert (full.index == half.index).mean() > 0.8
    assert np.abs(full.probability - half.probability).mean() < 0.02


def test_the_input_stays_and_the_order_of_sources_does_not_matter() -> None:
    features, warp = maps(4, (9, 12)), toy_warp(4, (9, 12))
    before = features.copy()
    one = sweep(features, warp, DEPTHS, network())
    assert np.array_equal(features, before)
    order = [2, 0, 1]
    turned = Warp(warp.turn[order], warp.shift[order])
    same_answers(sweep(features[[0, 3, 1, 2]], turned, DEPTHS, network()), one)


def test_scores_for_training_are_those_of_the_sweep() -> None:
    features, warp = maps(3, (8, 10)), toy_warp(3, (8, 10))
    scores = network().scores(torch.from_numpy(features), warp, DEPTHS).detach().numpy()
    swept = sweep(features, warp, DEPTHS, network())
    assert np.array_equal(scores.argmax(0), swept.index)
    assert np.allclose(scores.max(0), swept.around[1], atol=1e-4)


def test_a_parabola_and_the_planes_give_the_depth_between() -> None:
    size = (5, 6)
    swept = sweep(maps(2, size), toy_warp(2, size), DEPTHS, network())
    offset = swept.offset()
    assert np.abs(offset).max() <= 0.5
    ends = (swept.index == 0) | (swept.index == len(DEPTHS) - 1)
    assert not offset[ends].any()
    index = np.array([[0, 3]], np.int32)
    half = np.array([[0.5, -0.25]], np.float32)
    inverse = depth_between(DEPTHS, index, half)
    expected = (
        1 / (0.5 * (1 / DEPTHS[0] + 1 / DEPTHS[1])),
        1 / (0.75 / DEPTHS[3] + 0.25 / DEPTHS[2]),
    )
    assert np.allclose(inverse, [expected], rtol=1e-6)
    uniform = depth_between(np.linspace(1.0, 4, 7), index, half)
    assert np.allclose(uniform, [[1.25, 2.375]])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"form": "torch", "precision": "bf16"}, "precision='bf16': only the native form has it"),
        ({"form": "native", "threads": 0}, "threads=0: expected 1 or more"),
    ],
)
def test_settings_that_cannot_be_meant(change: dict[str, Any], text: str) -> None:
    if change["form"] == "native" and library() is None:
        pytest.skip("no C++ compiler here")
    with pytest.raises(BadSettings, match=text):
        sweep(maps(2, (4, 4)), toy_warp(2, (4, 4)), DEPTHS, network(), **change)


def test_the_paper_form_is_not_compiled() -> None:
    if library() is None:
        pytest.skip("no C++ compiler here")
    with pytest.raises(BadSettings, match="only the released network"):
        sweep(maps(2, (4, 4)), toy_warp(2, (4, 4)), DEPTHS, network("paper"), form="native")


@pytest.mark.parametrize(
    ("depths", "text"),
    [
        ([1.0], "needs 2 finite depths or more"),
        ([1.0, np.nan], "needs 2 finite depths or more"),
        ([1.0, 3.0, 2.0], "must be positive and rise"),
        ([-1.0, 1.0], "must be positive and rise"),
    ],
)
def test_depths_that_cannot_be_meant(depths: list[float], text: str) -> None:
    with pytest.raises(DataError, match=text):
        sweep(maps(2, (4, 4)), toy_warp(2, (4, 4)), depths, network())


def test_features_and_cameras_must_agree() -> None:
    with pytest.raises(DataError, match=r"features \(n, c, h, w\) of the 3 views"):
        sweep(maps(2, (4, 4)), toy_warp(3, (4, 4)), DEPTHS, network())


def test_without_a_compiler_torch_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    features, warp = maps(2, (5, 7)), toy_warp(2, (5, 7))
    expected = sweep(features, warp, DEPTHS, network())
    monkeypatch.setenv("TRISCOPE_CXX", "none")
    monkeypatch.setenv("TRISCOPE_CACHE", str(tmp_path))
    library.cache_clear()
    try:
        assert library() is None
        same_answers(sweep(features, warp, DEPTHS, network()), expected)
        with pytest.raises(BadSettings, match="no C\\+\\+ compiler"):
            sweep(features, warp, DEPTHS, network(), form="native")
    finally:
        library.cache_clear()
