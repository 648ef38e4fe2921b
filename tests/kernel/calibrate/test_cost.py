"""Thresholds by cost, against every pair of lines tried out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triscope.errors import BadSettings, EmptyData
from triscope.kernel.calibrate import by_cost

SCORES = st.lists(st.integers(0, 12), min_size=1, max_size=9)


def cost_of(good, bad, review, fail, escape, reject, look, prevalence):
    good, bad = np.asarray(good), np.asarray(bad)
    looked = [((s > review) & (s <= fail)).mean() for s in (good, bad)]
    return prevalence * (escape * (bad <= review).mean() + look * looked[1]) + (1 - prevalence) * (
        reject * (good > fail).mean() + look * looked[0]
    )


@given(SCORES, SCORES, st.sampled_from([1, 20, 200]), st.sampled_from([0.2, 3]), st.booleans())
def test_no_pair_of_lines_is_cheaper(good, bad, escape, look, zone):
    prices = {"cost_escape": escape, "cost_reject": 5, "prevalence": 0.2}
    decision = by_cost(good, bad, **prices, cost_review=look if zone else None)
    lines = np.arange(-0.5, 13)
    pairs = [(r, f) for r in lines for f in lines if (r <= f if zone else r == f)]
    costs = [cost_of(good, bad, r, f, escape, 5, look, 0.2) for r, f in pairs]
    zones = decision.zones
    here = cost_of(good, bad, zones.review_above, zones.fail_above, escape, 5, look, 0.2)
    assert here == pytest.approx(min(costs))
    assert decision.promise["cost_expected"] == pytest.approx(min(costs))


def test_the_line_lies_in_the_middle_of_a_gap():
    zones = by_cost([1, 2, 3], [7, 8], cost_escape=200, cost_reject=3).zones
    assert zones.fail_above == zones.review_above == 5


def test_dear_escapes_pull_the_line_down_and_dear_rejects_up():
    rng = np.random.default_rng(0)
    good, bad = rng.normal(0, 1, 500), rng.normal(2, 1, 100)
    cautious = by_cost(good, bad, cost_escape=2000, cost_reject=1, prevalence=0.05)
    lenient = by_cost(good, bad, cost_escape=2, cost_reject=10, prevalence=0.05)
    assert cautious.zones.fail_above < lenient.zones.fail_above


def test_a_cheap_look_opens_a_review_zone():
    rng = np.random.default_rng(0)
    good, bad = rng.normal(0, 1, 500), rng.normal(2, 1, 100)
    prices = {"cost_escape": 200, "cost_reject": 20, "prevalence": 0.05}
    with_look = by_cost(good, bad, **prices, cost_review=1)
    assert with_look.zones.review_above < with_look.zones.fail_above
    without = by_cost(good, bad, **prices).promise["cost_expected"]
    assert with_look.promise["cost_expected"] < without


def test_the_record():
    decision = by_cost(
        range(10), range(8, 18), cost_escape=200, cost_reject=3, cost_review=0.5, prevalence=0.02
    )
    promise = decision.promise
    assert promise["kind"] == "cost"
    assert promise["good_parts"] == promise["defects"] == 10
    assert promise["defect_outcomes"]["pass"] == 0
    assert promise["escapes_at_most"] == pytest.approx(np.sqrt(np.log(20) / 20))
    assert decision.zones.basis == promise["basis"]
    assert "200 an escape, 3 a rejected good part, 0.5 a look and 2 % defective" in promise["basis"]


def test_the_bound_holds_for_lines_chosen_on_the_same_scores():
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(400):
        good, bad = rng.uniform(0, 1, 40), rng.uniform(0.5, 1.5, 25)
        decision = by_cost(good, bad, cost_escape=5, cost_reject=1, prevalence=0.3)
        escapes = np.clip(decision.zones.review_above - 0.5, 0, 1)
        broken += escapes > decision.promise["escapes_at_most"]
    assert broken <= 0.05 * 400 + 3 * np.sqrt(0.05 * 0.95 * 400)


def test_bad_prices():
    with pytest.raises(BadSettings, match="cost_escape is a number above 0, got 0"):
        by_cost([1], [2], cost_escape=0, cost_reject=1)
    with pytest.raises(BadSettings, match="cost_review is a number above 0, got nan"):
        by_cost([1], [2], cost_escape=1, cost_reject=1, cost_review=float("nan"))
    with pytest.raises(BadSettings, match="prevalence is a share"):
        by_cost([1], [2], cost_escape=1, cost_reject=1, prevalence=0)
    with pytest.raises(EmptyData, match="thresholds need scores of defects"):
        by_cost([1], [], cost_escape=1, cost_reject=1)
