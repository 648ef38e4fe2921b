"""Networks of Segment Anything against the stored answers of the published code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_stored import (
    MARKS,
    TOLERANCE,
    arrays,
    difference,
    drawn,
    load,
    network,
    seeded_weights,
)

import triscope
from triscope.errors import UnknownModel, WeightsMismatch
from triscope.segment.models.sam import BUILDERS

pytestmark = MARKS


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
