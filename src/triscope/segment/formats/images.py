"""Masks as pictures: one PNG a mask, label maps, and VOC's pair of maps with boxes in XML."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels, DataError
from triscope.kernel.geometry import boxes
from triscope.kernel.geometry.rle import Rle
from triscope.segment.formats import record as base
from triscope.segment.formats.record import Mask, Record, files

LABELS = "labels.json"
MOST = 65535  # numbers in a map of 16 bit


class PngWriter(base.Writer):
    """A folder an image with ``0000.png``, ``0001.png`` … and ``masks.json`` with their labels."""

    def _write(self, record: Record) -> None:
        folder = self.shard() / Path(record.name).stem
        if folder.exists():
            raise BadLabels(f"two images are called {folder.name!r}: rename one.")
        folder.mkdir()
        for i, mask in enumerate(record.masks):
            _save(folder / f"{i:04d}.png", mask.rle.decode().astype(np.uint8) * 255)
        labels = [mask.label for mask in record.masks]
        told = {"name": record.name, "hw": record.hw, "labels": labels}
        (folder / "masks.json").write_text(json.dumps(told), encoding="utf-8")


def read_png(place: Path) -> Iterator[Record]:
    """Records of folders that PngWriter wrote."""
    for path in files(place, ("masks.json",)):
        told = _json(path)
        try:
            names = [
                (path.parent / f"{i:04d}.png", label) for i, label in enumerate(told["labels"])
            ]
            name, hw = str(told["name"]), (int(told["hw"][0]), int(told["hw"][1]))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise BadLabels(f"{path}: expected name, hw and labels ({error}).") from error
        yield Record(
            name, hw, tuple(Mask(Rle.encode(_plane(file) > 0), label) for file, label in names)
        )


class MapWriter(base.Writer):
    """One 16-bit PNG an image: 0 is nothing, k is mask k; labels in ``labels.json`` beside it.

    A pixel holds one number, so masks that overlap are refused.
    """

    def _write(self, record: Record) -> None:
        path = self.shard() / f"{Path(record.name).stem}.png"
        if path.exists():
            raise BadLabels(f"two images are called {path.stem!r}: rename one.")
        _save(path, label_map(record))
        told = {"name": record.name, "labels": [mask.label for mask in record.masks]}
        path.with_suffix(".json").write_text(json.dumps(told), encoding="utf-8")


def read_maps(place: Path) -> Iterator[Record]:
    """Records of label maps; a map without JSON beside it has its numbers as labels."""
    for path in files(place, (".png",)):
        plane = _plane(path)
        beside = path.with_suffix(".json")
        if beside.is_file():
            told = _json(beside)
            name, labels = str(told.get("name", path.name)), list(told.get("labels", []))
            numbers = list(range(1, len(labels) + 1))
            if plane.max(initial=0) > len(labels):
                raise BadLabels(
                    f"{path} holds the number {plane.max()}, {beside.name} {len(labels)}."
                )
        else:
            numbers = [int(number) for number in np.unique(plane) if number]
            name, labels = path.name, [str(number) for number in numbers]
        masks = tuple(
            Mask(Rle.encode(plane == n), label) for n, label in zip(numbers, labels, strict=True)
        )
        yield Record(name, (plane.shape[0], plane.shape[1]), masks)


def label_map(record: Record) -> NDArray[np.uint16]:
    """Numbers uint16 (h, w) of the masks of a record; raises BadLabels where masks overlap."""
    if len(record.masks) > MOST:
        raise BadLabels(f"{record.name} has {len(record.masks)} masks, a map holds {MOST}.")
    out = np.zeros(record.hw, np.uint16)
    for number, mask in enumerate(record.masks, start=1):
        inside = mask.rle.decode()
        if (taken := out[inside]).any():
            raise BadLabels(
                f"{record.name}: masks {int(taken.max()) - 1} and {number - 1} overlap, a label "
                "map holds one number a pixel. Write them as SA-1B, COCO or PNG instead."
            )
        out[inside] = number
    return out


class VocWriter(base.Writer):
    """``SegmentationObject``, ``SegmentationClass`` (8 bit) and ``Annotations`` with boxes."""

    FOLDERS = ("SegmentationObject", "SegmentationClass", "Annotations")

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._labels: list[str] = []
        for name in self.FOLDERS:
            (place / name).mkdir(exist_ok=True)

    def _write(self, record: Record) -> None:
        objects = label_map(record)
        if len(record.masks) > 254:
            raise BadLabels(f"{record.name} has {len(record.masks)} masks, VOC holds 254.")
        for mask in record.masks:
            if mask.label not in self._labels:
                self._labels.append(mask.label)
        numbers = [self._labels.index(mask.label) + 1 for mask in record.masks]
        stem = Path(record.name).stem
        for folder, plane in (
            ("SegmentationObject", objects),
            ("SegmentationClass", np.array([0, *numbers], np.uint16)[objects]),
        ):
            _save(self.place / folder / f"{stem}.png", plane.astype(np.uint8))
        ET.ElementTree(_voc_xml(record)).write(self.place / "Annotations" / f"{stem}.xml")

    def close(self) -> None:
        """Write the labels in the order of their numbers."""
        (self.place / LABELS).write_text(json.dumps(self._labels), encoding="utf-8")


def read_voc(place: Path) -> Iterator[Record]:
    """Records of a VOC folder with ``SegmentationObject``."""
    for path in files(place / "SegmentationObject", (".png",)):
        plane = _plane(path)
        plane = np.where(plane == 255, 0, plane)  # VOC's "void" border
        told = place / "Annotations" / f"{path.stem}.xml"
        name, labels = _from_xml(told) if told.is_file() else (f"{path.stem}.jpg", [])
        numbers = range(1, max(len(labels), int(plane.max(initial=0))) + 1)
        masks = tuple(
            Mask(Rle.encode(plane == n), labels[n - 1] if n <= len(labels) else "object")
            for n in numbers
        )
        yield Record(name, (plane.shape[0], plane.shape[1]), masks)


def _voc_xml(record: Record) -> ET.Element:
    root = ET.Element("annotation")
    ET.SubElement(root, "filename").text = record.name
    size = ET.SubElement(root, "size")
    for name, value in (("width", record.hw[1]), ("height", record.hw[0]), ("depth", 3)):
        ET.SubElement(size, name).text = str(value)
    ET.SubElement(root, "segmented").text = "1"
    for mask in record.masks:
        one = ET.SubElement(root, "object")
        ET.SubElement(one, "name").text = mask.label
        box = ET.SubElement(one, "bndbox")
        corners = boxes.to_voc([mask.rle.box or (0, 0, 0, 0)])[0].astype(int).tolist()
        for name, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            ET.SubElement(box, name).text = str(value)
    return root


def _from_xml(path: Path) -> tuple[str, list[str]]:
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError as error:
        raise BadLabels(f"{path} is not whole XML ({error}).") from error
    labels = [one.findtext("name") or "object" for one in root.iter("object")]
    return root.findtext("filename") or f"{path.stem}.jpg", labels


def _plane(path: Path) -> NDArray[np.uint16]:
    """Numbers (h, w) of a grey or indexed PNG."""
    raw: Any = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if raw is None:
        raise BadLabels(f"{path} is damaged, or not an image.")
    if raw.ndim == 3:  # colours of a palette, or a grey picture stored as RGB
        raw = _numbers_of_palette(path, np.asarray(raw))
    return np.asarray(raw, np.uint16)


def _numbers_of_palette(path: Path, colours: NDArray[np.generic]) -> NDArray[np.generic]:
    """VOC's colour of number k back to k."""
    table = np.array([_voc_colour(number) for number in range(256)], np.uint8)[:, ::-1]
    codes = table.astype(np.int64) @ [1, 256, 65536]
    given = colours[:, :, :3].astype(np.int64) @ [1, 256, 65536]
    order = np.argsort(codes)
    found = order[np.searchsorted(codes, given, sorter=order).clip(0, 255)]
    if not (codes[found] == given).all():
        raise BadLabels(f"{path} has colours that are not in VOC's palette: expected a label map.")
    return found


def _voc_colour(number: int) -> tuple[int, int, int]:
    """Bits of the number, three at a time, to red, green, blue from the highest bit down."""
    rgb = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            rgb[channel] |= ((number >> channel) & 1) << (7 - bit)
        number >>= 3
    return rgb[0], rgb[1], rgb[2]


def _save(path: Path, plane: NDArray[np.generic]) -> None:
    if not cv2.imwrite(str(path), np.asarray(plane)):
        raise DataError(f"{path} could not be written.")


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadLabels(f"{path} is not whole JSON ({error}).") from error
    if not isinstance(told, dict):
        raise BadLabels(f"{path}: expected a JSON object.")
    return told
