"""Generated textures and the steps that the tests of the distilled models share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from triscope.kernel.train import Plan, Shuffled, train
from triscope.surface.models import efficientad, reverse_distillation, stfpm

SIZE = 64
SHORT: dict[str, Callable[..., Any]] = {
    "stfpm": lambda **kv: stfpm.Stfpm(
        stfpm.Settings(**{"size": SIZE, "steps": 60, "batch": 4, "learning_rate": 0.1, **kv})
    ),
    "reverse_distillation": lambda **kv: reverse_distillation.ReverseDistillation(
        reverse_distillation.Settings(**{"size": SIZE, "steps": 60, "batch": 4, **kv})
    ),
    "efficientad": lambda **kv: efficientad.EfficientAd(
        efficientad.Settings(**{"size": SIZE, "steps": 50, "batch": 4, "width": 0.125, **kv})
    ),
}
NAMES = tuple(SHORT)
TINY = {"backbone": "resnet10t", "weights": "random:0"}


def textures(count: int, seed: int = 0, size: int = SIZE) -> Tensor:
    """Woven stripes with a little noise and a chance shift, float32 (count, 3, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    shift = 8 * torch.rand(count, 2, 1, 1, generator=generator)
    places = torch.arange(size, dtype=torch.float32)
    rows = torch.sin((places.view(1, -1, 1) + shift[:, 0]) * 2 * torch.pi / 8)
    columns = torch.sin((places.view(1, 1, -1) + shift[:, 1]) * 2 * torch.pi / 8)
    weave = 0.5 + 0.2 * rows + 0.2 * columns
    tint = torch.tensor([1.0, 0.9, 0.7]).view(1, 3, 1, 1)
    noise = 0.02 * torch.randn(count, 3, size, size, generator=generator)
    return (weave.unsqueeze(1) * tint + noise).clamp(0, 1)


def damaged(images: Tensor) -> Tensor:
    """The same images, each with a pale smear of 12x12 pixels at (24..36, 28..40)."""
    images = images.clone()
    images[:, :, 24:36, 28:40] = torch.tensor([0.9, 0.2, 0.3]).view(1, 3, 1, 1)
    return images


def taught(model: Any, images: Tensor, folder: Path | None = None, progress: Any = None) -> Any:
    """The model after the training that its settings ask for, and after watching if it watches."""
    settings = model.settings
    batches = Shuffled(lambda i: images[i], len(images), settings.batch, settings.seed)
    plan = Plan.of(settings, accelerator="cpu", checkpoint_every=1 if folder else 0)
    train(model, batches, plan, folder, progress)
    if hasattr(model, "watch"):
        model.watch(images, torch.arange(len(images)))
        model.settle()
    return model


def answers(graph: nn.Module, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Heat maps (b, h, w) and scores (b,)."""
    with torch.inference_mode():
        heat, score = graph(images)
    return heat.numpy(), score.numpy()


def exported(graph: nn.Module, images: Tensor, path: Path) -> onnxruntime.InferenceSession:
    """The graph as ONNX with a free number of images."""
    batch = torch.export.Dim.DYNAMIC
    torch.onnx.export(graph, (images,), path, dynamo=True, dynamic_shapes=({0: batch},))
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
