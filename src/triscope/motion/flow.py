"""Optical flow: how far each pixel moves from one frame to the next; kept small, shown in colours.

``dis`` (arXiv:1603.03590, of OpenCV) by default; ``tvl1`` (10.1007/978-3-540-74936-3_22, the dual
method of the two-stream and I3D papers) for its accuracy on small motions, at a hundred times the
cost; ``raft`` (arXiv:2003.12039) with weights of one's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings, UnreadableImage
from triscope.kernel.data.video import open_video
from triscope.kernel.data.video.clips import dis

Flow = NDArray[np.float32]  # (h, w, 2): x to the right, y down, in pixels
Grey = NDArray[np.uint8]
Method = Literal["dis", "tvl1", "raft"]
BOUND = 20.0  # pixels; what moves further is cut, as published
QUALITY = 95  # of the JPEG files


def flow(
    first: Grey, second: Grey, method: Method = "dis", weights: str | Path | None = None
) -> Flow:
    """The flow from the first to the second picture: uint8 (h, w[, 3]) to float32 (h, w, 2).

    ``weights`` is the file of ``raft``, where it is not the one in the weights folder.
    """
    if method not in get_args(Method):
        raise BadSettings(f"flow={method!r}: expected {', '.join(get_args(Method))}.")
    if first.shape != second.shape:
        raise BadSettings(f"flow needs pictures of one size, got {first.shape}, {second.shape}.")
    if method == "raft":
        from triscope.motion.raft import raft

        return raft(first, second, weights)
    one, other = grey(first), grey(second)
    return dis(one, other) if method == "dis" else tvl1(one, other)


def grey(picture: NDArray[np.uint8]) -> Grey:
    """Brightness of an RGB picture."""
    if picture.ndim == 2:
        return picture
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def tvl1(
    one: Grey,
    other: Grey,
    *,
    smooth: float = 0.15,
    tightness: float = 0.3,
    step: float = 0.25,
    scales: int = 5,
    warps: int = 5,
    rounds: int = 30,
) -> Flow:
    """Total variation of the flow and absolute differences of brightness, by Zach's dual method.

    ``smooth`` is the paper's lambda, ``tightness`` theta, ``step`` tau.
    """
    pyramid = [(one.astype(np.float32), other.astype(np.float32))]
    while len(pyramid) < scales and min(pyramid[-1][0].shape) >= 32:
        pyramid.append(tuple(cv2.pyrDown(image) for image in pyramid[-1]))  # type: ignore[arg-type]
    field = np.zeros((*pyramid[-1][0].shape, 2), np.float32)
    for a, b in reversed(pyramid):
        if field.shape[:2] != a.shape:
            field = 2 * cv2.resize(field, a.shape[::-1], interpolation=cv2.INTER_LINEAR)
        field = _one_scale(a, b, field, smooth, tightness, step, warps, rounds)
    return field


def _one_scale(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    field: Flow,
    smooth: float,
    tightness: float,
    step: float,
    warps: int,
    rounds: int,
) -> Flow:
    h, w = a.shape
    grid = np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1).astype(np.float32)
    dual = np.zeros((2, 2, h, w), np.float32)  # for x and y, along both axes
    limit = smooth * tightness
    bx, by = (np.gradient(b, axis=axis).astype(np.float32) for axis in (1, 0))
    for _ in range(warps):
        place = grid + field
        warped, gx, gy = (_read(image, place) for image in (b, bx, by))
        size = gx**2 + gy**2 + 1e-9
        rest = warped - a - gx * field[..., 0] - gy * field[..., 1]
        for _ in range(rounds):
            rho = rest + gx * field[..., 0] + gy * field[..., 1]
            pull = np.where(np.abs(rho) <= limit * size, -rho / size, -limit * np.sign(rho))
            aim = field + np.stack([pull * gx, pull * gy], axis=-1)
            for c in range(2):
                field[..., c] = aim[..., c] + tightness * _divergence(dual[c])
                along = _forward(field[..., c])
                norm = 1 + step / tightness * np.sqrt((along**2).sum(0))
                dual[c] = (dual[c] + step / tightness * along) / norm
        field = np.stack(
            [cv2.medianBlur(np.ascontiguousarray(field[..., c]), 5) for c in (0, 1)], -1
        )
    return field


def _read(image: NDArray[np.float32], place: NDArray[np.float32]) -> NDArray[np.float32]:
    moved = cv2.remap(
        image, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.float32)


def _forward(u: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.zeros((2, *u.shape), np.float32)
    out[0, :, :-1] = np.diff(u, axis=1)
    out[1, :-1] = np.diff(u, axis=0)
    return out


def _divergence(p: NDArray[np.float32]) -> NDArray[np.float32]:
    """The negative adjoint of ``_forward``."""
    out = np.zeros(p.shape[1:], np.float32)
    out[:, 0] += p[0, :, 0]
    out[:, 1:-1] += np.diff(p[0, :, :-1], axis=1)
    out[:, -1] -= p[0, :, -2]
    out[0] += p[1, 0]
    out[1:-1] += np.diff(p[1, :-1], axis=0)
    out[-1] -= p[1, -2]
    return out


# ---- kept small ---------------------------------------------------------------------------------


def quantised(field: Flow, bound: float = BOUND) -> NDArray[np.uint8]:
    """Flow cut to [-bound, bound] as bytes (h, w, 2); 128 is near 0. Half a step is the error."""
    scaled = (np.clip(field, -bound, bound) + bound) * (255 / (2 * bound))
    return np.rint(scaled).astype(np.uint8)


def restored(small: NDArray[np.uint8], bound: float = BOUND) -> Flow:
    """The flow of bytes."""
    return (small.astype(np.float32) * (2 * bound / 255) - bound).astype(np.float32)


def resolution(bound: float = BOUND) -> float:
    """The largest error of the bytes themselves, in pixels (JPEG adds its own)."""
    return bound / 255


class FlowCache:
    """The flow of a video as JPEG pictures, computed once; what is there is not computed again.

    A file holds x and y side by side. A video whose content changed has another folder.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        method: Method = "dis",
        short: int = 128,
        bound: float = BOUND,
        workers: int = 1,
        weights: str | Path | None = None,
    ) -> None:
        self.folder, self.method, self.short = Path(folder), method, short
        self.bound, self.workers, self.weights = bound, workers, weights

    def of(self, source: str | Path, progress: Callable[[int, int], None] | None = None) -> int:
        """Compute whatever is missing; answers the number of fields of the video."""
        from triscope.kernel.data.source import fingerprint

        video = open_video(source)
        home = self.home(source, fingerprint(source) if Path(source).is_file() else "frames")
        home.mkdir(parents=True, exist_ok=True)
        count = max(0, len(video) - 1)
        missing = [i for i in range(count) if not (home / f"{i:06d}.jpg").exists()]
        if not missing:
            return count
        frames = [grey(f) for f in video.read(range(len(video)), self.short)] if (
            self.method != "raft"
        ) else list(video.read(range(len(video)), self.short))  # fmt: skip

        def compute(i: int) -> None:
            field = flow(frames[i], frames[i + 1], self.method, self.weights)
            write_flow(home / f"{i:06d}.jpg", field, self.bound)

        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            for done, _ in enumerate(pool.map(compute, missing), start=1):
                if progress is not None:
                    progress(done, len(missing))
        return count

    def read(self, source: str | Path, numbers: Sequence[int]) -> Flow:
        """Fields by number as (n, h, w, 2); they must have been computed."""
        from triscope.kernel.data.source import fingerprint

        home = self.home(source, fingerprint(source) if Path(source).is_file() else "frames")
        return np.stack([read_flow(home / f"{i:06d}.jpg", self.bound) for i in numbers])

    def home(self, source: str | Path, content: str) -> Path:
        """The folder of one video."""
        return self.folder / f"{Path(source).stem}_{content[:12]}_{self.method}_{self.short}"


def write_flow(path: Path, field: Flow, bound: float = BOUND) -> None:
    """One field as a grey JPEG, x left of y; written aside, so that a stop leaves no half file."""
    small = quantised(field, bound)
    both = np.concatenate([small[..., 0], small[..., 1]], axis=1)
    good, data = cv2.imencode(".jpg", both, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not good:
        raise UnreadableImage(f"{path} cannot be written as JPEG.")
    part = path.with_suffix(".part")
    part.write_bytes(data.tobytes())
    part.replace(path)


def read_flow(path: Path, bound: float = BOUND) -> Flow:
    """The field of a file."""
    both = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if both is None:
        raise UnreadableImage(f"{path} is no flow picture, or was not computed yet.")
    w = both.shape[1] // 2
    return restored(np.stack([both[:, :w], both[:, w:]], axis=-1).astype(np.uint8), bound)


# ---- shown --------------------------------------------------------------------------------------


def picture(field: Flow, largest: float = 0.0) -> NDArray[np.uint8]:
    """Flow in colours: the hue is the direction, the paler the slower; RGB (h, w, 3)."""
    x, y = field[..., 0], field[..., 1]
    length = np.sqrt(x**2 + y**2)
    most = largest or float(np.percentile(length, 99)) or 1.0
    hue = (np.arctan2(y, x) / (2 * math.pi) % 1) * 179
    pale = np.clip(length / most, 0, 1) * 255
    hsv = np.stack([hue, pale, np.full_like(pale, 255)], axis=-1).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def wheel(side: int = 128) -> NDArray[np.uint8]:
    """The colours of all directions, as a legend."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    field = np.stack(np.meshgrid(axis, axis), axis=-1)
    out = picture(field, 1.0)
    out[np.hypot(field[..., 0], field[..., 1]) > 1] = 255
    return out
