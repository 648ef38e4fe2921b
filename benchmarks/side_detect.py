"""One side of the speed of detectors: ``side_detect SIDE FOLDER``, from the file to the boxes.

``ours`` opens the exported check in FOLDER; ``fpn`` is torchvision's Faster R-CNN on the
pyramid of MobileNetV2 in PyTorch, with the input and the proposals of ours; ``fpn.onnx`` the same
network through ONNX Runtime.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.data import DATA
from benchmarks.measure import peak_mb, timed

IMAGES = 40
SIZE, PROPOSALS, CLASSES = 320, 100, 7
THREADS = int(os.environ.get("TRISCOPE_THREADS", "1"))


def main(side: str, folder: str) -> None:
    """Answer the test images and print what it took."""
    names = (DATA / "neu_det" / "test.txt").read_text().split()[:IMAGES]
    files = [str(_file(name)) for name in names]
    answer, engine = ours(Path(folder)) if side == "ours" else theirs(side, Path(folder))
    print(json.dumps({**timed(answer, files), "peak_mb": peak_mb(), "engine": engine}))


def _file(name: str) -> Path:
    root = DATA / "neu_det" / "IMAGES"
    path = root / name
    return path if path.is_file() else root / f"{Path(name).stem}.jpg"


def ours(folder: Path) -> tuple[Callable[[str], object], str]:
    """The exported check."""
    import triscope

    check = triscope.open(folder)
    return check.inspect, str(check.card.engine)


def theirs(side: str, folder: Path) -> tuple[Callable[[str], object], str]:
    """torchvision's network, read with our reader."""
    import cv2
    import numpy as np
    import torch

    from triscope.kernel.data import read_image

    torch.set_num_threads(THREADS)
    kind, _, form = side.partition(".")

    def pixels(file: str) -> Any:
        image = read_image(file)
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, 2)
        big = cv2.resize(image, (SIZE, SIZE)).astype(np.float32) / 255
        return np.ascontiguousarray(big.transpose(2, 0, 1))

    net = network()
    if not form:

        @torch.inference_mode()
        def answer(file: str) -> object:
            return net([torch.from_numpy(pixels(file))])

        return answer, "PyTorch"
    session = _session(net, folder / f"{kind}.onnx")
    return (lambda file: session.run(None, {"images": pixels(file)})), "ONNX Runtime"


def network() -> Any:
    """torchvision's composition, with random weights."""
    import torch
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import mobilenet_backbone

    torch.manual_seed(0)
    sizes, ratios = (32, 64, 128, 256), (0.5, 1.0, 2.0)
    common = {
        "min_size": SIZE,
        "max_size": SIZE,
        "rpn_pre_nms_top_n_test": 1000,
        "rpn_post_nms_top_n_test": PROPOSALS,
        "box_score_thresh": 0.05,
        "box_nms_thresh": 0.5,
    }
    body = mobilenet_backbone(backbone_name="mobilenet_v2", weights=None, fpn=True)
    anchors = AnchorGenerator((sizes,) * 3, (ratios,) * 3)
    return FasterRCNN(body, CLASSES, rpn_anchor_generator=anchors, **common).eval()


def _session(net: Any, path: Path) -> Any:
    import onnxruntime
    import torch

    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        image = torch.rand(3, SIZE, SIZE)
        torch.onnx.export(
            net, ([image],), str(path), input_names=["images"], opset_version=17, dynamo=False
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main(*sys.argv[1:])
