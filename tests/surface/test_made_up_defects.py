"""Made-up defects: what is changed is what the mask says, and nothing else."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from triscope.errors import BadSettings, EmptyData, UsageError
from triscope.kernel.data import BoxLabel, Sample
from triscope.kernel.data.transforms import Transform, View
from triscope.surface.synth.anomalies import CutPaste, PerlinTexture, Transplant, harmonic
from triscope.surface.synth.sheet import drawn, learned_change


def picture(seed: int = 0, channels: int = 3, dtype: str = "uint8") -> View:
    rng = np.random.default_rng(seed)
    shape = (64, 80, 3) if channels == 3 else (64, 80)
    top = np.iinfo(dtype).max
    smooth = cv2.GaussianBlur(rng.random(shape).astype(np.float32), (0, 0), 4)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return View((smooth * top).astype(dtype))


def donor(channels: int = 3) -> View:
    view = picture(9, channels)
    mask = np.zeros(view.hw, np.bool_)
    mask[20:34, 30:50] = True
    image = view.image.copy()
    image[mask] = 255 - image[mask]
    return View(image, mask)


CHANGES: dict[str, Transform] = {
    "cutpaste": CutPaste(jitter=0.3),
    "scar": CutPaste(scar=True, jitter=0.3),
    "perlin": PerlinTexture(),
    "perlin of a texture": PerlinTexture(textures=(np.full((20, 20, 3), 200, np.uint8),)),
    "transplant": Transplant([donor()]),
    "transplant without blending": Transplant([donor()], blend=False),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_only_what_the_mask_says_is_changed(name: str, channels: int) -> None:
    touched = 0
    for seed in range(12):
        view = picture(seed, channels)
        before = view.image.copy()
        after = CHANGES[name](view, np.random.default_rng(seed))
        assert np.array_equal(view.image, before) and view.mask is None
        if after is view:
            continue
        touched += 1
        assert after.image.shape == before.shape and after.image.dtype == np.uint8
        different = after.image != before
        different = different.any(2) if channels == 3 else different
        assert after.mask is not None and not (different & ~after.mask).any()
        rows, columns = np.nonzero(after.mask)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert after.boxes.tolist() == [box] and after.labels == ("defect",)
    assert touched >= 6


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_seed_gives_the_same_defect(name: str) -> None:
    one, two = (CHANGES[name](picture(1), np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(one.image, two.image)


def test_a_blended_patch_meets_its_border_and_keeps_its_gradients() -> None:
    rows, columns = np.mgrid[:20, :24].astype(np.float32)
    inside = np.zeros((20, 24), np.bool_)
    inside[4:15, 5:20] = True
    plane = 2 * rows - 3 * columns + 7  # harmonic: the border alone gives it back
    filled = harmonic(np.where(inside, np.float32(99), plane), inside)
    assert np.allclose(filled, plane, atol=0.05)
    field = np.random.default_rng(0).random((20, 24, 3)).astype(np.float32) * 50
    filled = harmonic(field, inside)
    assert np.array_equal(filled[~inside], field[~inside])
    around = filled[:-2, 1:-1] + filled[2:, 1:-1] + filled[1:-1, :-2] + filled[1:-1, 2:]
    assert np.abs(around / 4 - filled[1:-1, 1:-1])[inside[1:-1, 1:-1]].max() < 0.05


def test_sixteen_bit_pictures_and_earlier_masks_stay() -> None:
    view = picture(2, 1, "uint16")
    old = np.zeros(view.hw, np.bool_)
    old[:5, :5] = True
    view = View(view.image, old, np.array([[0.0, 0, 5, 5]]), ("stain",), old[None])
    after = CutPaste()(view, np.random.default_rng(0))
    assert after.image.dtype == np.uint16 and after.image.max() > 255
    assert after.mask is not None and after.mask[:5, :5].all()
    assert after.labels == ("stain", "defect") and after.masks is not None
    assert after.masks.shape == (2, 64, 80)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(BadSettings, match=r"area=\(0.5, 0.1\): expected \(least, most\)"):
        CutPaste(area=(0.5, 0.1))
    with pytest.raises(EmptyData, match="transplanting needs at least one image with a drawn"):
        Transplant([picture()])
    with pytest.raises(BadSettings, match=r"scale=\(2, 1\)"):
        Transplant([donor()], scale=(2, 1))


SHEETS = ("none", "gentle", "boxed", "cutpaste", "scar", "perlin", "transplant")


@pytest.mark.parametrize("change", SHEETS)
def test_the_sheet(change: str, tmp_path: Path) -> None:
    from triscope.cli.data import command

    for place, name in (("train/good", "a"), ("test/good", "b"), ("test/dent", "c")):
        (tmp_path / "parts" / place).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "parts" / place / f"{name}.png"), picture(3).image)
    (tmp_path / "parts/ground_truth/dent").mkdir(parents=True)
    mask = donor().mask
    assert mask is not None
    cv2.imwrite(str(tmp_path / "parts/ground_truth/dent/c_mask.png"), mask.astype(np.uint8) * 255)
    out = tmp_path / "sheet.png"
    args = ["preview", str(tmp_path / "parts"), "-o", str(out), "--change", change, "--size", "60"]
    found = CliRunner().invoke(command, args, standalone_mode=False)
    assert found.exception is None, found.output
    sheet = cv2.imread(str(out))
    assert sheet is not None and sheet.shape[0] >= 60


def test_the_sheet_shows_what_models_of_the_labels_learn_with() -> None:
    image, box = picture(3).image, (BoxLabel("dent", (70.0, 2.0, 80.0, 20.0)),)
    boxed = Sample(image, "a", "dent", boxes=box)
    masked = Sample(image, "b", "dent", donor().mask)
    assert learned_change([boxed]) == "boxed"
    assert learned_change([masked]) == learned_change([boxed, masked]) == "gentle"


def test_names_on_the_sheet_are_never_cut_off() -> None:
    grey = np.full((60, 100), 128, np.uint8)
    for box in ((2, 2, 20, 20), (80, 2, 98, 20), (80, 40, 98, 58)):
        sheet = drawn(View(grey, boxes=np.array([box], float), labels=("rolled",)), 100)
        name = (sheet[..., 0] > 180) & (sheet[..., 2] < 120)  # letters and the box
        alone = drawn(View(grey, boxes=np.array([box], float), labels=("",)), 100)
        frame = (alone[..., 0] > 180) & (alone[..., 2] < 120)
        assert (name & ~frame).sum() > 40, box


def test_a_sheet_that_is_no_picture_is_told(tmp_path: Path) -> None:
    from triscope.cli.data import command

    cv2.imwrite(str(tmp_path / "a.png"), picture(3).image)
    args = ["preview", str(tmp_path), "-o", str(tmp_path / "sheet")]
    with pytest.raises(UsageError, match="sheet cannot be written as a picture: give a name that"):
        CliRunner().invoke(command, args, standalone_mode=False, catch_exceptions=False)
