"""Prompts to masks without torch: the exported encoder and decoder behind the same predictor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import CheckError, needs_extra
from triscope.kernel.runtime.card import Card, read_card, verify_files
from triscope.kernel.runtime.engine import OnnxEngine, OpenVinoEngine, default_threads
from triscope.segment.answers import Prompted
from triscope.segment.prompts import Prompts

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
Floats = NDArray[np.float32]


class RuntimePredictor(Prompted):
    """A predictor over an exported folder; see :class:`Prompted`.

    ``engine`` is ``onnxruntime`` or ``openvino``; ``precision`` is ``f32`` or, with OpenVINO on a
    processor that has it, ``bf16``. The card's hashes are verified first.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        engine: str = "onnxruntime",
        precision: str = "f32",
        threads: int | None = None,
    ) -> None:
        place = Path(folder)
        self.card = _card(place)
        settings: dict[str, Any] = dict(self.card.settings)
        self.side, self.mask_size = int(settings["image_size"]), int(settings["mask_size"])
        self.fingerprint = str(settings["network"])
        self.small = bool(settings.get("small", False))
        threads = threads or default_threads()
        self._encoder = _opened(place / ENCODER, engine, precision, threads)
        # The small decoder compares colours by differences of squares, which bfloat16 cannot hold.
        exact = "f32" if self.small else precision
        self._decoder = _opened(place / DECODER, engine, exact, threads)

    def _embed(self, pixels: Floats) -> Floats:
        return np.asarray(self._encoder({"images": pixels}, "image_embeddings")[0])

    def _decode(self, embedding: Floats, prompts: Prompts) -> tuple[Floats, Floats]:
        inputs = decoder_inputs(embedding, prompts, self.mask_size)
        logits, iou = self._decoder(inputs, "low_res_masks", "iou_predictions")
        return np.asarray(logits), np.asarray(iou)


def decoder_inputs(embedding: Floats, prompts: Prompts, mask_size: int) -> dict[str, Floats]:
    """Prompts as the inputs of the published decoder: corners are points, padding without a box."""
    n = len(prompts)
    coords: list[Floats] = [] if prompts.points is None else [prompts.points]
    labels: list[Floats] = [] if prompts.labels is None else [prompts.labels]
    if prompts.boxes is not None:
        coords.append(prompts.boxes.reshape(n, 2, 2))
        labels.append(np.tile(np.array([2, 3], np.float32), (n, 1)))
    elif prompts.points is not None:
        coords.append(np.zeros((n, 1, 2), np.float32))
        labels.append(np.full((n, 1), -1, np.float32))
    masks = prompts.masks
    return {
        "image_embeddings": embedding,
        "point_coords": np.concatenate(coords, 1) if coords else np.zeros((n, 0, 2), np.float32),
        "point_labels": np.concatenate(labels, 1) if labels else np.zeros((n, 0), np.float32),
        "mask_input": np.zeros((n, 1, mask_size, mask_size), np.float32)
        if masks is None
        else masks,
        "has_mask_input": np.array([0 if masks is None else 1], np.float32),
        "orig_im_size": np.zeros(2, np.float32),  # the masks are not drawn here
    }


def _card(folder: Path) -> Card:
    card = read_card(folder)
    if "decoder" not in card.graphs:
        raise CheckError(
            f"{folder} holds {card.model!r}, which takes no prompts: expected a folder written by "
            "'triscope segment export'."
        )
    verify_files(card, folder)
    return card


class _OnnxGraph(OnnxEngine):
    """The graph by ONNX Runtime."""

    def __call__(self, inputs: dict[str, Floats], *names: str) -> list[Any]:
        wanted = {one.name for one in self._session.get_inputs()}
        given = {name: array for name, array in inputs.items() if name in wanted}
        return list(self._session.run(list(names), given))


class _OpenVinoGraph:
    """The graph cut at the outputs that are asked for, in full or half precision."""

    def __init__(self, path: Path, precision: str, threads: int) -> None:
        try:
            import openvino
        except ImportError as error:
            raise needs_extra("this engine", "openvino", "openvino") from error
        core = openvino.Core()
        model = core.read_model(str(path))
        names = {port.get_any_name() for port in model.outputs}
        if "masks" in names:  # never drawn by the predictor, so not computed either
            kept = [port for port in model.outputs if port.get_any_name() in _PREDICTED]
            model = openvino.Model(
                [port.get_node().input_value(0) for port in kept],
                [
                    one
                    for one in model.get_parameters()
                    if one.get_friendly_name() != "orig_im_size"
                ],
            )
            for port, old in zip(model.outputs, kept, strict=True):
                port.get_tensor().set_names({old.get_any_name()})
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": 1,
        }
        self._model = core.compile_model(model, "CPU", options)

    def __call__(self, inputs: dict[str, Floats], *names: str) -> list[Any]:
        wanted = {port.get_any_name() for port in self._model.inputs}
        answer = self._model({name: a for name, a in inputs.items() if name in wanted})
        return [np.array(answer[name]) for name in names]


_PREDICTED = ("low_res_masks", "iou_predictions")


def _opened(path: Path, engine: str, precision: str, threads: int) -> Any:
    if engine == OpenVinoEngine.name:
        return _OpenVinoGraph(path, precision, threads)
    if engine != OnnxEngine.name:
        raise CheckError(f"no engine {engine!r}: expected onnxruntime or openvino.")
    return _OnnxGraph(path, threads)
