"""ECO: a 2-D network looks at sparse frames, a 3-D one at all of its maps (arXiv:1804.09066).

Zolfaghari, Singh, Brox: ECO: Efficient Convolutional Network for Online Video Understanding,
ECCV 2018. ``lite`` answers from the 3-D part alone, ``full`` adds a 2-D part beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model, published
from triscope.motion.models._bninception import BNInception
from triscope.motion.models._clip_model import ClipModel, ClipSettings
from triscope.motion.models._frames import channels_of, segments
from triscope.motion.models._loading import Layout, load, read_weights
from triscope.motion.models._resnet3d import Clip

Form = Literal["sum", "first"]


class Residual3D(nn.Module):
    """Layers conv3_x to conv5_x of a 3-D ResNet-18 under their Caffe names.

    The sums are taken of raw convolutions; normalisation and ReLU follow them. ``sum``: each
    stage adds its input, through a 3 x 3 x 3 convolution where the size changes (mzolfaghari).
    ``first``: a plain convolution in front instead (the port by zhang-can).
    """

    def __init__(self, *, form: Form = "sum", bias: bool = True) -> None:
        super().__init__()
        self.form = form
        before = 96
        for stage, wide in ((3, 128), (4, 256), (5, 512)):
            stride = 1 if stage == 3 else 2
            name = f"res{stage}"
            if stage == 3 and form == "sum":
                self._conv(f"{name}a_2", before, wide, 1, bias)
            else:
                self._conv(f"{name}a_1", before, wide, stride, bias)
                self.add_module(f"{name}a_1_bn", nn.BatchNorm3d(wide))
                self._conv(f"{name}a_2", wide, wide, 1, bias)
                if form == "sum":
                    self._conv(f"{name}a_down", before, wide, stride, bias)
            self.add_module(f"{name}a_bn", nn.BatchNorm3d(wide))
            self._conv(f"{name}b_1", wide, wide, 1, bias)
            self.add_module(f"{name}b_1_bn", nn.BatchNorm3d(wide))
            self._conv(f"{name}b_2", wide, wide, 1, bias)
            self.add_module(f"{name}b_bn", nn.BatchNorm3d(wide))
            before = wide

    def _conv(self, name: str, wide_in: int, wide: int, stride: int, bias: bool) -> None:
        self.add_module(name, nn.Conv3d(wide_in, wide, 3, stride, 1, bias=bias))

    def forward(self, x: Clip) -> Float[Tensor, "b d s i j"]:
        for stage in (3, 4, 5):
            x = self._stage(f"res{stage}", x)
        return x

    def _stage(self, name: str, x: Tensor) -> Tensor:
        parts = dict(self.named_children())
        first = x
        if f"{name}a_1" in parts:
            first = F.relu(parts[f"{name}a_1_bn"](parts[f"{name}a_1"](x)))
        first = parts[f"{name}a_2"](first)
        if f"{name}a_down" in parts:
            first = first + parts[f"{name}a_down"](x)
        inner = F.relu(parts[f"{name}a_bn"](first))
        inner = F.relu(parts[f"{name}b_1_bn"](parts[f"{name}b_1"](inner)))
        return F.relu(parts[f"{name}b_bn"](parts[f"{name}b_2"](inner) + first))


class Eco(nn.Module):
    """ECO Lite, or with ``full`` ECO Full, on any number of segments (a multiple of 4)."""

    def __init__(
        self,
        *,
        full: bool = False,
        form: Form = "sum",
        bias: bool = True,
        channels: int = 3,
        classes: int = 400,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.full, self.channels = full, channels
        self.base = BNInception(channels, until="" if full else "3c_double_3x3_1")
        self.space_time = Residual3D(form=form, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(1536 if full else 512, classes)

    def forward(self, clips: Float[Tensor, "..."]) -> Float[Tensor, "b k"]:
        frames, count = segments(clips, self.channels)
        last, middle = self.base(frames)
        maps = middle.reshape(-1, count, *middle.shape[1:]).transpose(1, 2)  # (b, 96, s, h, w)
        seen = self.space_time(maps).mean((2, 3, 4))
        if self.full:
            each = last.mean((2, 3)).reshape(-1, count, last.shape[1])
            seen = torch.cat((each.mean(1), seen), dim=1)
        return self.head(self.dropout(seen))


class Memory:
    """ECO online: a memory of frames, half of which each step replaces (section 3.3).

    ``step(frames)`` takes the newest frames (n, c, h, w), answers running scores (k,).
    """

    def __init__(self, network: Eco, size: int = 16) -> None:
        self.network = network
        self.frames: deque[Tensor] = deque(maxlen=size)
        self.scores: Tensor | None = None

    @torch.no_grad()
    def step(self, frames: Float[Tensor, "n c h w"]) -> Float[Tensor, "k"]:
        """Half from the memory, half from the newest; averaged 1:1 with the answer before."""
        size = int(self.frames.maxlen or 16)
        half = size if not self.frames else size // 2
        kept = list(self.frames)
        spread = torch.linspace(0, len(kept) - 1, size - half).long().tolist() if kept else []
        index = torch.linspace(0, len(frames) - 1, half).long()
        chosen = [kept[i] for i in spread] + list(frames[index])
        self.frames = deque(chosen, maxlen=size)
        scores = self.network(torch.stack(chosen, dim=1)[None])[0].softmax(0)
        self.scores = scores if self.scores is None else (self.scores + scores) / 2
        return self.scores


@dataclass(frozen=True)
class Settings(ClipSettings):
    """Sparse frames; lite is the 3-D part alone."""

    form: Literal["lite", "full"] = "lite"  # full adds a 2-D part beside the 3-D one
    size: int = 224  # side of the square that the network sees, in pixels
    norm: Literal["learn", "partial", "frozen"] = "partial"  # batch norms


@model("eco", answers="Moments")
class EcoModel(ClipModel):
    """A 2-D network looks at sparse frames, a 3-D one at all of its maps."""

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return Eco(full=s.form == "full", classes=classes, dropout=s.dropout)

    def published(self) -> str:
        return f"eco_{self.settings.form}"


LAYOUT = Layout(
    "ECO",
    r"^(base_model\.)?conv1_7x7_s2\.",
    (
        (r"^(base_model\.)?(res\d[ab]_)", r"space_time.\2"),
        (r"^(base_model\.)?(conv|inception)", r"base.\2"),
        (r"^(new_fc|(base_model\.)?fc_final)\.", "head."),
    ),
)


@published("eco_lite", "eco_lite_4", "eco_lite_8", "eco_lite_16", "eco_lite_32", "eco_full",
           "eco_full_16")  # fmt: skip
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Segments (b, s * 3, h, w), or clips (b, 3, s, h, w), to logits (b, k).

    The number of segments follows from the input. The keys tell which port a file is of: with
    the shortcut convolutions of the authors (``res4a_down``) or without, with biases or without.
    """
    weights = read_weights(state_dict, (LAYOUT,))
    return load(
        name,
        lambda: Eco(
            full=name.startswith("eco_full"),
            form="first" if weights.has(r"\.res3a_1\.") else "sum",
            bias=weights.has(r"\.res3b_1\.bias"),
            channels=channels_of(weights.tensors),
            classes=weights.rows("head.weight", 400),
        ),
        weights,
    )
