"""Live cameras: the newest frame, never an old one; a camera that drops out comes back.

A thread reads as fast as the camera gives and keeps one frame: whoever is slower than the camera
gets the newest, and is told how many were passed over. When the camera is gone, it is opened again
and again, and the gap is told when it is over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from triscope.errors import UnreadableImage


class Device(Protocol):
    """What a camera is made of; ``cv2.VideoCapture`` fits."""

    def read(self) -> tuple[bool, Any]:
        """Whether there is a frame, and the frame (h, w, 3) in BGR."""

    def release(self) -> None:
        """Let the device go."""


@dataclass(frozen=True, eq=False)
class Live:
    """One frame as it came: RGB (h, w, 3), when, and how many were passed over before it."""

    time_s: float
    frame: NDArray[np.uint8]
    number: int
    passed_over: int = 0


@dataclass(frozen=True)
class Gap:
    """A time in which the camera gave nothing."""

    start_s: float
    end_s: float
    attempts: int
    reason: str

    @property
    def seconds(self) -> float:
        """How long nothing was seen."""
        return self.end_s - self.start_s


class Camera:
    """Frames of a camera (number of a V4L device, RTSP or HTTP address) as they come.

    Iterating gives :class:`Live` frames and, after a drop-out, a :class:`Gap`. ``give_up_s`` ends
    the iteration with UnreadableImage when the camera stays away that long; 0 waits for ever.
    """

    def __init__(
        self,
        source: int | str,
        *,
        opener: Callable[[], Device] | None = None,
        retry_s: float = 0.5,
        longest_retry_s: float = 5.0,
        give_up_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source, self.retry_s, self.longest_retry_s = source, retry_s, longest_retry_s
        self.give_up_s, self._clock = give_up_s, clock
        self._open = opener or (lambda: _device(source))
        self._changed = threading.Condition()
        self._newest: tuple[float, Any, int] | None = None
        self._gaps: list[Gap] = []
        self._given = 0  # number of the last frame handed on
        self._failed = ""
        self._closing = threading.Event()
        self._began = clock()
        self._thread = threading.Thread(target=self._watch, name="triscope-camera", daemon=True)
        self._thread.start()

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading; the iteration ends."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def __iter__(self) -> Iterator[Live | Gap]:
        while True:
            with self._changed:
                while not (self._gaps or self._newest or self._failed or self._closing.is_set()):
                    self._changed.wait(0.5)
                gaps, self._gaps = self._gaps, []
                newest, self._newest = self._newest, None
                failed = self._failed
            yield from gaps
            if newest is not None:
                when, frame, number = newest
                passed, self._given = number - self._given - 1, number
                yield Live(when, np.ascontiguousarray(frame[:, :, ::-1]), number, passed)
            elif failed:
                raise UnreadableImage(failed)
            elif self._closing.is_set():
                return

    def _now(self) -> float:
        return self._clock() - self._began

    def _watch(self) -> None:
        number, gone, attempts, reason, wait = 0, 0.0, 0, "", self.retry_s
        missing = False
        while not self._closing.is_set():
            device, problem = self._try_to_open()
            if device is None:
                if not missing:
                    missing, gone, attempts = True, self._now(), 0
                attempts, reason = attempts + 1, problem
                if self.give_up_s and self._now() - gone >= self.give_up_s:
                    self._fail(
                        f"camera {self.source} gave nothing for {self.give_up_s:g} s: {reason}."
                    )
                    return
                self._closing.wait(wait)
                wait = min(2 * wait, self.longest_retry_s)
                continue
            seen = False
            while not self._closing.is_set():
                good, frame = _read(device)
                if not good:
                    break
                if missing:
                    self._tell(Gap(gone, self._now(), attempts, reason))
                    missing = False
                number, seen, wait = number + 1, True, self.retry_s
                with self._changed:
                    self._newest = (self._now(), frame, number)
                    self._changed.notify_all()
            device.release()
            if not missing:
                missing, gone, attempts = True, self._now(), 0
            reason = "the camera stopped giving frames" if seen else "opened, but no frame came"
            attempts += 1
            if self.give_up_s and self._now() - gone >= self.give_up_s:
                self._fail(reason)
                return
            self._closing.wait(wait)

    def _try_to_open(self) -> tuple[Device | None, str]:
        try:
            return self._open(), ""
        except (OSError, RuntimeError, UnreadableImage) as error:
            return None, str(error)

    def _tell(self, gap: Gap) -> None:
        with self._changed:
            self._gaps.append(gap)
            self._changed.notify_all()

    def _fail(self, reason: str) -> None:
        told = f"camera {self.source} gave nothing for {self.give_up_s:g} s: {reason}."
        with self._changed:
            self._failed = told
            self._changed.notify_all()


def _read(device: Device) -> tuple[bool, Any]:
    try:
        return device.read()
    except (OSError, RuntimeError):
        return False, None


def _device(source: int | str) -> Device:
    import cv2

    device = cv2.VideoCapture(source)
    device.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # old frames are of no use
    if not device.isOpened():
        device.release()
        raise UnreadableImage(f"{source} cannot be opened")
    return device


def is_camera(source: object) -> bool:
    """Whether a source names a camera: a small number, /dev/video*, rtsp:// or http://."""
    text = str(source)
    return text.isdigit() or text.startswith(("/dev/video", "rtsp://", "http://", "https://"))


def camera_of(source: str) -> Camera:
    """The camera behind the words of a command line."""
    return Camera(int(source) if source.isdigit() else source)
