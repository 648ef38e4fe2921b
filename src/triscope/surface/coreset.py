"""Coresets: few rows that stand for many, chosen farthest first (greedy k-centre).

Gonzalez, Clustering to Minimize the Maximum Intercluster Distance, 1985; the choice of PatchCore.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

POOL = 4096  # rows among which centres are looked for before all rows are asked again
CHUNK = 2048  # rows that are brought to float32 and compared at once
CENTRES = 256  # with so many centres: small tables stay in the cache, and the heap does not grow


def farthest_first(rows: Tensor, count: int, change: Tensor | None = None) -> Tensor:
    """Indices int64 (count,) of the greedy k-centre choice, in its order.

    ``rows``: (n, d) of any float type, brought to float32 in parts; ``change``: float32 (d, e),
    distances are those of ``rows @ change``. The first centre is the row farthest from the mean,
    each further one the row farthest from the centres before it.

    Exact, but lazy: a distance that was computed once only falls as centres are added, so it
    bounds the true one. Centres are taken from the pool of the largest bounds as long as one in
    the pool lies above all bounds outside it; rows that came near a centre early are never looked
    at again.
    """
    count = min(count, rows.shape[0])
    search = _Search(rows, change, count)
    while search.found < count:
        search.take_from(*search.pool(POOL))
    return search.chosen


class _Search:
    """Rows, the centres found so far, and for each row a bound of its distance to them."""

    def __init__(self, rows: Tensor, change: Tensor | None, count: int) -> None:
        self.rows, self.change, self.found = rows, change, 0
        self.chosen = torch.empty(count, dtype=torch.int64)
        self.mean = _mean(rows)
        # Row by row the squared distance to the mean, then a bound of that to the nearest centre.
        # Into one tensor: small results kept between large temporaries would tear up the heap.
        self.norms = torch.empty(len(rows))
        for start, part in zip(range(0, len(rows), CHUNK), self._parts(), strict=True):
            self.norms[start : start + CHUNK] = self._part(part).square().sum(1)
        self.bounds = torch.full_like(self.norms, math.inf)
        self.asked = torch.zeros(len(rows), dtype=torch.int32)  # centres that the bound knows
        if count:
            self._add(int(self.norms.argmax()))
            self._refresh(torch.arange(len(rows)))

    def pool(self, size: int) -> tuple[Tensor, float]:
        """The rows of the largest bounds, made exact, and the largest bound of the other rows."""
        best = self.bounds.topk(min(size + 1, len(self.rows)), sorted=True)
        pool, outside = best.indices, -math.inf
        if len(pool) > size:
            pool, outside = pool[:size], float(best.values[size])
        pool = pool[self.asked[pool].argsort()]
        self._refresh(pool)
        return pool, outside

    def take_from(self, pool: Tensor, outside: float) -> None:
        """Add centres of the pool while they are certainly the farthest."""
        rows, norms, bounds = self._of(pool), self.norms[pool], self.bounds[pool]
        while self.found < len(self.chosen):
            value, place = bounds.max(0)
            if float(value) < outside:
                break
            here = int(place)
            self._add(int(pool[here]))
            gaps = torch.addmv(norms + norms[here], rows, rows[here], alpha=-2)
            bounds = torch.minimum(bounds, gaps)
            bounds[here] = -math.inf  # rounding must not bring a chosen row back
        self.bounds[pool], self.asked[pool] = bounds, self.found

    def _add(self, index: int) -> None:
        self.chosen[self.found] = index
        self.found += 1
        self.bounds[index] = -math.inf

    def _refresh(self, pool: Tensor) -> None:
        """Compare the rows with the centres that came since they were asked last."""
        for part in torch.split(pool, CHUNK):
            since = int(self.asked[part[0]])
            for start in range(since, self.found, CENTRES):
                new = self.chosen[start : min(start + CENTRES, self.found)]
                gaps = self.norms[part].unsqueeze(1) + self.norms[new]
                gaps.addmm_(self._of(part), self._of(new).T, alpha=-2)
                self.bounds[part] = torch.minimum(self.bounds[part], gaps.amin(1))
        self.asked[pool] = self.found

    def _of(self, indices: Tensor) -> Tensor:
        return self._part(self.rows[indices])

    def _part(self, rows: Tensor) -> Tensor:
        """Rows as float32, centred: small numbers lose less in the differences of squares."""
        rows = rows.float() - self.mean
        return rows if self.change is None else rows @ self.change

    def _parts(self) -> tuple[Tensor, ...]:
        return torch.split(self.rows, CHUNK)


def _mean(rows: Tensor) -> Tensor:
    total = torch.zeros(rows.shape[1])
    for part in torch.split(rows, CHUNK):
        total += part.float().sum(0)
    return total / max(1, len(rows))
