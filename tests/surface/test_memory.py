"""The memory of patches: a ceiling that holds, images that can be forgotten, and condensing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from triscope.errors import BadSettings
from triscope.surface.coreset import farthest_first
from triscope.surface.memory import BLOCK, Memory


def patches(images: int, n: int = 50, dims: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(images, n, dims, generator=torch.Generator().manual_seed(seed))


def small(rows: int = BLOCK, dims: int = 4) -> Memory:
    return Memory(dims, rows * (2 * dims + 40))


def test_rows_keep_their_image_and_order() -> None:
    memory, given = small(), patches(3)
    memory.add(given[:2], torch.tensor([7, 5]))
    memory.add(given[2:], torch.tensor([7]))
    assert torch.equal(memory.rows, given.half().flatten(0, 1))
    assert memory.owners.tolist() == [7] * 50 + [5] * 50 + [7] * 50
    assert memory.seen == {7: 100, 5: 50} and memory.total == 150
    memory.forget(torch.tensor([7, 99]))
    assert torch.equal(memory.rows, given[1].half()) and memory.total == 50


def test_forgetting_equals_never_having_seen() -> None:
    one, other, given = small(), small(), patches(6)
    one.add(given, torch.arange(6))
    one.forget(torch.tensor([1, 4]))
    other.add(given[[0, 2, 3, 5]], torch.tensor([0, 2, 3, 5]))
    a, b = one.state(), other.state()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_the_batches_do_not_matter() -> None:
    one, other, given = small(), small(), patches(200, 64)
    one.add(given, torch.arange(200))
    for i in range(200):
        other.add(given[i : i + 1], torch.tensor([i]))
    assert one.condensed and torch.equal(one.rows, other.rows)


def test_a_full_memory_is_condensed_and_still_covers_what_it_saw() -> None:
    memory, given = small(rows=BLOCK + 100, dims=2), patches(250, 100, 2)
    for i in range(250):
        memory.add(given[i : i + 1], torch.tensor([i]))
        assert memory.held <= memory.capacity and len(memory._rows) == memory.capacity
    assert memory.condensed and memory.total == 25000
    gaps = torch.cdist(given.flatten(0, 1), memory.rows.float()).amin(1)
    best = torch.cdist(given.flatten(0, 1), given.flatten(0, 1)[:: 25000 // memory.held])
    assert gaps.max() < 0.5 * best.amin(1).max()  # better than every so many rows


def test_condensing_keeps_what_it_is_told_to() -> None:
    memory, given = small(), patches(10)
    memory.add(given, torch.arange(10))
    kept = torch.tensor([3, 77, 401])
    rows = memory.rows[kept].clone()
    memory.condense(40, besides=kept)
    assert 40 <= memory.held <= 43 and memory.condensed
    assert all((memory.rows == row).all(1).any() for row in rows)


def test_large_numbers_stay_finite() -> None:
    memory = small()
    memory.add(torch.full((1, 2, 4), 1e9), torch.tensor([0]))
    assert bool(memory.rows.isfinite().all())


def test_state_comes_back() -> None:
    memory, other = small(), small()
    memory.add(patches(3), torch.arange(3))
    other.restore(memory.state())
    assert other.seen == memory.seen and torch.equal(other.rows, memory.rows)
    other.add(patches(1, seed=1), torch.tensor([9]))
    assert other.held == memory.held + 50


def test_a_ceiling_that_holds_nothing_is_refused() -> None:
    with pytest.raises(BadSettings, match=r"0.01 MB hold 33 patches of 128 numbers; at least 4096"):
        Memory(128, 10_000)
    memory, full = small(), Memory(4, 10**6)
    full.add(patches(100), torch.arange(100))
    with pytest.raises(BadSettings, match="holds 5000 patches, this one at most 4096: raise"):
        memory.restore(full.state())


def test_the_bank_is_chosen_farthest_first_and_lasts_until_something_changes() -> None:
    memory, given = small(), patches(4)
    memory.add(given, torch.arange(4))
    memory.choose(10, reserve=3)
    rows = given.half().flatten(0, 1)
    assert torch.equal(memory.bank, rows[farthest_first(rows, 10)])
    assert 30 <= memory.held <= 40
    before = memory.bank
    memory.choose(12, reserve=3)
    assert memory.bank is before
    memory.forget(torch.tensor([2]))
    assert not len(memory.bank)
