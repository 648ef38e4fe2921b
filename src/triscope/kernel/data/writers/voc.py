"""VOC: ``JPEGImages/``, ``Annotations/*.xml`` and ``ImageSets/Main/<split>.txt``."""

from __future__ import annotations

from xml.sax.saxutils import escape

from triscope.kernel.data.sample import BoxLabel, Dataset
from triscope.kernel.data.writers._out import SPLIT_NAMES, Out, Size, boxes_of
from triscope.kernel.geometry import boxes as box_math


def write(data: Dataset, out: Out) -> None:
    """One XML an image; corners count from 1. Masks are not part of it."""
    lists: dict[str, list[str]] = {}
    for sample, name, hw in out.samples(data):
        out.image(sample, f"JPEGImages/{name}")
        stem = name.rsplit(".", 1)[0]
        boxes = boxes_of(sample, hw)
        if sample.label is not None or boxes:
            out.text(_xml(name, hw, boxes), f"Annotations/{stem}.xml")
        if sample.split is not None:
            lists.setdefault(SPLIT_NAMES[sample.split], []).append(stem)
        if sample.mask is not None:
            out.problems.add("masks became boxes, as VOC XML holds none", sample.name)
    for split, stems in lists.items():
        out.text("".join(f"{stem}\n" for stem in stems), f"ImageSets/Main/{split}.txt")


def _xml(name: str, hw: Size, boxes: tuple[BoxLabel, ...]) -> str:
    objects = "".join(_object(box) for box in boxes)
    return (
        f"<annotation>\n  <filename>{escape(name)}</filename>\n"
        f"  <size><width>{hw[1]}</width><height>{hw[0]}</height></size>\n"
        f"{objects}</annotation>\n"
    )


def _object(box: BoxLabel) -> str:
    keys = ("xmin", "ymin", "xmax", "ymax")
    values = box_math.to_voc(box.box)[0].tolist()
    corners = "".join(f"<{k}>{v:.6g}</{k}>" for k, v in zip(keys, values, strict=True))
    return (
        f"  <object><name>{escape(box.label)}</name><difficult>{int(box.difficult)}</difficult>"
        f"<bndbox>{corners}</bndbox></object>\n"
    )
