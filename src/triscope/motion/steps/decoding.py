"""From scores a frame to steps: the most probable walk through a hidden Markov model.

Each label is a chain of states, so that it lasts at least its shortest time. Changing costs; a
change that the procedure expects costs less than one it does not, but none is forbidden: what was
done wrong must stay visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triscope.motion.steps.procedure import Procedure

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Costs:
    """Costs of changes, in units of the frames' log-probabilities."""

    expected: float = 4.0  # to a step whose turn it is, and to and from the background
    unexpected: float = 7.0  # to any other step


def change_costs(
    labels: Sequence[str], procedure: Procedure | None, costs: Costs = Costs()
) -> Floats:
    """The cost of each change (from, to); staying costs nothing."""
    count = len(labels)
    table = np.full((count, count), costs.expected)
    if procedure is not None:
        for i, before in enumerate(labels):
            for j, after in enumerate(labels):
                if procedure.background in (before, after):
                    continue
                table[i, j] = costs.unexpected
                if before in procedure[after].after:
                    table[i, j] = costs.expected
    np.fill_diagonal(table, 0.0)
    return table


class Walk:
    """The best walk so far, one frame after the other: costs (k, k), shortest runs (k,)."""

    def __init__(self, costs: Floats, shortest: Sequence[int]) -> None:
        self.costs = costs
        self.states, self._firsts, self._lasts = _chains(shortest)
        self._inner = np.setdiff1d(np.arange(len(self.states)), self._firsts)
        self._best: Floats | None = None
        self._back: list[NDArray[np.int64]] = []

    def add(self, log_probabilities: Floats) -> None:
        """One more frame: log-probabilities (k,)."""
        if self._best is None:
            self._best = np.full(len(self.states), -np.inf)
            self._best[self._firsts] = log_probabilities[self.states[self._firsts]]
            return
        best, firsts, lasts, inner = self._best, self._firsts, self._lasts, self._inner
        moved = np.full(len(self.states), -np.inf)
        came = np.arange(len(self.states))
        moved[inner], came[inner] = best[inner - 1], inner - 1
        stay = best[lasts] > moved[lasts]  # the last state of a chain may last
        moved[lasts[stay]], came[lasts[stay]] = best[lasts[stay]], lasts[stay]
        entering = best[lasts][:, None] - self.costs  # (from, to)
        np.fill_diagonal(entering, -np.inf)
        source = entering.argmax(0)
        value = entering[source, np.arange(len(source))]
        better = value > moved[firsts]
        moved[firsts[better]], came[firsts[better]] = value[better], lasts[source[better]]
        self._best = moved + log_probabilities[self.states]
        self._back.append(came)

    def path(self) -> NDArray[np.int64]:
        """The best label of each frame so far. The run at the end may still be short."""
        if self._best is None:
            return np.zeros(0, np.int64)
        state = int(self._best.argmax())
        walked = [state]
        for came in reversed(self._back):
            state = int(came[state])
            walked.append(state)
        return np.asarray(self.states[walked[::-1]])


def viterbi(log_probabilities: Floats, costs: Floats, shortest: Sequence[int]) -> NDArray[np.int64]:
    """The best label of each frame: log-probabilities (t, k), costs (k, k), shortest runs (k,).

    A run at the very end may be cut short.
    """
    walk = Walk(costs, shortest)
    for row in log_probabilities:
        walk.add(row)
    return walk.path()


def _chains(shortest: Sequence[int]) -> tuple[NDArray[np.int64], ...]:
    """The label of each state, and the first and last state of each label."""
    states: list[int] = []
    firsts: list[int] = []
    lasts: list[int] = []
    for label, length in enumerate(shortest):
        firsts.append(len(states))
        states += [label] * max(1, length)
        lasts.append(len(states) - 1)
    return np.array(states), np.array(firsts), np.array(lasts)


def decode(
    probabilities: Floats,
    labels: Sequence[str],
    *,
    procedure: Procedure | None = None,
    shortest: Mapping[str, int] | int = 3,
    costs: Costs = Costs(),
) -> list[str]:
    """The label of each frame from probabilities (t, k); ``shortest`` runs in frames."""
    table = change_costs(labels, procedure, costs)
    path = viterbi(logs_of(probabilities), table, runs_of(labels, shortest))
    return [labels[i] for i in path]


def logs_of(probabilities: Floats) -> Floats:
    """Logarithms, at least those of one in a million."""
    return np.asarray(np.log(np.clip(np.asarray(probabilities, np.float64), 1e-6, 1)))


def runs_of(labels: Sequence[str], shortest: Mapping[str, int] | int) -> list[int]:
    """The shortest run of each label, in frames."""
    return [shortest if isinstance(shortest, int) else shortest.get(x, 1) for x in labels]
