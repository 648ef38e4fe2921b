"""Cameras: they come back after a gap, and give the newest frame."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from triscope.errors import UnreadableImage
from triscope.kernel.data.video import (
    Camera,
    Gap,
    Live,
)


class Fake:
    """A camera that gives some frames and then none."""

    def __init__(self, numbers: list[int], wait: threading.Event | None = None) -> None:
        self.numbers, self.wait, self.released = list(numbers), wait, False

    def read(self) -> tuple[bool, Any]:
        if not self.numbers:
            return False, None
        if self.wait is not None:
            self.wait.wait(2)
            self.wait.clear()
        return True, np.full((4, 6, 3), self.numbers.pop(0), np.uint8)

    def release(self) -> None:
        self.released = True


def test_a_camera_that_drops_out_comes_back_and_the_gap_is_told() -> None:
    step = threading.Event()
    devices: list[Any] = [Fake([1, 2], step), OSError("unplugged"), Fake([3], step)]
    opened: list[Any] = []

    def opener() -> Any:
        if not devices:
            raise OSError("gone for good")
        opened.append(devices.pop(0))
        if isinstance(opened[-1], OSError):
            raise opened[-1]
        return opened[-1]

    seen: list[Any] = []
    with Camera("fake", opener=opener, retry_s=0.01, give_up_s=0.3) as camera:
        step.set()
        with pytest.raises(UnreadableImage, match=r"camera fake gave nothing for 0\.3 s: gone for"):
            for item in camera:
                seen.append(item)
                step.set()
    frames = [item for item in seen if isinstance(item, Live)]
    gaps = [item for item in seen if isinstance(item, Gap)]
    assert [int(f.frame[0, 0, 0]) for f in frames] == [1, 2, 3]
    assert [f.number for f in frames] == [1, 2, 3] and not any(f.passed_over for f in frames)
    assert len(gaps) == 1 and gaps[0].attempts >= 2 and gaps[0].seconds > 0
    assert opened[0].released and opened[2].released


def test_whoever_is_slow_gets_the_newest_frame_and_the_count_of_the_others() -> None:
    hold = threading.Event()

    class Endless(Fake):
        def read(self) -> tuple[bool, Any]:
            good, frame = super().read()
            if not good:
                hold.set()
                threading.Event().wait(0.02)
                return False, None
            return good, frame

    with Camera("fake", opener=lambda: Endless(list(range(1, 6))), retry_s=5) as camera:
        assert hold.wait(2)
        first = next(item for item in camera if isinstance(item, Live))
    assert first.number == 5 and first.passed_over == 4
