"""R-MVSNet: a convolutional GRU regularises the cost plane after plane (arXiv:1902.10556).

Yao, Luo, Li, Shen, Fang, Quan: Recurrent MVSNet for High-resolution Multi-view Stereo Depth
Inference, CVPR 2019. ``form="released"`` is the network of the published code and weights,
``form="paper"`` the one that the paper describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from triscope.kernel.catalogue import model, published
from triscope.kernel.nn.published import load_published
from triscope.shape.check import MakesShapeChecks
from triscope.shape.models._features import SCALE, UNetDS2GN, UniNetDS2
from triscope.shape.models._graph import write_features
from triscope.shape.models._gru import GruRegulariser
from triscope.shape.models._warp import variance, warped
from triscope.shape.recurrent import GRAPH, Recurrent, Settings
from triscope.shape.stereo import read_weights
from triscope.shape.sweep import Swept, sweep
from triscope.shape.warp import Warp, from_half_centres, warp_of


class RMVSNet(GruRegulariser):
    """Features, and the regulariser over the negated variance of the warped features."""

    def __init__(self, *, form: Literal["released", "paper"] = "released") -> None:
        paper = form == "paper"
        super().__init__(widths=(16, 4, 1) if paper else (16, 4, 2), mapped=paper)
        self.feature_extractor: nn.Module = UniNetDS2() if paper else UNetDS2GN()

    def forward(
        self,
        images: Float[Tensor, "*b n 3 h w"],
        K: Any,
        cam_T_world: Any,
        depths: Any,
    ) -> tuple[Tensor, Float[Tensor, "*b i j"]]:
        """Index of the best plane (int64) and its probability, at a quarter of the size.

        As published: images are BGR, standardised per image and channel, the reference first; ``K``
        (n, 3, 3) belongs to their size and has pixel centres at +0.5. With a batch, all of them
        have one more dimension in front.
        """
        if images.dim() == 5:
            each = [self(*views) for views in zip(images, K, cam_T_world, depths, strict=True)]
            return torch.stack([a for a, _ in each]), torch.stack([b for _, b in each])
        features = self.features(images)
        swept = self.sweep(features, quarter(K), cam_T_world, depths)
        index = torch.from_numpy(swept.index.astype(np.int64)).to(images.device)
        return index, torch.from_numpy(swept.probability).to(images.device)

    def features(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 32 i j"]:
        """Features of standardised images, one image at a time: an answer never depends on a batch.

        A batch of several may be convolved in another order of summation.
        """
        return torch.cat([self.feature_extractor(image[None]) for image in images])

    def sweep(
        self,
        features: Float[Tensor, "n 32 h w"],
        K: Any,
        cam_T_world: Any,
        depths: Any,
        **options: Any,
    ) -> Swept:
        """The sweep over cached features; ``K`` belongs to them, pixel centres at integers."""
        warp = warp_of(_array(K), _array(cam_T_world))
        return sweep(features.detach(), warp, _array(depths), self, **options)

    def scores(
        self, features: Float[Tensor, "n 32 h w"], warp: Warp, depths: Any
    ) -> Float[Tensor, "d h w"]:
        """The scores of all planes, differentiable: for training, in the order of the planes."""
        size = (features.shape[-2], features.shape[-1])
        scores, states = [], None
        for depth in _array(depths):
            others = warped(features[1:], warp, float(depth), size)
            score, states = self.plane(-variance(features[0], others)[None], states)
            scores.append(score)
        return torch.cat(scores)


@model("rmvsnet", answers="Depth")
class Rmvsnet(MakesShapeChecks, Recurrent):
    """Depth at a quarter of the size of the image."""

    def __init__(self, settings: Settings = Settings(), network: RMVSNet | None = None) -> None:
        self.settings = settings
        if network is None:
            name = "rmvsnet" if settings.form == "released" else "rmvsnet_paper"
            network = build(name, read_weights(name, settings.weights))
        self._network = network.eval()

    def network(self) -> RMVSNet:
        """The network."""
        return self._network

    @torch.no_grad()
    def features(self, unit: Any) -> Any:
        """See :class:`triscope.shape.recurrent.Recurrent`."""
        return self._network.features(torch.from_numpy(unit)[None])[0].numpy()

    def regulariser(self) -> RMVSNet:
        """The network."""
        return self._network

    def graph_files(self, folder: Path) -> tuple[str, ...]:
        """Write the graph that an exported check needs: the features of an image of any size."""
        write_features(self._network.feature_extractor, folder / f"{GRAPH}.onnx")
        return (GRAPH,)


def quarter(K: Any) -> Any:
    """K of the features, pixel centres at integers, from the published K of the images."""
    resized = _array(K).copy()
    resized[..., :2, :] /= SCALE
    return from_half_centres(resized)


@published("rmvsnet", "rmvsnet_paper")
def build(name: str, state_dict: Mapping[str, Tensor]) -> RMVSNet:
    """The network of the released code (or of the paper) with these weights."""
    form: Literal["released", "paper"] = "paper" if name.endswith("paper") else "released"
    return load_published(name, RMVSNet(form=form), state_dict)


def _array(values: Any) -> Any:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, np.float64)
