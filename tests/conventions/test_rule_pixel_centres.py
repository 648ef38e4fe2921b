"""Pixel centres lie at integers: the first pixel's centre is (0, 0), its box (0, 0, 1, 1)."""

import cv2
import numpy as np
import pytest

from triscope.kernel.data.transforms import Affine, View, flipped, turned
from triscope.kernel.geometry import boxes, masks, sizes


def centre_of_light(image):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum()


def blob(x, y, hw=(64, 96)):
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 32.0)


def test_the_outline_of_the_first_pixel_is_half_a_pixel_around_the_origin():
    mask = np.zeros((3, 3), bool)
    mask[0, 0] = True
    (ring,) = masks.to_polygons(mask)
    assert sorted(map(tuple, ring.tolist())) == [(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)]


@pytest.mark.parametrize("to_hw", [(32, 48), (128, 192), (50, 60)])
def test_resizing_moves_centres_and_edges_as_the_rule_says(to_hw):
    image = blob(30.0, 20.0)
    fit = sizes.stretch(image.shape, to_hw)
    small = cv2.resize(image, to_hw[::-1], interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(centre_of_light(small), fit.points([30, 20]), atol=0.05)
    edges = boxes.scale([[10, 8, 40, 32]], image.shape, to_hw)
    np.testing.assert_allclose(fit.boxes([[10, 8, 40, 32]]), edges)
    corner = fit.points([9.5, 7.5]) + 0.5  # the edge between pixels 9 and 10 is at centre 9.5
    np.testing.assert_allclose(corner, edges[0, :2])


def test_mirrors_and_turns_map_the_first_pixel_on_the_last():
    view = View(np.zeros((6, 9), np.uint8), points=[[0, 0]])
    assert flipped(view, 1).points.tolist() == [[8, 0]]
    assert flipped(view, 0).points.tolist() == [[0, 5]]
    assert turned(view, 2).points.tolist() == [[8, 5]]


def test_a_rotation_is_about_the_middle_of_the_image():
    image = (255 * blob(60.0, 24.0)).astype(np.uint8)
    view = View(image, points=[[60.0, 24.0], [47.5, 31.5]])
    out = Affine(degrees=(33, 33), border="edge")(view, np.random.default_rng(0))
    np.testing.assert_allclose(out.points[1], [47.5, 31.5], atol=1e-9)
    np.testing.assert_allclose(out.points[0], centre_of_light(out.image.astype(float)), atol=0.1)
