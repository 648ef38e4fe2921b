"""Collections of videos: class folders, the lists of known data sets, names that tell the label.

Known are folders of one class each (files, or folders of pictures), UCF-101 (``classInd.txt`` with
``trainlist01.txt`` and ``testlist01.txt``), HMDB-51 (``*_test_split1.txt``), lists of ``path
label`` or ``path,label`` (Kinetics), Something-Something (JSON), and flat folders whose file names
hold the label. A TOML file describes any other: ``root``, ``names`` (a pattern with the groups
``label``, and where there are any ``group`` and ``split``), and ``labels`` (a table of better
names).
"""

from __future__ import annotations

import csv
import itertools
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from triscope.errors import BadLabels, BadSettings, EmptyData
from triscope.kernel.data.sample import Dataset, Sample, Split
from triscope.kernel.data.video.file import ENDINGS
from triscope.kernel.data.video.folder import PICTURES, natural

# Names that tell label and group by themselves.
RULES = (
    r"A(?P<label>\d+)P(?P<group>\d+)T\d+$",  # action, person, trial
    r"^v_(?P<label>[A-Za-z0-9]+)_g(?P<group>\d+)_c\d+$",  # UCF-101: clips of one group are alike
)
GROUPS = (r"_g(\d+)_c\d+$", r"P(\d+)T\d+$")
SPLITS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "calibrate",
    "validation": "calibrate",
    "calibrate": "calibrate",
    "test": "test",
    "testing": "test",
}


def holds_videos(source: Any) -> bool:
    """Whether a source is of videos: a folder with some in it, a file, samples of them."""
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_file():
            return path.suffix.lower() in ENDINGS
        found = itertools.chain.from_iterable(path.glob(depth) for depth in ("*", "*/*", "*/*/*"))
        return any(p.suffix.lower() in ENDINGS for p in itertools.islice(found, 2000))
    if isinstance(source, Dataset | list | tuple) and len(source):
        first = source[0]
        place = first.source if isinstance(first, Sample) else first
        return isinstance(place, str | Path) and Path(place).suffix.lower() in ENDINGS
    return False


def open_videos(source: Any) -> Dataset:
    """The videos behind a folder, a file, a list file, a TOML description, or a list of samples."""
    if isinstance(source, Dataset):
        return source
    if isinstance(source, list | tuple):
        return _finished([_as_sample(item) for item in source], "", "list")
    path = Path(source)
    if not path.exists():
        raise EmptyData(f"{path} does not exist: give a folder of videos, a list or a video.")
    if path.is_file():
        return _from_file(path)
    for name, reader in READERS:
        samples = reader(path)
        if samples:
            return _finished(samples, str(path), name)
    raise EmptyData(
        f"{path} holds no video that is known: expected folders of one class each, or files "
        f"({', '.join(ENDINGS[:4])} ...) whose names tell the label, or a list."
    )


def _as_sample(item: Any) -> Sample:
    return item if isinstance(item, Sample) else Sample(item, str(item))


def _finished(samples: Iterable[Sample], root: str, layout: str) -> Dataset:
    found = tuple(samples)
    labels = sorted({s.label for s in found if s.label is not None}, key=natural)
    return Dataset(found, root, layout, tuple(labels))


def _from_file(path: Path) -> Dataset:
    kind = path.suffix.lower()
    if kind in ENDINGS:
        return _finished([Sample(path, path.name)], str(path.parent), "video")
    if kind == ".toml":
        return _described(path)
    if kind == ".json":
        return _finished(_something(path), str(path.parent), "something-something")
    if kind in (".txt", ".csv"):
        return _finished(_listed(path, path.parent), str(path.parent), "list")
    raise EmptyData(f"{path} is no video ({', '.join(ENDINGS[:4])} ...), list or description.")


# ---- folders ------------------------------------------------------------------------------------


def _videos(folder: Path) -> list[Path]:
    """Videos right inside a folder: files, or folders of pictures."""
    found = [p for p in folder.iterdir() if p.suffix.lower() in ENDINGS or _is_frames(p)]
    return sorted(found, key=lambda p: natural(p.name))


def _is_frames(path: Path) -> bool:
    if not path.is_dir():
        return False
    entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    return bool(entries) and all(entry.suffix.lower() in PICTURES for entry in entries)


def group_of(stem: str) -> str | None:
    """The person or scene that a name tells, where it is of a known form."""
    for pattern in GROUPS:
        if match := re.search(pattern, stem):
            return match[1]
    return None


def _class_folders(root: Path, split: Split | None = None) -> list[Sample]:
    samples: list[Sample] = []
    folders = sorted((p for p in root.iterdir() if p.is_dir()), key=lambda p: natural(p.name))
    for folder in folders:
        if split is None and folder.name.lower() in SPLITS:
            samples += _class_folders(folder, SPLITS[folder.name.lower()])
            continue
        if _is_frames(folder):
            continue
        for path in _videos(folder):
            samples.append(
                Sample(
                    path,
                    str(path.relative_to(root)),
                    folder.name,
                    split=split,
                    group=_group(folder.name, path.stem),
                )
            )
    return samples


def _group(label: str, stem: str) -> str | None:
    found = group_of(stem)
    return f"{label}/{found}" if found is not None and "_g" in stem else found


def _by_names(root: Path) -> list[Sample]:
    videos = _videos(root)
    for rule in RULES:
        matches = [re.search(rule, path.stem) for path in videos]
        if videos and all(matches):
            return [
                Sample(path, path.name, match["label"], group=match["group"])
                for path, match in zip(videos, matches, strict=True)
                if match
            ]
    return [Sample(path, path.name) for path in videos]


# ---- lists --------------------------------------------------------------------------------------


def _ucf101(root: Path) -> list[Sample]:
    lists = sorted([*root.glob("trainlist01.txt"), *root.glob("testlist01.txt")])
    if not lists:
        return []
    samples = []
    for path in lists:
        split: Split = "train" if path.name.startswith("train") else "test"
        for line in _lines(path):
            name = line.split()[0]
            label, _, file = name.partition("/")
            where = _found(root, (name, f"videos/{name}", f"UCF-101/{name}", file), path)
            stem = Path(file).stem
            samples.append(Sample(where, name, label, split=split, group=_group(label, stem)))
    return samples


def _hmdb51(root: Path) -> list[Sample]:
    samples = []
    for path in sorted(root.glob("*_test_split1.txt")):
        label = path.name.removesuffix("_test_split1.txt")
        for line in _lines(path):
            name, _, kind = line.partition(" ")
            split = {"1": "train", "2": "test"}.get(kind.strip())
            if split is None:
                continue  # 0: in neither
            where = _found(root, (f"{label}/{name}", f"videos/{label}/{name}", name), path)
            samples.append(Sample(where, f"{label}/{name}", label, split=split))  # type: ignore[arg-type]
    return samples


def _listed_folder(root: Path) -> list[Sample]:
    samples: list[Sample] = []
    for path in sorted([*root.glob("*.csv"), *root.glob("*.txt")]):
        stem = path.stem.lower()
        split = next((SPLITS[name] for name in SPLITS if stem.startswith(name)), None)
        if split is not None:
            samples += _listed(path, root, split)
    return samples


def _listed(path: Path, root: Path, split: Split | None = None) -> list[Sample]:
    """Rows ``path label``, ``path,label`` or ``path frames label``; the first may be names."""
    samples = []
    for number, row in enumerate(_rows(path), start=1):
        if number == 1 and not (root / row[0]).exists() and "." not in row[0]:
            continue
        if len(row) < 2:
            raise BadLabels(f"{path} line {number} has no label: expected 'path label'.")
        where = _found(root, (row[0],), path, number)
        samples.append(
            Sample(where, row[0], row[-1], split=split, group=group_of(Path(row[0]).stem))
        )
    return samples


def _rows(path: Path) -> list[list[str]]:
    lines = _lines(path)
    if any("," in line for line in lines):
        return [[cell.strip() for cell in row] for row in csv.reader(lines)]
    return [line.split() for line in lines]


def _something(path: Path) -> list[Sample]:
    """Entries with ``id`` and ``template`` or ``label``; videos lie beside the list."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadLabels(f"{path} cannot be read as JSON: {error}.") from error
    folder = next((d for d in (path.parent / "videos", path.parent) if d.is_dir()), path.parent)
    samples = []
    for entry in entries:
        label = (
            str(entry.get("template") or entry.get("label") or "").replace("[", "").replace("]", "")
        )
        places = tuple(f"{entry['id']}{ending}" for ending in ENDINGS)
        samples.append(Sample(_found(folder, places, path), str(entry["id"]), label or None))
    return samples


def _found(root: Path, names: tuple[str, ...], source: Path, line: int = 0) -> Path:
    for name in names:
        if (root / name).exists():
            return root / name
    where = f" line {line}" if line else ""
    raise BadLabels(f"{source.name}{where} names {names[0]}, which is not in {root}.")


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


# ---- descriptions -------------------------------------------------------------------------------


def _described(path: Path) -> Dataset:
    try:
        about = tomllib.loads(path.read_text(encoding="utf-8"))
        pattern = re.compile(about["names"])
        root = path.parent / about.get("root", ".")
    except (KeyError, tomllib.TOMLDecodeError, re.error) as error:
        raise BadSettings(
            f"{path} does not describe videos: {error}. Expected root = 'folder' and names = a "
            "pattern with the group 'label'."
        ) from error
    if "label" not in pattern.groupindex:
        raise BadSettings(f"{path}: names = {about['names']!r} has no group (?P<label>...).")
    better = about.get("labels", {})
    samples = []
    for video in sorted(p for p in root.rglob("*") if p.suffix.lower() in ENDINGS):
        if match := pattern.search(str(video.relative_to(root).with_suffix(""))):
            parts = match.groupdict()
            label = str(better.get(parts["label"], parts["label"]))
            split = SPLITS.get(str(parts.get("split", "")).lower())
            name = str(video.relative_to(root))
            samples.append(Sample(video, name, label, split=split, group=parts.get("group")))
    if not samples:
        raise EmptyData(f"{path}: no video in {root} has a name like {about['names']!r}.")
    return _finished(samples, str(root), "description")


READERS: tuple[tuple[str, Callable[[Path], list[Sample]]], ...] = (
    ("ucf101", _ucf101),
    ("hmdb51", _hmdb51),
    ("lists", _listed_folder),
    ("class folders", _class_folders),
    ("names", _by_names),
)


def without(data: Dataset, group: str) -> tuple[Dataset, Dataset]:
    """Everything but one person, scene or video, and that one: to hold it out."""
    kept = replace(data, samples=tuple(replace(s, split=None) for s in data if s.group != group))
    held = replace(data, samples=tuple(replace(s, split=None) for s in data if s.group == group))
    if not len(kept) or not len(held):
        groups = sorted({s.group or "" for s in data}, key=natural)
        raise EmptyData(f"no group {group!r} to hold out. There are: {', '.join(groups)}.")
    return kept, held
