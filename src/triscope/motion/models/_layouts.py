"""How the libraries name a 3-D residual network, in rules that end in the names of `_resnet3d`."""

from __future__ import annotations

import re

from triscope.motion.models._loading import Layout, Rule


def _stage(offset: int, start: str = "") -> Rule:
    """``s3.pathway0_res1.`` and the like: stages counted from ``offset``, blocks from 0."""

    def own(match: re.Match[str]) -> str:
        return f"{start}stages.{int(match[1]) - offset}.blocks.{match[2]}."

    return rf"^{re.escape(start)}s(\d)\.pathway0_res(\d+)\.", own


def _nonlocal(match: re.Match[str]) -> str:
    return f"stages.{int(match[1]) - 2}.nonlocals.{match[2]}."


SLOWFAST_BLOCK: tuple[Rule, ...] = (
    (r"\.branch1_bn\.", ".shortcut_bn."),
    (r"\.branch1\.", ".shortcut."),
    (r"\.branch2\.", "."),
)
PYTORCHVIDEO_BLOCK: tuple[Rule, ...] = (
    (r"\.branch1_conv\.", ".shortcut."),
    (r"\.branch1_norm\.", ".shortcut_bn."),
    (r"\.branch2\.conv_([abc])\.", r".\1."),
    (r"\.branch2\.norm_([abc])\.", r".\1_bn."),
)
_LETTER = {"1": "a", "2": "b", "3": "c"}


def _letter(match: re.Match[str]) -> str:
    return f".{_LETTER[match[1]]}."


def _letter_bn(match: re.Match[str]) -> str:
    return f".{_LETTER[match[1]]}_bn."


def layers(match: re.Match[str]) -> str:
    """``layer2.3.`` -> ``stages.1.blocks.3.``"""
    return f"stages.{int(match[1]) - 1}.blocks.{match[2]}."


TORCHVISION_BLOCK: tuple[Rule, ...] = (
    (r"layer(\d)\.(\d+)\.", layers),
    (r"\.downsample\.0\.", ".shortcut."),
    (r"\.downsample\.1\.", ".shortcut_bn."),
    (r"\.conv([123])\.", _letter),
    (r"\.bn([123])\.", _letter_bn),
)
MMACTION_BLOCK: tuple[Rule, ...] = (
    (r"layer(\d)\.(\d+)\.", layers),
    (r"\.downsample\.conv\.", ".shortcut."),
    (r"\.downsample\.bn\.", ".shortcut_bn."),
    (r"\.conv([123])\.conv\.", _letter),
    (r"\.conv([123])\.bn\.", _letter_bn),
)

SLOWFAST = Layout(
    "SlowFast",
    r"^s1\.pathway0_stem\.",
    (
        (r"^s1\.pathway0_stem\.", "stem."),
        (r"^s(\d)\.pathway0_nonlocal(\d+)\.", _nonlocal),
        (r"\.conv_(theta|phi|g|out)\.", r".\1."),
        _stage(2),
        *SLOWFAST_BLOCK,
        (r"^head\.projection\.", "head."),
    ),
)


def _numbered(first: int, pooled: bool) -> Rule:
    """``blocks.3.res_blocks.1.``: with a pool after the first stage the later ones shift by 1."""

    def own(match: re.Match[str]) -> str:
        number = int(match[1]) - first
        if pooled and number > 1:
            number -= 1
        return f"stages.{number}.blocks.{match[2]}."

    return r"^blocks\.(\d)\.res_blocks\.(\d+)\.", own


def pytorchvideo(pooled: bool) -> Layout:
    """The layout of a plain network; ``pooled``: with a pool over time after the first stage."""
    last = 6 if pooled else 5
    return Layout(
        "pytorchvideo",
        rf"^blocks\.{last}\.proj\.",
        (
            (r"^blocks\.0\.conv\.", "stem.conv."),
            (r"^blocks\.0\.norm\.", "stem.bn."),
            _numbered(1, pooled),
            *PYTORCHVIDEO_BLOCK,
            (rf"^blocks\.{last}\.proj\.", "head."),
        ),
    )


MMACTION = Layout(
    "mmaction2",
    r"^backbone\.conv1\.conv\.",
    (
        (r"^backbone\.", ""),
        (r"^conv1\.conv\.", "stem.conv."),
        (r"^conv1\.bn\.", "stem.bn."),
        (r"layer(\d)\.(\d+)\.non_local_block\.", lambda m: f"layer{m[1]}.nonlocals.{m[2]}."),
        (r"^layer(\d)\.nonlocals\.", lambda m: f"stages.{int(m[1]) - 1}.nonlocals."),
        (r"\.nonlocals\.(\d+)\.(theta|phi|g)(\.0)?\.conv\.", r".nonlocals.\1.\2."),
        (r"\.nonlocals\.(\d+)\.conv_out\.conv\.", r".nonlocals.\1.out."),
        (r"\.nonlocals\.(\d+)\.conv_out\.bn\.", r".nonlocals.\1.bn."),
        (r"\.nonlocals\.(\d+)\.concat_project\.conv\.", r".nonlocals.\1.project."),
        *MMACTION_BLOCK,
        (r"^cls_head\.fc_cls\.", "head."),
    ),
)
