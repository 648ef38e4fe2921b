"""Published weights into our networks: the published key layouts, one table each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from triscope.errors import WeightsMismatch

N = TypeVar("N", bound=nn.Module)
Rule = tuple[str, str | Callable[[re.Match[str]], str]]
NESTED = ("state_dict", "model_state", "model", "state")


@dataclass(frozen=True)
class Layout:
    """How one library names the tensors of a network.

    ``mark`` is a pattern that some key of this layout matches and no key of the others; ``rules``
    are applied to each key one after the other and end in our own name.
    """

    name: str
    mark: str
    rules: tuple[Rule, ...] = ()

    def own(self, key: str) -> str:
        """Our name of a published key."""
        for pattern, replacement in self.rules:
            key = re.sub(pattern, replacement, key)
        return key


@dataclass(frozen=True)
class Weights:
    """Published weights under our names; ``published`` leads back to the names as given."""

    layout: str
    tensors: dict[str, Tensor]
    published: dict[str, str]

    def shape(self, key: str) -> tuple[int, ...] | None:
        """The shape of one tensor, None where it is not there."""
        return tuple(self.tensors[key].shape) if key in self.tensors else None

    def rows(self, key: str, otherwise: int) -> int:
        """The first side of a tensor (the classes of a classifier)."""
        shape = self.shape(key)
        return shape[0] if shape else otherwise

    def has(self, pattern: str) -> bool:
        """Whether one of our keys matches the pattern."""
        return any(re.search(pattern, key) for key in self.tensors)


def read_weights(
    state_dict: Mapping[str, Any], layouts: Sequence[Layout], ignore: str = ""
) -> Weights:
    """The published weights under our names, in the first layout that has a key with its mark.

    Nested files (``state_dict``, ``model_state``) are opened and ``module.`` is taken off. Keys
    that match ``ignore`` (tables of indices, which follow from the architecture) are left out.
    """
    plain = unwrap(state_dict)
    layout = next((x for x in layouts if any(re.search(x.mark, k) for k in plain)), layouts[0])
    tensors: dict[str, Tensor] = {}
    published: dict[str, str] = {}
    for key, value in plain.items():
        if ignore and re.search(ignore, key):
            continue
        own = layout.own(key)
        tensors[own], published[own] = value, key
    return Weights(layout.name, tensors, published)


def unwrap(state_dict: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a file as its authors saved it, without the wrappers around them."""
    for name in NESTED:
        inner = state_dict.get(name)
        if isinstance(inner, Mapping) and any(torch.is_tensor(v) for v in inner.values()):
            return unwrap(inner)
    plain = {key: value for key, value in state_dict.items() if torch.is_tensor(value)}
    while plain and all(key.startswith("module.") for key in plain):
        plain = {key.removeprefix("module."): value for key, value in plain.items()}
    return plain


def load(name: str, build: Callable[[], N], weights: Weights) -> N:
    """A network with copies of these weights, built without the time for first weights.

    Raises WeightsMismatch when tensors are missing, unknown or of another shape; all are counted
    and the first three of each are named. Batch counters may be absent, as in old files.
    """
    with torch.device("meta"):
        network = build()
    own = network.state_dict()
    given = dict(weights.tensors)
    for key in own:
        if key.endswith("num_batches_tracked") and key not in given:
            given[key] = torch.zeros((), dtype=torch.int64)
    must_match(name, own, given, weights)
    copies = {key: given[key].detach().clone().to(own[key].dtype) for key in own}
    network.load_state_dict(copies, strict=True, assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    return network.eval()


def must_match(
    name: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor], weights: Weights
) -> None:
    """Raise WeightsMismatch naming the first keys and shapes that differ."""
    missing = [key for key in own if key not in given]
    unknown = [weights.published[key] for key in given if key not in own]
    shapes = [
        f"{weights.published[key]} {tuple(given[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in weights.published and given[key].shape != own[key].shape
    ]
    if missing or unknown or shapes:
        parts = (
            _first("missing (under our names)", missing),
            _first("unknown", unknown),
            _first("of another shape", shapes),
        )
        raise WeightsMismatch(
            f"these weights are not those of {name!r} (read as {weights.layout} keys): "
            f"{'; '.join(filter(None, parts))}. {len(given)} tensors were given, {len(own)} "
            "expected. Give the published file of this name, unchanged."
        )


def _first(what: str, keys: Iterable[str]) -> str:
    found = list(keys)
    if not found:
        return ""
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f"{what}: {', '.join(found[:3])}{more}"
