"""One side of ``bench_reading``: ``python -m benchmarks.side_reading WHO TASK``.

WHO is ``triscope``, ``torchvision`` (bytes are resized) or ``floats`` (Pillow, then floats are
resized, as anomalib 2.7 reads); TASK is ``read`` (files of mvtec_bottle to float planes of
256 x 256) or ``augment`` (mirror, affine, light on the images of neu_det with their boxes).
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.data import DATA
from benchmarks.measure import clock

SIDE_PX = 256
AUGMENTED = 600


def main(who: str, task: str) -> None:
    """Do the task once to warm up the page cache and once more to measure; print figures."""
    work = {"read": reading, "augment": augmenting}[task](who)
    work()
    with clock() as used:
        count, said = work()
    print(json.dumps({"ms": 1000 * used.cpu_s / count, "count": count, "said": said}))


def reading(who: str) -> Any:
    """From the path to float planes; says their mean, which both sides must agree on."""
    import numpy as np

    from triscope.kernel.data import open_data, read_image, to_input

    paths = [sample.source for sample in open_data(DATA / "mvtec_bottle")]

    def ours() -> tuple[int, float]:
        return len(paths), float(
            np.mean([to_input(read_image(p), (SIDE_PX,) * 2).mean() for p in paths])
        )

    def theirs() -> tuple[int, float]:
        from PIL import Image, ImageOps
        from torchvision.transforms import v2
        from torchvision.transforms.v2 import functional as F

        means = []
        for path in paths:
            picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
            image = v2.ToImage()(picture)
            if who == "floats":
                image = F.to_dtype(image, dtype=_float(), scale=True)
            small = F.resize(image, [SIDE_PX, SIDE_PX], antialias=True)
            means.append(float(F.to_dtype(small, dtype=_float(), scale=True).mean()))
        return len(paths), float(np.mean(means))

    return ours if who == "triscope" else theirs


def augmenting(who: str) -> Any:
    """Images with boxes, in memory, each changed once; says how many boxes are left."""
    import numpy as np

    from triscope.kernel.data import open_data
    from triscope.kernel.data.transforms import Affine, Chain, Flip, Light, view_of

    samples = open_data(DATA / "neu_det")[:AUGMENTED]
    views = [view_of(sample) for sample in samples]

    def ours() -> tuple[int, float]:
        affine = Affine(degrees=(-15, 15), scale=(0.8, 1.2), shift=(-0.1, 0.1))
        light = Light(brightness=(-0.1, 0.1), contrast=(0.8, 1.2))
        steps, rng = Chain(Flip(), affine, light), np.random.default_rng(0)
        return len(views), float(sum(len(steps(view, rng).boxes) for view in views))

    def theirs() -> tuple[int, float]:
        import torch
        from torchvision import tv_tensors
        from torchvision.transforms import v2

        torch.manual_seed(0)
        steps = v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomAffine(
                    15, (0.1, 0.1), (0.8, 1.2), interpolation=v2.InterpolationMode.BILINEAR
                ),
                v2.ColorJitter(brightness=0.1, contrast=0.2),
                v2.SanitizeBoundingBoxes(labels_getter=None),
            ]
        )
        left = 0
        for view in views:
            image = tv_tensors.Image(torch.from_numpy(view.image).permute(2, 0, 1))
            boxes = tv_tensors.BoundingBoxes(view.boxes, format="XYXY", canvas_size=view.hw)
            left += len(steps({"image": image, "boxes": boxes})["boxes"])
        return len(views), float(left)

    return ours if who == "triscope" else theirs


def _float() -> Any:
    import torch

    return torch.float32


if __name__ == "__main__":
    import cv2

    cv2.setNumThreads(1)
    if sys.argv[1] != "triscope":
        import torch

        torch.set_num_threads(1)
    main(*sys.argv[1:])
