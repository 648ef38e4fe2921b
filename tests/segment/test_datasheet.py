"""The datasheet: every figure by hand on few masks, and a page that stands alone."""

from __future__ import annotations

import numpy as np
import pytest

from triscope.errors import EmptyData
from triscope.kernel.geometry.rle import Rle
from triscope.segment.evaluate.datasheet import CELLS, concavity, datasheet, page
from triscope.segment.formats import Mask, Record


def block(x0: int, y0: int, x1: int, y1: int) -> Rle:
    mask = np.zeros((40, 40), bool)
    mask[y0:y1, x0:x1] = True
    return Rle.encode(mask)


def test_concavity() -> None:
    assert concavity(block(3, 4, 20, 30).decode()) == pytest.approx(0)
    ell = block(0, 0, 20, 20).decode() & ~block(10, 10, 20, 20).decode()
    assert concavity(ell) == pytest.approx(1 - 300 / 350)
    ring = block(0, 0, 20, 20).decode() & ~block(5, 5, 15, 15).decode()
    assert concavity(ring) == pytest.approx(0.25)


def test_figures_by_hand() -> None:
    masks = (Mask(block(0, 0, 20, 20), "a"), Mask(block(30, 30, 40, 40), "b"))
    sheet = datasheet([Record("1.jpg", (40, 40), masks), Record("2.jpg", (40, 40))])
    told = sheet.to_dict()
    assert (told["images"], told["masks"], told["masks an image"]) == (2, 2, 1)
    assert told["images without masks"] == 1 and told["labels"] == {"a": 1, "b": 1}
    assert told["masks an image (histogram)"]["0-1"] == 1
    assert told["size (histogram)"]["0.5-0.55"] == 1 and told["size (histogram)"]["0.25-0.3"] == 1
    assert sum(told["concavity (histogram)"].values()) == 2
    first, last = int(9.5 / 40 * CELLS), int(34.5 / 40 * CELLS)
    assert told["centres"][first][first] == 1 and told["centres"][last][last] == 1


def test_the_page_stands_alone() -> None:
    sheet = datasheet([Record("1.jpg", (40, 40), (Mask(block(0, 0, 20, 20), "<b>"),))])
    text = page(sheet, "Parts & masks")
    assert "Parts &amp; masks" in text and "&lt;b&gt;" in text and "<script" not in text
    assert text.count("<svg") == 4 and "http" not in text


def test_nothing_to_describe() -> None:
    with pytest.raises(EmptyData, match="no image in this data set"):
        datasheet([])
