"""Published key lists of networks that are not stored, made from those that are.

A deeper network repeats the keys of the last blocks of a stage, a wider one has other sides, and
another library has other names for the same tensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence

from outside import parity

Shapes = dict[str, list[int]]


def stored(name: str) -> Shapes:
    return dict(json.loads((parity("motion") / f"{name}.json").read_text())["state_dict"])


def grown(shapes: Shapes, stage: str, blocks: int, every: int = 1) -> Shapes:
    """The stage with so many blocks; new ones are like the one ``every`` places before them."""
    found = {k: m for k in shapes if (m := re.match(rf"({stage})(\d+)(\..*)", k))}
    rest = {k: v for k, v in shapes.items() if k not in found}
    have = 1 + max(int(m[2]) for m in found.values())
    for number in range(blocks):
        source = number if number < have else have - every + (number - have) % every
        for key, m in found.items():
            if int(m[2]) == source:
                rest[f"{m[1]}{number}{m[3]}"] = shapes[key]
    return rest


def several(shapes: Shapes, stages: str, blocks: Sequence[int], first: int, every: int) -> Shapes:
    for i, count in enumerate(blocks):
        shapes = grown(shapes, stages.format(first + i), count, every)
    return shapes


def without(shapes: Shapes, part: str) -> Shapes:
    return {key: shape for key, shape in shapes.items() if not re.search(part, key)}


def renamed(shapes: Shapes, *rules: tuple[str, str | Callable[[re.Match[str]], str]]) -> Shapes:
    out = {}
    for key, shape in shapes.items():
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)
        out[key] = shape
    return out


def resized(shapes: Shapes, part: str, change: Callable[[list[int]], list[int]]) -> Shapes:
    """The shapes of the keys that match, changed."""
    return {key: change(s) if re.search(part, key) else s for key, s in shapes.items()}


def reaching(frames: int) -> Callable[[list[int]], list[int]]:
    """Filters over so many frames."""
    return lambda shape: [*shape[:2], frames, *shape[3:]]


def mapped(sides: Mapping[int, int], shapes: Shapes) -> Shapes:
    """Every side that is named, replaced."""
    return {key: [sides.get(n, n) for n in shape] for key, shape in shapes.items()}


def inflated(shapes: Shapes, deep: bool = False) -> Shapes:
    """I3D from C2D: five frames in the first filters, three in every other first convolution."""
    places = {2: (0, 1, 2), 3: (0, 2), 4: tuple(range(0, 23 if deep else 6, 2)), 5: (1,)}
    named = "|".join(f"s{k}\\.pathway0_res({'|'.join(map(str, v))})" for k, v in places.items())
    shapes = resized(shapes, rf"^({named})\.branch2\.a\.weight", reaching(3))
    return resized(shapes, r"^s1\.pathway0_stem\.conv\.weight", reaching(5))


LETTERS = {"a": "1", "b": "2", "c": "3"}


def as_mmaction(shapes: Shapes, path: str = "") -> Shapes:
    """Names of mmaction2 for a residual network under the names of SlowFast."""
    return renamed(
        shapes,
        (r"^s1\.pathway\d_stem\.", f"{path}conv1."),
        (r"^s(\d)\.pathway\d_res(\d+)\.", lambda m: f"{path}layer{int(m[1]) - 1}.{m[2]}."),
        (r"\.branch1_bn\.", ".downsample.bn."),
        (r"\.branch1\.", ".downsample.conv."),
        (r"\.branch2\.([abc])_bn\.", lambda m: f".conv{LETTERS[m[1]]}.bn."),
        (r"\.branch2\.([abc])\.", lambda m: f".conv{LETTERS[m[1]]}.conv."),
        (r"^head\.projection\.", "cls_head.fc_cls."),
        (r"^(?=conv1|layer|slow_path|fast_path)", "backbone."),
    )


def nonlocal_mmaction(shapes: Shapes, pair: str) -> Shapes:
    """mmaction2's non-local network from SlowFast's: other places, other convolutions."""
    out = as_mmaction(without(shapes, "nonlocal"))
    for layer, wide, blocks in ((2, 512, (0, 2)), (3, 1024, (0, 2, 4))):
        for block in blocks:
            start, half = f"backbone.layer{layer}.{block}.non_local_block.", wide // 2
            parts = {"g.0": [half, wide, 1, 1, 1]}
            if pair != "gaussian":
                parts |= {"theta": parts["g.0"], "phi.0": parts["g.0"]}
            for part, shape in parts.items():
                out[f"{start}{part}.conv.weight"] = shape
                out[f"{start}{part}.conv.bias"] = [half]
            out[f"{start}conv_out.conv.weight"] = [wide, half, 1, 1, 1]
            for name in ("weight", "bias", "running_mean", "running_var"):
                out[f"{start}conv_out.bn.{name}"] = [wide]
            if pair == "concatenation":
                out[f"{start}concat_project.conv.weight"] = [1, wide, 1, 1, 1]
    return out


def official_slowfast(shapes: Shapes) -> Shapes:
    """Names of SlowFast for the two pathways under the names of pytorchvideo."""
    number = r"^blocks\.(\d)\."
    return renamed(
        shapes,
        (r"^blocks\.0\.multipathway_blocks\.(\d)\.norm\.", r"s1.pathway\1_stem.bn."),
        (r"^blocks\.0\.multipathway_blocks\.(\d)\.conv\.", r"s1.pathway\1_stem.conv."),
        (
            rf"{number}multipathway_fusion\.conv_fast_to_slow\.",
            lambda m: f"s{int(m[1]) + 1}_fuse.conv_f2s.",
        ),
        (rf"{number}multipathway_fusion\.norm\.", lambda m: f"s{int(m[1]) + 1}_fuse.bn."),
        (
            rf"{number}multipathway_blocks\.(\d)\.res_blocks\.(\d+)\.",
            lambda m: f"s{int(m[1]) + 1}.pathway{m[2]}_res{m[3]}.",
        ),
        (r"\.branch1_conv\.", ".branch1."),
        (r"\.branch1_norm\.", ".branch1_bn."),
        (r"\.conv_([abc])\.", r".\1."),
        (r"\.norm_([abc])\.", r".\1_bn."),
        (r"^blocks\.6\.proj\.", "head.projection."),
    )


def with_nonlocals(shapes: Shapes, stage: int, wide: int, blocks: Collection[int]) -> Shapes:
    """SlowFast's non-local blocks after these bottlenecks of the slow pathway."""
    like = {k: v for k, v in stored("slow_nln_r50").items() if f"s{stage}.pathway0_nonlocal1" in k}
    assert any(wide in shape for shape in like.values())
    return shapes | {
        key.replace("nonlocal1", f"nonlocal{block}"): shape
        for block in blocks
        for key, shape in like.items()
    }


def mmaction_slowfast(shapes: Shapes) -> Shapes:
    """mmaction2's two pathways: no norm behind the lateral convolutions."""
    official = without(official_slowfast(shapes), r"_fuse\.bn\.")
    slow = as_mmaction(without(official, "pathway1"), "slow_path.")
    fast = as_mmaction({k: v for k, v in official.items() if "pathway1" in k}, "fast_path.")
    return renamed(
        slow | fast,
        (r"^s1_fuse\.conv_f2s\.", "backbone.slow_path.conv1_lateral.conv."),
        (
            r"^s(\d)_fuse\.conv_f2s\.",
            lambda m: f"backbone.slow_path.layer{int(m[1]) - 1}_lateral.conv.",
        ),
    )


def vmz(shapes: Shapes, *, ip: bool) -> Shapes:
    """Names of VMZ for a CSN under the names of pytorchvideo; ip: a 1 x 1 x 1 in front."""
    convs = {"a": "conv1.0", "b": "conv2.0.2" if ip else "conv2.0", "c": "conv3.0"}
    norms = {"a": "conv1.1", "b": "conv2.1", "c": "conv3.1"}
    out = renamed(
        shapes,
        (r"^blocks\.0\.conv\.", "stem.0."),
        (r"^blocks\.0\.norm\.", "stem.1."),
        (r"^blocks\.(\d)\.res_blocks\.", r"layer\1."),
        (r"\.branch1_conv\.", ".downsample.0."),
        (r"\.branch1_norm\.", ".downsample.1."),
        (r"\.branch2\.conv_([abc])\.", lambda m: f".{convs[m[1]]}."),
        (r"\.branch2\.norm_([abc])\.", lambda m: f".{norms[m[1]]}."),
        (r"^blocks\.5\.proj\.", "fc."),
    )
    if ip:
        for key, shape in list(out.items()):
            if key.endswith("conv2.0.2.weight"):
                start = key.removesuffix("2.weight")
                out[f"{start}0.weight"] = [shape[0], shape[0], 1, 1, 1]
                for name in ("weight", "bias", "running_mean", "running_var"):
                    out[f"{start}1.{name}"] = [shape[0]]
    return out


def wider_swin(shapes: Shapes, width: int) -> Shapes:
    """Swin-B or L: so many channels where Swin-S has 96; tables of places and colours stay."""

    def sides(key: str, shape: list[int]) -> list[int]:
        if key.endswith("relative_position_index"):
            return shape
        heads = key.endswith("bias_table")
        return [
            n * width // 96 if (n >= 96 and n not in (2535, 400)) or (heads and n < 96) else n
            for n in shape
        ]

    return {key: sides(key, shape) for key, shape in shapes.items()}


def mvit(depth: int, doublings: tuple[int, int, int], frames: int) -> Shapes:
    """MViTv2-B and L from S: each block is like that of S in its place between the doublings."""
    shapes, out = stored("mvit_v2_s"), {}
    for key, shape in shapes.items():
        if not key.startswith("blocks."):
            out[key] = shape
    like = {0: 0, doublings[0]: 1, doublings[1]: 3, doublings[2]: 14}
    for block in range(depth):
        stage = sum(block > d for d in doublings)
        source = like.get(block, (0, 2, 4, 15)[stage])
        for key, shape in shapes.items():
            if key.startswith(f"blocks.{source}."):
                out[key.replace(f"blocks.{source}.", f"blocks.{block}.", 1)] = shape
    return resized(out, r"rel_pos_t$", lambda s: [frames - 1, s[1]])


def mvit_l() -> Shapes:
    """Half as wide again, heads of 72 channels, 312 pixels."""
    rows = {111: 155, 55: 77, 27: 37, 13: 17}
    out = {}
    for key, shape in mvit(48, (2, 8, 44), 40).items():
        if re.search(r"rel_pos_[hw]$", key):
            out[key] = [rows[shape[0]], 72]
        elif re.search(r"rel_pos_t$|pool_[qkv]|norm_[qkv]", key):
            out[key] = [72 if n == 96 else n for n in shape]
        else:
            out[key] = [n * 3 // 2 if n >= 96 and n != 400 else n for n in shape]
    return out


def mvit_mmaction(shapes: Shapes) -> Shapes:
    return renamed(
        shapes,
        (r"^head\.projection\.", "cls_head.fc_cls."),
        (r"^patch_embed\.proj\.", "patch_embed.projection."),
        (r"^norm\.", "norm3."),
        (r"^(?!cls_head)", "backbone."),
    )


SHIFTED = (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)


def mobile(wrapped: bool) -> Shapes:
    """MobileNetV2 over segments, 400 classes; the shifted convolutions stand in a wrapper."""
    net = rf"^base_model\.features\.({'|'.join(map(str, SHIFTED))})\.conv\.0\."
    out = renamed(
        stored("tsm_online_mobilenetv2"),
        (r"^features\.", "base_model.features."),
        (r"^classifier\.", "new_fc."),
        *(((net, r"base_model.features.\1.conv.0.net."),) if wrapped else ()),
    )
    return resized(out, r"^new_fc\.", lambda s: [400, *s[1:]])


def cnn_m(channels: int) -> Shapes:
    """VGG-M-2048 with 101 classes."""
    convs = {1: (96, channels, 7), 2: (256, 96, 5), 3: (512, 256, 3), 4: (512, 512, 3),
             5: (512, 512, 3)}  # fmt: skip
    shapes = {f"conv{k}.weight": [n, m, side, side] for k, (n, m, side) in convs.items()}
    shapes |= {f"conv{k}.bias": [n] for k, (n, _, _) in convs.items()}
    for k, (n, m) in {6: (4096, 18432), 7: (2048, 4096), 8: (101, 2048)}.items():
        shapes |= {f"fc{k}.weight": [n, m], f"fc{k}.bias": [n]}
    return shapes
