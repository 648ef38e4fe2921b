"""Triscope: inspect manufactured things by surface, shape and motion, and segment on a click.

The public surface; everything is imported on first use, so that ``import triscope`` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "fit": "triscope.kernel.verbs",
    "open": "triscope.kernel.runtime",
    "data": "triscope.kernel.data",
    "read_image": "triscope.kernel.data",
    "models": "triscope.kernel.catalogue",
    "errors": "triscope",
    "weights": "triscope.kernel",
    "Check": "triscope.kernel.runtime",
    "Finding": "triscope.kernel.results",
    "Heatmap": "triscope.kernel.results",
    "Inspection": "triscope.kernel.results",
    "Verdict": "triscope.kernel.results",
    "Zones": "triscope.kernel.results",
}

__all__ = ["__version__", "published", *sorted(_HOME)]  # noqa: PLE0604

if TYPE_CHECKING:
    from collections.abc import Mapping


def published(name: str, state_dict: Mapping[str, Any]) -> Any:
    """The published network of that name with these weights, as ``nn.Module`` in eval mode.

    ``state_dict`` carries the published keys. Published input layout in, published raw output out.
    Raises UnknownModel (with a suggestion) and WeightsMismatch (naming the first keys that differ).
    """
    from triscope.kernel.catalogue import build_published

    return build_published(name, state_dict)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'triscope' has no attribute {name!r}")
    home = import_module(_HOME[name])
    if name in ("errors", "weights"):
        return import_module(f"{_HOME[name]}.{name}")
    return getattr(home, name)


def __dir__() -> list[str]:
    return list(__all__)
