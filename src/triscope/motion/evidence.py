"""Why a network said so: where and when the evidence of a class lies in a clip (Grad-CAM).

Selvaraju et al.: Grad-CAM: Visual Explanations from Deep Networks, ICCV 2017 (arXiv:1610.02391).
The layer is found by running the network: the last one whose answer still is a map.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from triscope.errors import UsageError
from triscope.kernel.data.video import cut_of, open_video, read_clip
from triscope.kernel.data.video.clips import numbers_of
from triscope.kernel.data.video.sampling import crops
from triscope.kernel.export.fitted import restored
from triscope.kernel.report.film import Evidence
from triscope.kernel.runtime import Check
from triscope.motion.models._clip_model import one_answer

LEAST = 4  # pixels a side of a map that tells a place


def grad_cam(
    network: nn.Module, clip: Float[Tensor, "1 c t h w"], label: int
) -> NDArray[np.float32]:
    """Evidence for a class, in [0, 1], at each frame and pixel: (t, h, w)."""
    network = network.eval()
    layer, channels_last = map_layer(network, clip)
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    handle = layer.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            logits = one_answer(network(clip.detach().requires_grad_()))
            network.zero_grad(set_to_none=True)
            logits[0, label].backward()  # type: ignore[no-untyped-call]
    finally:
        handle.remove()
    values, slopes = (_as_clip(x, clip.shape[2], channels_last) for x in (kept[-1], kept[-1].grad))
    network.zero_grad(set_to_none=True)
    weights = slopes.mean((2, 3, 4), keepdim=True)
    heat = (weights * values).sum(1, keepdim=True).clamp_min(0)  # (1, 1, s, i, j)
    large = nn.functional.interpolate(heat, clip.shape[2:], mode="trilinear")[0, 0]
    scaled = large / large.max().clamp_min(1e-12)
    return np.asarray(scaled.detach().numpy(), np.float32)


class Explainer:
    """The evidence of a check of clips in its videos; the network is that of its weights.

    Raises UsageError for a check that does not answer whole clips.
    """

    def __init__(self, check: Check) -> None:
        if check.answers != "Moments" or check.card.input.get("kind") == "timeline":
            raise UsageError(
                f"{check.label} does not answer whole clips: evidence is drawn for models such as "
                "tsm or x3d."
            )
        self.check, self.cut = check, cut_of(check.card.input)
        model = restored(check)
        self.network, self.normalised = model.network().eval(), model.normalised

    def __call__(self, source: Any, label: str) -> Evidence | None:
        """Where and when the first view of a video speaks for a class."""
        frames, cut = open_video(source), self.cut
        numbers = numbers_of(len(frames), cut)[0]
        rows = read_clip(frames, replace(cut, clips=1, crops=1))
        clip = self.normalised(torch.from_numpy(rows[:1]).float() / 255)
        heat = grad_cam(self.network, clip, self.check.card.classes.index(label))
        if cut.seen != "rgb":  # what changes belongs to the later of its two frames
            middle = numbers[len(numbers) // 2 :][:1]
            numbers = numbers[1::2] if cut.sampling == "segments" else numbers[1:]
            if cut.seen == "flow":
                numbers = np.sort(np.concatenate([middle, numbers]))
        h, w = frames.read([0], 0 if cut.square else cut.size)[0].shape[:2]
        return Evidence(tuple(int(n) for n in numbers), heat if cut.square else _inside(heat, h, w))


def _inside(heat: NDArray[np.float32], h: int, w: int) -> NDArray[np.float32]:
    """Evidence in the middle square as evidence in the whole frame (t, h, w)."""
    size = heat.shape[1]
    whole = np.zeros((len(heat), h, w), np.float32)
    y, x = crops((h, w), size, 1)[0]
    whole[:, y : y + size, x : x + size] = heat
    return whole


def map_layer(network: nn.Module, clip: Float[Tensor, "1 c t h w"]) -> tuple[nn.Module, bool]:
    """The last layer whose answer is a map over space, and whether its channels come last.

    Maps of fewer than 4 pixels a side say little of the place: one before them is taken, where
    there is one. Raises UsageError where a network has none.
    """
    found: list[tuple[nn.Module, bool, int]] = []

    def look(module: nn.Module, _inputs: object, output: object) -> None:
        if not isinstance(output, Tensor) or output.ndim not in (4, 5):
            return
        last = isinstance(module, nn.LayerNorm | nn.Linear)
        sides = output.shape[-3:-1] if last else output.shape[-2:]
        if min(sides) > 1 and (output.ndim == 5 or not last):
            found.append((module, last, int(min(sides))))

    leaves = [m for m in network.modules() if not list(m.children())]
    handles = [leaf.register_forward_hook(look) for leaf in leaves]
    try:
        with torch.no_grad():
            network(clip)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise UsageError(
            f"{type(network).__name__} keeps no map over space that evidence could be read from."
        )
    large = [one for one in found if one[2] >= LEAST]
    return (large or found)[-1][:2]


def _as_clip(value: Tensor | None, frames: int, channels_last: bool) -> Float[Tensor, "1 c s i j"]:
    assert value is not None
    if channels_last:
        return value.permute(0, 4, 1, 2, 3)
    if value.ndim == 5:
        return value
    count = value.shape[0] // frames if value.shape[0] >= frames else 1
    return value.reshape(count, -1, *value.shape[1:]).transpose(1, 2)[:1]


def shown(frames: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Frames (t, h, w, 3) with the evidence (t, i, j) over them, warm where it is strong."""
    pictures = []
    h, w = frames.shape[1:3]
    for frame, part in zip(frames, heat, strict=True):
        large = cv2.resize(part, (w, h), interpolation=cv2.INTER_LINEAR)
        colour = cv2.applyColorMap((large * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
        share = (0.65 * large)[..., None]
        pictures.append((frame * (1 - share) + colour[..., ::-1] * share).astype(np.uint8))
    return np.stack(pictures)


def sheet(frames: NDArray[np.uint8], most: int = 8) -> NDArray[np.uint8]:
    """Some frames of a clip side by side, as one picture."""
    chosen = np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int).tolist()
    return np.concatenate([frames[i] for i in chosen], axis=1)
