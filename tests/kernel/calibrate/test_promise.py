"""Thresholds by promise: kept in simulations, refused where too few parts stand behind them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from triscope.errors import BadLabels, BadSettings, EmptyData, PromiseTooLow
from triscope.kernel.calibrate import by_promise, lowest_promise, parts_needed
from triscope.kernel.calibrate.order import above_line


def broken(draw, exceeds, share, confidence, n, runs=1500):
    """How often the true share of good parts above the fail line is larger than promised."""
    rng = np.random.default_rng(0)
    lines = [
        by_promise(draw(rng, n), false_reject=share, confidence=confidence).zones.fail_above
        for _ in range(runs)
    ]
    return np.mean([exceeds(line) > share for line in lines])


DISTRIBUTIONS = {
    "normal": (lambda rng, n: rng.normal(size=n), stats.norm.sf),
    "heavy tails": (lambda rng, n: rng.standard_cauchy(size=n), stats.cauchy.sf),
    "ties": (lambda rng, n: rng.poisson(2.0, size=n), lambda t: stats.poisson.sf(t, 2.0)),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize(("share", "confidence", "n"), [(0.05, 0.9, 150), (0.1, 0.95, 29)])
def test_the_promise_is_kept_as_often_as_stated(name, share, confidence, n):
    draw, exceeds = DISTRIBUTIONS[name]
    often = broken(draw, exceeds, share, confidence, n)
    doubt = 1 - confidence
    assert often <= doubt + 3 * np.sqrt(doubt * confidence / 1500)


def test_the_line_is_the_lowest_that_keeps_it():
    draw, exceeds = DISTRIBUTIONS["normal"]
    often = broken(draw, exceeds, 0.05, 0.9, 150)
    r = above_line(150, 0.05, 0.9)
    assert often == pytest.approx(stats.binom.cdf(r, 150, 0.05), abs=0.02)
    assert stats.binom.cdf(r + 1, 150, 0.05) > 0.1  # one more above the line would break it


@given(st.integers(1, 2000), st.floats(0.001, 0.5), st.floats(0.5, 0.999))
def test_allowed_above_the_line_against_scipy(n, share, confidence):
    allowed = [r for r in range(60) if stats.binom.cdf(r, n, share) <= 1 - confidence + 1e-12]
    if not allowed:
        with pytest.raises(PromiseTooLow):
            above_line(n, share, confidence)
    elif allowed[-1] < 59:
        assert above_line(n, share, confidence) == allowed[-1]


def test_sixty_good_parts_promise_4_9_percent_and_no_less():
    good = np.arange(60.0)
    assert lowest_promise(60) == pytest.approx(0.0487, abs=5e-5)
    with pytest.raises(PromiseTooLow) as caught:
        by_promise(good, false_reject=0.01)
    assert str(caught.value) == (
        "60 good parts: nothing below 4.9 % at 95 % confidence, but 1 % was asked. "
        "Hold out 299 good parts, or promise false_reject=0.049."
    )
    assert by_promise(good, false_reject=0.049).zones.fail_above == 59


def test_a_lower_confidence_is_offered_where_it_is_of_use():
    with pytest.raises(PromiseTooLow, match=r"or be content with confidence=0\.86"):
        by_promise(np.arange(200.0), false_reject=0.01)
    by_promise(np.arange(200.0), false_reject=0.01, confidence=0.86)


@given(st.floats(0.001, 0.5), st.floats(0.5, 0.999))
def test_the_parts_that_are_asked_for_are_enough_and_one_less_is_not(share, confidence):
    n = parts_needed(share, confidence)
    above_line(n, share, confidence)
    if n > 1 and (1 - share) ** (n - 1) > 1 - confidence + 1e-9:
        with pytest.raises(PromiseTooLow):
            above_line(n - 1, share, confidence)


def test_zones_and_record():
    good = np.random.default_rng(0).permutation(400)
    decision = by_promise(good, false_reject=0.01, defect_scores=[100, 397, 398, 500, 600])
    zones, promise = decision.zones, decision.promise
    assert zones.fail_above == 399
    assert promise["good_outcomes"]["fail"] == 0
    assert promise["good_outcomes"]["review"] == above_line(400, 0.03, 0.95)
    assert zones.review_above == 399 - promise["good_outcomes"]["review"]
    assert promise["defect_outcomes"] == {"pass": 1, "review": 2, "fail": 2}
    assert promise["escapes_at_most"] == pytest.approx(stats.beta.ppf(0.95, 2, 4))
    assert zones.basis == (
        "At most 1 % of good parts fail, and at most 3 % do not pass, with 95 % confidence each "
        "(from 400 good parts: 0 failed, 6 to review)."
    )
    assert promise["basis"] == zones.basis


def test_without_a_review_zone_both_lines_are_one():
    zones = by_promise(np.arange(400.0), false_reject=0.01, review=0).zones
    assert zones.review_above == zones.fail_above
    assert "review" not in {zones.judge(s).outcome for s in range(500)}


def test_equal_scores_pass():
    zones = by_promise(np.full(400, 2.5)).zones
    assert zones.judge(2.5).outcome == "pass"
    assert zones.judge(2.6).outcome == "fail"


def test_a_monotone_change_of_scores_moves_the_lines_along():
    good = np.random.default_rng(3).normal(size=500)
    zones, changed = by_promise(good).zones, by_promise(np.exp(good)).zones
    assert changed.fail_above == pytest.approx(np.exp(zones.fail_above))
    assert changed.review_above == pytest.approx(np.exp(zones.review_above))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"false_reject": 1.0}, r"false_reject is a share in \(0, 1\), got 1.0: 1 % is 0.01"),
        ({"false_reject": 0}, "false_reject is a share"),
        ({"confidence": 95}, "confidence is a share"),
        ({"review": 0.999}, r"review is a share in \[0, 1 - false_reject\)"),
    ],
)
def test_shares_out_of_range(options, message):
    with pytest.raises(BadSettings, match=message):
        by_promise(np.arange(400.0), **options)


def test_scores_that_cannot_be_used():
    with pytest.raises(EmptyData, match="thresholds need scores of good parts, none was given"):
        by_promise([])
    with pytest.raises(BadLabels, match="scores of good parts must be finite"):
        by_promise([1.0, np.inf])
    with pytest.raises(BadLabels, match=r"scores of defects are \(n,\), got \(1, 2\)"):
        by_promise(np.arange(400.0), defect_scores=[[1, 2]])
