"""The exported folder: ``encoder.onnx``, ``decoder.onnx`` and a sealed card; read without torch."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch

from triscope.kernel.export.onnx import write_onnx
from triscope.kernel.protocols import Graph
from triscope.kernel.runtime.card import Card, sha256, write_card
from triscope.kernel.runtime.folder import replacing
from triscope.segment.export.encoder import EncoderGraph
from triscope.segment.export.graphs import DecoderGraph, Options
from triscope.segment.export.tail import append_tail
from triscope.segment.models._nano_decoder import NanoDecoder
from triscope.segment.models.sam import Sam
from triscope.segment.predictor import fingerprint
from triscope.segment.runtime import DECODER, ENCODER

OPSET = 20  # from here on GELU is one operation


def export_folder(
    name: str, network: Sam, folder: Path, options: Options = Options(), *, int8: bool = False
) -> Card:
    """Write both graphs and the card; answers the card. ``int8`` shrinks the encoder's products."""
    with replacing(folder) as fresh:
        write_encoder(network, fresh / ENCODER)
        if int8:
            to_int8(fresh / ENCODER)
        write_decoder(network, fresh / DECODER, options)
        card = Card(
            model=name,
            answers="Masks",
            settings={
                "image_size": network.image_size,
                "mask_size": network.mask_size,
                "network": fingerprint(network),
                "single_mask": options.single_mask,
                "small": isinstance(network.mask_decoder, NanoDecoder),
            },
            size=(network.image_size, network.image_size),
            precision="int8" if int8 else "fp32",
            graphs=("encoder", "decoder"),
            files={file: sha256(fresh / file) for file in (ENCODER, DECODER)},
        )
        write_card(card, fresh)
    return card


def write_encoder(network: Sam, path: Path) -> None:
    """``images`` (b, 3, s, s) to ``image_embeddings`` (b, d, g, g)."""
    side = network.image_size
    example = {"images": torch.zeros(2, 3, side, side)}
    graph = Graph(EncoderGraph(network), example, ("image_embeddings",), _free("images"))
    write_onnx(graph, path, OPSET)


def write_decoder(network: Sam, path: Path, options: Options = Options()) -> None:
    """The prompt decoder with the published inputs and outputs; n prompts at a time."""
    graph = DecoderGraph(network, options)
    width, grid, mask = network.embedding_width, network.grid, network.mask_size
    example = {
        "image_embeddings": torch.zeros(1, width, grid, grid),
        "point_coords": torch.zeros(2, 3, 2),
        "point_labels": torch.zeros(2, 3),
        "mask_input": torch.zeros(2, 1, mask, mask),
        "has_mask_input": torch.zeros(1),
    }
    free = {
        "point_coords": {0: "prompts", 1: "points"},
        "point_labels": {0: "prompts", 1: "points"},
        "mask_input": {0: "prompts"},
    }
    write_onnx(Graph(graph, example, ("low_res_masks", "iou_predictions"), free), path, OPSET)
    onnx.save(append_tail(onnx.load(str(path)), network.image_size, options.extra), str(path))


def _free(*names: str) -> dict[str, dict[int, str]]:
    return {name: {0: "batch"} for name in names}


def to_int8(path: Path) -> None:
    """Matrix products with 8-bit weights, their inputs quantised as they come (dynamic).

    Convolutions stay: ONNX Runtime computes dynamic ones slower than in full precision.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = path.with_suffix(".whole.onnx")
    path.rename(whole)
    with _silent():
        quantize_dynamic(
            whole,
            path,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    whole.unlink()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """The quantiser warns of a preparation that these graphs do not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
