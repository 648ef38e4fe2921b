"""Samples come in order, broken ones are named, and reading ahead is bounded."""

import threading

import numpy as np
import pytest

from triscope.errors import UnreadableImage
from triscope.kernel.data import Loaded, Sample, Skipped, load, read_image

SAMPLES = [Sample(np.full((2, 2), i, np.uint8), f"s{i}") for i in range(9)]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_in_order_with_the_broken_one_named(workers):
    def prepare(sample):
        if sample.name == "s4":
            raise UnreadableImage("s4 is broken.")
        return int(read_image(sample.source)[0, 0])

    items = list(load(SAMPLES, prepare, workers))
    assert [i.prepared for i in items if isinstance(i, Loaded)] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert items[4] == Skipped("s4", "s4 is broken.")


def test_other_errors_are_raised():
    with pytest.raises(ZeroDivisionError):
        list(load(SAMPLES, lambda sample: 1 // 0, 2))


def test_no_more_than_a_few_wait():
    started = []
    lock = threading.Lock()

    def prepare(sample):
        with lock:
            started.append(sample.name)

    walk = load(iter(SAMPLES), prepare, 2)
    next(walk)
    walk.close()
    assert len(started) <= 5
