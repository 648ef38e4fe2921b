"""SA-1B: one JSON file an image, masks as compressed run lengths (arXiv:2304.02643 section 5)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from triscope.errors import BadLabels
from triscope.kernel.geometry.rle import Rle
from triscope.segment.formats import record as base
from triscope.segment.formats.record import Mask, Record, files


def read(place: Path) -> Iterator[Record]:
    """Records of all JSON files below a folder."""
    for path in files(place, (".json",)):
        yield read_file(path)


def read_file(path: Path) -> Record:
    """One file of the published shape; raises BadLabels saying what is wrong and where."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise BadLabels(
            f"{path} is not whole JSON ({error.msg} at character {error.pos}): it was cut off or "
            "edited. Copy it again."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadLabels(f"{path} cannot be read: {error}.") from error
    try:
        image = whole["image"]
        hw = (int(image["height"]), int(image["width"]))
        masks = tuple(_mask(row) for row in whole["annotations"])
        return Record(str(image["file_name"]), hw, masks)
    except (KeyError, TypeError, ValueError) as error:
        raise BadLabels(
            f"{path} is not of the SA-1B shape ({type(error).__name__}: {error}): expected "
            "'image' with height, width, file_name and 'annotations' with segmentation."
        ) from error
    except BadLabels as error:
        raise BadLabels(f"{path}: {error}") from error


def _mask(row: Mapping[str, Any]) -> Mask:
    extra = {name: value for name, value in row.items() if name not in ("segmentation", "area")}
    return Mask(Rle.from_coco(row["segmentation"]), str(row.get("label", "object")), extra)


class Writer(base.Writer):
    """A JSON file an image, a thousand to a folder, of the published shape."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._next_id = 1

    def _write(self, record: Record) -> None:
        path = self.shard() / f"{Path(record.name).stem}.json"
        if path.exists():
            raise BadLabels(
                f"two images are called {path.stem!r}: rename one, or write shards apart."
            )
        whole = row_of(record, self.count + 1, self._next_id)
        self._next_id += len(record.masks)
        path.write_text(json.dumps(whole), encoding="utf-8")


def row_of(record: Record, image_id: int = 1, first_id: int = 1) -> dict[str, Any]:
    """The published JSON object of one image; what a mask says beside it is kept."""
    image = {
        "image_id": image_id,
        "width": record.hw[1],
        "height": record.hw[0],
        "file_name": record.name,
    }
    rows = [_row(mask, first_id + i) for i, mask in enumerate(record.masks)]
    return {"image": image, "annotations": rows}


def _row(mask: Mask, number: int) -> dict[str, Any]:
    x0, y0, x1, y1 = mask.rle.box or (0.0, 0.0, 0.0, 0.0)
    h, w = mask.rle.size
    row: dict[str, Any] = {
        "id": number,
        "segmentation": mask.rle.to_coco(),
        # As published: from the first to the last pixel, so one less than the width.
        "bbox": [x0, y0, max(x1 - x0 - 1, 0), max(y1 - y0 - 1, 0)],
        "area": mask.rle.area,
        "predicted_iou": 1.0,
        "stability_score": 1.0,
        "crop_box": [0, 0, w, h],
        "point_coords": [],
    }
    if mask.label != "object":
        row["label"] = mask.label
    return {**row, **mask.extra}
