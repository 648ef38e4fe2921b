"""Models that fit in a moment, and painted parts for them; the catalogue is told by ``toys``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from triscope.errors import NotFitted
from triscope.kernel import catalogue
from triscope.kernel.config import require

SIZE = 32


@dataclass(frozen=True)
class Settings:
    """Of all toys."""

    size: int = SIZE  # side of the input
    memory: int = 10**9  # ceiling in bytes
    steps: int = 12  # updates
    batch: int = 4  # images an update
    learning_rate: float = 0.05  # of the updates
    seed: int = 0  # of the first weights

    def __post_init__(self) -> None:
        require(self, size=(self.size >= 8, "8 or more"))


class ToyWatcher:
    """Remembers the mean colour of each image; heat is the distance to the nearest of them."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings
        self.means: dict[int, list[Tensor]] = {}
        self.bank: Tensor | None = None

    def watch(self, images: Tensor, ids: Tensor) -> None:
        for image, number in zip(images, ids.tolist(), strict=True):
            self.means.setdefault(number, []).append(image.mean((1, 2)))

    def settle(self) -> None:
        self.bank = torch.stack([mean for means in self.means.values() for mean in means])

    def forget(self, ids: Tensor) -> None:
        for number in ids.tolist():
            del self.means[number]

    def graph(self) -> nn.Module:
        if self.bank is None:
            raise NotFitted("toy_watcher has no bank yet: call fit() with good images first.")
        return _Nearest(self.bank).eval()

    def weights(self) -> dict[str, Tensor]:
        assert self.bank is not None
        ids = [number for number, means in self.means.items() for _ in means]
        return {"bank": self.bank, "ids": torch.tensor(ids)}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        for mean, number in zip(weights["bank"], weights["ids"].tolist(), strict=True):
            self.means.setdefault(number, []).append(mean)
        self.settle()


class _Nearest(nn.Module):
    def __init__(self, bank: Tensor) -> None:
        super().__init__()
        self.register_buffer("bank", bank.clone())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        far = images.unsqueeze(1) - self.bank[None, :, :, None, None]  # (b, n, 3, h, w)
        heat = far.square().sum(2).amin(1)
        return heat, heat.flatten(1).amax(1)


class ToyDescender:
    """Learns by gradient to paint the good image; heat is the error."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            self.net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 1))
        self.trained = nn.Parameter(torch.zeros(1), requires_grad=False)

    def network(self) -> nn.Module:
        return self.net

    def losses(self, images: Tensor) -> dict[str, Tensor]:
        self.trained += 1
        noisy = images + 0.1 * torch.randn(images.shape)
        return {"loss": (self.net(noisy) - images).square().mean()}

    def graph(self) -> nn.Module:
        return _Error(self.net).eval()

    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self.net.state_dict().items()}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        self.net.load_state_dict(dict(weights))


class _Error(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        heat = (self.net(images) - images).square().mean(1)
        return heat, heat.flatten(1).amax(1)


class ToyAtOnce:
    """The mean image of all; heat is the squared difference from it."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings
        self.mean = torch.zeros(0)

    def fit(self, x: np.ndarray, y: list[str | None]) -> ToyAtOnce:
        assert set(y) == {"good"}
        self.mean = torch.from_numpy(x.mean(0))
        return self

    def graph(self) -> nn.Module:
        return _FromMean(self.mean).eval()

    def weights(self) -> dict[str, Tensor]:
        return {"mean": self.mean}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        self.mean = weights["mean"]


class _FromMean(nn.Module):
    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        heat = (images - self.mean).square().mean(1)
        return heat, heat.flatten(1).amax(1)


class NoWay:
    """Can do nothing."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings


def toys(monkeypatch: Any) -> None:
    """Put the toys into the catalogue."""
    names = {
        "toy_watcher": "ToyWatcher",
        "toy_descender": "ToyDescender",
        "toy_at_once": "ToyAtOnce",
        "no_way": "NoWay",
    }
    known = dict(catalogue.models()) | {
        name: catalogue.Entry(name, "Heatmap", "A toy.", "surface", __name__, attribute)
        for name, attribute in names.items()
    }
    monkeypatch.setattr(catalogue, "models", lambda: known)


def part(number: int, defect: bool = False, size: int = 40) -> np.ndarray:
    """A plain part whose brightness differs a little from part to part; a defect is a red spot."""
    rng = np.random.default_rng(number)
    image = np.full((size, size, 3), 120 + number % 16, np.uint8)
    image = image + rng.integers(0, 6, image.shape, dtype=np.uint8)
    if defect:
        image[10:22, 14:30] = (250, 20, 20)
    return image


def save_image(path: Path, image: np.ndarray) -> Path:
    """Write an RGB image as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return path


def mvtec(root: Path, good: int = 10, test: int = 3) -> Path:
    """A folder in the MVTec layout with painted parts."""
    for i in range(good):
        save_image(root / "train" / "good" / f"{i:03}.png", part(i))
    for i in range(test):
        save_image(root / "test" / "good" / f"{i:03}.png", part(100 + i))
        save_image(root / "test" / "spot" / f"{i:03}.png", part(200 + i, defect=True))
        mask = np.zeros((40, 40), np.uint8)
        mask[10:22, 14:30] = 255
        place = root / "ground_truth" / "spot" / f"{i:03}_mask.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(place), mask)
    return root
