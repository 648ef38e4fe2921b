"""What a predictor takes and gives: masks of a prompt, and embeddings that outlive a process."""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triscope.errors import BadPrompt, DataError, UsageError, WeightsMismatch
from triscope.segment.connected import under_clicks
from triscope.segment.frame import Frame, as_rgb
from triscope.segment.prompts import Prompts, read_prompts

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Image = NDArray[np.uint8] | NDArray[np.uint16]

FORMAT = 1  # of saved embeddings
PROMPTS_AT_ONCE = 4  # larger batches are slower on a CPU and need more memory


@dataclass(frozen=True, eq=False)
class Masks:
    """The masks of one prompt: bool (k, h, w), predicted IoU float32 (k,), logits (k, l, l).

    ``logits`` are the network's own, over its square; give them back as the next mask prompt.
    """

    masks: Bools
    iou: Floats
    logits: Floats

    @property
    def best(self) -> int:
        """Index of the mask with the highest predicted IoU."""
        return int(self.iou.argmax())

    def __len__(self) -> int:
        return len(self.iou)


@dataclass(frozen=True, eq=False)
class Embedding:
    """What a network saw in one image: float32 (1, d, g, g), ready for any prompt."""

    values: Floats
    frame: Frame
    network: str  # fingerprint of the network that made it

    def save(self, path: Path | str) -> None:
        """Write to ``path`` (npz, no pickle)."""
        sizes = np.array([FORMAT, *self.frame.image_hw, self.frame.side], np.int64)
        with Path(path).open("wb") as file:
            np.savez(file, values=self.values, sizes=sizes, network=np.array(self.network))

    @classmethod
    def load(cls, path: Path | str) -> Embedding:
        """Read what ``save`` wrote; raises DataError naming the file."""
        try:
            # Opened here: numpy leaves its own file open when the archive is damaged.
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                version, h, w, side = (int(n) for n in stored["sizes"])
                values, network = stored["values"], str(stored["network"])
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} is not a saved embedding: {error}") from error
        if version != FORMAT:
            raise DataError(f"{path} has format {version}, this version reads {FORMAT}.")
        return cls(values, Frame((h, w), side), network)


class Prompted(ABC):
    """A network with an image in front of it: ``set_image`` is dear, ``predict`` is cheap.

    Subclasses say how to embed and to decode; ``side`` and ``mask_size`` are the network's. Two
    things help a ``small`` one (``sam_nano``): a mask of clicks alone keeps only the regions that
    an inside click lies on, since it also gathers what looks alike elsewhere; and a mask prompt
    alone comes with its box, since it never learned from a mask alone.
    """

    small: bool = False
    side: int
    mask_size: int
    fingerprint: str
    _embedding: Embedding | None = None

    @abstractmethod
    def _embed(self, pixels: Floats) -> Floats:
        """Inputs (b, 3, side, side) to embeddings (b, d, g, g)."""

    @abstractmethod
    def _decode(self, embedding: Floats, prompts: Prompts) -> tuple[Floats, Floats]:
        """All four masks of each prompt, the single one first: logits (n, 4, l, l), IoU (n, 4)."""

    # ---- images

    def embed(self, image: Image) -> Embedding:
        """The embedding of an RGB or grey image (h, w, 3) or (h, w), uint8 or uint16."""
        return next(self.embed_many([image], at_once=1))

    def embed_many(self, images: Iterable[Image], at_once: int = 4) -> Iterator[Embedding]:
        """Embeddings of many images, of any sizes, ``at_once`` in a batch."""
        queue = iter(images)
        while some := list(islice(queue, at_once)):
            rgb = [as_rgb(image) for image in some]
            frames = [Frame((one.shape[0], one.shape[1]), self.side) for one in rgb]
            pixels = np.concatenate([f.pixels(one) for f, one in zip(frames, rgb, strict=True)])
            for values, frame in zip(self._embed(pixels), frames, strict=True):
                yield Embedding(values[None], frame, self.fingerprint)

    def set_image(self, image: Image) -> Embedding:
        """Look at an image; all prompts that follow are about it."""
        return self.use(self.embed(image))

    def use(self, embedding: Embedding) -> Embedding:
        """Take an embedding made earlier (by this very network) instead of looking again."""
        if embedding.network != self.fingerprint:
            raise WeightsMismatch(
                f"the embedding was made by network {embedding.network}, this is "
                f"{self.fingerprint}: embed the image again."
            )
        self._embedding = embedding
        return embedding

    @property
    def embedding(self) -> Embedding:
        """The embedding in use; raises UsageError before the first image."""
        if self._embedding is None:
            raise UsageError("no image yet: call set_image(image) first.")
        return self._embedding

    # ---- prompts, in pixels of the image

    def predict(
        self,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        *,
        multimask: bool = True,
    ) -> Masks:
        """The masks of one prompt: points (p, 2), labels (p,), a box (4,), mask logits (m, m).

        Three nested masks with ``multimask`` (good for one click), else one (good for several).
        """
        one = self.predict_many(
            _one(points), _one(labels), _one(box), _one(mask), multimask=multimask
        )
        return next(one)

    def predict_many(
        self,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        boxes: ArrayLike | None = None,
        masks: ArrayLike | None = None,
        *,
        multimask: bool = True,
        at_once: int = PROMPTS_AT_ONCE,
    ) -> Iterator[Masks]:
        """The masks of n prompts, one after the other: points (n, p, 2), boxes (n, 4), and so on.

        ``at_once`` prompts are decoded together; memory does not grow with n.
        """
        embedding = self.embedding
        prompts = read_prompts(embedding.frame, self.mask_size, points, labels, boxes, masks)
        if self.small and prompts.points is None and prompts.boxes is None:
            prompts = prompts.with_boxes(self.side)
        wanted = slice(1, None) if multimask else slice(0, 1)
        return self._answers(embedding, prompts, wanted, at_once)

    def mask_prompt(self, mask: Bools) -> Floats:
        """A mask (h, w) of the image as logits (m, m) for ``predict``: to refine what is there."""
        frame = self.embedding.frame
        if np.shape(mask) != frame.image_hw:
            raise BadPrompt(f"the mask is {np.shape(mask)}, the image {frame.image_hw} (h, w).")
        return frame.mask_in(np.asarray(mask, bool), self.mask_size)

    def _answers(
        self, embedding: Embedding, prompts: Prompts, wanted: slice, at_once: int
    ) -> Iterator[Masks]:
        for start in range(0, len(prompts), at_once):
            some = prompts[start : start + at_once]
            logits, iou = self._decode(embedding.values, some)
            for i, (low, quality) in enumerate(zip(logits[:, wanted], iou[:, wanted], strict=True)):
                full = [embedding.frame.logits_out(one) > 0 for one in low]
                if self.small and some.boxes is None:
                    clicks = embedding.frame.points_out(some.inside(i))
                    full = [under_clicks(one, clicks) for one in full]
                yield Masks(np.stack(full), quality.copy(), low.copy())


def _one(prompt: ArrayLike | None) -> NDArray[Any] | None:
    return None if prompt is None else np.asarray(prompt)[None]
