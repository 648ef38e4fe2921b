"""One side of the speed of detectors: ``side_detect SIDE FOLDER``, from the file to the boxes.

``ours`` opens the exported check in FOLDER. A NAME is torchvision's Faster R-CNN in PyTorch with
the weights of that run of ddn_runs, ``NAME.onnx`` the same network through ONNX Runtime.
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
    name, _, form = side.partition(".")
    net, size = network(name)

    def pixels(file: str) -> Any:
        image = read_image(file)
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, 2)
        big = cv2.resize(image, (size, size)).astype(np.float32) / 255
        return np.ascontiguousarray(big.transpose(2, 0, 1))

    if not form:

        @torch.inference_mode()
        def answer(file: str) -> object:
            return net([torch.from_numpy(pixels(file))])

        return answer, "PyTorch"
    session = _session(net, size, folder / f"{name}.onnx")
    return (lambda file: session.run(None, {"images": pixels(file)})), "ONNX Runtime"


def network(name: str) -> tuple[Any, int]:
    """torchvision's Faster R-CNN with all weights of a trained run, and the side of its input."""
    import torch
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    from benchmarks.ddn_runs import RUNS, trained

    model = trained(RUNS[name])
    own, settings = model.detector, model.settings
    dense = getattr(own.head, "dense", own.head)
    single = own.rpn.levels == 1
    first = min(settings.anchors)
    sizes = [settings.anchors] if single else [(first / 2 * 2**i,) for i in range(5)]
    ratios = (1.0, 0.5, 2.0) if single else (0.5, 1.0, 2.0)
    net = FasterRCNN(
        _body(own),
        min_size=settings.size,
        max_size=settings.size,
        image_mean=[0.0] * 3,  # the body has its own
        image_std=[1.0] * 3,
        rpn_anchor_generator=AnchorGenerator(tuple(sizes), (ratios,) * len(sizes)),
        rpn_pre_nms_top_n_test=own.proposing.before,
        rpn_post_nms_top_n_test=own.proposing.after,
        box_score_thresh=settings.threshold,
        box_head=torch.nn.Sequential(
            torch.nn.Flatten(), dense.fc6, torch.nn.ReLU(), dense.fc7, torch.nn.ReLU()
        ),
        box_predictor=_predictor(dense),
    )
    net.roi_heads.box_roi_pool = _pool(own)
    net.rpn.head.conv = torch.nn.Sequential(own.rpn.conv, torch.nn.ReLU())
    net.rpn.head.cls_logits, net.rpn.head.bbox_pred = own.rpn.objectness, own.rpn.offsets
    return net.eval(), settings.size


def _body(own: Any) -> Any:
    """The backbone, and torchvision's pyramid where ours has one."""
    import torch
    from torchvision.ops import FeaturePyramidNetwork
    from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

    class Body(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages, self.out_channels = own.stages, own.neck.out
            self.fpn = None
            if own.rpn.levels > 1:
                channels = list(own.stages.channels)
                self.fpn = FeaturePyramidNetwork(channels, own.neck.out, LastLevelMaxPool())
                for i in range(len(channels)):
                    self.fpn.inner_blocks[i][0] = own.neck.inner[i]
                    self.fpn.layer_blocks[i][0] = own.neck.outer[i]

        def forward(self, x: Any) -> dict[str, Any]:
            maps = self.stages(x, own.upto)
            if self.fpn is None:
                return {"0": maps[own.neck.level]}
            answer: dict[str, Any] = self.fpn({str(i): m for i, m in enumerate(maps)})
            return answer

    return Body()


def _pool(own: Any) -> Any:
    """torchvision's pooling of regions; of a single map, behind the 1×1 convolution of the head."""
    import torch
    from torchvision.ops import MultiScaleRoIAlign

    align = MultiScaleRoIAlign([str(i) for i in range(min(4, own.rpn.levels))], 7, 2)
    if own.rpn.levels > 1:
        return align

    class Pool(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = own.head.conv

        def forward(self, maps: Any, boxes: Any, shapes: Any) -> Any:
            return align({"0": torch.relu(self.conv(maps["0"]))}, boxes, shapes)

    return Pool()


def _predictor(dense: Any) -> Any:
    """Ours has no boxes of the background."""
    import torch
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor

    made = FastRCNNPredictor(dense.score.in_features, dense.score.out_features)
    made.cls_score = dense.score
    with torch.no_grad():
        made.bbox_pred.weight[:4], made.bbox_pred.bias[:4] = 0, 0
        made.bbox_pred.weight[4:], made.bbox_pred.bias[4:] = dense.box.weight, dense.box.bias
    return made


def _session(net: Any, size: int, path: Path) -> Any:
    import onnxruntime
    import torch

    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        image = torch.rand(3, size, size)
        torch.onnx.export(
            net, ([image],), str(path), input_names=["images"], opset_version=17, dynamo=False
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main(*sys.argv[1:])
