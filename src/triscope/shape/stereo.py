"""Depth of one view from its neighbours: what every stereo model answers, and by whom.

A model is prepared once an image (features are cached: each view serves several references) and
matches prepared views. Cameras are given for the images as they are: ``K`` with pixel centres at
integers, ``cam_T_world`` with the reference first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from triscope.errors import WeightsMissing, needs_extra
from triscope.kernel import catalogue, config, weights
from triscope.kernel.geometry.cameras import resize_K
from triscope.kernel.results import Depth

# Learned on generated scenes only (``shape.own_weights``): nothing has to be downloaded.
OWN = {
    name: Path(__file__).with_name("weights") / f"{name}_own.safetensors"
    for name in ("rmvsnet", "mvsnet")
}
FLAT = 3.0  # a probability below so many times that of a guess tells nothing


class Stereo(Protocol):
    """A model that answers Depth."""

    settings: Any

    def prepare(self, image: NDArray[np.uint8]) -> Any:
        """All that is computed from one image alone: RGB uint8 (h, w, 3) in."""

    def match(
        self, prepared: Sequence[Any], K: Any, cam_T_world: Any, depths: NDArray[np.float64]
    ) -> Depth:
        """Depth of the first view from the others; ``depths`` are the planes, nearest first."""


def settings_of(name: str, values: Mapping[str, Any]) -> Any:
    """The Settings of a stereo model from plain values; those of R-MVSNet need no torch."""
    if name == "rmvsnet":
        from triscope.shape.recurrent import Settings

        return config.build(Settings, values)
    return config.build(catalogue.settings_class(name), values)


def stereo(name: str, settings: Any = None) -> Stereo:
    """The stereo model of that name; ``settings`` is its Settings or a mapping of some values."""
    try:
        cls = catalogue.load(name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "jaxtyping", "safetensors"):
            raise
        what = f"{name} computes its features with PyTorch, also when it inspects; it"
        raise needs_extra(what, "train", error.name) from error
    if settings is None or isinstance(settings, Mapping):
        settings = config.build(catalogue.settings_class(name), settings or {})
    model: Stereo = cls(settings)
    return model


def read_weights(name: str, file: str) -> Mapping[str, Any]:
    """Weights from a file (safetensors or torch), else the authors', else those of the package.

    ``official`` in place of a file asks for the authors' and no others, ``own`` for those of the
    package. Raises WeightsMissing naming the places that were looked at, or how to get any.
    """
    if name in OWN and (file == "own" or (not file and not weights.has(name))):
        file = str(OWN[name])
    file = "" if file == "official" else file
    if not file and all(one.name != name for one in weights.KNOWN):
        raise WeightsMissing(
            f"{name} has no published weights: train some with triscope shape train DATA -o "
            f"trained --network {name}, then give --weights trained/{name}.safetensors."
        )
    path = Path(file) if file else weights.locate(name)
    if not path.is_file():
        raise WeightsMissing(f"weights={str(path)!r}: there is no such file.")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    found: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return found


def at_scale(K: Any, scale: int) -> NDArray[np.float64]:
    """K (..., 3, 3) of maps that are ``scale`` times smaller than the image."""
    return np.stack([resize_K(one, (scale, scale), (1, 1)) for one in np.asarray(K, np.float64)])


def flatness(probability: NDArray[np.float32], planes: int) -> float:
    """Share of pixels whose best plane is hardly more probable than any other."""
    return float((probability < FLAT / planes).mean())


def standardised(image: NDArray[np.uint8], *, bgr: bool) -> NDArray[np.float32]:
    """(x - mean) / (std + 1e-8) a channel, (3, h, w); by tables, since there are 256 values.

    Mean and spread in float32 over the whole image, as the published code takes them.
    """
    x = image.astype(np.float32)
    mean, spread = x.mean((0, 1)), x.std((0, 1)) + 1e-8
    del x
    table = ((np.arange(256, dtype=np.float32)[:, None] - mean) / spread).astype(np.float32)
    unit = np.empty((3, *image.shape[:2]), np.float32)
    for out, channel in zip(unit, (2, 1, 0) if bgr else (0, 1, 2), strict=True):
        out[:] = table[:, channel][image[..., channel]]
    return unit
