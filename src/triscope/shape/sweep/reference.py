"""The sweep in NumPy, written to be read: the reference of the fast forms, and the last resort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.shape.sweep.answer import Swept
from triscope.shape.sweep.run import array_of, weights_of
from triscope.shape.warp import Warp

Floats = NDArray[np.float32]
NEAREST = 1e-6
EPSILON = 1e-5


def numpy_sweep(features: Any, warp: Warp, depths: NDArray[np.float64], network: Any) -> Swept:
    """See :func:`triscope.shape.sweep.sweep`."""
    maps, weights = array_of(features), weights_of(network)
    scores = []
    states: dict[str, Floats] = {}
    for depth in depths:
        others = [
            warped(maps[i + 1], warp.turn[i], warp.shift[i], float(depth), maps.shape[2:])
            for i in range(len(warp))
        ]
        x = -np.stack([maps[0], *others]).var(0)
        if "map_conv.weight" in weights:
            x = conv3x3(x, weights["map_conv.weight"], weights["map_conv.bias"])
        for cell in ("gru1", "gru2", "gru3"):
            x = states[cell] = gru(x, states.get(cell), weights, cell)
        scores.append(conv3x3(x, weights["prob_conv.weight"], weights["prob_conv.bias"])[0])
    return answer(np.stack(scores))


def answer(scores: Floats) -> Swept:
    """The first plane of the highest score, its soft-max, and the scores around it."""
    index = scores.argmax(0)
    best = scores.max(0)
    edge = np.full_like(scores[:1], -np.inf)
    padded = np.concatenate([edge, scores, edge])
    around = np.stack([np.take_along_axis(padded, (index + i)[None], 0)[0] for i in range(3)])
    probability = 1 / np.exp(scores - best).sum(0)
    return Swept(index.astype(np.int32), probability.astype(np.float32), around)


def warped(source: Floats, turn: Any, shift: Any, depth: float, size: tuple[int, ...]) -> Floats:
    """One source (c, h, w) as the reference would see it: bilinear, zero outside."""
    y, x = np.mgrid[: size[0], : size[1]]
    p = np.tensordot(turn * depth, np.stack([x, y, np.ones_like(x)]).astype(float), 1)
    p += shift[:, None, None]
    front = p[2] > NEAREST
    z = np.where(front, p[2], 1.0)
    u, v = np.where(front, p[0] / z, -1e4), np.where(front, p[1] / z, -1e4)
    left, top = np.floor(u).astype(int), np.floor(v).astype(int)
    total = np.zeros((len(source), *size), np.float64)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        j, i = top + row, left + column
        share = (1 - abs(v - j)) * (1 - abs(u - i))
        inside = (j >= 0) & (j < source.shape[1]) & (i >= 0) & (i < source.shape[2])
        total += np.where(inside, share, 0) * source[:, j * inside, i * inside]
    return total.astype(np.float32)


def conv3x3(x: Floats, weight: Floats, bias: Floats) -> Floats:
    """A 3x3 convolution of (c, h, w) with zeros around it."""
    h, w = x.shape[1:]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    total = np.broadcast_to(bias[:, None, None], (len(bias), h, w)).astype(np.float32)
    for row in range(3):
        for column in range(3):
            window = padded[:, row : row + h, column : column + w]
            total = total + np.tensordot(weight[:, :, row, column], window, 1)
    return total


def gru(x: Floats, h: Floats | None, weights: Mapping[str, Any], cell: str) -> Floats:
    """One cell: gates, candidate, and the update gate that keeps the old state."""

    def part(name: str) -> Any:
        return weights[f"{cell}.{name}.weight"], weights[f"{cell}.{name}.bias"]

    if h is None:
        h = np.zeros((len(weights[f"{cell}.output_conv.bias"]), *x.shape[1:]), np.float32)
    reset, update = np.split(conv3x3(np.concatenate([x, h]), *part("gate_conv")), 2)
    reset = _sigmoid(_norm(reset, *part("reset_gate_norm")))
    update = _sigmoid(_norm(update, *part("update_gate_norm")))
    y = conv3x3(np.concatenate([x, reset * h]), *part("output_conv"))
    y = np.tanh(_norm(y, *part("output_norm")))
    return update * h + (1 - update) * y


def _norm(x: Floats, scale: Floats, bias: Floats) -> Floats:
    """Over height, width and channels together."""
    mean, spread = x.mean(dtype=np.float64), x.var(dtype=np.float64)
    unit = (x - mean) / np.sqrt(spread + EPSILON)
    return (unit * scale[:, None, None] + bias[:, None, None]).astype(np.float32)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)
