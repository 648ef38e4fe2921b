"""Which captures get a picture in the report, when there are too many for all."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

from triscope.kernel.report.rows import Row
from triscope.kernel.results import Zones

T = TypeVar("T")
BORDER_SHARE, WRONG_SHARE = 0.2, 0.2


class Kept(Generic[T]):
    """The ``most`` items of highest rank that were offered; made only when they are kept."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.heap: list[tuple[float, int, T]] = []
        self._number = count(step=-1)  # among equals, the earlier stays

    def wants(self, rank: float) -> bool:
        """Whether an item of this rank would be kept."""
        return self.most > 0 and (len(self.heap) < self.most or rank > self.heap[0][0])

    def add(self, rank: float, item: T) -> None:
        """Keep the item, dropping the lowest where there are too many."""
        heapq.heappush(self.heap, (rank, next(self._number), item))
        if len(self.heap) > self.most:
            heapq.heappop(self.heap)

    def items(self) -> list[T]:
        """What is kept, highest rank first."""
        return [item for _, _, item in sorted(self.heap, key=lambda entry: entry[:2], reverse=True)]


class Choice(Generic[T]):
    """The worst captures, those near a threshold, and those that contradict their label."""

    def __init__(self, most: int, zones: Zones | None) -> None:
        self.most = most
        self.zones = zones
        self.worst: Kept[T] = Kept(most)
        self.border: Kept[T] = Kept(int(most * BORDER_SHARE))
        self.wrong: Kept[T] = Kept(int(most * WRONG_SHARE))

    def offer(self, row: Row, make: Callable[[], T | None]) -> None:
        """Consider one capture; ``make`` is called once, and only if its picture is kept."""
        wanted = [(kept, rank) for kept, rank in self._ranks(row) if kept.wants(rank)]
        item = make() if wanted else None
        if item is not None:
            for kept, rank in wanted:
                kept.add(rank, item)

    def items(self) -> list[T]:
        """What is kept, each once; what the special ones leave goes to the worst."""
        found: dict[int, T] = {}
        for kept in (self.wrong, self.border, self.worst):
            for item in kept.items():
                if len(found) < self.most:
                    found.setdefault(id(item), item)
        return list(found.values())

    def _ranks(self, row: Row) -> list[tuple[Kept[T], float]]:
        score = row.score if math.isfinite(row.score) else math.inf
        ranks = [(self.worst, score)]
        if self.zones is not None and math.isfinite(score):
            lines = (self.zones.review_above, self.zones.fail_above)
            ranks.append((self.border, -min(abs(score - line) for line in lines)))
            if row.good is True and row.outcome != "pass":
                ranks.append((self.wrong, score - self.zones.review_above))
            if row.good is False and row.outcome == "pass":
                ranks.append((self.wrong, self.zones.review_above - score))
        return ranks
