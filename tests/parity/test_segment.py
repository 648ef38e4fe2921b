"""Segment Anything against the stored answers of the published code (name-seeded weights)."""

from __future__ import annotations

import importlib.util
import json
import os
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import triscope
from triscope.errors import UnknownModel, WeightsMismatch
from triscope.segment import grid
from triscope.segment.everything import Settings, Survivors, everything
from triscope.segment.frame import Frame
from triscope.segment.models.sam import BUILDERS, Sam
from triscope.segment.predictor import from_square, resized

PARITY = Path(os.environ.get("TRISCOPE_PARITY", Path(__file__).parents[3] / "shared" / "parity"))
STORED = PARITY / "segment"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not STORED.is_dir(), reason=f"no stored answers at {STORED}"),
]
TOLERANCE = 1e-4
GAUSSIAN = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"


def load(name: str) -> dict[str, Any]:
    return json.loads((STORED / f"{name}.json").read_text())


def arrays(name: str) -> dict[str, NDArray[Any]]:
    with np.load(STORED / f"{name}.npz") as stored:
        return {key: stored[key] for key in stored.files}


def drawn(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    """The stored runs drew their inputs in float64 and cast them."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def difference(ours: Any, theirs: Any) -> float:
    """The largest difference over the largest stored value."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@cache
def seeded_weights(name: str) -> dict[str, torch.Tensor]:
    """Weights that depend on the published keys only."""
    spec = importlib.util.spec_from_file_location("seeded", PARITY / "seeded.py")
    assert spec and spec.loader
    seeded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seeded)
    with torch.device("meta"):
        blank = BUILDERS[name]().state_dict()
    weights = {}
    for key, value in blank.items():
        if key.endswith("num_batches_tracked"):
            weights[key] = torch.zeros((), dtype=torch.int64)
        else:
            weights[key] = torch.from_numpy(seeded.seeded_array(key, value.shape))
    # The stored runs left this one matrix undivided.
    rng = np.random.default_rng(zlib.crc32(GAUSSIAN.encode()))
    weights[GAUSSIAN] = torch.from_numpy(rng.standard_normal((2, 128)).astype(np.float32))
    return weights


@cache
def network(name: str) -> Sam:
    return triscope.published(name, seeded_weights(name))


def taps_of(modules: dict[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    """The outputs of these modules, filled while the network runs."""
    seen: dict[str, torch.Tensor] = {}
    for name, module in modules.items():
        module.register_forward_hook(lambda _m, _i, out, name=name: seen.__setitem__(name, out))
    return seen


def check_encoder(stored: dict[str, NDArray[Any]], embedding: torch.Tensor) -> None:
    flat = embedding.double()[0].flatten(1)
    assert difference(embedding[:, ::16, ::4, ::4], stored["embedding"]) < TOLERANCE
    assert difference(flat.mean(1), stored["channel_mean"]) < TOLERANCE
    assert difference(flat.std(1, correction=0), stored["channel_std"]) < TOLERANCE


# ---- parameters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sam_vit_b", "sam_vit_l", "sam_vit_h", "mobile_sam"])
def test_keys_shapes_and_counts_are_the_published_ones(name: str) -> None:
    stored = load("sam_parameters")[name]
    with torch.device("meta"):
        network = BUILDERS[name]()
    shapes = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert shapes == stored["state_dict"]
    for part in ("image_encoder", "prompt_encoder", "mask_decoder"):
        count = sum(p.numel() for p in getattr(network, part).parameters())
        assert count == stored[part]
    assert sum(p.numel() for p in network.parameters()) == stored["total"]


def test_wrong_weights_name_the_first_keys() -> None:
    weights = dict(seeded_weights("mobile_sam"))
    weights["image_encoder.neck.9.weight"] = weights.pop("image_encoder.neck.0.weight")
    weights["mask_decoder.iou_token.weight"] = torch.zeros(1, 128)
    with pytest.raises(WeightsMismatch) as caught:
        triscope.published("mobile_sam", weights)
    assert str(caught.value) == (
        "these weights are not those of 'mobile_sam': missing: image_encoder.neck.0.weight; "
        "unknown: image_encoder.neck.9.weight; of another shape: mask_decoder.iou_token.weight "
        "(1, 128) instead of (1, 256). 439 keys were given, 439 expected. "
        "Give the published file of this name, unchanged."
    )


def test_a_wrong_name_gets_a_suggestion() -> None:
    with pytest.raises(UnknownModel, match="Did you mean 'sam_vit_b'"):
        triscope.published("sam_vit_bb", {})


def test_loading_copies_the_weights() -> None:
    weights = seeded_weights("mobile_sam")
    before = weights["mask_decoder.iou_token.weight"].clone()
    loaded = triscope.published("mobile_sam", weights)
    with torch.no_grad():
        loaded.mask_decoder.iou_token.weight.zero_()
    assert torch.equal(weights["mask_decoder.iou_token.weight"], before)
    assert not loaded.training


# ---- encoders -----------------------------------------------------------------------------------


@torch.no_grad()
def test_mobile_sam_encoder() -> None:
    stored = arrays("mobile_sam_encoder")
    sam = triscope.published("mobile_sam", seeded_weights("mobile_sam"))
    encoder = sam.image_encoder
    taps = taps_of(
        {"patch_embed": encoder.patch_embed}
        | {f"layer{i}": layer for i, layer in enumerate(encoder.layers)}
    )
    check_encoder(stored, sam.embed(drawn(0, (1, 3, 1024, 1024))))
    assert difference(taps["patch_embed"][:, ::8, ::32, ::32], stored["tap_patch_embed"]) < 1e-4
    for i in range(4):  # stored as (b, tokens, channels)
        tokens = taps[f"layer{i}"].flatten(2).transpose(1, 2)
        assert difference(tokens[:, ::97, ::16], stored[f"tap_layer{i}"]) < TOLERANCE


@pytest.mark.long
@torch.no_grad()
def test_vit_b_encoder() -> None:
    stored = arrays("sam_vit_b_encoder")
    sam = triscope.published("sam_vit_b", seeded_weights("sam_vit_b"))
    encoder = sam.image_encoder
    taps = taps_of(
        {"patch_embed": encoder.patch_embed}
        | {f"block{i}": encoder.blocks[i] for i in (0, 1, 2, 11)}
    )
    check_encoder(stored, sam.embed(drawn(0, (1, 3, 1024, 1024))))
    for name, tap in taps.items():
        assert difference(tap[:, ::8, ::8, ::16], stored[f"tap_{name}"]) < TOLERANCE


# ---- decoder ------------------------------------------------------------------------------------

CASES = ("a_point", "b_two_points", "c_box", "d_box_point", "e_mask", "f_mask_point", "g_boxes5")


def prompts(case: str) -> dict[str, torch.Tensor | None]:
    stored = load("sam_decoder")["cases"][case]
    tensors: dict[str, torch.Tensor | None] = {
        "points": stored["point_coords"] and torch.tensor(stored["point_coords"]),
        "labels": stored["point_labels"] and torch.tensor(stored["point_labels"]),
        "boxes": stored["boxes"] and torch.tensor(stored["boxes"]),
    }
    tensors["masks"] = drawn(2, (1, 1, 256, 256)) if stored["mask_input"] else None
    return tensors


@torch.no_grad()
def test_dense_positions() -> None:
    ours = network("mobile_sam").prompt_encoder.dense_pe()[:, ::8, ::8, ::8]
    assert difference(ours, arrays("sam_decoder_dense_pe")["dense_pe__pe"]) < TOLERANCE


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_prompt_tokens(case: str) -> None:
    stored = arrays(f"sam_decoder_{case}")
    sparse, dense = network("mobile_sam").prompt_encoder(**prompts(case))
    if stored[f"{case}__sparse"].size:
        assert difference(sparse, stored[f"{case}__sparse"]) < TOLERANCE
    assert sparse.shape == stored[f"{case}__sparse"].shape
    assert difference(dense[:1, ::8, ::8, ::8], stored[f"{case}__dense"]) < TOLERANCE


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_decoder(case: str, multimask: bool) -> None:
    stored = arrays(f"sam_decoder_{case}")
    key = f"{case}__{'multi' if multimask else 'single'}"
    embedding = drawn(1, (1, 256, 64, 64))
    logits, iou = network("mobile_sam").decode(embedding, multimask=multimask, **prompts(case))
    assert difference(logits[:, :, ::4, ::4], stored[f"{key}_logits"]) < TOLERANCE
    assert difference(iou, stored[f"{key}_iou"]) < TOLERANCE
    flat = logits.double().flatten(2)
    assert difference(flat.mean(2), stored[f"{key}_logit_mean"]) < TOLERANCE
    assert difference(flat.std(2, correction=0), stored[f"{key}_logit_std"]) < TOLERANCE
    assert np.abs(np.asarray((flat > 0).sum(2)) - stored[f"{key}_positive"]).max() <= 3


# ---- pre- and post-processing -------------------------------------------------------------------


def size_of(name: str) -> tuple[int, int]:
    h, _, w = name.partition("x")
    return int(h), int(w)


def names_of(file: str) -> list[str]:
    return sorted({key.partition("__")[0] for key in arrays(file)}) if STORED.is_dir() else []


def test_sizes_in_the_square() -> None:
    for name, stored in load("sam_pre_post")["sizes"].items():
        expected = tuple(max(side, 1) for side in stored["preprocess_shape_HW"])  # never 0 here
        assert Frame(size_of(name)).resized_hw == expected


@pytest.mark.parametrize("name", names_of("sam_pre_post_coords"))
def test_coordinates(name: str) -> None:
    stored, (h, w) = arrays("sam_pre_post_coords"), size_of(name)
    rng = np.random.default_rng(h * 10007 + w)
    points = rng.uniform(0, 1, (2, 6, 2)) * [w, h]
    boxes = (np.sort(rng.uniform(0, 1, (5, 2, 2)), axis=1) * [w, h]).reshape(5, 4)
    whole = np.array([[0, 0], [w - 1, h - 1], [w // 2, h // 3]])
    frame = Frame((h, w))
    assert difference(frame.points_in(points), stored[f"{name}__coords"]) < 1e-12
    assert difference(frame.boxes_in(boxes), stored[f"{name}__boxes"]) < 1e-12
    assert difference(frame.points_in(whole), stored[f"{name}__coords_int"]) < 1e-12
    assert difference(frame.points_in(points), stored[f"{name}__coords_torch"]) < 1e-6
    assert difference(frame.boxes_in(boxes), stored[f"{name}__boxes_torch"]) < 1e-6


@pytest.mark.parametrize("name", names_of("sam_pre_post_images"))
def test_images(name: str) -> None:
    stored, (h, w) = arrays("sam_pre_post_images"), size_of(name)
    figures = load("sam_pre_post")["sizes"][name]
    image = np.random.default_rng(h * 10007 + w + 1).integers(0, 256, (h, w, 3), dtype=np.uint8)
    resized = Frame((h, w)).resize(image)
    assert list(resized.shape) == figures["resized_shape"]
    assert np.array_equal(resized[::17, ::17], stored[f"{name}__image_resized"])
    assert zlib.crc32(resized.tobytes()) == figures["resized_crc32"]
    pixels = Frame((h, w)).pixels(image)
    assert difference(pixels[:, :, ::17, ::17], stored[f"{name}__preprocessed"]) < 1e-6
    sums = pixels.astype(np.float64).sum((0, 2, 3))
    assert difference(sums, stored[f"{name}__preprocessed_sum"]) < TOLERANCE


@pytest.mark.parametrize("name", names_of("sam_pre_post_masks"))
def test_masks_at_image_size(name: str) -> None:
    stored, figures = arrays("sam_pre_post_masks"), load("sam_pre_post")["sizes"][name]
    stride = figures["postprocess"]["stride"]
    low = drawn(3, (2, 3, 256, 256)).numpy().reshape(6, 256, 256)
    frame = Frame(size_of(name))
    full = np.stack([frame.logits_out(one) for one in low]).reshape(2, 3, *frame.image_hw)
    assert difference(full[..., ::stride, ::stride], stored[f"{name}__postprocessed"]) < TOLERANCE
    positive = (full > 0).sum((2, 3))
    # Noise has many logits within the rounding of zero.
    changed = np.abs(positive - stored[f"{name}__postprocessed_positive"])
    assert changed.max() <= 1 + 1e-5 * full[0, 0].size
    assert difference(full.mean((2, 3), np.float64), stored[f"{name}__postprocessed_mean"]) < 1e-4


@pytest.mark.parametrize("name", names_of("sam_pre_post_masks"))
def test_the_tensor_twin_of_masks(name: str) -> None:
    stored, figures = arrays("sam_pre_post_masks"), load("sam_pre_post")["sizes"][name]
    stride = figures["postprocess"]["stride"]
    full = from_square(drawn(3, (2, 3, 256, 256)), Frame(size_of(name)))
    assert difference(full[..., ::stride, ::stride], stored[f"{name}__postprocessed"]) < TOLERANCE
    positive = np.asarray((full > 0).sum((2, 3)))
    assert np.array_equal(positive, stored[f"{name}__postprocessed_positive"])


@pytest.mark.parametrize("name", names_of("sam_pre_post_images"))
def test_the_tensor_twin_of_images(name: str) -> None:
    stored, (h, w) = arrays("sam_pre_post_images"), size_of(name)
    image = np.random.default_rng(h * 10007 + w + 1).integers(0, 256, (h, w, 3), dtype=np.uint8)
    small = resized(torch.from_numpy(image).permute(2, 0, 1)[None].float(), Frame((h, w)))
    assert difference(small[:, :, ::17, ::17], stored[f"{name}__image_torch_resized"]) < TOLERANCE


# ---- steps of everything mode -------------------------------------------------------------------


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
