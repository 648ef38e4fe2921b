"""The lazy farthest-first choice against the plain one in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from triscope.surface import coreset
from triscope.surface.coreset import farthest_first


def plain(rows: np.ndarray, count: int) -> tuple[list[int], list[float]]:
    """Greedy k-centre as the definition says: indices, and the distance of each when chosen."""
    start = np.linalg.norm(rows - rows.mean(0), axis=1)
    chosen, radii = [int(start.argmax())], [float("inf")]
    while len(chosen) < min(count, len(rows)):
        to_centres = np.linalg.norm(rows[:, None] - rows[chosen][None], axis=2).min(1)
        to_centres[chosen] = -1
        chosen.append(int(to_centres.argmax()))
        radii.append(float(to_centres.max()))
    return chosen[:count], radii[:count]


@pytest.mark.parametrize("pool", [1, 7, 64, 4096])
@pytest.mark.parametrize("chunk", [5, 2048])
def test_it_is_the_greedy_choice(pool: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreset, "POOL", pool)
    monkeypatch.setattr(coreset, "CHUNK", chunk)
    rows = np.random.default_rng(pool).normal(size=(300, 6)).astype(np.float32)
    rows[:200] *= 0.2  # dense inside, sparse outside
    expected, _ = plain(rows, 60)
    assert farthest_first(torch.from_numpy(rows), 60).tolist() == expected


def test_distances_are_those_of_the_changed_rows() -> None:
    rng = np.random.default_rng(1)
    rows, change = rng.normal(size=(120, 5)), rng.normal(size=(5, 3))
    expected, _ = plain(rows @ change, 20)
    found = farthest_first(
        torch.from_numpy(rows).float(), 20, torch.from_numpy(change.astype(np.float32))
    )
    assert found.tolist() == expected


def test_half_precision_rows_are_compared_in_single_precision() -> None:
    rows = torch.randn(500, 8, generator=torch.Generator().manual_seed(2)).half()
    expected, _ = plain(rows.double().numpy(), 40)
    assert farthest_first(rows, 40).tolist() == expected


@pytest.mark.parametrize("count", [0, 1, 9, 10, 50])
def test_any_count(count: int) -> None:
    rows = torch.randn(10, 3, generator=torch.Generator().manual_seed(3))
    found = farthest_first(rows, count).tolist()
    assert len(found) == len(set(found)) == min(count, 10)


def test_equal_rows_are_chosen_once_each() -> None:
    rows = torch.ones(30, 4)
    rows[15:] = 2.0
    found = farthest_first(rows, 30).tolist()
    assert sorted(found) == list(range(30))
    assert {found[0] < 15, found[1] < 15} == {True, False}


def test_the_caller_s_rows_stay() -> None:
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(4))
    before = rows.clone()
    farthest_first(rows, 10)
    assert torch.equal(rows, before)
