"""Training of the stereo networks on scenes whose depth is known.

Scenes in any layout that holds true depth (``formats.training``), generated parts, and rooms of
``synth.rooms``. R-MVSNet learns by cross-entropy over the planes, each example near to far or far
to near (section 3.4 of its paper); MVSNet by the absolute error of its expected depth, counted in
planes (section 3.5 of its paper).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.errors import BadSettings, EmptyData
from triscope.kernel.geometry.cameras import resize_K
from triscope.kernel.train import Plan, Report, train
from triscope.shape.evaluation import truth_at
from triscope.shape.models.mvsnet import MVSNet
from triscope.shape.models.rmvsnet import RMVSNet
from triscope.shape.scene import Scene
from triscope.shape.stereo import at_scale, standardised
from triscope.shape.training_settings import Settings
from triscope.shape.warp import planes, warp_of

NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "rmvsnet": RMVSNet,
    "rmvsnet_paper": lambda: RMVSNet(form="paper"),
    "mvsnet": MVSNet,
    "mvsnet_refined": lambda: MVSNet(refine=True),
}
SCALE = 4  # image to depth map


@dataclass(frozen=True)
class Example:
    """A reference view and its sources, by number, in one of the scenes."""

    scene: int
    reference: int
    sources: tuple[int, ...]


class Examples:
    """The examples of one epoch after the other, in an order drawn by the seed.

    An example is a tuple of tensors: images (n, 3, h, w) standardised, K (n, 3, 3) of the images
    with pixel centres at integers, poses (n, 4, 4), planes (d,), true depth (h/4, w/4).
    """

    def __init__(self, scenes: Sequence[Scene], settings: Settings = Settings()) -> None:
        self.scenes, self.settings = scenes, settings
        self.examples = [e for i, scene in enumerate(scenes) for e in _examples(i, scene, settings)]
        if not self.examples:
            raise EmptyData(
                "no view has both a true depth and sources: training needs scenes with depth "
                "(depths/*.pfm or the like) and pair.txt. Make some with triscope shape synth."
            )

    def __call__(self, epoch: int) -> Sequence[Any]:
        """The examples of one epoch; each is read when it is asked for."""
        rng = np.random.default_rng([self.settings.seed, epoch])
        return _Epoch(self, rng.permutation(len(self.examples)), epoch)

    def read(self, number: int, seed: Sequence[int]) -> tuple[Tensor, ...]:
        """One example; range, direction and exposure are drawn by the seed."""
        example, rng = self.examples[number], np.random.default_rng(list(seed))
        scene, settings = self.scenes[example.scene], self.settings
        sources = rng.permutation(example.sources)[: settings.views - 1]
        chosen = [scene.views[i] for i in (example.reference, *sources)]
        truth = chosen[0].true_depth()
        assert truth is not None
        images, matrices = [], []
        for view in chosen:
            image, K = fitted(view.read(), view.K, settings.longest)
            images.append(standardised(exposed(image, rng), bgr=True))
            matrices.append(K)
        depths = _planes(truth, settings, rng)
        return (
            torch.from_numpy(np.stack(images)),
            torch.from_numpy(np.stack(matrices)),
            torch.from_numpy(np.stack([view.cam_T_world for view in chosen])),
            torch.from_numpy(depths),
            torch.from_numpy(truth_at(truth, [side // SCALE for side in images[0].shape[1:]])),
        )

    def key(self) -> str:
        """What a checkpoint of these examples belongs to."""
        digest = hashlib.sha256(repr(self.examples).encode())
        for scene in self.scenes:
            for view in scene.views:
                digest.update(view.name.encode() + np.round(view.cam_T_world, 6).tobytes())
        return digest.hexdigest()[:16]


class _Epoch(Sequence[Any]):
    def __init__(self, examples: Examples, order: NDArray[np.int64], epoch: int) -> None:
        self.examples, self.order, self.epoch = examples, order, epoch

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        seed = (self.examples.settings.seed, self.epoch, int(index))
        return self.examples.read(int(self.order[index]), seed)


class Learner:
    """A network and its loss, as ``kernel.train`` drives them."""

    def __init__(self, name: str, network: nn.Module | None = None) -> None:
        if name not in NETWORKS:
            raise BadSettings(f"{name!r} is not trained here: choose {', '.join(NETWORKS)}.")
        self.name = name
        self._network = NETWORKS[name]() if network is None else network

    def network(self) -> nn.Module:
        """The network."""
        return self._network

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """The loss of one example, and the share of pixels within a plane of the truth."""
        images, K, poses, depths, truth = batch
        network: Any = self._network
        warp = warp_of(at_scale(K.cpu().numpy(), SCALE), poses.cpu().numpy())
        index, valid = planes_of(truth, depths)
        features = network.feature_extractor(images)
        if isinstance(network, RMVSNet):
            scores = network.scores(features, warp, depths)
            loss, near = classified(scores, index, valid)
        else:
            depth, _ = network.depth(images[:1], features, warp, depths.cpu().numpy())
            loss, near = regressed(depth, truth, depths, index, valid)
        return {"loss": loss, "near": near.detach()}


def classified(
    scores: Float[Tensor, "d h w"], index: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy with the nearest plane over the valid pixels, and the share within a plane."""
    number = index.round().long()
    each = F.cross_entropy(scores[None], number[None], reduction="none")[0]
    near = (scores.argmax(0) - number).abs() <= 1
    return _mean(each, valid), _mean(near.float(), valid)


def regressed(
    depth: Float[Tensor, "h w"], truth: Tensor, depths: Tensor, index: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor]:
    """Absolute error in steps between the planes at the true depth, and the share within one."""
    low = index.floor().long().clamp(0, len(depths) - 2)
    step = (depths[1:] - depths[:-1]).abs().to(depth.dtype)[low]
    gap = (depth - truth).abs() / step
    return _mean(gap, valid), _mean((gap <= 1).float(), valid)


def planes_of(
    truth: Float[Tensor, "h w"], depths: Float[Tensor, "d"]
) -> tuple[Float[Tensor, "h w"], Tensor]:
    """Between which planes the truth lies (in 1/depth), and where it lies within them at all."""
    inverse = 1 / depths
    known = truth > 0
    share = (1 / truth.clamp(min=1e-9) - inverse[0]) / (inverse[-1] - inverse[0])
    index = share * (len(depths) - 1)
    valid = known & (index > 0) & (index < len(depths) - 1)
    return index.clamp(0, len(depths) - 1).float(), valid


def train_stereo(
    name: str,
    scenes: Sequence[Scene],
    settings: Settings = Settings(),
    folder: str | Path | None = None,
    progress: Any = None,
    *,
    network: nn.Module | None = None,
) -> tuple[nn.Module, Report]:
    """Train the network of that name on scenes with depth; it goes on from ``folder``.

    Raises BadSettings (no such network), EmptyData (no depth), TrainingError.
    """
    torch.manual_seed(settings.seed)
    learner, examples = Learner(name, network), Examples(scenes, settings)
    report = train(learner, examples, Plan.of(settings), folder, progress, key=examples.key())
    return learner.network(), report


def fitted(
    image: NDArray[np.uint8], K: NDArray[np.float64], longest: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The image shrunk, with its sides multiples of 16, and its K."""
    h, w = image.shape[:2]
    factor = min(1.0, longest / max(h, w))
    size = tuple(max(16, round(side * factor / 16) * 16) for side in (h, w))
    if size == (h, w):
        return image, K
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), resize_K(K, (h, w), (size[0], size[1]))


def _examples(number: int, scene: Scene, settings: Settings) -> list[Example]:
    found = []
    for i, view in enumerate(scene.views):
        sources = tuple(j for j, _ in scene.sources.get(i, ()))
        if view.depth is not None and len(sources) >= settings.views - 1:
            found.append(Example(number, i, sources[: max(4, settings.views - 1)]))
    return found


def _planes(
    truth: NDArray[np.float32], settings: Settings, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Planes over the depth that is there, widened by chance, in one of both directions."""
    known = truth[truth > 0]
    low, high = np.quantile(known, [0.01, 0.99]) if len(known) else (1.0, 2.0)
    room = settings.widen * rng.random(2)
    depths = planes(low * (1 - room[0]), high * (1 + room[1]) * 1.001, settings.planes)
    return depths[::-1].copy() if rng.random() < 0.5 else depths


def exposed(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another exposure for each photo; standardisation takes most of it, not the curve."""
    curve = 255 * (np.arange(256) / 255) ** rng.uniform(0.8, 1.25) * rng.uniform(0.8, 1.15)
    return np.asarray(np.clip(curve, 0, 255).astype(np.uint8)[image])


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    return (values * valid).sum() / (valid.sum() + 1e-7)
