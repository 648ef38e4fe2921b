"""Networks of video: published counts, twins in torchvision, other libraries' keys, variants."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

import pytest
import torch
import torchvision.models.video as twins
from torch import Tensor, nn

import triscope
from triscope.errors import UnknownModel, WeightsMismatch
from triscope.motion.cost import cost
from triscope.motion.models import (
    csn,
    deepvideo,
    eco,
    i3d,
    mvit,
    non_local,
    r3d,
    s3d,
    slowfast,
    tpn,
    tsm,
    tsn,
    two_stream,
    video_swin,
    x3d,
)
from triscope.motion.models._resnet3d import NonLocal

PLAIN = ((), (), (), ())
R101_16X8 = "slowfast_r101_50_50_16x8"

# Parameters and 1e9 multiply-adds at the stated input; the papers' tables and the published code.
COUNTS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int, float]] = {
    "x3d_xs": (lambda: x3d.X3d(x3d.SHAPES["x3d_xs"]), (4, 160), 3_794_322, 0.605),
    "x3d_s": (lambda: x3d.X3d(x3d.SHAPES["x3d_s"]), (13, 160), 3_794_322, 1.963),
    "x3d_s at 182": (lambda: x3d.X3d(x3d.SHAPES["x3d_s"]), (13, 182), 3_794_322, 2.727),
    "x3d_m": (lambda: x3d.X3d(x3d.SHAPES["x3d_m"]), (16, 224), 3_794_322, 4.733),
    "x3d_l": (lambda: x3d.X3d(x3d.SHAPES["x3d_l"]), (16, 312), 6_153_432, 18.37),
    "x3d_xl": (lambda: x3d.X3d(x3d.SHAPES["x3d_xl"]), (16, 312), 11_095_904, 35.84),
    "slowfast_r50": (lambda: slowfast.network("slowfast_r50"), (32, 224), 34_566_488, 50.31),
    "slowfast 4x16": (lambda: slowfast.network("slowfast_r50_4x16"), (32, 224), 34_480_216, 27.64),
    "slowfast_r101": (lambda: slowfast.network("slowfast_r101"), (32, 224), 62_826_968, 96.40),
    "slowfast 16x8": (lambda: slowfast.network(R101_16X8), (64, 224), 53_774_808, 163.1),
    "slow_r50": (lambda: non_local.network("slow", blocks=PLAIN), (8, 224), 32_454_096, 41.74),
    "i3d_r50": (lambda: non_local.network("i3d", blocks=PLAIN), (8, 224), 28_043_472, 28.41),
    "i3d_nln_r50": (lambda: non_local.network("i3d"), (8, 224), 35_401_936, 36.54),
    "csn ir 50": (lambda: csn.Csn(depth=50), (32, 224), 13_131_152, 42.31),
    "csn ir 101": (lambda: csn.Csn(depth=101), (32, 224), 22_213_776, 56.47),
    "csn ir 152": (lambda: csn.Csn(depth=152), (32, 224), 29_703_568, 74.05),
    "csn ip 152": (lambda: csn.Csn(depth=152, interaction="ip"), (32, 224), 33_016_592, 83.29),
    "i3d": (i3d.I3d, (64, 224), 12_697_264, 111.15),
    "i3d flow": (lambda: i3d.I3d(channels=2), (64, 224), 12_675_312, 102.3),
    "eco lite": (eco.Eco, (16, 224), 37_503_856, 46.49),
    "eco full": (lambda: eco.Eco(full=True), (16, 224), 47_502_128, 64.41),
    "tpn": (tpn.Tpn, (8, 224), 91_498_336, 50.28),
    "video_swin_t": (lambda: video_swin.network("video_swin_t"), (32, 224), 28_158_070, 87.76),
    "video_swin_s": (lambda: video_swin.network("video_swin_s"), (32, 224), 49_816_678, 165.7),
    "video_swin_b": (lambda: video_swin.network("video_swin_b"), (32, 224), 88_048_984, 281.3),
    "mvit_v2_s": (lambda: mvit.Mvit(mvit.VARIANTS["mvit_v2_s"]), (16, 224), 34_537_744, 64.22),
    "mvit_v2_b": (lambda: mvit.Mvit(mvit.VARIANTS["mvit_v2_b"]), (32, 224), 51_230_128, 224.5),
    "tsn_resnet50": (lambda: tsn.network("resnet50"), (8, 224), 24_327_632, 32.70),
    "tsm_mobilenetv2": (lambda: tsm.network("mobilenetv2"), (8, 224), 2_736_272, 2.40),
    "deepvideo": (lambda: deepvideo.DeepVideo("single"), (1, 170), 73_908_071, 1.2266),
    "s3d": (s3d.S3d, (16, 224), 8_320_048, 17.98),
    "r3d_18": (lambda: r3d.R3d("full"), (16, 112), 33_371_472, 40.70),
    "mc3_18": (lambda: r3d.R3d("mixed"), (16, 112), 11_695_440, 43.34),
    "r2plus1d_18": (lambda: r3d.R3d("factored"), (16, 112), 31_505_325, 40.52),
}


def blank(build: Callable[[], nn.Module]) -> nn.Module:
    """Built without memory: only shapes count here."""
    with torch.device("meta"):
        return build()


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_multiply_adds_are_the_published_ones(name: str) -> None:
    build, (frames, side), parameters, giga = COUNTS[name]
    channels = 2 if name == "i3d flow" else 3
    found = cost(blank(build), (1, channels, frames, side, side))
    assert found.parameters == parameters
    assert found.giga == pytest.approx(giga, rel=1e-3)


@pytest.mark.long
def test_the_large_ones_have_about_the_printed_size() -> None:
    """The papers print 197 M and 604 G, 217.6 M and 2828 G (rounded, other details of the head)."""
    swin = cost(blank(lambda: video_swin.network("video_swin_l")), (1, 3, 32, 224, 224))
    assert swin.parameters == 196_953_916 and swin.giga == pytest.approx(604, rel=2e-3)
    large = cost(blank(lambda: mvit.Mvit(mvit.VARIANTS["mvit_v2_l"])), (1, 3, 40, 312, 312))
    assert large.parameters == pytest.approx(217.6e6, rel=0.02)
    assert large.giga == pytest.approx(2828, rel=2e-3)


def test_tsm_online_costs_one_frame() -> None:
    online = blank(lambda: tsm.Online(tsm.network("mobilenetv2", both=False, classes=27)))
    found = cost(online, (1, 3, 224, 224))
    assert found.parameters == 2_258_459 and found.giga == pytest.approx(0.2995, rel=1e-3)


def test_two_stream_networks_have_the_published_layers() -> None:
    looks = cost(blank(two_stream.spatial), (1, 3, 224, 224))
    moves = cost(blank(two_stream.temporal), (1, 20, 224, 224))
    assert looks.parameters / 1e6 == pytest.approx(90.63, abs=0.005)
    assert moves.parameters / 1e6 == pytest.approx(90.71, abs=0.005)
    assert (looks.giga, moves.giga) == pytest.approx((1.66, 2.61), abs=0.005)


# ---- the expansion of X3D -----------------------------------------------------------------------


def test_the_expansion_starts_where_the_paper_starts_and_doubles() -> None:
    start = x3d.SHAPES["x2d"]
    clip = lambda shape: (1, 3, shape.frames, shape.size, shape.size)  # noqa: E731
    first = cost(blank(lambda: x3d.X3d(start)), clip(start)).multiply_adds
    assert first / 1e6 == pytest.approx(20.66, abs=0.01)
    steps = x3d.candidates(start)
    assert set(steps) == {"fast", "temporal", "spatial", "depth", "width", "bottleneck"}
    ratios = {
        axis: cost(blank(lambda s=shape: x3d.X3d(s)), clip(shape)).multiply_adds / first
        for axis, shape in steps.items()
    }
    assert ratios["bottleneck"] == pytest.approx(1.98, abs=0.01)  # 41.0 M, the paper's first step
    assert all(1.5 < ratio < 2.6 for ratio in ratios.values()), ratios
    for axis, shape in steps.items():
        changed = [f for f in dataclasses.asdict(start) if getattr(start, f) != getattr(shape, f)]
        assert set(changed) <= {"frames", "step"} if axis == "fast" else len(changed) == 1


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
    plain, normed = (
        blank(lambda b=both: x3d.X3d(shape, shortcut_norm=b)) for both in (False, True)
    )
    count = [sum(p.numel() for p in net.parameters()) for net in (plain, normed)]
    assert count == [3_794_274, 3_794_322]


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


# ---- blocks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", ["gaussian", "embedded_gaussian", "dot_product", "concatenation"])
def test_a_non_local_block_is_its_formula(pair: str) -> None:
    """Each place by itself, in float64: y_i = x_i + BN(W sum_j f(x_i, x_j) g(x_j))."""
    torch.manual_seed(1)
    block = NonLocal(4, pair=pair, pool=False).double().eval()  # type: ignore[arg-type]
    nn.init.normal_(block.bn.weight)
    x = torch.randn(1, 4, 2, 2, 3, dtype=torch.float64)
    flat = x[0].reshape(4, -1)

    def through(conv: nn.Conv3d, value: Tensor) -> Tensor:
        out = conv.weight[:, :, 0, 0, 0] @ value
        return out if conv.bias is None else out + conv.bias[:, None]

    theta = flat if pair == "gaussian" else through(block.theta, flat)
    phi = flat if pair == "gaussian" else through(block.phi, flat)
    g, n = through(block.g, flat), flat.shape[1]
    rows = []
    for i in range(n):
        if pair == "concatenation":
            both = torch.cat((theta[:, i : i + 1].expand(-1, n), phi))
            f = torch.relu(block.project.weight.flatten() @ both) / n
        else:
            dot = theta[:, i] @ phi
            f = dot / n if pair == "dot_product" else dot
            if pair == "embedded_gaussian":
                f = (dot / 2**0.5).softmax(0)
            elif pair == "gaussian":
                f = dot.softmax(0)
        rows.append(g @ f)
    out = through(block.out, torch.stack(rows, dim=1))
    scale = block.bn.weight / (1 + block.bn.eps) ** 0.5
    expected = flat + out * scale[:, None] + block.bn.bias[:, None]
    with torch.no_grad():
        assert torch.allclose(block(x)[0].reshape(4, -1), expected, atol=1e-12)


def test_a_new_non_local_block_changes_nothing() -> None:
    x = torch.randn(1, 4, 2, 4, 4)
    with torch.no_grad():
        assert torch.equal(NonLocal(4).eval()(x), x)


def test_inflated_filters_see_a_still_clip_as_the_picture() -> None:
    torch.manual_seed(0)
    flat = nn.Conv2d(3, 4, 3, padding=1)
    full = nn.Conv3d(3, 4, 3, padding=1)
    picture = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        full.weight.copy_(i3d.inflate(flat.weight, 3))
        full.bias.copy_(flat.bias)
        clip = picture[:, :, None].expand(-1, -1, 5, -1, -1)
        inside = full(clip)[:, :, 1:-1]
        assert torch.allclose(inside, flat(picture)[:, :, None].expand_as(inside), atol=1e-6)


def test_swin_of_images_inflates_to_the_keys_here() -> None:
    import timm

    image = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False)
    state = {k: v for k, v in image.state_dict().items() if "downsample" not in k}
    weights = video_swin.inflated(state)
    own = blank(lambda: video_swin.network("video_swin_t")).state_dict()
    shared = {k for k in weights if k in own}
    assert len(shared) > 150 and all(weights[k].shape == own[k].shape for k in shared)
    torch.manual_seed(0)
    patches = video_swin.PatchEmbed(3, 96)
    patches.load_state_dict(
        {k.removeprefix("patch_embed."): v for k, v in weights.items() if "patch_embed" in k}
    )
    picture = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        still = patches(picture[:, :, None].expand(-1, -1, 2, -1, -1))[:, 0]
        assert torch.allclose(still, image.patch_embed(picture), atol=1e-5)


def test_tsn_consensus_functions_are_what_their_names_say() -> None:
    scores = torch.tensor([[[1.0, 0.0], [3.0, -1.0], [5.0, 4.0], [0.0, 2.0]]])
    assert tsn.consensus("mean", 4)(scores).tolist() == [[2.25, 1.25]]
    assert tsn.consensus("max", 4)(scores).tolist() == [[5.0, 4.0]]
    assert tsn.consensus("top", 4)(scores).tolist() == [[3.0, 2.0]]
    assert tsn.consensus("weighted", 4)(scores).tolist() == [[2.25, 1.25]]  # equal at first


def test_trajectories_follow_the_flow() -> None:
    """A ramp moved by a constant flow is read further along it, frame by frame."""
    flow = torch.zeros(1, 2, 3, 6, 12)
    flow[:, 0] = 1.0
    ramp = torch.arange(12.0).expand(6, 12)
    moving = flow.clone()
    moving[:, 1, 1:] = ramp  # what the later fields hold in y tells where they were read
    stacked = two_stream.along_trajectories(moving)
    assert stacked.shape == (1, 6, 6, 12)
    assert torch.allclose(stacked[0, 0::2], torch.ones(3, 6, 12))
    assert torch.allclose(stacked[0, 3, :, :10], ramp[:, 1:11], atol=1e-5)
    assert torch.equal(two_stream.stack(moving)[0, 3], ramp)


@pytest.mark.parametrize("fusion", deepvideo.FUSIONS)
def test_deepvideo_sees_the_published_maps_and_answers(fusion: deepvideo.Fusion) -> None:
    side = 178 if fusion == "multiresolution" else 170
    net = blank(lambda: deepvideo.DeepVideo(fusion))
    clip = torch.empty(2, 3, deepvideo.FRAMES[fusion], side, side, device="meta")
    maps = net._seen(clip)
    columns = 2 if fusion in ("late", "multiresolution") else 1
    assert maps.shape == (2, columns * 256, 7, 7)
    assert net(clip).shape == (2, 487)


def test_eco_memory_replaces_half_and_averages() -> None:
    torch.manual_seed(0)
    memory = eco.Memory(eco.Eco(classes=3).eval(), size=4)
    first = memory.step(torch.randn(8, 3, 32, 32)).clone()
    before = list(memory.frames)
    second = memory.step(torch.zeros(5, 3, 32, 32))
    assert sum(bool((frame == 0).all()) for frame in memory.frames) == 2
    assert all(any(frame is kept for kept in before) for frame in list(memory.frames)[:2])
    assert torch.allclose(second.sum(), torch.tensor(1.0)) and not torch.equal(first, second)
