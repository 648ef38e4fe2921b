"""Words to masks, as published (arXiv:2304.02643 section 7.5 and appendix D.5).

A head learns to turn CLIP's embedding of an object's *picture* into a prompt token; then CLIP's
embedding of *words* takes its place, since CLIP puts both into one space. Any folder with a CLIP of
``transformers`` will do; nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from triscope.errors import UsageError, WeightsMismatch, WeightsMissing, needs_extra
from triscope.kernel.nn.published import load_published
from triscope.segment.answers import Masks
from triscope.segment.frame import as_rgb
from triscope.segment.models.sam import Sam
from triscope.segment.networks import read_weights
from triscope.segment.predictor import Predictor
from triscope.segment.training.task import PromptableTask, Recipe

Bools = NDArray[np.bool_]
ROOM = (1.0, 2.0)  # how far the crop around an object reaches, in sizes of its box
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's


class Clip:
    """Embeddings of pictures and words, float32 (n, d) of length 1, from a local CLIP."""

    def __init__(self, folder: Path | str) -> None:
        place = Path(folder)
        if not (place / "config.json").is_file():
            raise WeightsMissing(
                f"{place} holds no CLIP: expected a folder with config.json, weights and "
                "tokenizer, as transformers saves a CLIPModel."
            )
        try:
            from transformers import AutoTokenizer, CLIPModel
        except ImportError as error:
            raise needs_extra("text prompts", "text", "transformers") from error
        model: Any = CLIPModel.from_pretrained(str(place), local_files_only=True)
        self.model: Any = model.eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(str(place), local_files_only=True)
        self.size = int(self.model.config.vision_config.image_size)
        self.width = int(self.model.config.projection_dim)

    @torch.no_grad()
    def words(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Of texts."""
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        hidden = self.model.text_model(**tokens).pooler_output
        return F.normalize(self.model.text_projection(hidden), dim=1)

    @torch.no_grad()
    def pictures(self, crops: Sequence[NDArray[np.uint8]]) -> Float[Tensor, "n d"]:
        """Of square RGB pictures."""
        stacked = np.stack([self._sized(crop) for crop in crops]).astype(np.float32) / 255
        normal = (stacked - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
        pixels = torch.from_numpy(normal.transpose(0, 3, 1, 2).copy())
        hidden = self.model.vision_model(pixel_values=pixels).pooler_output
        return F.normalize(self.model.visual_projection(hidden), dim=1)

    def _sized(self, crop: NDArray[np.uint8]) -> NDArray[Any]:
        return cv2.resize(crop, (self.size, self.size), interpolation=cv2.INTER_AREA)


def crop_of(
    image: NDArray[Any], mask: Bools, room: float = 1.5, *, alone: bool = False
) -> NDArray[np.uint8]:
    """A square around the object, ``room`` sizes of its box; ``alone`` blackens all around it."""
    rgb = as_rgb(image)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise UsageError("an empty mask shows no object.")
    shown = np.where(mask[:, :, None], rgb, 0).astype(np.uint8) if alone else rgb
    half = max(rows[-1] - rows[0], columns[-1] - columns[0]) * room / 2 + 1
    y, x = (rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2
    top, left = int(y - half), int(x - half)
    side = int(2 * half) + 1
    out = np.zeros((side, side, 3), np.uint8)
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + side, rgb.shape[0]), min(left + side, rgb.shape[1])
    out[y0 - top : y1 - top, x0 - left : x1 - left] = shown[y0:y1, x0:x1]
    return out


class TextHead(nn.Module):
    """A CLIP embedding to one prompt token."""

    def __init__(self, clip_width: int, width: int) -> None:
        super().__init__()
        self.clip_width = clip_width
        self.layers = nn.Sequential(
            nn.Linear(clip_width, width), nn.GELU(), nn.Linear(width, width), nn.LayerNorm(width)
        )

    def forward(self, embeddings: Float[Tensor, "n d"]) -> Float[Tensor, "n 1 c"]:
        return self.layers(embeddings)[:, None]


class _WithHead(nn.Module):
    """A network and its head as one module."""

    def __init__(self, network: Sam, head: TextHead) -> None:
        super().__init__()
        self.sam, self.head = network, head


class TextTask(PromptableTask):
    """The promptable task whose first prompt is what CLIP sees in the object's picture.

    A batch has ``embeddings`` (b, n, d) beside ``images`` and ``masks``; clicks follow as usual.
    """

    def __init__(self, network: Sam, head: TextHead, recipe: Recipe = Recipe(clicks=0)) -> None:
        super().__init__(network, recipe)
        self.head = head
        self._both = _WithHead(network, head)

    def network(self) -> nn.Module:
        """Network and head."""
        return self._both

    def losses(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of the answer to the embedding alone, as for an ambiguous prompt: the best of three."""
        embeddings = self._network.embed(batch["images"]).float()
        shares = batch["masks"].float()
        with torch.autocast(embeddings.device.type, enabled=False):
            repeated = embeddings.repeat_interleave(shares.shape[1], dim=0)
            tokens = self.head(batch["embeddings"].flatten(0, 1).float())
            logits, quality = self._network.decode(repeated, tokens=tokens)
            parts, iou = self._judge(logits, quality, shares.flatten(0, 1)[:, None])
        chosen = quality.argmax(dim=1)
        return {**parts, "text_iou": iou[torch.arange(len(chosen)), chosen].mean()}


class TextPredictor(Predictor):
    """A predictor that also answers words."""

    def __init__(self, network: Sam, head: TextHead, clip: Clip) -> None:
        super().__init__(network)
        if head.clip_width != clip.width:
            raise UsageError(
                f"this head was trained with embeddings of {head.clip_width} numbers, the CLIP "
                f"gives {clip.width}: use the CLIP that it was trained with."
            )
        self.head, self.clip = head.eval(), clip

    def predict_text(
        self, words: str, points: Any = None, labels: Any = None, *, multimask: bool = True
    ) -> Masks:
        """The masks of what the words say in the image in use; a click may help."""
        if not words.strip():
            raise UsageError("no words: say what to look for.")
        frame = self.embedding.frame
        xy = None if points is None else torch.from_numpy(frame.points_in(points)).float()[None]
        marks = None if labels is None else torch.tensor([labels], dtype=torch.float32)
        with torch.no_grad():
            low, iou = self.network.decode(
                torch.from_numpy(self.embedding.values),
                points=xy,
                labels=marks,
                tokens=self.head(self.clip.words([words])),
                multimask=multimask,
            )
        logits = low[0].numpy()
        full = np.stack([frame.logits_out(one) > 0 for one in logits])
        return Masks(full, iou[0].numpy(), logits)


def examples(
    clip: Clip, image: NDArray[Any], masks: Sequence[Bools], rng: np.random.Generator
) -> Float[Tensor, "n d"]:
    """CLIP's embeddings of the objects: crops of one to two box sizes, half of them alone."""
    crops = [
        crop_of(image, mask, float(rng.uniform(*ROOM)), alone=bool(rng.random() < 0.5))
        for mask in masks
    ]
    return clip.pictures(crops)


def save_head(head: TextHead, path: Path) -> None:
    """The weights of a head as safetensors."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in head.state_dict().items()}, str(path))


def load_head(path: Path) -> TextHead:
    """A head that ``save_head`` wrote; its widths are those of its weights."""
    if not path.is_file():
        raise WeightsMissing(
            f"{path} is not there: train a head with `triscope segment text train`."
        )
    state = dict(read_weights(path))
    first = state.get("layers.0.weight")
    if first is None or first.ndim != 2:
        raise WeightsMismatch(
            f"{path} is no head for words: expected 'layers.0.weight' of 2 axes among its weights."
        )
    head = TextHead(first.shape[1], first.shape[0])
    return load_published("the head", head, state).eval()
