"""The size of an encoded image and whether its end is there, read without decoding it."""

from __future__ import annotations

import struct
from collections.abc import Callable

Size = tuple[int, int]
HEADER_BYTES = 1 << 16
JPEG = b"\xff\xd8"


def image_size(data: bytes) -> Size | None:
    """(h, w) as stored (before EXIF rotation) from the first bytes; None for unknown formats."""
    for magic, read in READERS.items():
        if data.startswith(magic):
            try:
                return read(data)
            except (struct.error, IndexError, ValueError):
                return None
    try:
        return _avif(data) if data[4:8] == b"ftyp" else None
    except struct.error:
        return None


def upright_size(data: bytes) -> Size | None:
    """(h, w) as read, after EXIF rotation."""
    size = image_size(data)
    return size[::-1] if size is not None and orientation(data) in (5, 6, 7, 8) else size


def orientation(data: bytes) -> int:
    """The EXIF orientation, 1 to 8; 1 where none is given."""
    try:
        return _orientation(_exif(data))
    except (struct.error, IndexError):
        return 1


def _exif(data: bytes) -> bytes:
    """The block of EXIF tags, which is a small TIFF; empty where there is none."""
    if data.startswith(JPEG):
        for marker, at, length in _jpeg_segments(data):
            if marker == 0xE1 and data[at : at + 6] == b"Exif\0\0":
                return data[at + 6 : at + length]
    if data.startswith(b"\x89PNG"):
        return _chunk(data, 8, ">I4s", b"eXIf", 4)
    if data.startswith(b"RIFF"):
        return _chunk(data, 12, "<4sI", b"EXIF", 0).removeprefix(b"Exif\0\0")
    return data if data[:4] in (b"II*\0", b"MM\0*") else b""


def _chunk(data: bytes, at: int, head: str, wanted: bytes, tail: int) -> bytes:
    """The content of a chunk; PNG has (length, name, content, sum), RIFF (name, length, …)."""
    while at + 8 <= len(data):
        first, second = struct.unpack_from(head, data, at)
        name, length = (first, second) if isinstance(first, bytes) else (second, first)
        if name == wanted:
            return data[at + 8 : at + 8 + length]
        at += 8 + length + tail + (length % 2 if tail == 0 else 0)
    return b""


def _orientation(tiff: bytes) -> int:
    value = _tiff_tags(tiff, (274,)).get(274, 1) if tiff else 1
    return value if 1 <= value <= 8 else 1


def _tiff_tags(data: bytes, wanted: tuple[int, ...]) -> dict[int, int]:
    """Values of tags of the first directory that are one short or long number."""
    order = "<" if data[:2] == b"II" else ">"
    at = struct.unpack_from(order + "I", data, 4)[0]
    count = struct.unpack_from(order + "H", data, at)[0]
    found = {}
    for i in range(min(count, 512)):
        entry = at + 2 + 12 * i
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in wanted:
            found[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)[0]
    return found


def whole(data: bytes) -> bool:
    """False where a JPEG or PNG has no end; decoders fill such an image with grey in silence."""
    if data.startswith(JPEG):
        start = _jpeg_scan(data)
        return start is not None and data.rfind(b"\xff\xd9", start) >= 0
    if data.startswith(b"\x89PNG"):
        return data.rfind(b"IEND") > 0
    return True


def _jpeg_scan(data: bytes) -> int | None:
    """Where the first scan starts; thumbnails inside of segments are stepped over."""
    for marker, at, _ in _jpeg_segments(data):
        if marker == 0xDA:
            return at
    return None


def _jpeg_segments(data: bytes):  # type: ignore[no-untyped-def]
    """(marker, start of the content, length) of each segment up to the first scan."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in (0x01, *range(0xD0, 0xD8)):
            at += 2
            continue
        length = struct.unpack_from(">H", data, at + 2)[0]
        yield marker, at + 4, length - 2
        if marker == 0xDA:
            return
        at += 2 + max(2, length)


SOF = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}


def _jpeg(data: bytes) -> Size | None:
    for marker, at, _ in _jpeg_segments(data):
        if marker in SOF:
            h, w = struct.unpack_from(">HH", data, at + 1)
            return h, w
    return None


def _png(data: bytes) -> Size:
    w, h = struct.unpack_from(">II", data, 16)
    return h, w


def _bmp(data: bytes) -> Size:
    w, h = struct.unpack_from("<ii", data, 18)
    return abs(h), abs(w)


def _gif(data: bytes) -> Size:
    w, h = struct.unpack_from("<HH", data, 6)
    return h, w


def _webp(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8X":
        w, h = (int.from_bytes(data[i : i + 3], "little") + 1 for i in (24, 27))
        return h, w
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return ((bits >> 14) & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if kind == b"VP8 ":
        w, h = struct.unpack_from("<HH", data, 26)
        return h & 0x3FFF, w & 0x3FFF
    return None


def _tiff(data: bytes) -> Size | None:
    sides = _tiff_tags(data, (256, 257))
    return (sides[257], sides[256]) if len(sides) == 2 else None


def _netpbm(data: bytes) -> Size | None:
    words = b" ".join(
        line.split(b"#", 1)[0] for line in data[2:1024].replace(b"\r", b"\n").split(b"\n")
    ).split()
    return (int(words[1]), int(words[0])) if len(words) >= 2 else None


def _jpeg2000(data: bytes) -> Size | None:
    at = data.find(b"ihdr", 0, 512)
    if at < 0:
        return None
    h, w = struct.unpack_from(">II", data, at + 4)
    return h, w


def _big_tiff(data: bytes) -> Size | None:
    """Eight bytes for offsets and counts; entries of 20 bytes."""
    order = "<" if data[:2] == b"II" else ">"
    at = struct.unpack_from(order + "Q", data, 8)[0]
    count = struct.unpack_from(order + "Q", data, at)[0]
    sides = {}
    for i in range(min(count, 512)):
        entry = at + 8 + 20 * i
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in (256, 257):
            form = {3: "H", 4: "I"}.get(kind, "Q")
            sides[tag] = struct.unpack_from(order + form, data, entry + 12)[0]
    return (sides[257], sides[256]) if len(sides) == 2 else None


def _avif(data: bytes) -> Size | None:
    """The largest of the sizes of items: tiles of a grid are smaller than the whole."""
    sizes = []
    at = data.find(b"ispe")
    while at >= 0:
        w, h = struct.unpack_from(">II", data, at + 8)
        sizes.append((h, w))
        at = data.find(b"ispe", at + 4)
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


READERS: dict[bytes, Callable[[bytes], Size | None]] = {
    b"\x89PNG\r\n\x1a\n": _png,
    JPEG: _jpeg,
    b"BM": _bmp,
    b"GIF8": _gif,
    b"RIFF": _webp,
    b"II*\x00": _tiff,
    b"MM\x00*": _tiff,
    b"P1": _netpbm,
    b"P2": _netpbm,
    b"P3": _netpbm,
    b"P4": _netpbm,
    b"P5": _netpbm,
    b"P6": _netpbm,
    b"\x00\x00\x00\x0cjP  ": _jpeg2000,
    b"II+\x00": _big_tiff,
    b"MM\x00+": _big_tiff,
}
