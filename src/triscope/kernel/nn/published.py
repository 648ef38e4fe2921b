"""Weights of others into a network, by their published keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from torch import Tensor, nn

from triscope.errors import WeightsMismatch

N = TypeVar("N", bound=nn.Module)


def load_published(name: str, network: N, state_dict: Mapping[str, Tensor]) -> N:
    """Put copies of the weights into the network (which may be on the meta device).

    Raises WeightsMismatch when keys are missing, unknown or of another shape; all of these are
    counted and the first three of each are named.
    """
    own = network.state_dict()
    missing = [key for key in own if key not in state_dict]
    unknown = [key for key in state_dict if key not in own]
    shapes = [
        f"{key} {tuple(state_dict[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state_dict and state_dict[key].shape != own[key].shape
    ]
    if missing or unknown or shapes:
        parts = [
            _first("missing", missing),
            _first("unknown", unknown),
            _first("of another shape", shapes),
        ]
        raise WeightsMismatch(
            f"these weights are not those of {name!r}: {'; '.join(filter(None, parts))}. "
            f"{len(state_dict)} keys were given, {len(own)} expected. "
            "Give the published file of this name, unchanged."
        )
    copies = {
        key: state_dict[key].detach().clone().to(own[key].dtype)  # the caller's stay untouched
        for key in own
    }
    network.load_state_dict(copies, strict=True, assign=True)
    return network


def _first(what: str, keys: Sequence[str]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f"{what}: {', '.join(keys[:3])}{more}"
