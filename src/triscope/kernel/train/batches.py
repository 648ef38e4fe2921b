"""Where batches come from, and the endless stream of them that can start at any place."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from triscope.errors import EmptyData, TrainingError

# One epoch after the other: the same walk again and again, or a function of the epoch's number.
# A batch is a tensor, or a tuple or mapping of tensors, as the model's losses() takes it.
Batches = Iterable[Any] | Callable[[int], Iterable[Any]]


class Shuffled:
    """Batches of images in an order that is drawn anew for each epoch.

    ``load(i)`` answers image i of ``count`` as float32 (3, h, w); ``Shuffled(...)(epoch)`` is a
    sequence of float32 (batch, 3, h, w) that loads on access. The rest that does not fill a batch
    waits for another epoch; with fewer images than ``batch``, a batch is all of them.
    """

    def __init__(
        self, load: Callable[[int], Tensor], count: int, batch: int, seed: int = 0
    ) -> None:
        if count < 1:
            raise EmptyData("there is no image to train on: give at least one.")
        self.load, self.count, self.seed = load, count, seed
        self.batch = min(batch, count)

    def __call__(self, epoch: int) -> Sequence[Float[Tensor, "b 3 h w"]]:
        """The batches of one epoch; the same for the same seed and epoch."""
        order = torch.randperm(self.count, generator=_generator(self.seed, epoch)).tolist()
        groups = [order[i : i + self.batch] for i in range(0, self.count, self.batch)]
        return _Epoch(self.load, [group for group in groups if len(group) == self.batch])


class _Epoch(Sequence[Tensor]):
    def __init__(self, load: Callable[[int], Tensor], groups: list[list[int]]) -> None:
        self.load, self.groups = load, groups

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return _Epoch(self.load, self.groups[index])
        return torch.stack([self.load(i) for i in self.groups[index]])


def _generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(mixed(seed, epoch))


def mixed(*numbers: int) -> int:
    """One seed from several numbers; neighbours give unrelated seeds (splitmix64's finaliser)."""
    state, mask = 0x9E3779B97F4A7C15, (1 << 64) - 1
    for number in numbers:
        state = (state + (number & mask) + 0x9E3779B97F4A7C15) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state >> 1  # torch takes seeds below 2**63


class Stream:
    """The endless stream of batches from (epoch, index) on, dealt out to ``world`` ranks.

    Of each ``world`` batches this rank gets the one of its number; where an epoch is a sequence,
    only that one is loaded. ``epoch`` and ``index`` name the next batch to be dealt.
    """

    def __init__(
        self,
        batches: Batches,
        seed: int,
        at: tuple[int, int] = (0, 0),
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if not callable(batches) and iter(batches) is batches:
            raise TrainingError(
                f"the batches are a {type(batches).__name__} that can be walked only once: give a "
                "list, a DataLoader, or a function that answers the batches of an epoch."
            )
        self.batches, self.seed = batches, seed
        self.epoch, self.index = at
        self.rank, self.world = rank, world
        self._walk: Iterator[Any] = iter(())
        self._open()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        found: list[Any] = []
        for turn in range(self.world):
            mine = self._next(turn == self.rank)
            if turn == self.rank:
                found.append(mine)
        return found[0]

    def _next(self, wanted: bool) -> Any:
        for _ in range(2):
            if self._items is not None and self.index < len(self._items):
                self.index += 1
                return self._items[self.index - 1] if wanted else None
            if self._items is None:
                for batch in self._walk:
                    self.index += 1
                    return batch
            self.epoch, self.index = self.epoch + 1, 0
            self._open()
        raise EmptyData(f"epoch {self.epoch} has no batch: give at least one image.")

    def _open(self) -> None:
        # A DataLoader draws its order from torch's generator on the first item: the seed is set
        # and the first item taken at once, so that the order depends on the epoch alone.
        torch.manual_seed(mixed(self.seed, self.epoch, -1))
        epoch = self.batches(self.epoch) if callable(self.batches) else self.batches
        self._items = epoch if isinstance(epoch, Sequence) else None
        if self._items is None:
            walk = iter(epoch)
            first = list(itertools.islice(walk, 1))
            self._walk = itertools.islice(itertools.chain(first, walk), self.index, None)
