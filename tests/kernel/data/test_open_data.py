"""A folder, an archive, a glob, a list, an array or an address: the same samples."""

import os
import zipfile

import fsspec
import numpy as np
import pytest
from data_sets import image_of, mvtec, put, voc_object, voc_xml

from triscope.errors import EmptyData, UnreadableImage, UsageError
from triscope.kernel.data import Dataset, Sample, fingerprint, load, open_data, read_image


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def facts(data):
    return [(s.name, s.label, s.split, fingerprint(s.source)) for s in data]


def test_an_archive_and_addresses_answer_as_the_folder(tmp_path):
    folder = mvtec(tmp_path / "set")
    wanted = facts(open_data(folder))
    archive = zipped(folder, tmp_path / "set.zip")
    assert facts(open_data(archive)) == wanted
    assert facts(open_data(f"zip://::{archive}")) == wanted
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/shelf/set", recursive=True)
    data = open_data("memory://shelf/set")
    assert facts(data) == wanted
    bad = next(s for s in data if s.mask is not None)
    assert read_image(bad.mask).shape == (20, 30)
    memory.rm("/shelf", recursive=True)


def test_a_folder_inside_an_archive(tmp_path):
    mvtec(tmp_path / "set" / "bottle")
    archive = zipped(tmp_path / "set", tmp_path / "set.zip")
    assert len(open_data(f"zip://bottle::{archive}")) == 7


def test_label_files_of_an_archive_are_read(tmp_path):
    put(tmp_path / "set" / "a.jpg")
    put(tmp_path / "set" / "a.xml", voc_xml("a", voc_object("x", (2, 2, 8, 9))))
    data = open_data(zipped(tmp_path / "set", tmp_path / "set.zip"))
    assert (data.layout, data[0].boxes[0].box) == ("voc", (1, 1, 8, 9))


def test_a_glob(tmp_path):
    for name in ("b/1.png", "a/1.png", "a/2.jpg", "a/x.txt"):
        put(tmp_path / name, "x" if name.endswith("txt") else None)
    data = open_data(str(tmp_path / "**" / "*"))
    assert [s.name.rsplit("/", 2)[-2:] for s in data] == [
        ["a", "1.png"],
        ["a", "2.jpg"],
        ["b", "1.png"],
    ]
    with pytest.raises(EmptyData, match=r"matches 1 files, none of them an image"):
        open_data(str(tmp_path / "a" / "*.txt"))


def test_a_glob_of_an_address():
    memory = fsspec.filesystem("memory")
    with memory.open("/shelf2/a.png", "wb") as file:
        file.write(b"x")
    data = open_data("memory://shelf2/*.png")
    assert [s.name for s in data] == ["memory://shelf2/a.png"]
    with pytest.raises(UnreadableImage, match=r"memory://shelf2/a.png is damaged"):
        read_image(data[0].source)
    memory.rm("/shelf2", recursive=True)


def test_local_addresses(tmp_path):
    mvtec(tmp_path)
    folder = open_data(f"file://{tmp_path}")
    assert facts(folder) == facts(open_data(tmp_path))
    assert len(open_data(f"file://{tmp_path}/test/*/*.png")) == 3
    for sample in open_data(f"file://{tmp_path}/test/*/*.png"):
        assert read_image(sample.source).shape == (20, 30, 3)


def test_several_threads_may_read_one_archive(tmp_path):
    archive = zipped(mvtec(tmp_path / "set", good=30), tmp_path / "set.zip")
    data = open_data(archive)
    shapes = [item.prepared for item in load(data, lambda s: read_image(s.source).shape, 4)]
    assert shapes == [(20, 30, 3)] * len(data)


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch):
    mvtec(tmp_path)
    real = os.scandir

    def closed(path):
        if str(path).endswith("scratch"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr("os.scandir", closed)
    told = open_data(tmp_path).problems
    assert told[0].startswith("folders cannot be listed (Permission denied): 2 (")


def test_lists_arrays_and_samples(tmp_path):
    path = put(tmp_path / "a.png")
    array = image_of()
    data = open_data([path, str(path), array, Sample(array, "own", "dent")])
    assert [s.name for s in data] == [str(path), str(path), "array 2", "own"]
    assert data.classes == ("dent",)
    assert len(open_data(array)) == 1
    assert len(open_data(np.stack([array, array]))) == 2
    assert len(open_data(path)) == 1
    assert open_data(data) is data
    assert open_data(s for s in data).samples == data.samples


def test_what_is_no_data():
    with pytest.raises(UsageError, match=r"got int"):
        open_data(5)
    with pytest.raises(UsageError, match=r"item 1 of the list is of type NoneType"):
        open_data([np.zeros((2, 2), np.uint8), None])
    with pytest.raises(EmptyData, match=r"the list of images is empty"):
        open_data([])
    with pytest.raises(EmptyData, match=r"holds no image"):
        open_data("memory://nothing/there")


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path):
    mvtec(tmp_path / "real")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train").symlink_to(tmp_path / "real" / "train")
    (tmp_path / "set" / "train" / "good" / "loop").symlink_to(tmp_path / "set" / "train")
    assert len(open_data(tmp_path / "set")) == 4


def test_a_data_set_is_a_sequence(tmp_path):
    data = open_data(mvtec(tmp_path))
    assert isinstance(data[1:3], Dataset)
    assert [s.name for s in data[1:3]] == [data[1].name, data[2].name]
    assert data[-1].label == "scratch"
    assert "mvtec: 7 samples" in repr(data)
