"""Video in: exact frames, rotation, changing rates, damage, folders, samplers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numbered_films import number_of, painted, write

from triscope.errors import EmptyData, UnreadableImage
from triscope.kernel.data.video import (
    Cut,
    FrameFolder,
    Video,
    dense,
    open_video,
    read_clip,
    segments,
    views,
)
from triscope.kernel.data.video.sampling import crops


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("film") / "film.mp4", 60)


def test_frames_are_exact_in_any_order(film: Path) -> None:
    with Video(film) as video:
        assert len(video) == 60 and video.size == (48, 96)
        assert video.rate == pytest.approx(30) and video.duration_s == pytest.approx(2.0)
        for wanted in ([0], [59], [7, 31, 8], [50, 3, 3, 58], list(range(60))):
            assert [number_of(f) for f in video.read(wanted)] == wanted
        assert [number_of(f) for _, f in video.walk()] == list(range(60))
        assert video.damaged == 0
        with pytest.raises(IndexError, match="has 60 frames, asked for 60"):
            video.read([60])


def test_frames_are_exact_where_the_rate_varies(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stamps = np.cumsum(rng.integers(900, 9000, 50)).tolist()
    with Video(write(tmp_path / "varies.mp4", 50, stamps=stamps)) as video:
        wanted = [44, 2, 17, 18, 49]
        assert [number_of(f) for f in video.read(wanted)] == wanted
        expected = (np.array(stamps) - stamps[0]) / 90000
        assert np.allclose(video.times_s, expected, atol=1e-3)


def test_the_shorter_side_is_brought_to_size_and_the_frame_stays_readable(film: Path) -> None:
    with Video(film) as video:
        small = video.read([13, 40], short=24)
    assert small.shape == (2, 24, 48, 3)
    assert [number_of(f) for f in small] == [13, 40]


def test_a_rotated_video_stands_upright(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Video(film) as video:
        plain = video.read([5])[0]
    monkeypatch.setattr(Video, "_rotation", lambda self: 90)
    with Video(film) as video:
        assert video.size == (96, 48)
        assert np.array_equal(video.read([5])[0], np.rot90(plain))


def test_a_file_cut_short_gives_what_it_holds(film: Path, tmp_path: Path) -> None:
    """MPEG-TS needs no table at its end, so half a file is half a video."""
    whole = write(tmp_path / "whole.ts", 60)
    cut = tmp_path / "cut.ts"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with Video(cut) as video:
        assert 10 < len(video) < 60
        found = [number_of(f) for f in video.read([0, 5, len(video) - 1])]
    assert found[:2] == [0, 5]
    headless = tmp_path / "headless.mp4"
    headless.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    with pytest.raises(UnreadableImage, match=r"headless\.mp4 cannot be read as a video: "):
        Video(headless)


def test_corrupt_packets_in_the_middle_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "hurt.ts", 60)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1200] = bytes(np.random.default_rng(0).integers(0, 255, 1200, np.uint8))
    path.write_bytes(data)
    with Video(path) as video:
        frames = video.read([0, 3, len(video) - 1])
        assert [number_of(f) for f in frames[:2]] == [0, 3]
        assert len(list(video.walk())) >= 40
        assert video.damaged > 0


def pictures_in(path: Path, sizes: list[tuple[int, int]]) -> Path:
    """Motion JPEG, a picture (h, w) a frame; each packet goes into the file as it is."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = *(sizes or [(48, 96)])[0], "yuvj420p"
        out.start_encoding()
        for i, (h, w) in enumerate(sizes):
            coded = cv2.imencode(".jpg", cv2.resize(painted(i), (w, h)))[1].tobytes()
            packet = av.Packet(coded)
            packet.stream, packet.time_base = stream, Fraction(1, 10)
            packet.pts = packet.dts = i
            packet.is_keyframe = True
            out.mux(packet)
    return path


def test_frames_of_other_sizes_are_brought_to_that_of_the_first(tmp_path: Path) -> None:
    path = pictures_in(tmp_path / "grows.mkv", [(48, 96)] * 3 + [(96, 192)] * 3)
    with Video(path) as video:
        assert video.size == (48, 96) and len(video) == 6
        frames = video.read(range(6))
        assert frames.shape == (6, 48, 96, 3)
        assert [number_of(f) for f in frames] == list(range(6))
        assert {f.shape for _, f in video.walk()} == {(48, 96, 3)}


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    with Video(pictures_in(tmp_path / "one.mkv", [(48, 96)])) as video:
        assert (len(video), video.rate, video.duration_s) == (1, 0.0, 0.0)
        assert read_clip(video, Cut(frames=4, size=32, square=True)).shape == (1, 3, 4, 32, 32)
        moving = read_clip(video, Cut(frames=4, size=32, square=True, seen="difference"))
        assert (moving == 128).all()


def test_no_frame_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(EmptyData, match=r"none\.avi holds no frame: the file is empty or was cut"):
        Video(pictures_in(tmp_path / "none.avi", []))


def test_frames_without_a_rate_are_counted_at_25_a_second(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Video._listed

    def without_times(video: Video) -> Any:
        stamps, keys = listed(video)
        return stamps * 0, keys

    monkeypatch.setattr(Video, "_listed", without_times)
    with Video(film) as video:
        assert video.times_s[:3].tolist() == [0.0, 0.04, 0.08] and video.rate == pytest.approx(25)


def test_a_codec_that_is_not_built_in_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pictures_in(tmp_path / "odd.avi", [(48, 96)] * 3)
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"XQZW"))
    with pytest.raises(UnreadableImage, match=r"odd\.avi"):
        Video(path)


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        (b"", UnreadableImage, "cannot be read as a video"),
        (b"no video at all, just words", UnreadableImage, "cannot be read as a video"),
    ],
)
def test_what_is_no_video_says_so(
    content: bytes, error: type[Exception], text: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(error, match=text):
        Video(path)


def test_a_missing_file_and_a_file_of_sound_say_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match=r"gone\.mp4 cannot be read as a video: there is no"):
        Video(tmp_path / "gone.mp4")
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        for packet in stream.encode(frame):
            out.mux(packet)
    with pytest.raises(UnreadableImage, match="holds no video, only audio"):
        Video(path)


def test_a_folder_of_pictures_is_a_video_in_natural_order(tmp_path: Path) -> None:
    for i in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"img_{i}.png"), painted(i))
    cv2.imwrite(str(tmp_path / "img_11.png"), cv2.resize(painted(11), (192, 96)))  # another size
    frames = open_video(tmp_path)
    assert isinstance(frames, FrameFolder) and len(frames) == 4
    found = frames.read([0, 1, 2, 3])
    assert found.shape == (4, 48, 96, 3)
    assert [number_of(f) for f in found] == [1, 2, 10, 11]
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyData, match="empty holds no picture"):
        open_video(tmp_path / "empty")


# ---- samplers -----------------------------------------------------------------------------------


def test_samplers_stay_inside_and_cover_the_video() -> None:
    rng = np.random.default_rng(0)
    assert dense(30, 4, 2).tolist() == [11, 13, 15, 17]
    assert dense(3, 5, 1).tolist() == [0, 1, 2, 2, 2]
    assert segments(16, 4).tolist() == [2, 6, 10, 14]
    assert segments(2, 4).tolist() == [0, 0, 1, 1]
    assert segments(1, 3).tolist() == [0, 0, 0]
    starts = set()
    for _ in range(200):
        numbers = dense(20, 4, 3, rng)
        assert numbers[0] >= 0 and numbers[-1] < 20 and set(np.diff(numbers)) == {3}
        starts.add(int(numbers[0]))
        drawn = segments(17, 4, rng)
        assert all(int(17 / 4 * i) <= n <= 17 / 4 * (i + 1) for i, n in enumerate(drawn))
    assert starts == set(range(11))
    several = views(100, 8, 2, 3)
    assert [v[0] for v in several] == [0, 42, 85] and several[-1][-1] == 99
    assert crops((10, 30), 10, 3) == [(0, 0), (0, 10), (0, 20)]
    assert crops((30, 10), 10, 1) == [(10, 0)]


def test_clips_are_cut_as_the_card_says(film: Path) -> None:
    with Video(film) as video:
        rows = read_clip(video, Cut(frames=4, size=24, clips=3, crops=2, sampling="dense"))
        assert rows.shape == (6, 3, 4, 24, 24)
        pressed = read_clip(video, Cut(frames=4, size=32, square=True))
        assert [number_of(f) for f in pressed[0].transpose(1, 2, 3, 0)] == [7, 22, 37, 52]
        still = read_clip(video, Cut(frames=4, size=24, seen="difference", step=1))
        frames = video.read([7, 6], short=24).astype(int)
        expected = np.clip(128 + frames[0] - frames[1], 0, 255)[:, 12:36]
        assert np.array_equal(still[0, :, 0].transpose(1, 2, 0), expected)
        one = read_clip(video, Cut(frames=3, size=24, seen="difference", sampling="dense"))
        assert one.shape == (1, 3, 3, 24, 24)


def test_a_clip_shorter_than_the_sampler_needs_repeats_its_frames(tmp_path: Path) -> None:
    with Video(write(tmp_path / "one.mp4", 1)) as video:
        rows = read_clip(video, Cut(frames=8, size=32, square=True))
        assert rows.shape == (1, 3, 8, 32, 32) and video.rate == 0.0
        assert (rows == rows[:, :, :1]).all()
