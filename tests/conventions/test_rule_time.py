"""Time is in seconds in results; spans are [start, end)."""

import pytest

from triscope.kernel.results import Finding, Inspection, Verdict


def test_spans_are_seconds_and_may_not_run_backwards():
    finding = Finding("screw missing", 0.9, span_s=(1.5, 3.0))
    assert finding.to_dict()["span_s"] == [1.5, 3.0]
    with pytest.raises(ValueError, match=r"a span is \[start, end\)"):
        Finding("x", 0.5, span_s=(3.0, 1.5))


def test_spans_that_touch_share_nothing():
    first, second = Finding("a", 1, span_s=(0.0, 1.0)), Finding("b", 1, span_s=(1.0, 2.0))
    shared = min(first.span_s[1], second.span_s[1]) - max(first.span_s[0], second.span_s[0])
    assert shared == 0


def test_timings_are_seconds():
    seconds = {"read": 0.25, "model": 1.5}
    told = Inspection("a.png", Verdict("pass", "x"), 0.0, seconds=seconds).to_dict()
    assert told["seconds"] == seconds
