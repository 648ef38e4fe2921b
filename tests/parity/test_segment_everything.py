"""Everything mode against the stored answers of the published code."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_stored import MARKS, STORED, arrays, difference, load

from triscope.segment import grid
from triscope.segment.everything import Settings, Survivors, everything

pytestmark = MARKS


@cache
def logits_of_the_utilities() -> NDArray[np.float32]:
    noise = torch.from_numpy(
        np.random.default_rng(4).standard_normal((6, 20, 27)).astype(np.float32)
    )
    maps = torch.nn.functional.interpolate(noise[None], (90, 121), mode="bilinear")[0] * 6
    maps[-1] = -5
    return maps.numpy()


def masks_of_the_utilities(name: str) -> NDArray[np.bool_]:
    if name == "logits":
        return logits_of_the_utilities() > 0
    if name == "random":
        shares = np.array([0.5, 0.02, 0.98, 0, 2])[:, None, None]
        return np.random.default_rng(5).random((5, 13, 17)) < shares
    one = np.zeros((3, 13, 17), bool)
    one[0, 0, 0] = one[1, 12, 16] = one[2, 4:9, 6] = True
    return one


def test_grids() -> None:
    stored = arrays("sam_amg_utils")
    for n in (1, 2, 3, 7, 16, 32):
        assert difference(grid.point_grid(n), stored[f"build_point_grid__{n}"]) < 1e-15
    for n, downscale in ((32, 2), (10, 3)):
        for i, points in enumerate(grid.layer_grids(n, 2, downscale)):
            key = f"build_all_layer_point_grids__{n}_2_{downscale}__layer{i}"
            assert difference(points, stored[key]) < 1e-15


def test_crops() -> None:
    for case in load("sam_amg_utils")["results"]["generate_crop_boxes"]:
        crops, layers = grid.crop_boxes(
            tuple(case["im_size_HW"]), case["n_layers"], case["overlap_ratio"]
        )
        assert [list(crop) for crop in crops] == case["crop_boxes"]
        assert layers == case["layer_idxs"]


@pytest.mark.parametrize("threshold,offset", [(0.0, 1.0), (0.0, 0.5), (1.0, 1.0), (-0.5, 2.0)])
def test_stability(threshold: float, offset: float) -> None:
    ours = [grid.stability_score(one, offset, threshold) for one in logits_of_the_utilities()]
    stored = arrays("sam_amg_utils")[f"calculate_stability_score__{threshold}_{offset}"]
    assert np.array_equal(np.array(ours), stored, equal_nan=True)


@pytest.mark.parametrize("name", ["logits", "random", "one"])
def test_boxes_of_masks(name: str) -> None:
    ours = [grid.box_of(mask) for mask in masks_of_the_utilities(name)]
    assert np.array_equal(ours, arrays("sam_amg_utils")[f"batched_mask_to_box__{name}"])


def test_edges_of_crops() -> None:
    stored = arrays("sam_amg_utils")
    boxes = stored["is_box_near_crop_edge__boxes"]
    for key, near in stored.items():
        what, _, rest = key.partition("__")
        if what == "is_box_near_crop_edge" and rest != "boxes":
            crop, _, within = rest.partition("__")
            box = tuple(map(int, crop.split("_")))
            placed = boxes + np.tile(box[:2], 2)  # stored in pixels of the crop
            assert np.array_equal(grid.near_crop_edge(placed, box, (200, 170), float(within)), near)


def small_region_masks() -> dict[Any, NDArray[np.bool_]]:
    stored = arrays("sam_amg_utils")
    masks: dict[Any, NDArray[np.bool_]] = {}
    for i in range(4):
        packed = stored[f"remove_small_regions__input{i}_packed"]
        masks[i] = np.unpackbits(packed)[: 150 * 170].reshape(150, 170).astype(bool)
    ring = np.zeros((20, 30), bool)
    ring[3:12, 4:15] = True
    ring[5:8, 6:9] = False
    ring[17, 20] = ring[0:2, 28:30] = True
    eye = np.eye(20, 30, dtype=bool)
    full = np.ones((20, 30), bool)
    return masks | {"full": full, "none": ~full, "diagonal": eye, "anti": ~eye, "ring": ring}


def test_small_regions() -> None:
    masks = small_region_masks()
    for case in load("sam_amg_utils")["results"]["remove_small_regions"]:
        mask, changed = grid.without_small_regions(
            masks[case["mask"]], case["area_thresh"], case["mode"]
        )
        assert changed == case["changed"]
        assert mask.sum() == case["area"]
        assert zlib.crc32(np.packbits(mask).tobytes()) == case["crc32_packbits"]


# ---- everything mode ----------------------------------------------------------------------------


class AnalyticDecoder:
    """The stand-in network of the stored runs: discs cut by waves, at the prompt."""

    side = 1024

    def look(self, pixels: NDArray[np.float32]) -> None:
        assert pixels.shape == (1, 3, 1024, 1024)

    def answers(
        self, points: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        px, py = points[:, 0, None, None], points[:, 1, None, None]
        y, x = np.mgrid[0:256, 0:256].astype(np.float64)
        distance = np.sqrt((x - px / 4) ** 2 + (y - py / 4) ** 2)
        coarse = np.sin(2 * np.pi * x / 37) * np.sin(2 * np.pi * y / 29) - 0.05
        fine = np.sin(2 * np.pi * x / 17) * np.sin(2 * np.pi * y / 19) + 0.7
        blob = 200 * np.minimum(coarse, fine)
        logits = [np.minimum(8 * (r - distance), blob) for r in (9, 21, 48)]
        angle = 0.0131 * points[:, :1] + 0.0293 * points[:, 1:] + np.arange(3)
        iou = 0.80 + 0.19 * np.abs(np.sin(angle))
        return np.stack(logits, 1).astype(np.float32), iou.astype(np.float32)

    def survivors(self, points: NDArray[np.float64], iou_above: float) -> Iterator[Survivors]:
        for start in range(0, len(points), 64):
            some = points[start : start + 64]
            logits, iou = self.answers(some)
            index, mask = np.nonzero(iou > np.float32(iou_above))
            yield Survivors(start + index, iou[index, mask], logits[index, mask], start + len(some))


RUNS = sorted(load("sam_auto_masks")["runs"]) if STORED.is_dir() else []


def test_the_stand_in_is_the_stored_one() -> None:
    stored = arrays("sam_auto_masks_example")
    logits, iou = AnalyticDecoder().answers(stored["example__points"])
    assert difference(logits[:, :, ::8, ::8], stored["example__logits"]) < 1e-6
    assert difference(iou, stored["example__iou"]) < 1e-6


def columns(records: list[dict[str, Any]], masks: list[NDArray[np.bool_]]) -> dict[str, Any]:
    names = ("bbox", "area", "predicted_iou", "stability_score", "point_coords", "crop_box")
    table = {name: np.array([record[name] for record in records]) for name in names}
    crcs = [zlib.crc32(np.packbits(mask).tobytes()) for mask in masks]
    return table | {"mask_crc32": np.array(crcs, np.uint32)}


QUICK = ("layers0_area0", "layers1_area100")  # the others go the same ways, once more


@pytest.mark.parametrize(
    "run", [run if run in QUICK else pytest.param(run, marks=pytest.mark.long) for run in RUNS]
)
def test_everything(run: str) -> None:
    description = load("sam_auto_masks")["runs"][run]
    stored = {k.partition("__")[2]: v for k, v in arrays(f"sam_auto_masks_{run}").items()}
    found = everything(
        AnalyticDecoder(), np.zeros((240, 320, 3), np.uint8), Settings(**description["arguments"])
    )
    masks = [one.mask() for one in found]
    ours = columns([one.to_dict() for one in found], masks)
    assert len(found) == description["records"]
    if run.startswith("layers0"):  # ties leave the order open where there are crops
        order = theirs = np.arange(len(found))
    else:
        keys = ("crop_box", "point_coords", "predicted_iou")
        order, theirs = (
            np.lexsort(np.concatenate([t[k].reshape(len(found), -1) for k in keys], 1).T)
            for t in (ours, stored)
        )
    for name in ("bbox", "crop_box"):
        assert np.array_equal(ours[name][order], stored[name][theirs])
    assert difference(ours["predicted_iou"][order], stored["predicted_iou"][theirs]) < 1e-6
    assert difference(ours["point_coords"][order], stored["point_coords"][theirs]) < 1e-9
    same = ours["mask_crc32"][order] == stored["mask_crc32"][theirs]
    print(
        run,
        same.sum(),
        len(same),
        np.abs(ours["area"][order] - stored["area"][theirs]).max(),
        difference(ours["stability_score"][order], stored["stability_score"][theirs]),
    )
    thin = np.stack([masks[i][::4, ::4] for i in order])
    packed = np.unpackbits(stored["masks_subsampled_packed"])[: thin.size].reshape(thin.shape)
    assert np.array_equal(thin, packed[theirs].astype(bool))
