"""Networks of video: twins in torchvision, other libraries' keys and differences, wrong files."""

from __future__ import annotations

import re

import pytest
import torch
import torchvision.models.video as twins

import triscope
from triscope.errors import UnknownModel, WeightsMismatch
from triscope.motion.models import csn, non_local, r3d, slowfast, x3d
from triscope.motion.models._resnet3d import EVERYWHERE, pooled

# ---- twins in torchvision -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("r3d_18", (2, 3, 5, 48, 40)),
        ("mc3_18", (1, 3, 5, 48, 40)),
        ("r2plus1d_18", (1, 3, 5, 48, 40)),
        ("s3d", (1, 3, 14, 224, 224)),
        ("swin3d_t", (1, 3, 5, 64, 72)),
        ("swin3d_s", (1, 3, 3, 40, 32)),
        pytest.param("swin3d_b", (1, 3, 5, 64, 72), marks=pytest.mark.long),
        pytest.param("mvit_v2_s", (1, 3, 16, 224, 224), marks=pytest.mark.long),
    ],
)
def test_torchvision_answers_the_same(name: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    theirs = getattr(twins, name)(weights=None, num_classes=7).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
        ours = triscope.published(name, theirs.state_dict())
        clip = torch.randn(shape)
        expected, found = theirs(clip), ours(clip)
    assert (expected - found).abs().max() <= 1e-5 * expected.abs().max()
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


# ---- keys of other libraries --------------------------------------------------------------------


def official_slowfast(key: str) -> str:
    """pytorchvideo's key as SlowFast writes it, by hand."""
    key = re.sub(r"^lateral\.(\d)\.conv\.", lambda m: f"s{int(m[1]) + 1}_fuse.conv_f2s.", key)
    key = re.sub(r"^lateral\.(\d)\.bn\.", lambda m: f"s{int(m[1]) + 1}_fuse.bn.", key)
    for number, path in enumerate(("slow", "fast")):
        key = key.replace(f"{path}.stem.", f"s1.pathway{number}_stem.")
        key = re.sub(
            rf"^{path}\.stages\.(\d)\.blocks\.(\d+)\.",
            lambda m, n=number: f"s{int(m[1]) + 2}.pathway{n}_res{m[2]}.",
            key,
        )
    key = re.sub(r"\.shortcut(_bn)?\.", r".branch1\1.", key)
    key = re.sub(r"(_res\d+)\.([abc])(_bn)?\.", r"\1.branch2.\2\3.", key)
    return re.sub(r"^head\.", "head.projection.", key)


def test_slowfast_reads_the_official_keys() -> None:
    torch.manual_seed(0)
    ours = slowfast.network("slowfast_r50_4x16", classes=5).eval()
    theirs = {official_slowfast(k): v for k, v in ours.state_dict().items()}
    assert "s4.pathway1_res2.branch2.b_bn.weight" in theirs and "s3_fuse.bn.bias" in theirs
    read = triscope.published("slowfast_r50_4x16", {"model_state": theirs})
    clip = torch.randn(1, 3, 32, 32, 32)
    with torch.no_grad():
        assert torch.equal(read(clip), ours(clip))
        assert torch.equal(read(list(read.pathways(clip))), ours(clip))


def test_slow_frames_are_those_of_each_library() -> None:
    clip = torch.arange(32.0).reshape(1, 1, 32, 1, 1)
    net = slowfast.SlowFast(alpha=8)
    assert net.pathways(clip)[0].flatten().tolist() == [0, 10, 20, 31]
    net.slow_frames = "nearest"
    assert net.pathways(clip)[0].flatten().tolist() == [0, 8, 16, 24]


def test_csn_reads_vmz_and_mmaction_and_keeps_their_epsilon() -> None:
    torch.manual_seed(0)
    ours = csn.Csn(depth=50, interaction="ip", classes=4).eval()
    names = {"a": "conv1.0", "a_bn": "conv1.1", "b_mix": "conv2.0.0", "b_mix_bn": "conv2.0.1",
             "b": "conv2.0.2", "b_bn": "conv2.1", "c": "conv3.0", "c_bn": "conv3.1",
             "shortcut": "downsample.0", "shortcut_bn": "downsample.1"}  # fmt: skip
    vmz, mmaction = {}, {}
    for key, value in ours.state_dict().items():
        plain = key.replace("stem.conv", "stem.0").replace("stem.bn", "stem.1")
        plain = plain.replace("head.", "fc.")
        other = key.replace("stem.conv", "conv1.conv").replace("stem.bn", "conv1.bn")
        if match := re.match(r"stages\.(\d)\.blocks\.(\d+)\.(\w+)\.(.*)", key):
            k, i, part, rest = match.groups()
            start = f"layer{int(k) + 1}.{i}."
            plain = f"{start}{names[part]}.{rest}"
            letter = {"a": "conv1", "b_mix": "conv2.0", "b": "conv2.1", "c": "conv3",
                      "shortcut": "downsample"}[part.removesuffix("_bn")]  # fmt: skip
            other = f"{start}{letter}.{'bn' if part.endswith('_bn') else 'conv'}.{rest}"
        vmz[plain] = value
        other = other.replace("head.", "cls_head.fc_cls.")
        mmaction[other if other.startswith("cls_head") else f"backbone.{other}"] = value
    clip = torch.randn(1, 3, 8, 32, 32)
    with torch.no_grad():
        for state in (vmz, mmaction):
            read = triscope.published("csn_r50_ip", state)
            assert read.stem.bn.eps == 1e-3
            assert torch.equal(read(clip), ours(clip))


def test_x3d_without_the_norm_of_the_equal_shortcut_is_its_own_variant() -> None:
    shape = x3d.SHAPES["x3d_s"]
    with torch.device("meta"):
        plain, normed = (x3d.X3d(shape, shortcut_norm=both) for both in (False, True))
    count = [sum(p.numel() for p in net.parameters()) for net in (plain, normed)]
    assert count == [3_794_274, 3_794_322]


def test_larger_clips_are_answered_as_each_library_averages() -> None:
    """pytorchvideo and SlowFast slide windows of the size of training, mmaction2 takes it all."""
    torch.manual_seed(0)
    maps = torch.randn(1, 4, 2, 8, 9)
    windows = [maps[..., y : y + 7, x : x + 7].mean((2, 3, 4)) for y in (0, 1) for x in (0, 1, 2)]
    slid = pooled(maps, (2, 7, 7)).mean((1, 2, 3))
    assert torch.allclose(slid, torch.stack(windows).mean(0), atol=1e-6)
    assert torch.allclose(pooled(maps, EVERYWHERE).mean((1, 2, 3)), maps.mean((2, 3, 4)))
    with torch.device("meta"):
        assert slowfast.SlowFast(everywhere=True).windows == (EVERYWHERE, EVERYWHERE)
        assert slowfast.SlowFast().windows == ((8, 7, 7), (32, 7, 7))
        assert csn.Csn(everywhere=True).window == EVERYWHERE != csn.Csn().window


def test_mmaction2_has_its_own_i3d() -> None:
    """Half the frames behind the stem's convolution and again behind its pool."""
    with torch.device("meta"):
        ours, theirs = (non_local.network("i3d", mmaction=both) for both in (False, True))
        clip = torch.empty(1, 3, 32, 64, 64)
        assert ours.stem(clip).shape[2] == 32
        assert theirs.stem(clip).shape[2] == 8
    block, other = (net.stages[1].nonlocals["1"] for net in (ours, theirs))
    assert (block.pool, block.scaled, block.out.bias is not None) == ("before", True, True)
    assert (other.pool, other.scaled, other.out.bias is not None) == ("after", False, False)


# ---- what a wrong file is told ------------------------------------------------------------------


def test_a_wrong_file_names_the_first_keys_that_differ() -> None:
    with pytest.raises(WeightsMismatch, match="these weights are not those of 'csn_r50'"):
        triscope.published("csn_r50", r3d.R3d("full", classes=3).state_dict())
    state = dict(r3d.R3d("full", classes=3).state_dict())
    state = {k.replace("head.", "fc."): v for k, v in state.items()}
    state["layer9.weight"] = state.pop("layer1.0.conv1.0.weight")
    state["fc.bias"] = torch.zeros(9)
    with pytest.raises(WeightsMismatch) as caught:
        triscope.published("r3d_18", state)
    assert "missing (under our names): layer1.0.conv1.0.weight" in str(caught.value)
    assert "unknown: layer9.weight" in str(caught.value)
    assert "fc.bias (9,) instead of (3,)" in str(caught.value)


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UnknownModel, match="Did you mean 'slowfast_r50'"):
        triscope.published("slowfast_50", {})
