"""Structured pruning: whole channels of a trained network are removed, and the rest is tuned.

By the L1 norm of filters (arXiv:1608.08710) or the scales of batch norms (arXiv:1708.06519). The
layers become smaller: nothing is masked, and the exported graph is an ordinary one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from triscope.errors import UsageError
from triscope.kernel.config import require
from triscope.surface.compress.channels import best
from triscope.surface.compress.groups import groups_of

MULTIPLE = 4  # channels that a vector unit takes at once, at least


@dataclass(frozen=True)
class Pruning:
    """How much is removed."""

    share: float = 0.3  # of the channels of each group
    by: Literal["l1", "scale"] = "l1"  # what tells which channels matter

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(self, share=(0 < self.share < 1, "a share in (0, 1)"))


def prune(net: nn.Module, how: Pruning) -> dict[str, tuple[int, int]]:
    """Remove channels in place; of each group how many there were and are.

    Raises UsageError for a network without a group.
    """
    groups = groups_of(net)
    if not groups:
        raise UsageError(
            f"nothing in {type(net).__module__}.{type(net).__name__} can be pruned: its backbone "
            "has neither inverted residuals nor residual blocks. Distil it instead."
        )
    counts = {}
    for group in groups:
        before = group.count
        group.keep(best(group.importance(how.by), how.share, min(MULTIPLE, before)))
        counts[group.name] = (before, group.count)
    return counts
