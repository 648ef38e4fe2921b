"""Cameras against OpenCV, and there and back."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triscope.kernel.geometry import cameras

K = cameras.intrinsics(500, 480, 310.5, 239.2)


def a_pose(seed=0):
    rng = np.random.default_rng(seed)
    rotation, _ = cv2.Rodrigues(rng.normal(size=3) * 0.3)
    return cameras.pose(rotation, rng.normal(size=3))


def test_projection_is_opencvs():
    points = np.random.default_rng(1).normal((0, 0, 6), 1, (9, 3))
    T = a_pose()
    ours, depth = cameras.project(K, T, points)
    theirs, _ = cv2.projectPoints(points, cv2.Rodrigues(T[:3, :3])[0], T[:3, 3], K, None)
    np.testing.assert_allclose(ours, theirs[:, 0], atol=1e-9)
    np.testing.assert_allclose(depth, cameras.transform(T, points)[:, 2])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_unproject_gives_the_points_back(seed):
    points = np.random.default_rng(seed).normal((0, 0, 9), 1, (5, 3))
    T = a_pose(seed)
    pixels, depth = cameras.project(K, T, points)
    np.testing.assert_allclose(cameras.unproject(K, T, pixels, depth), points, atol=1e-9)


def test_a_point_behind_the_camera_has_no_pixel():
    pixels, depth = cameras.project(K, np.eye(4), [[0, 0, -2.0], [0, 0, 2.0]])
    assert np.isnan(pixels[0]).all()
    np.testing.assert_allclose(pixels[1], [310.5, 239.2])
    np.testing.assert_allclose(depth, [-2, 2])


def test_the_inverse_of_a_pose_and_the_place_of_the_camera():
    T = a_pose(4)
    np.testing.assert_allclose(cameras.invert(T) @ T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(cameras.transform(T, cameras.centre(T)), 0, atol=1e-12)
    assert cameras.is_rotation(T[:3, :3])
    assert not cameras.is_rotation(np.diag([1, 1, -1]))
    assert not cameras.is_rotation(2 * np.eye(3))


def test_the_cloud_of_a_flat_wall():
    depth = np.full((4, 6), 3.0)
    depth[0, 0] = 0
    points = cameras.cloud(cameras.intrinsics(10, 10, 2.5, 1.5), np.eye(4), depth)
    assert points.shape == (23, 3)
    np.testing.assert_allclose(points[:, 2], 3)
    np.testing.assert_allclose(points[0], [(1 - 2.5) * 0.3, -1.5 * 0.3, 3])


def test_messages():
    with pytest.raises(ValueError, match=r"K and rotations are \(3, 3\), got shape \(2, 2\)"):
        cameras.resize_K(np.eye(2), (1, 1), (1, 1))
    with pytest.raises(ValueError, match=r"poses are \(4, 4\), got shape \(3, 3\)"):
        cameras.invert(np.eye(3))
