"""Which form computes a sweep, and the check of what goes in."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from triscope.errors import BadSettings, DataError
from triscope.shape.sweep.answer import Swept
from triscope.shape.warp import Warp

Form = Literal["auto", "native", "torch", "numpy"]


def sweep(
    features: Any,
    warp: Warp,
    depths: Any,
    network: Any,
    *,
    form: Form = "auto",
    threads: int = 1,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> Swept:
    """Sweep features (n, c, h, w), the reference first, over the planes ``depths``.

    ``network`` is an RMVSNet or a mapping of its tensors by their published names. ``auto`` takes
    the native form where the network is the released one and a compiler (or an earlier build) is
    there, else torch, else NumPy. ``precision="bf16"`` is for the native form only.
    """
    depths = np.asarray(depths, np.float64)
    _check(features, warp, depths)
    if form == "auto":
        form = _best(features, network)
    if precision == "bf16" and form != "native":
        raise BadSettings(f"precision='bf16': only the native form has it, this is {form!r}.")
    if form == "native":
        from triscope.shape.sweep.native import native_sweep

        return native_sweep(features, warp, depths, network, threads, precision)
    if form == "torch":
        from triscope.shape.models._sweep import torch_sweep

        return torch_sweep(features, warp, depths, network)
    from triscope.shape.sweep.reference import numpy_sweep

    return numpy_sweep(features, warp, depths, network)


def weights_of(network: Any) -> dict[str, Any]:
    """The regulariser's tensors as float32 arrays by their published names."""
    tensors = network.state_dict() if hasattr(network, "state_dict") else network
    found = {}
    for name, value in tensors.items():
        if name.startswith(("gru", "prob_conv", "map_conv")):
            array = value.detach().cpu().numpy() if hasattr(value, "detach") else value
            found[name] = np.ascontiguousarray(array, np.float32)
    return found


def array_of(features: Any) -> Any:
    """Features as a float32 array (n, c, h, w)."""
    if hasattr(features, "detach"):
        features = features.detach().cpu().numpy()
    return np.ascontiguousarray(features, np.float32)


def _best(features: Any, network: Any) -> Form:
    from triscope.shape.sweep.native import fits, library

    on_gpu = getattr(getattr(features, "device", None), "type", "cpu") != "cpu"
    if not on_gpu and fits(weights_of(network)) and library() is not None:
        return "native"
    is_module = hasattr(network, "state_dict")
    return "torch" if is_module and find_spec("torch") is not None else "numpy"


def _check(features: Any, warp: Warp, depths: Any) -> None:
    if len(features.shape) != 4 or len(features) != len(warp) + 1:
        raise DataError(
            f"a sweep needs features (n, c, h, w) of the {len(warp) + 1} views of the cameras, "
            f"got {tuple(features.shape)}."
        )
    steps = np.diff(depths)
    if depths.ndim != 1 or len(depths) < 2 or not np.isfinite(depths).all():
        raise DataError(f"a sweep needs 2 finite depths or more, got {depths.tolist()[:5]}.")
    if not (depths > 0).all() or not ((steps > 0).all() or (steps < 0).all()):
        raise DataError(
            f"depths must be positive and rise (or fall) throughout, got {depths[0]:g}, "
            f"{depths[1]:g} ... {depths[-1]:g}."
        )
