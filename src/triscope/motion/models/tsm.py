"""TSM: channels shifted along time let a network of frames see motion, arXiv:1811.08383.

Lin, Gan, Han: TSM: Temporal Shift Module for Efficient Video Understanding, ICCV 2019.
Offline both neighbours give channels; online only the past does, and a frame
is answered from the channels kept of the one before: nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from triscope.kernel.catalogue import model, published
from triscope.kernel.protocols import Graph
from triscope.motion.models._clip_model import ClipSettings, normalise
from triscope.motion.models._frames import (
    FramesModel,
    Segmental,
    backbone,
    channels_of,
    layouts,
    shifted_by,
)
from triscope.motion.models._loading import Layout, load, read_weights
from triscope.motion.models._mobilenetv2 import mmaction_name

FOLD = 8  # a shift moves 1/8 of the channels (both ways: twice that)


class Shift(nn.Module):
    """A convolution behind a shift in time; the frames of a clip stand behind one another."""

    def __init__(self, net: nn.Module, both: bool) -> None:
        super().__init__()
        self.net, self.both = net, both
        self.frames = 1
        self.kept: Tensor | None = None  # online: the channels of the frame before
        self.online = False

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        fold = x.shape[1] // FOLD
        if self.online:
            now = x[:, :fold]
            before = torch.zeros_like(now) if self.kept is None else self.kept
            x = torch.cat((before, x[:, fold:]), dim=1)
            self.kept = now
        elif self.frames > 1:
            clips = x.reshape(-1, self.frames, *x.shape[1:])
            x = shifted_by(clips, fold, self.both).flatten(0, 1)
        else:
            x = torch.cat((torch.zeros_like(x[:, :fold]), x[:, fold:]), dim=1)
            if self.both:
                x = torch.cat((x[:, :fold], torch.zeros_like(x[:, :fold]), x[:, 2 * fold :]), 1)
        return self.net(x)


class Tsm(Segmental):
    """A network of frames with shifts; ``both``: from both neighbours, else from the past only."""

    def __init__(
        self,
        base: str,
        *,
        both: bool = True,
        channels: int = 3,
        classes: int = 400,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(
            backbone(base, channels, lambda conv: Shift(conv, both)),
            channels=channels,
            classes=classes,
            dropout=dropout,
        )
        self.both = both

    def shifts(self) -> list[Shift]:
        """The shifts, in the order in which a frame passes them."""
        return [module for module in self.base.modules() if isinstance(module, Shift)]

    def tell(self, count: int) -> None:
        for shift in self.shifts():
            shift.frames = count


class Online(nn.Module):
    """One frame in, one answer out: a trained `Tsm` unrolled, its state given and answered.

    ``online(frame, *state)`` is the logits and the new state, a tensor a shift; without a state
    all begin at zero. Frame by frame it answers what the network with shifts from the past answers
    offline for each frame.
    """

    def __init__(self, network: Tsm) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, frame: Float[Tensor, "b c h w"], *state: Float[Tensor, "b _ _ _"]
    ) -> tuple[Tensor, ...]:
        shifts = self.network.shifts()
        for i, shift in enumerate(shifts):
            shift.online, shift.kept = True, state[i] if state else None
        try:
            logits = self.network.head(self.network.features(frame))
            kept = [shift.kept for shift in shifts]
        finally:
            for shift in shifts:
                shift.online, shift.kept = False, None
        return (logits, *(value for value in kept if value is not None))

    @torch.no_grad()
    def start(self, frame: Float[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        """The state before the first frame: zeros, of the shapes that this frame's size gives."""
        return tuple(torch.zeros_like(value) for value in self(frame)[1:])


@dataclass(frozen=True)
class Settings(ClipSettings):
    """MobileNetV2 at 112 px, which learns a few gestures on a CPU in minutes."""

    backbone: Literal["mobilenetv2", "mobilenetv2_tf", "resnet50", "resnet101"] = "mobilenetv2_tf"
    # network of the frames; _tf: padded and normalised as the weights of TensorFlow want it
    both: bool = True  # shift channels from both neighbours; no: from the past, to run online
    norm: Literal["learn", "partial", "frozen"] = "partial"  # batch norms


@model("tsm", answers="Moments")
class TsmModel(FramesModel):
    """Sparse frames, channels shifted between them; with ``both=no`` it also runs online."""

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return network(s.backbone, both=s.both, classes=classes, dropout=s.dropout)

    def published(self) -> str:
        return f"tsm_{self.settings.backbone}"

    def graphs(self) -> dict[str, Graph]:
        """The graph of a clip; and, where only the past is used, that of one frame with state."""
        graphs = super().graphs()
        if not self.settings.both:
            graphs["online"] = self._online()
        return graphs

    def card(self) -> dict[str, Any]:
        """Also the shapes of the state, where it runs online."""
        card = super().card()
        if not self.settings.both and self.classes:
            state = self._online().example
            shapes = [list(v.shape) for k, v in state.items() if k.startswith("state_")]
            card["input"] = {**card["input"], "state": shapes}
        return card

    def _online(self) -> Graph:
        s = self.settings
        module = OnlineGraph(self.network(), self.mean, self.std).eval()  # type: ignore[arg-type]
        frame = torch.full((1, 3, s.size, s.size), 0.5)
        state = module.start(frame)
        names = {f"state_{i}": value for i, value in enumerate(state)}
        outputs = ("logits", *(f"next_{i}" for i in range(len(state))))
        return Graph(module, {"frame": frame, **names}, outputs)


class OnlineGraph(nn.Module):
    """One frame in [0, 1] and the state, to logits and the next state."""

    def __init__(self, net: Tsm, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.online = Online(net)
        self.mean, self.std = mean, std

    def forward(
        self, frame: Float[Tensor, "b c h w"], *state: Float[Tensor, "b _ _ _"]
    ) -> tuple[Tensor, ...]:
        return self.online(normalise(frame[:, :, None], self.mean, self.std)[:, :, 0], *state)

    def start(self, frame: Float[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        """See Online."""
        return self.online.start(frame)


ONLINE = (
    Layout(
        "TSM online",
        r"^features\.0\.0\.",
        (
            (r"^features\.", "base.features."),
            # the demo has no wrapper around the shifted convolutions
            (r"\.features\.(3|5|6|8|9|10|12|13|15|16)\.conv\.0\.", r".features.\1.conv.0.net."),
            (r"^classifier\.", "head."),
        ),
    ),
)
MMACTION_MOBILE = (
    Layout(
        "mmaction2",
        r"^backbone\.layer1\.0\.conv\.0\.conv\.",
        (
            (r"^backbone\.conv1\.conv\.", "base.features.0.0."),
            (r"^backbone\.conv1\.bn\.", "base.features.0.1."),
            (r"^backbone\.conv2\.conv\.", "base.features.18.0."),
            (r"^backbone\.conv2\.bn\.", "base.features.18.1."),
            (r"^backbone\.", "base."),
            (r"layer(\d)\.(\d)\.conv\.(\d)\.(net\.)?(conv|bn)\.", mmaction_name),
            (r"^cls_head\.fc_cls\.", "head."),
        ),
    ),
)


def network(
    base: str,
    *,
    both: bool = True,
    classes: int = 400,
    channels: int = 3,
    dropout: float = 0.5,
) -> Tsm:
    """TSM on one of the networks of single frames (resnet50, resnet101, mobilenetv2)."""
    return Tsm(base, both=both, classes=classes, channels=channels, dropout=dropout)


@published("tsm_resnet50", "tsm_resnet101", "tsm_mobilenetv2", "tsm_online_mobilenetv2")
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Segments (b, s * 3, h, w), or clips (b, 3, s, h, w), to logits (b, k).

    ``tsm_online_mobilenetv2`` takes one frame and its ten buffers and answers logits and buffers
    (see Online). Keys of the authors, or of mmaction2.
    """
    prefixes: Sequence[tuple[str, str]] = ((r"\.conv1\.conv\.net\.", ".conv1.net."),)
    online = "online" in name
    own = (*MMACTION_MOBILE, *layouts(tuple(prefixes)))
    weights = read_weights(state_dict, (*ONLINE, *own) if online else (*own, *ONLINE))
    tsm = load(
        name,
        lambda: network(
            name.rsplit("_", 1)[1],
            both=not online,
            classes=weights.rows("head.weight", 400),
            channels=channels_of(weights.tensors),
        ),
        weights,
    )
    return Online(tsm) if online else tsm
