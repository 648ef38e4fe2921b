"""Metrics written out as their definitions say, one pair or one threshold at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage


def slow_auroc(scores, defective):
    """Wins of defective over good, pair by pair; a tie is half a win."""
    good = [s for s, bad in zip(scores, defective, strict=True) if not bad]
    bad = [s for s, is_bad in zip(scores, defective, strict=True) if is_bad]
    won = sum((b > g) + 0.5 * (b == g) for b in bad for g in good)
    return won / (len(good) * len(bad))


def slow_average_precision(scores, defective):
    """Sum over the distinct thresholds, from the largest."""
    scores, defective = np.asarray(scores), np.asarray(defective, dtype=bool)
    total, before, area = defective.sum(), 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        called = scores >= threshold
        recall = (called & defective).sum() / total
        area += (recall - before) * (called & defective).sum() / called.sum()
        before = recall
    return area


def slow_f1_max(scores, defective):
    """The best F1 over the distinct thresholds."""
    scores, defective = np.asarray(scores), np.asarray(defective, dtype=bool)
    best = 0.0
    for threshold in set(scores.tolist()):
        called = scores >= threshold
        hit = (called & defective).sum()
        best = max(best, 2 * hit / (called.sum() + defective.sum()))
    return best


def slow_aupro(maps, masks, limit):
    """Threshold after threshold, region after region, as MVTec AD's evaluation defines."""
    regions, outside = [], []
    for heat, mask in zip(maps, masks, strict=True):
        mask = np.zeros(heat.shape, dtype=bool) if mask is None else mask
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [heat[labels == i + 1] for i in range(count)]
        outside.append(heat[~mask])
    outside = np.concatenate(outside)
    curve = [(0.0, 0.0)]
    for threshold in np.unique(np.concatenate([h.ravel() for h in maps]))[::-1]:
        fpr = (outside >= threshold).mean()
        pro = np.mean([(region >= threshold).mean() for region in regions])
        curve.append((fpr, pro))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 >= limit:
            break
        if x1 > limit:
            x1, y1 = limit, y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
        area += (x1 - x0) * (y0 + y1) / 2
    return area / limit


def painted(seed, images=4, side=24, levels=None, shift=0.0):
    """Maps with masks of a few regions, some images good; ``levels`` rounds scores into ties."""
    rng = np.random.default_rng(seed)
    maps, masks = [], []
    for i in range(images):
        mask = np.zeros((side, side), dtype=bool)
        for _ in range(int(rng.integers(1, 4)) if i % 3 else 0):
            y, x = rng.integers(0, side - 6, 2)
            mask[y : y + int(rng.integers(1, 6)), x : x + int(rng.integers(1, 6))] = True
        heat = rng.normal(size=(side, side)) + 1.2 * mask + shift
        if levels:
            heat = np.round(heat * levels) / levels
        maps.append(heat.astype(np.float32))
        masks.append(mask if mask.any() else None)
    return maps, masks
