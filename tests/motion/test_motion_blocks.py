"""Blocks of the networks of video: their formulas, by hand, and what the papers say of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.motion.models import deepvideo, eco, i3d, tsn, two_stream, video_swin
from triscope.motion.models._resnet3d import NonLocal, PairFunction, Pooling


def blank(build: Callable[[], nn.Module]) -> nn.Module:
    """Built without memory: only shapes count here."""
    with torch.device("meta"):
        return build()


@pytest.mark.parametrize("pool", ["none", "before", "after"])
@pytest.mark.parametrize("pair", ["gaussian", "embedded_gaussian", "dot_product", "concatenation"])
def test_a_non_local_block_is_its_formula(pair: PairFunction, pool: Pooling) -> None:
    """Each place by itself, in float64: y_i = x_i + BN(W sum_j f(x_i, x_j) g(x_j))."""
    torch.manual_seed(1)
    scaled = pool != "after"  # mmaction2's I3D has neither
    block = NonLocal(4, pair=pair, pool=pool, scaled=scaled).double().eval()
    nn.init.normal_(block.bn.weight)
    x = torch.randn(1, 4, 2, 2, 4, dtype=torch.float64)
    flat = x[0].reshape(4, -1)

    def halved(rows: Tensor) -> Tensor:
        return F.max_pool3d(rows.reshape(1, -1, *x.shape[2:]), (1, 2, 2))[0].flatten(1)

    def through(conv: nn.Conv3d, value: Tensor) -> Tensor:
        out = conv.weight[:, :, 0, 0, 0] @ value
        return out if conv.bias is None else out + conv.bias[:, None]

    theta = flat if pair == "gaussian" else through(block.theta, flat)
    seen = halved(flat) if pool == "before" else flat
    phi = seen if pair == "gaussian" else through(block.phi, seen)
    g = through(block.g, seen)
    if pool == "after":
        phi, g = halved(phi), halved(g)
    n, rows = g.shape[1], []
    for i in range(flat.shape[1]):
        if pair == "concatenation":
            both = torch.cat((theta[:, i : i + 1].expand(-1, n), phi))
            f = torch.relu(block.project.weight.flatten() @ both) / n
        else:
            dot = theta[:, i] @ phi
            f = dot / n if pair == "dot_product" else dot
            if pair == "embedded_gaussian":
                f = (dot / 2**0.5 if scaled else dot).softmax(0)
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
    stacked = two_stream.stack(two_stream.along_trajectories(moving))
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
