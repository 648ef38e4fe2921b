"""Segment Anything: a point, a box or a rough mask to a mask, arXiv:2304.02643.

The published networks ``sam_vit_b``, ``sam_vit_l``, ``sam_vit_h`` and ``mobile_sam``
(arXiv:2306.14289), and the architecture of ``sam_nano``, our small one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from triscope.kernel.catalogue import published
from triscope.segment.models._drawn_prompts import DrawnPrompts
from triscope.segment.models._mask_decoder import MaskDecoder
from triscope.segment.models._nano_decoder import NanoDecoder
from triscope.segment.models._nano_encoder import NanoEncoder
from triscope.segment.models._prompt_encoder import PromptEncoder
from triscope.segment.models._tiny_vit import Stage, TinyViT
from triscope.segment.models._vit import ImageEncoderViT
from triscope.segment.models._weights import load_published


class Sam(nn.Module):
    """Image encoder, prompt encoder and mask decoder.

    ``embed`` is dear and runs once per image; ``decode`` is cheap and runs once per prompt.
    ``image_size`` is the side of the square input, ``grid`` of the embedding; logits have four
    times the side of the grid.
    """

    def __init__(
        self,
        *,
        image_encoder: nn.Module,
        prompt_encoder: PromptEncoder,
        mask_decoder: MaskDecoder,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        self.image_size, self.grid = prompt_encoder.image_size, prompt_encoder.grid

    @property
    def embedding_width(self) -> int:
        """Channels of an embedding."""
        return self.mask_decoder.embedding_width

    @property
    def mask_size(self) -> int:
        """Side of the logits and of mask prompts."""
        return 4 * self.grid

    def embed(self, images_bchw: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d g g"]:
        """Embeddings of images that are normalised and then padded (``Frame.pixels``)."""
        return self.image_encoder(images_bchw)

    def decode(
        self,
        embedding: Float[Tensor, "e d g g"],
        *,
        points: Float[Tensor, "n p 2"] | None = None,
        labels: Shaped[Tensor, "n p"] | None = None,
        boxes: Float[Tensor, "n 4"] | None = None,
        masks: Float[Tensor, "n 1 m m"] | None = None,
        tokens: Float[Tensor, "n t w"] | None = None,
        multimask: bool = True,
    ) -> tuple[Float[Tensor, "n k l l"], Float[Tensor, "n k"]]:
        """Low-resolution logits and predicted IoU of n prompts on e images, n/e on each, in order.

        Points (x, y) and boxes xyxy are pixels of the input square, labels 1 (inside), 0 (outside)
        or -1 (padding), masks are logits, tokens are ready prompt tokens (a projected text, say).
        Three masks a prompt with ``multimask``, else one.
        """
        logits, iou = self.decode_all(
            embedding, points=points, labels=labels, boxes=boxes, masks=masks, tokens=tokens
        )
        wanted = slice(1, None) if multimask else slice(0, 1)
        return logits[:, wanted], iou[:, wanted]

    def decode_all(
        self,
        embedding: Float[Tensor, "e d g g"],
        *,
        points: Float[Tensor, "n p 2"] | None = None,
        labels: Shaped[Tensor, "n p"] | None = None,
        boxes: Float[Tensor, "n 4"] | None = None,
        masks: Float[Tensor, "n 1 m m"] | None = None,
        tokens: Float[Tensor, "n t w"] | None = None,
    ) -> tuple[Float[Tensor, "n 4 l l"], Float[Tensor, "n 4"]]:
        """As ``decode``, with all four masks: the single one first."""
        sparse, dense = self.prompt_encoder(points, labels, boxes, masks, tokens)
        return self.mask_decoder(embedding, self.prompt_encoder.dense_pe(), sparse, dense)


@published("sam_vit_b", "sam_vit_l", "sam_vit_h", "mobile_sam")
def build(name: str, state_dict: Mapping[str, Tensor]) -> nn.Module:
    """The network of that name with the published weights, in eval mode.

    Raises WeightsMismatch, naming the first keys and shapes that differ.
    """
    with torch.device("meta"):  # no memory and no time for weights that are replaced at once
        network = BUILDERS[name]()
    return load_published(name, network, state_dict).eval()


def sam_vit_b() -> Sam:
    """ViT-B, 93.7 M parameters."""
    return _published(
        ImageEncoderViT(image_size=1024, width=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11))
    )


def sam_vit_l() -> Sam:
    """ViT-L, 312 M parameters."""
    return _published(
        ImageEncoderViT(
            image_size=1024, width=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23)
        )
    )


def sam_vit_h() -> Sam:
    """ViT-H, 641 M parameters."""
    return _published(
        ImageEncoderViT(
            image_size=1024, width=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31)
        )
    )


def mobile_sam() -> Sam:
    """TinyViT, 10.1 M parameters."""
    return _published(
        TinyViT(
            stages=(
                Stage(width=64, depth=2, stride=2),
                Stage(width=128, depth=2, heads=4, window=7, stride=2),
                Stage(width=160, depth=6, heads=5, window=14, stride=1),
                Stage(width=320, depth=2, heads=10, window=7),
            ),
            classes=1000,
        )
    )


def sam_nano(image_size: int = 512) -> Sam:
    """Our small one, at 512 px: embeddings 32x32x512, logits 128x128, below 2 M parameters.

    Convolutions in the encoder, details for the decoder and prompts drawn as maps make it learn in
    hours, not weeks. No weight depends on ``image_size``: training begins with smaller images.
    """
    return Sam(
        image_encoder=NanoEncoder(widths=(32, 64, 128), depths=(2, 2, 2), heads=4, out=128),
        prompt_encoder=DrawnPrompts(width=128, image_size=image_size, grid=image_size // 16),
        mask_decoder=NanoDecoder(width=128, heads=8, hidden=256),
    )


def _published(image_encoder: nn.Module) -> Sam:
    return Sam(
        image_encoder=image_encoder,
        prompt_encoder=PromptEncoder(width=256, image_size=1024, grid=64),
        mask_decoder=MaskDecoder(width=256, heads=8, hidden=2048),
    )


BUILDERS: Mapping[str, Callable[[], Sam]] = {
    "sam_vit_b": sam_vit_b,
    "sam_vit_l": sam_vit_l,
    "sam_vit_h": sam_vit_h,
    "mobile_sam": mobile_sam,
    "sam_nano": sam_nano,
}
