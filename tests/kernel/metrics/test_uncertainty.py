"""Bootstrap intervals and exact bounds of shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from triscope.errors import BadSettings
from triscope.kernel.metrics import auroc, auroc_of, bootstrap, f1_max_of
from triscope.kernel.metrics.binomial import at_most, lower_bound, share_interval, upper_bound


def some_scores(n=80, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) < n // 4
    return rng.normal(size=n) + 1.2 * labels, labels


def test_the_same_seed_gives_the_same_interval():
    scores, labels = some_scores()
    one, two = (bootstrap(auroc_of, scores, labels, draws=50, seed=7) for _ in range(2))
    assert one == two
    assert one != bootstrap(auroc_of, scores, labels, draws=50, seed=8)
    assert one.low <= one.value <= one.high
    assert one.value == auroc(scores, labels)


def test_draws_agree_with_drawing_images():
    scores, labels = some_scores()
    rng = np.random.default_rng(1)
    good, bad = scores[~labels], scores[labels]
    by_hand = [
        auroc(
            np.concatenate([rng.choice(good, good.size), rng.choice(bad, bad.size)]),
            np.repeat([False, True], [good.size, bad.size]),
        )
        for _ in range(2000)
    ]
    ours = bootstrap(auroc_of, scores, labels, draws=2000)
    assert (ours.low, ours.high) == pytest.approx(np.quantile(by_hand, [0.025, 0.975]), abs=0.02)


def test_a_known_auroc_is_usually_inside():
    true, inside = stats.norm.cdf(1.2 / np.sqrt(2)), 0
    for seed in range(60):
        interval = bootstrap(auroc_of, *some_scores(seed=seed), draws=100, seed=seed)
        inside += interval.low <= true <= interval.high
    assert inside >= 50  # 57 expected of 60 at 95 %


def test_a_perfect_detector_has_no_width():
    interval = bootstrap(f1_max_of, [1, 2, 3, 4], [False, False, True, True], draws=20)
    assert (interval.low, interval.high) == (1, 1)


def test_a_bootstrap_of_no_draws():
    with pytest.raises(BadSettings, match="draws >= 1"):
        bootstrap(auroc_of, [1, 2], [False, True], draws=0)


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.001, 0.999))
def test_binomial_tail_agrees_with_scipy(k, n, p):
    assert at_most(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), abs=1e-11)


@pytest.mark.parametrize("n", [1, 7, 60, 5000, 200_000])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_clopper_pearson_agrees_with_the_beta_quantile(n, share):
    k = round(n * share)
    expected = 1.0 if k == n else stats.beta.ppf(0.95, k + 1, n - k)
    assert upper_bound(k, n) == pytest.approx(expected, abs=1e-9)
    low = 0.0 if k == 0 else stats.beta.ppf(0.05, k, n - k + 1)
    assert lower_bound(k, n) == pytest.approx(low, abs=1e-9)


def test_sixty_good_parts():
    assert upper_bound(0, 60) == pytest.approx(1 - 0.05 ** (1 / 60))
    assert share_interval(0, 0) == (0, 1)
    assert share_interval(3, 10) == pytest.approx((0.0667, 0.6525), abs=1e-4)


def test_counts_that_are_no_share():
    with pytest.raises(BadSettings, match="7 of 5 is not a share"):
        upper_bound(7, 5)
    with pytest.raises(BadSettings, match="confidence is a number in"):
        upper_bound(1, 5, 1.0)
