"""Opening a check: everything is verified, quickly, and without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_checks import tiny_check

import triscope
from triscope.errors import CheckDamaged, CheckError, CheckTooNew, TriscopeError
from triscope.kernel.results import Inspection, Skipped, Zones
from triscope.kernel.runtime.card import FORMAT, read_card, seal_of, sha256

BLOCKED = ("torch", "torchvision", "timm", "lightning_fabric", "onnx", "safetensors", "jaxtyping")
TORCH_FREE = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is blocked here")
sys.meta_path.insert(0, Blocker())
import numpy
import triscope
check = triscope.open({folder!r})
found = check.inspect(numpy.full((40, 50, 3), 200, numpy.uint8))
print(found.verdict, round(found.score, 4), len(found.findings))
"""


def edited(folder: Path, sealed: bool = False, **changes: object) -> Path:
    plain = json.loads((folder / "card.json").read_text())
    plain |= changes
    if sealed:
        plain["seal"] = seal_of({k: v for k, v in plain.items() if k != "seal"})
    (folder / "card.json").write_text(json.dumps(plain))
    return folder


def test_an_interpreter_without_torch_opens_and_inspects(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c", zones=Zones(0.5, 0.7, pixel_above=0.6))
    code = TORCH_FREE.format(blocked=BLOCKED, folder=str(folder))
    path = str(Path(triscope.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["fail", "0.7843", "1"] and not run.stderr


def test_a_threshold_edited_by_hand_breaks_the_seal(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c", zones=Zones(0.5, 0.7))
    zones = read_card(folder).to_dict()["zones"] | {"fail_above": 9.0}
    with pytest.raises(CheckDamaged, match=r"changed after it was sealed.*triscope calibrate"):
        triscope.open(edited(folder, zones=zones))


def test_a_card_that_is_no_json_is_said(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c")
    (folder / "card.json").write_text('{"format": 1, "model": ')
    with pytest.raises(CheckDamaged, match="cannot be read as a card"):
        triscope.open(folder)


def test_a_newer_format_asks_for_an_update(tmp_path: Path) -> None:
    folder = edited(tiny_check(tmp_path / "c"), format=FORMAT + 1)
    with pytest.raises(CheckTooNew, match=rf"is of format {FORMAT + 1}.*reads up to {FORMAT}.*pip"):
        triscope.open(folder)


def test_a_folder_without_a_card_is_no_check(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"is not a check: it holds no card\.json.*triscope fit"):
        triscope.open(tmp_path)


def test_a_changed_or_absent_file_is_named(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c")
    graph = folder / "model.onnx"
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckDamaged, match=r"model\.onnx differs from the hash"):
        triscope.open(folder)
    graph.unlink()
    with pytest.raises(CheckDamaged, match=r"lacks model\.onnx"):
        triscope.open(folder)


def test_a_graph_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c")
    golden = dict(np.load(folder / "golden.npz"))
    golden["model.out.heat"][0, 3, 3] += 0.01
    np.savez_compressed(folder / "golden.npz", **golden)
    files = read_card(folder).to_dict()["files"]
    files["golden.npz"] = sha256(folder / "golden.npz")
    with pytest.raises(CheckDamaged, match=r"difference of 0\.015 in model\.heat"):
        triscope.open(edited(folder, sealed=True, files=files))


def test_unreadable_captures_are_skipped_and_the_rest_goes_on(tmp_path: Path) -> None:
    check = triscope.open(tiny_check(tmp_path / "c"))
    (tmp_path / "empty.png").write_bytes(b"")
    good = np.full((8, 8, 3), 100, np.uint8)
    sources = [good, tmp_path / "empty.png", tmp_path / "absent.png", good]
    for batch in (1, 4):
        found = list(check.inspect_many(sources, batch=batch))
        assert [type(item) for item in found] == [Inspection, Skipped, Skipped, Inspection]
        assert "0 bytes" in found[1].to_dict()["error"]
        assert "no such file" in found[2].to_dict()["error"]


def test_endless_sources_are_read_only_a_little_ahead(tmp_path: Path) -> None:
    check = triscope.open(tiny_check(tmp_path / "c"))
    taken = 0

    def camera():  # type: ignore[no-untyped-def]
        nonlocal taken
        while True:
            taken += 1
            yield np.full((8, 8, 3), 100, np.uint8)

    results = check.inspect_many(camera())
    for _ in range(3):
        next(results)
    results.close()
    assert taken <= 8


def test_saving_calibrated_zones_keeps_the_version_before(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c")
    check = triscope.open(folder)
    check.card = check.card.with_(zones=Zones(0.1, 0.2))
    check.save(why="thresholds")
    again = triscope.open(folder)
    assert again.card.zones == Zones(0.1, 0.2)
    assert (again.card.version.number, again.card.version.parent) == (2, 1)
    assert again.card.version.why == "thresholds"
    before = triscope.open(folder / "history" / "1")
    assert before.card.zones is None and before.card.version.number == 1


def test_a_full_disk_leaves_the_old_version_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_check(tmp_path / "c")
    check = triscope.open(folder)
    check.card = check.card.with_(zones=Zones(0.1, 0.2))
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def full(self: Path, *args: object, **kwargs: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(
            TriscopeError, match=r"could not be written: No space left.*is unchanged"
        ):
            check.save()
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(TriscopeError, match=r"Nothing was left behind"):
            check.save(tmp_path / "new")
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_a_swap_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c")
    folder.rename(tmp_path / ".c.replaced")  # the machine stopped between the two renames
    assert triscope.open(folder).card.version.number == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_a_folder_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    check = triscope.open(tiny_check(tmp_path / "c"))
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.txt").write_text("mine")
    with pytest.raises(CheckError, match="exists and is not a check"):
        check.save(tmp_path / "holiday")
    assert (tmp_path / "holiday" / "photo.txt").read_text() == "mine"
    with pytest.raises(CheckError, match="is a file; a check is a folder"):
        check.save(tmp_path / "holiday" / "photo.txt")


def test_threads_are_a_whole_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRISCOPE_THREADS", "many")
    with pytest.raises(TriscopeError, match="TRISCOPE_THREADS='many': expected a whole number"):
        triscope.open(tiny_check(tmp_path / "c"))


def test_a_change_to_a_version_that_is_not_in_force_is_refused(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c")
    one, other = triscope.open(folder), triscope.open(folder)
    one.calibrate(fail_above=0.5)
    one.save()
    other.calibrate(fail_above=0.7)
    with pytest.raises(CheckError, match=r"version 2 is in force, and this change is to version 1"):
        other.save()
    assert triscope.open(folder).card.zones == one.card.zones
    other.save(tmp_path / "elsewhere")
    assert triscope.open(tmp_path / "elsewhere").card.zones == other.card.zones
    one.calibrate(fail_above=0.6)
    one.save()
    assert triscope.open(folder).card.version.number == 3


SAVES = """
import sys, triscope
for _ in range(8):
    check = triscope.open({folder!r})
    check.calibrate(fail_above=0.5)
    try:
        check.save()
    except triscope.errors.CheckError as error:
        assert "changed meanwhile" in str(error), error
    triscope.open({folder!r})
"""


def test_two_processes_that_save_leave_a_whole_check(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c")
    path = str(Path(triscope.__file__).parents[1])
    code = SAVES.format(folder=str(folder))
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for run in runs:
        assert run.communicate()[1] == "" and run.returncode == 0
    check = triscope.open(folder)
    kept = sorted(int(p.name) for p in (folder / "history").iterdir())
    assert kept == list(range(1, check.card.version.number))
    for number in kept:
        assert triscope.open(folder / "history" / str(number)).card.version.number == number
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
