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


def viterbi(log_probabilities: Floats, costs: Floats, shortest: Sequence[int]) -> NDArray[np.int64]:
    """The best label of each frame: log-probabilities (t, k), costs (k, k), shortest runs (k,).

    A run at the very end may be cut short.
    """
    frames, count = log_probabilities.shape
    if frames == 0:
        return np.zeros(0, np.int64)
    states, firsts, lasts = _chains(shortest)
    best = np.full(len(states), -np.inf)
    best[firsts] = log_probabilities[0, states[firsts]]
    back = np.zeros((frames, len(states)), np.int64)
    for t in range(1, frames):
        moved = np.full(len(states), -np.inf)
        came = np.arange(len(states))
        inner = np.setdiff1d(np.arange(len(states)), firsts)
        moved[inner], came[inner] = best[inner - 1], inner - 1
        stay = best[lasts] > moved[lasts]  # the last state of a chain may last
        moved[lasts[stay]], came[lasts[stay]] = best[lasts[stay]], lasts[stay]
        entering = best[lasts][:, None] - costs  # (from, to)
        np.fill_diagonal(entering, -np.inf)
        source = entering.argmax(0)
        value = entering[source, np.arange(count)]
        better = value > moved[firsts]
        moved[firsts[better]], came[firsts[better]] = value[better], lasts[source[better]]
        best, back[t] = moved + log_probabilities[t, states], came
    path = np.zeros(frames, np.int64)
    state = int(best.argmax())
    for t in range(frames - 1, -1, -1):
        path[t] = states[state]
        state = int(back[t, state])
    return path


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
    logs = np.log(np.clip(np.asarray(probabilities, np.float64), 1e-6, 1))
    runs = [shortest if isinstance(shortest, int) else shortest.get(x, 1) for x in labels]
    path = viterbi(logs, change_costs(labels, procedure, costs), runs)
    return [labels[i] for i in path]
