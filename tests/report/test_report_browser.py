"""The page in a real browser: lines move, counts follow, keyboard and narrow windows work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_runs import CARD, inspection, sample, written

from triscope.kernel.report import InspectionReport
from triscope.kernel.results import Finding

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not BROWSER:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("report")).as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1100, "height": 800})
    trouble: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: trouble.append(message.text))
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    yield opened
    assert trouble == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    opened.close()


def counts(page: Any) -> list[int]:
    return [
        int(page.inner_text(f'#verdicts [data-count="{n}"]')) for n in ("pass", "review", "fail")
    ]


def test_typing_a_threshold_recounts(page: Any) -> None:
    assert counts(page) == [4, 1, 3]
    page.fill('[data-zone="fail_above"]', "5")
    page.keyboard.press("Enter")
    assert counts(page) == [4, 3, 1]
    assert page.inner_text('#verdicts [data-count="rejected"]') == "0"
    assert page.inner_text('#types [data-type="scratch"] [data-right]') == "66.7 %"
    assert page.is_visible("#verdicts .moved")
    page.click("#verdicts .moved button")
    assert counts(page) == [4, 1, 3]
    assert not page.is_visible("#verdicts .moved")


def test_review_never_stands_above_fail(page: Any) -> None:
    page.fill('[data-zone="review_above"]', "5")
    page.keyboard.press("Enter")
    assert float(page.input_value('[data-zone="fail_above"]')) == 5
    assert counts(page) == [7, 0, 1]


def test_lines_move_by_keyboard_and_by_dragging(page: Any) -> None:
    line = page.locator('[data-handle="fail_above"]')
    before = float(line.get_attribute("aria-valuenow"))
    line.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert float(page.locator('[data-handle="fail_above"]').get_attribute("aria-valuenow")) > before
    assert page.evaluate("document.activeElement.dataset.handle") == "fail_above"
    box = page.locator('[data-handle="fail_above"] .grip').bounding_box()
    page.mouse.move(box["x"] + 9, box["y"] + 120)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 120, steps=4)
    page.mouse.up()
    assert counts(page)[2] < 3
    page.mouse.move(box["x"], box["y"] + 120)  # released: moving on changes nothing
    assert counts(page)[2] < 3


def test_the_gallery_filters_and_sorts(page: Any) -> None:
    assert page.locator(".shot").count() == 8
    assert page.locator(".shot .line span:last-child").first.inner_text() == "6"
    page.click('[data-filter="wrong"]')
    labels = page.locator(".shot .under").all_inner_texts()
    assert len(labels) == 3
    page.click('[data-filter="all"]')
    page.select_option('[data-part="order"]', "best")
    assert page.locator(".shot .line span:last-child").first.inner_text() == "0.5"
    page.locator(".shot img").first.wait_for()
    shown = page.evaluate("document.querySelector('.shot img').naturalWidth")
    assert shown == 64


def test_a_picture_opens_with_its_findings(page: Any) -> None:
    page.locator(".shot").first.click()
    dialog = page.locator("dialog")
    assert "scratch/2.png (1 of 8)" in dialog.inner_text()
    assert "length (mm)" in dialog.inner_text()
    assert page.locator("dialog path.found").count() == 1
    heat = (
        "document.querySelector('dialog canvas').getContext('2d').getImageData(7, 5, 1, 1).data[0]"
    )
    page.wait_for_function(f"{heat} === 255")
    page.keyboard.press("ArrowRight")
    assert "(2 of 8)" in dialog.inner_text()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


@pytest.mark.parametrize(("kinds", "named"), [(("dent", "dent"), 0), (("dent", "rust"), 2)])
def test_findings_are_named_where_there_are_several_kinds(
    browser: Any, tmp_path: Path, kinds: tuple[str, str], named: int
) -> None:
    report = InspectionReport(CARD)
    boxes = ((2, 2, 20, 20), (30, 20, 50, 40))
    found = tuple(Finding(kind, 4.0, box) for kind, box in zip(kinds, boxes, strict=True))
    report.add(replace(inspection(4.0, "a.png"), findings=found), sample("a.png", "dent"))
    opened = browser.new_page()
    opened.goto(report.write(tmp_path / "page.html").as_uri())
    opened.locator(".shot").first.click()
    opened.locator("dialog .layer-found path.found").first.wait_for()
    assert opened.locator("dialog .layer-found text").count() == named
    opened.close()


def test_layers_can_be_switched(page: Any) -> None:
    page.locator(".shot path.found").first.wait_for()
    assert page.locator(".shot .layer-found").first.is_visible()
    page.click('[data-layer="found"]')
    assert not page.locator(".shot .layer-found").first.is_visible()
    page.click('[data-layer="truth"]')
    assert page.locator(".shot .layer-truth").first.is_visible()


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_narrow_window_needs_no_scrolling_sideways(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light(browser: Any, address: str) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        opened = browser.new_page(color_scheme=scheme)
        opened.goto(address)
        colour = "getComputedStyle(document.body).backgroundColor"
        grounds.append(opened.evaluate(colour))
        opened.click("#theme")
        grounds.append(opened.evaluate(colour))
        opened.close()
    assert grounds[0] == grounds[3] != grounds[1] == grounds[2]
