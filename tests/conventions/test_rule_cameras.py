"""K belongs to an image size; poses are target_T_source; depth is z in the unit of the poses."""

import cv2
import numpy as np
import pytest

from triscope.kernel.geometry import cameras

K = cameras.intrinsics(80, 80, 50.2, 29.7)
HW = (64, 96)


def photograph(point, K, hw):
    """A soft spot where the point is seen."""
    (x, y), _ = cameras.project(K, np.eye(4), point)
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18.0)


def centre_of_light(image):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum()


@pytest.mark.parametrize("to_hw", [(32, 48), (128, 192), (48, 64)])
def test_a_resized_k_sees_the_point_where_the_resized_image_shows_it(to_hw):
    point = np.array([0.3, -0.2, 4.0])
    image = photograph(point, K, HW)
    small = cv2.resize(image, to_hw[::-1], interpolation=cv2.INTER_AREA)
    expected, _ = cameras.project(cameras.resize_K(K, HW, to_hw), np.eye(4), point)
    np.testing.assert_allclose(centre_of_light(small), expected, atol=0.05)
    back = cameras.resize_K(cameras.resize_K(K, HW, to_hw), to_hw, HW)
    np.testing.assert_allclose(back, K, atol=1e-12)


def test_a_cropped_k_sees_the_point_in_the_crop():
    point = np.array([0.3, 0.2, 4.0])
    crop = photograph(point, K, HW)[10:50, 20:90]
    expected, _ = cameras.project(cameras.crop_K(K, 10, 20), np.eye(4), point)
    np.testing.assert_allclose(centre_of_light(crop), expected, atol=0.05)


def test_the_principal_point_of_the_middle_stays_in_the_middle():
    h, w = HW
    middle = cameras.intrinsics(70, 70, (w - 1) / 2, (h - 1) / 2)
    resized = cameras.resize_K(middle, HW, (2 * h, 3 * w))
    np.testing.assert_allclose(resized[:2, 2], [(3 * w - 1) / 2, (2 * h - 1) / 2])


def test_poses_chain_by_their_names():
    turn, _ = cv2.Rodrigues(np.array([0.1, -0.3, 0.2]))
    cam_T_world = cameras.pose(turn, [1, 2, 3])
    world_T_part = cameras.pose(np.eye(3), [0, 0, 5])
    in_world = cameras.transform(world_T_part, [[0.1, 0.2, 0.3]])
    np.testing.assert_allclose(in_world, [[0.1, 0.2, 5.3]])
    cam_T_part = cam_T_world @ world_T_part
    np.testing.assert_allclose(
        cameras.transform(cam_T_part, [[0.1, 0.2, 0.3]]), cameras.transform(cam_T_world, in_world)
    )


def test_depth_is_along_the_axis_not_along_the_ray():
    corner = cameras.unproject(K, np.eye(4), [0, 0], 2.0)
    assert corner[2] == 2
    assert np.linalg.norm(corner) > 2


def test_unknown_depth_is_zero_and_gives_no_point():
    depth = np.zeros(HW)
    depth[3, 4] = 1.5
    (point,) = cameras.cloud(K, np.eye(4), depth)
    np.testing.assert_allclose(cameras.project(K, np.eye(4), point)[0], [4, 3], atol=1e-9)
