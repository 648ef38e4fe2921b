"""anomalib's side of the comparisons of PatchCore, run in the second environment.

``python -m benchmarks.side_anomalib fit DATASET KEEP FOLDER`` fits and evaluates, and leaves the
bank in the folder; ``... export DATASET KEEP FOLDER`` writes what anomalib exports from it;
``... inspect DATASET KEEP FOLDER FORM`` times it from file to answer.

The network is used as it is, without the engine around it: that is the faster way. Images are
read, resized and normalised by our reader, so that both sides see the same numbers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from numpy.typing import NDArray
from safetensors.torch import load_file

from benchmarks.cases import figures
from benchmarks.data import MOBILENET, TIMED, items
from benchmarks.measure import clock, peak_mb, timed
from triscope.kernel.data import read_image, to_input

SIZE, BATCH, LAYERS = 256, 8, (2, 3)  # strides 8 and 16, as ours


def main(task: str, dataset: str, keep: str, folder: str, form: str = "") -> None:
    """Do one task and print its figures."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    Path(folder).mkdir(parents=True, exist_ok=True)
    if task == "fit":
        answer = fit(dataset, float(keep), Path(folder))
    elif task == "export":
        answer = export(Path(folder))
    else:
        answer = inspect(dataset, Path(folder), form)
    print(json.dumps(answer))


def network() -> PatchcoreModel:
    """PatchCore over the MobileNetV2 of the file, padded as it was trained."""
    model = PatchcoreModel(layers=LAYERS, backbone="mobilenetv2_100", pre_trained=False)
    tap = timm.create_model(
        "mobilenetv2_100", pad_type="same", features_only=True, exportable=True, out_indices=LAYERS
    )
    missing, _ = tap.load_state_dict(load_file(MOBILENET), strict=False)
    if missing:
        raise SystemExit(f"the weights file lacks {missing[:3]}")
    model.feature_extractor.feature_extractor = tap.eval()
    return model


def inputs(images: list[NDArray[Any]]) -> torch.Tensor:
    """Images resized by our reader, as the network was trained on: x / 127.5 - 1."""
    return torch.from_numpy(np.stack([to_input(image, (SIZE, SIZE)) for image in images])) * 2 - 1


def fit(dataset: str, keep: float, folder: Path) -> dict[str, Any]:
    """Features of all images, then the coreset; figures on the test images."""
    before = peak_mb()
    files = [item.image for item in items(dataset, "train")]
    with clock() as used:
        model = network().train()
        for start in range(0, len(files), BATCH):
            model(inputs([read_image(file) for file in files[start : start + BATCH]]))
        patches = sum(len(part) for part in model.embedding_store)
        model.subsample_embedding(keep)
    model.eval()
    torch.save(model.state_dict(), folder / "patchcore.pt")

    def detector(image: NDArray[Any]) -> tuple[NDArray[np.float32], float]:
        with torch.no_grad():
            answer = model(inputs([image]))
        return answer.anomaly_map[0, 0].numpy(), float(answer.pred_score)

    found = {"cpu_s": used.cpu_s, "wall_s": used.wall_s, "peak_mb": used.peak_mb, "before": before}
    sizes = {"patches": patches, "bank": len(model.memory_bank), "images": len(files)}
    return {**found, **sizes, **figures(detector, items(dataset, "test"))}


def fitted(folder: Path) -> PatchcoreModel:
    """The network with the bank of an earlier fit."""
    state = torch.load(folder / "patchcore.pt", weights_only=True)
    model = network().eval()
    model.memory_bank = state["memory_bank"]
    model.load_state_dict(state)
    return model


def export(folder: Path) -> dict[str, Any]:
    """anomalib's module, normalisation inside, as ONNX and OpenVINO for one image of fixed size.

    Its own ``to_onnx`` fails for this backbone under torch 2.14 (it exports for free sizes, or for
    pairs of images); the same module with all sizes fixed is the fastest form that it can have.
    """
    import openvino
    from anomalib.models import Patchcore
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Compose, Normalize

    half = [0.5, 0.5, 0.5]
    whole = Patchcore(
        backbone="mobilenetv2_100",
        layers=LAYERS,
        pre_trained=False,
        pre_processor=PreProcessor(transform=Compose([Normalize(half, half)])),
        evaluator=False,
        visualizer=False,
    )
    whole.model = fitted(folder)
    whole.eval()
    onnx, xml = (folder / "weights" / name for name in ("onnx/model.onnx", "openvino/model.xml"))
    for path in (onnx, xml):
        path.parent.mkdir(parents=True, exist_ok=True)
    image = torch.rand(1, 3, SIZE, SIZE)
    with torch.no_grad():
        names = [name for name, value in whole(image)._asdict().items() if value is not None]
        torch.onnx.export(whole, (image,), onnx, opset_version=18, output_names=names, dynamo=True)
    openvino.save_model(openvino.convert_model(onnx), xml, compress_to_fp16=False)
    return {"onnx": str(onnx), "openvino": str(xml)}


def inspect(dataset: str, folder: Path, form: str) -> dict[str, Any]:
    """CPU and wall seconds an image, from the file to score, label and map."""
    if form.startswith("openvino"):
        numbers = "bf16" if form.endswith("bf16") else "f32"
        answer = with_openvino(folder / "weights" / "openvino" / "model.xml", numbers)
    else:
        answer = with_onnx(folder / "weights" / "onnx" / "model.onnx")
    files = [item.image for item in items(dataset, "test")][:TIMED]

    def whole(file: str) -> None:
        answer(to_input(read_image(file), (SIZE, SIZE))[None])

    return {**timed(whole, files), "peak_mb": peak_mb()}


def with_openvino(path: Path, numbers: str) -> Callable[[NDArray[np.float32]], Any]:
    """The exported graph in OpenVINO, brought to one image at a time: faster than with batches."""
    import openvino

    core = openvino.Core()
    graph = core.read_model(path)
    graph.reshape([1, 3, SIZE, SIZE])
    config = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": numbers, "NUM_STREAMS": 1}
    compiled = core.compile_model(graph, "CPU", config)
    return lambda images: {out.any_name: v for out, v in compiled([images]).items()}


def with_onnx(path: Path) -> Callable[[NDArray[np.float32]], Any]:
    """The exported graph in ONNX Runtime, one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})


if __name__ == "__main__":
    main(*sys.argv[1:])
