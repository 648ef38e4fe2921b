"""PLY files whose rows differ in length: points with lists."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from triscope.errors import DataError
from triscope.shape.formats.ply import read_ply
from triscope.shape.surface import Cloud


@pytest.mark.parametrize("order", ["<", ">", ""])
def test_points_with_lists_are_read_and_the_lists_left_out(tmp_path: Path, order: str) -> None:
    """As OpenMVS writes its dense clouds: the views of each point, as many as there are."""
    form = {"<": "binary_little_endian", ">": "binary_big_endian", "": "ascii"}[order]
    head = (f"ply\nformat {form} 1.0\nelement vertex 3\nproperty float32 x\nproperty float32 y\n"
            "property float32 z\nproperty uint8 red\nproperty uint8 green\nproperty uint8 blue\n"
            "property list uint8 uint32 view_indices\nproperty list uint8 float32 view_weights\n"
            "end_header\n").encode()  # fmt: skip
    rows = [(1.5, 2, 3, 7, 8, 9, 2, 4, 5, 2, 0.5, 0.25), (4, 5, 6, 1, 2, 3, 1, 0, 1, 1),
            (7, 8, 9, 4, 5, 6, 0, 0)]  # fmt: skip
    body = b""
    for row in rows:
        n = int(row[6])
        lists = f"{order}3f3BB{n}IB{int(row[7 + n])}f"
        text = " ".join(map(str, row)).encode() + b"\n"
        body += struct.pack(lists, *row[:3], *map(int, row[3 : 8 + n]), *row[8 + n :]) if order \
            else text  # fmt: skip
    path = tmp_path / "dense.ply"
    path.write_bytes(head + body)
    cloud = read_ply(path)
    assert isinstance(cloud, Cloud) and cloud.colours is not None
    assert np.allclose(cloud.points, [row[:3] for row in rows])
    assert np.array_equal(cloud.colours, [row[3:6] for row in rows])
    path.write_bytes(head + (body[:-3] if order else body[: body.index(b"7 8 9")]))
    with pytest.raises(DataError, match=r"is cut off|rows of|numbers"):
        read_ply(path)
    strips = f"ply\nformat {form} 1.0\nelement tristrips 1\nproperty list uint8 int8 vertex_index\n"
    one = struct.pack("5B", 4, 0, 1, 2, 3) if order else b"4 0 1 2 3\n"
    path.write_bytes(head.replace(head.split(b"element")[0], strips.encode()) + one + body)
    assert np.allclose(read_ply(path).points, cloud.points)  # type: ignore[union-attr]
    path.write_bytes(head.replace(b"vertex 3", b"vertex 190000000") + body)
    with pytest.raises(DataError, match=r"bytes or more|rows of vertex are no 6 numbers"):
        read_ply(path)
