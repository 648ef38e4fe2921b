"""Networks of video against the stored answers of the published code (name-seeded weights)."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import triscope
from outside import parity
from triscope.motion.models.tsm import Online

pytestmark = pytest.mark.real
TOLERANCE = 1e-4
Taps = dict[str, str]


def story(name: str) -> dict[str, Any]:
    return json.loads((parity("motion") / f"{name}.json").read_text())


def arrays(name: str) -> dict[str, NDArray[Any]]:
    with np.load(parity("motion") / f"{name}.npz") as stored:
        return {key: stored[key] for key in stored.files}


@cache
def seeded() -> Any:
    spec = importlib.util.spec_from_file_location("seeded", parity("seeded.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def published_weights(name: str) -> dict[str, Tensor]:
    """The state dict of the published code, filled by its keys."""
    about, weights = story(name), {}
    for key, shape in about["state_dict"]:
        if key.endswith(("num_batches_tracked", "relative_position_index")):
            weights[key] = torch.zeros(shape, dtype=torch.int64)
        else:
            weights[key] = torch.from_numpy(seeded().seeded_array(key, shape))
        if "after_seeding" in about and "conv_theta" in key:
            weights[key] *= 2**-6
    return weights


def drawn(shape: list[int]) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))


def difference(ours: Tensor, theirs: NDArray[Any]) -> float:
    """The largest difference over the largest stored value."""
    given = ours.detach().double().numpy()
    assert given.shape == theirs.shape
    return float(np.abs(given - theirs).max() / np.abs(theirs).max())


def maps(value: Tensor) -> Tensor:
    """The mean over space of (n, c, t, h, w) or (n, c, h, w)."""
    return value.mean((-2, -1))


def seen_by(network: nn.Module, taps: Taps) -> dict[str, Tensor]:
    """The means over space of what these modules answer, filled while the network runs."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            seen[name] = output.detach().clone()

        return hook

    for name, path in taps.items():
        network.get_submodule(path).register_forward_hook(keep(name))
    return seen


STAGES = {"s1": "stem", "nonlocal_first": "stages.1.nonlocals.1"} | {
    f"s{k}": f"stages.{k - 2}" for k in (3, 4, 5)
}
BN = "inception_3a_1x1_bn"
ECO = {
    BN: f"base.{BN}",
    "inception_3c_double_3x3_1_bn": "base.inception_3c_double_3x3_1_bn",
    "res3b_bn": "space_time.res3b_bn",
    "res5b_bn": "space_time.res5b_bn",
}
TAPS: dict[str, Taps] = {
    "c2d_nln_r50": STAGES,
    "slow_nln_r50": STAGES,
    "csn_r101": {"block0": "stem", "block2": "stages.1", "block4": "stages.3"},
    "eco_lite": ECO,
    "eco_lite_16": ECO,
    "eco_full": ECO,
    "i3d": {key: key for key in ("Conv3d_1a_7x7", "Mixed_3c", "Mixed_4f", "Mixed_5c")},
    "slowfast_r50": {
        "stem": "slow.stem",
        "lateral": "lateral.0",
        "block0_fast": "fast.stem",
        "block4_slow": "slow.stages.3",
        "block4_fast": "fast.stages.3",
    },
    "tpn_r50_8x8": {
        "res_layer3": "stages.2",
        "res_layer4": "stages.3",
        "topdown": "neck.top_down",
        "bottomup": "neck.bottom_up",
        "necks": "neck",
    },
    "tsm_resnet50": {key: f"base.{key}" for key in ("layer1", "layer3", "layer4")},
    "tsn_bninception": {
        key: f"base.{key}"
        for key in (
            "conv1_7x7_s2_bn",
            BN,
            "inception_4e_double_3x3_2_bn",
            "inception_5b_1x1_bn",
        )
    },
    "x3d_s": {"block0": "stem", "block2": "stages.1", "block4": "stages.3", "wide": "head.wide"},
}
LONG = {
    "eco_full",
    "eco_lite_16",
    "slow_nln_r50",
    "tsm_resnet50",
}  # a relative of each runs by default


def joined(seen: dict[str, Tensor]) -> dict[str, Tensor]:
    """Means over space, and what the published code does between two of our modules."""
    values = {key: maps(value) for key, value in seen.items()}
    if "lateral" in values:
        values["block0_slow"] = torch.cat((values.pop("stem"), values.pop("lateral")), dim=1)
    if "wide" in values:
        values["head_pool"] = seen["wide"].relu().flatten(1)
        del values["wide"]
    return values


def networks() -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.long) if name in LONG else name for name in TAPS]


@pytest.mark.parametrize("name", networks())
def test_every_stage_and_the_logits_are_the_published_ones(name: str) -> None:
    stored, about = arrays(name), story(name)
    network = triscope.published(name, published_weights(name))
    assert sum(p.numel() for p in network.parameters()) == about["parameters"]
    assert not network.training
    seen = seen_by(network, TAPS[name])
    with torch.no_grad():
        logits = network(drawn(about["input"]["shape"]))
    assert difference(logits, stored["output"]) < TOLERANCE
    for key, value in joined(seen).items():
        assert difference(value, stored[key]) < TOLERANCE, key


@pytest.mark.long
def test_slowfast_answers_at_256_pixels_as_published() -> None:
    network = triscope.published("slowfast_r50", published_weights("slowfast_r50"))
    with torch.no_grad():
        logits = network(drawn([1, 3, 32, 256, 256]))
    assert difference(logits, arrays("slowfast_r50")["output_256"]) < TOLERANCE


def tokens(value: Tensor) -> Tensor:
    """The class token, then the mean over space at each time (8 times)."""
    token, places = value[:, :1], value[:, 1:]
    return torch.cat((token, places.unflatten(1, (8, -1)).mean(2)), dim=1)


def test_mvit_at_every_block() -> None:
    stored, about = arrays("mvit_v2_s"), story("mvit_v2_s")
    network = triscope.published("mvit_v2_s", published_weights("mvit_v2_s"))
    assert sum(p.numel() for p in network.parameters()) == about["parameters"]
    seen: dict[str, Tensor] = {}
    for i in (0, 2, 8, 15):
        network.blocks[i].register_forward_hook(
            lambda _m, _i, out, i=i: seen.__setitem__(f"block{i}", tokens(out[0]))
        )
    network.norm.register_forward_hook(lambda _m, _i, out: seen.__setitem__("norm", tokens(out)))
    network.patch_embed.register_forward_hook(
        lambda _m, _i, out: seen.__setitem__("patch_embed", out.mean((2, 3, 4)))
    )
    with torch.no_grad():
        logits = network(drawn(about["input"]["shape"]))
    assert difference(logits, stored["output"]) < TOLERANCE
    assert difference(logits.softmax(1), stored["probs"]) < TOLERANCE
    for key, value in seen.items():
        assert difference(value, stored[key]) < TOLERANCE, key


def swin_taps(network: nn.Module) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda _m, _i, out: seen.__setitem__(name, out.mean((2, 3)).transpose(1, 2))

    for i in range(3):
        network.layers[i].register_forward_hook(keep(f"layer{i}"))
    network.patch_embed.register_forward_hook(keep("patch_embed"))
    network.norm.register_forward_hook(keep("backbone"))
    return seen


@pytest.mark.long
def test_video_swin_at_every_layer() -> None:
    stored, about = arrays("video_swin_t"), story("video_swin_t")
    network = triscope.published("video_swin_t", published_weights("video_swin_t"))
    seen = swin_taps(network)
    with torch.no_grad():
        logits = network(drawn(about["input"]["shape"]))
    assert difference(logits, stored["output"]) < TOLERANCE
    for key, value in seen.items():
        assert difference(value, stored[key]) < TOLERANCE, key


def test_video_swin_where_patches_windows_and_merging_are_padded() -> None:
    network = triscope.published("video_swin_t", published_weights("video_swin_t"))
    assert sum(p.numel() for p in network.parameters()) == story("video_swin_t")["parameters"]
    with torch.no_grad():
        logits = network(drawn([1, 3, 13, 130, 100]))
    assert difference(logits, arrays("video_swin_t")["output_small"]) < TOLERANCE


def test_tsm_online_frame_by_frame_with_its_buffers() -> None:
    stored, name = arrays("tsm_online_mobilenetv2"), "tsm_online_mobilenetv2"
    network = triscope.published(name, published_weights(name))
    assert isinstance(network, Online)
    assert sum(p.numel() for p in network.parameters()) == story(name)["parameters"]
    frames = drawn(story(name)["input"]["shape"])
    state: tuple[Tensor, ...] = tuple(
        torch.zeros(shape) for shape in story(name)["input"]["buffers"]
    )
    answers = []
    with torch.no_grad():
        for frame in frames:
            logits, *after = network(frame[None], *state)
            state = tuple(after)
            answers.append(logits)
        offline = network.network.base(frames)  # no count told: frames by themselves
    assert offline.shape[0] == 6
    assert difference(torch.cat(answers), stored["output"]) < TOLERANCE
    for i, value in enumerate(state):
        assert difference(maps(value), stored[f"buffer{i}_after6"]) < TOLERANCE


@pytest.mark.parametrize("wrap", ["module", "state_dict", "model_state"])
def test_files_are_read_as_their_authors_wrap_them(wrap: str) -> None:
    weights = published_weights("tsm_online_mobilenetv2")
    given: dict[str, Any] = {wrap: weights, "epoch": 3}
    if wrap == "module":
        given = {f"module.{key}": value for key, value in weights.items()}
    network = triscope.published("tsm_online_mobilenetv2", given)
    assert torch.equal(network.network.head.weight, weights["classifier.weight"])
    assert network.network.head.weight is not weights["classifier.weight"]
