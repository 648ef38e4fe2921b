"""The measures of depth maps and clouds against slow computations of the same words."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest

from outside import parity, real_data
from triscope.errors import DataError, EmptyData
from triscope.shape.distance import Distance
from triscope.shape.evaluation import (
    cloud_errors,
    depth_errors,
    f_score,
    nearest,
    point_to_mesh,
    thinned,
)
from triscope.shape.surface import Mesh

RNG = np.random.default_rng(0)
ONE, TWO = RNG.random((40, 3)), RNG.random((55, 3))


def slow(a: Any, b: Any) -> Any:
    return np.array([min(np.linalg.norm(p - q) for q in b) for p in a])


def test_depth_errors_by_hand() -> None:
    depth = np.array([[1.0, 2.02, 0], [4.3, 5, 6]])
    truth = np.array([[1.005, 2, 3], [4, 0, 6]])
    found = depth_errors(depth, truth)
    assert found.pixels == 4 and found.known == pytest.approx(4 / 5)
    assert found.mean_abs == pytest.approx((0.005 + 0.02 + 0.3 + 0) / 4)
    assert found.within_1 == pytest.approx(0.5) and found.within_2 == pytest.approx(0.75)
    assert found.within_5 == pytest.approx(0.75)
    with pytest.raises(DataError, match="resize the truth"):
        depth_errors(depth, truth[:1])
    with pytest.raises(EmptyData, match="nothing can be compared"):
        depth_errors(depth * 0, truth)


def test_clouds_by_all_pairs() -> None:
    there, back = slow(ONE, TWO), slow(TWO, ONE)
    assert np.allclose(nearest(ONE, TWO), there)
    cut = float(np.quantile(there, 0.8))
    found = cloud_errors(ONE, TWO, cut=cut)
    assert found.accuracy == pytest.approx(there[there < cut].mean())
    assert found.completeness == pytest.approx(back[back < cut].mean())
    assert found.overall == pytest.approx((found.accuracy + found.completeness) / 2)
    mask = np.arange(40) < 10
    masked = cloud_errors(ONE, TWO, observable=mask)
    assert masked.accuracy == pytest.approx(there[:10].mean())
    score = f_score(ONE, TWO, 0.12)
    p, r = (there < 0.12).mean(), (back < 0.12).mean()
    assert (score.precision, score.recall) == (pytest.approx(p), pytest.approx(r))
    assert score.f == pytest.approx(2 * p * r / (p + r))
    assert f_score(ONE, TWO + 9, 0.1).f == 0


def test_points_to_a_plane_by_hand() -> None:
    corners = np.array([[-9.0, -9, 0], [9, -9, 0], [9, 9, 0], [-9, 9, 0]])
    plane = Distance(Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]])))
    points = np.column_stack([ONE[:, :2], ONE[:, 2] - 0.5])
    found = point_to_mesh(points, plane)
    z = points[:, 2]
    assert found["mean"] == pytest.approx(z.mean()) and found["rms"] == pytest.approx(
        np.sqrt((z**2).mean())
    )
    assert found["median_abs"] == pytest.approx(np.median(np.abs(z)))


def test_thinning_keeps_one_point_a_cube() -> None:
    kept = thinned(ONE, 0.5)
    assert len(kept) == len({tuple(row) for row in np.floor(ONE / 0.5).astype(int).tolist()})


@pytest.mark.real
@pytest.mark.parametrize("row", range(3))
def test_the_stored_figures_of_real_views_are_reproduced(row: int) -> None:
    """The true depth of ``hololens_rgbd`` against the planes that the stored answers name."""
    figures = json.loads((parity("shape") / "rmvsnet.json").read_text())[row]
    path = next(parity("shape").glob(f"rmvsnet_{figures['views'][0]}_*.npz"))
    with np.load(path) as stored:
        depth = stored["depths"][stored["depth_index"].astype(int)]
        sure = stored["probability"]
    truth = cv2.imread(str(real_data("hololens_rgbd") / "depth" / f"{figures['views'][0]}.png"), -1)
    truth = cv2.resize(truth.astype(np.float32) / 1000, (136, 88), interpolation=cv2.INTER_NEAREST)
    found = depth_errors(depth, truth)
    assert found.median_rel == pytest.approx(figures["median_rel"], abs=1e-3)
    assert found.within_5 == pytest.approx(figures["within5"], abs=0.01)
    confident = depth_errors(depth, truth, sure > 0.3)
    assert confident.within_5 == pytest.approx(figures["within5_confident"], abs=0.02)
