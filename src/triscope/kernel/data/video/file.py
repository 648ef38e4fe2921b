"""Frames of a file by their numbers, exact also where the frame rate varies.

The packets are listed first, without decoding: their times say how many frames there are and
where the key frames lie. A wanted frame is reached by decoding on, or by a seek to its key frame
where that is nearer. One converter serves all frames, since making one is dearer than using it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import EmptyData, UnreadableImage, needs_extra
from triscope.kernel.data.video.folder import FrameFolder
from triscope.kernel.data.video.frames import USUAL_RATE, Frame, Frames, scaled

ENDINGS = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".m4v", ".ts", ".wmv", ".flv")


def open_video(source: str | Path) -> Frames:
    """The frames of a file or of a folder of pictures; raises UnreadableImage, EmptyData."""
    if Path(source).is_dir():
        return FrameFolder(source)
    return Video(source)


def is_video(source: object) -> bool:
    """Whether a source is a video file or a folder, told by its name."""
    if not isinstance(source, str | Path):
        return False
    return Path(source).suffix.lower() in ENDINGS or Path(source).is_dir()


class Video:
    """One video file.

    ``times_s`` are the times of its frames from the first on; ``size`` (h, w) is that of the
    frames after rotation; ``damaged`` counts packets that could not be decoded or only in part.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        self.path, self.name, self.threads = str(path), str(path), threads
        self.damaged = 0
        self._container, self._stream = _opened(self.path, threads)
        self._av = _av()
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._pts, self._keys = self._listed()
        self.times_s = self._times()
        self._decoder: Iterator[Any] | None = None
        self._at = -1  # number of the frame that was decoded last
        self._last: Any = None
        context = self._stream.codec_context
        self._first = int(context.height), int(context.width)  # before it is turned upright
        self.rotation = self._rotation()
        h, w = self._first
        self.size = (w, h) if self.rotation % 180 else (h, w)

    def __len__(self) -> int:
        return len(self._pts)

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go."""
        self._decoder = None
        self._container.close()

    @property
    def rate(self) -> float:
        """Frames a second on average; 0 where there is one frame only."""
        span = float(self.times_s[-1]) if len(self) else 0.0
        return (len(self) - 1) / span if span > 0 else 0.0

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last one."""
        step = 1 / self.rate if self.rate else 0.0
        return float(self.times_s[-1]) + step

    def read(self, numbers: Sequence[int], short: int = 0) -> NDArray[np.uint8]:
        """See :class:`Frames`; numbers may repeat and come in any order, each is decoded once."""
        wanted = sorted(set(map(int, numbers)))
        if wanted and not 0 <= wanted[0] <= wanted[-1] < len(self):
            raise IndexError(f"{self.name} has {len(self)} frames, asked for {wanted[-1]}")
        found = {number: self._convert(self._frame(number), short) for number in wanted}
        return np.stack([found[int(number)] for number in numbers])

    def walk(self, short: int = 0) -> Iterator[tuple[float, Frame]]:
        """See :class:`Frames`."""
        self._rewind()
        for frame in self._decoder or ():
            number = self._number(frame)
            yield float(self.times_s[number]), self._convert(frame, short)
        self._decoder = None

    def _listed(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Times of all frames in the order in which they are shown, and numbers of key frames."""
        shown: list[tuple[int, bool]] = []
        try:
            for packet in self._container.demux(self._stream):
                if packet.size and not packet.is_discard:
                    stamp = packet.pts if packet.pts is not None else packet.dts
                    if stamp is None:
                        stamp = shown[-1][0] + 1 if shown else 0
                    shown.append((int(stamp), bool(packet.is_keyframe)))
        except self._av.error.FFmpegError:
            self.damaged += 1  # cut short: what was listed is what there is
        if not shown:
            raise EmptyData(f"{self.name} holds no frame: the file is empty or was cut short.")
        shown.sort()
        stamps = np.array([stamp for stamp, _ in shown], dtype=np.int64)
        keys = np.flatnonzero([key for _, key in shown])
        return stamps, keys if len(keys) else np.zeros(1, np.int64)

    def _times(self) -> NDArray[np.float64]:
        base = self._stream.time_base
        times = (self._pts - self._pts[0]).astype(np.float64) * float(base or 0)
        if len(times) > 1 and times[-1] <= 0:  # no times at all, as with a frame rate of 0
            return np.arange(len(times)) / USUAL_RATE
        return times

    def _frame(self, number: int) -> Any:
        """The decoded frame of that number, or the next one that can be decoded."""
        if number == self._at and self._last is not None:
            return self._last
        sought = False
        if self._decoder is None or number < self._at or self._key_before(number) > self._at:
            self._seek(number)
            sought = True
        for frame in self._decoder or ():
            found = self._number(frame)
            if found > number and sought:  # files without an index are sought past the place
                self._rewind()
                return self._frame_from_here(number)
            sought = False
            if found >= number:
                self._at, self._last = found, frame
                return frame
        return self._fallback(number)

    def _frame_from_here(self, number: int) -> Any:
        for frame in self._decoder or ():
            found = self._number(frame)
            if found >= number:
                self._at, self._last = found, frame
                return frame
        return self._fallback(number)

    def _fallback(self, number: int) -> Any:
        """At a damaged end, the last frame before it that can be decoded."""
        self._rewind()
        last = None
        for frame in self._decoder or ():
            if self._number(frame) > number:
                break
            last = frame
        self._decoder, self._at, self._last = None, -1, None
        if last is None:
            raise UnreadableImage(
                f"{self.name}: frame {number} of {len(self)} cannot be decoded, nor any before it."
            )
        return last

    def _rewind(self) -> None:
        """Decode from the first packet again, in a freshly opened file."""
        self._container.close()
        self._container, self._stream = _opened(self.path, self.threads)
        self._decoder, self._at, self._last = self._decoded(), -1, None

    def _seek(self, number: int) -> None:
        key = self._key_before(number)
        self._container.seek(int(self._pts[key]), stream=self._stream, backward=True)
        self._decoder, self._at, self._last = self._decoded(), -1, None

    def _key_before(self, number: int) -> int:
        place = int(np.searchsorted(self._keys, number, side="right")) - 1
        return int(self._keys[max(place, 0)])

    def _decoded(self) -> Iterator[Any]:
        """Frames from here on; packets that cannot be decoded are counted and left out."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except self._av.error.FFmpegError:
                self.damaged += 1
                return
            self.damaged += bool(packet.is_corrupt)
            try:
                for frame in packet.decode():
                    self.damaged += bool(frame.is_corrupt and not packet.is_corrupt)
                    yield frame
            except self._av.error.EOFError:
                return
            except self._av.error.FFmpegError:
                self.damaged += 1

    def _number(self, frame: Any) -> int:
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is None:
            return self._at + 1
        place = int(np.searchsorted(self._pts, stamp))
        return min(place, len(self) - 1)

    def _convert(self, frame: Any, short: int) -> Frame:
        """RGB, resized, upright; a frame of another size than the first is brought to that one."""
        h, w = scaled(self._first, short)
        kind = "AREA" if short else "BILINEAR"
        converted = self._reformatter.reformat(
            frame, width=w, height=h, format="rgb24", interpolation=kind
        )
        array: Frame = converted.to_ndarray()
        turns = (self.rotation // 90) % 4
        return np.ascontiguousarray(np.rot90(array, turns)) if turns else array

    def _rotation(self) -> int:
        """Degrees counter-clockwise by which frames must be turned to stand upright."""
        try:
            first = self._frame(0)
        except (UnreadableImage, self._av.error.FFmpegError) as error:
            raise UnreadableImage(
                f"{self.name}: no frame can be decoded ({self._stream.codec_context.name}). The "
                "file is damaged, or this codec is not built in."
            ) from error
        return int(getattr(first, "rotation", 0) or 0) % 360


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise needs_extra("reading video", "motion", "av") from error
    return av


def _opened(path: str, threads: int) -> tuple[Any, Any]:
    av = _av()
    av.logging.set_level(av.logging.PANIC)  # what matters comes as an error with the file's name
    try:
        container = av.open(path)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableImage(f"{path} cannot be read as a video: {_reason(error)}.") from error
    if not container.streams.video:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        container.close()
        raise UnreadableImage(f"{path} holds no video, only {kinds}.")
    stream = container.streams.video[0]
    if getattr(stream, "codec_context", None) is None:
        container.close()
        raise UnreadableImage(f"{path} is coded in a way that this build of FFmpeg cannot decode.")
    stream.codec_context.thread_count = threads
    return container, stream


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    text = getattr(error, "strerror", None) or str(error)
    return str(text)[:1].lower() + str(text)[1:].rstrip(".")
