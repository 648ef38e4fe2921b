"""``docs/images/report.png`` from a report: ``python -m docs_src.screenshot demo/report.html``.

Needs Playwright and a Chromium of the system.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np

OUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "report.png"
WINDOW = {"width": 1080, "height": 760}
CLIP = {"x": 0, "y": 0, "width": 1080, "height": 1230}
COLOURS = 64  # a palette keeps the picture small


def screenshot(page: Path) -> Path:
    """The verdicts, the scores and the first row of pictures, beside each other in one PNG."""
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    with sync_playwright() as started:
        running = started.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        opened = running.new_page(viewport=WINDOW, color_scheme="light")
        opened.goto(page.resolve().as_uri())
        opened.add_style_tag(content="#figures, nav, #theme { display: none !important; }")
        opened.locator("#gallery").scroll_into_view_if_needed()
        opened.wait_for_timeout(1500)
        opened.evaluate("scrollTo(0, 0)")
        shot = opened.screenshot(
            full_page=True, clip={"x": 0, "y": 0, "width": 1080, "height": 1230}
        )
        running.close()
    OUT.write_bytes(_small(shot))
    return OUT


def _small(png: bytes) -> bytes:
    """The picture with fewer shades."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    step = 256 // COLOURS
    coarse = (image // step * step + step // 2).astype(np.uint8)
    coarse[image > 250] = 255
    return cv2.imencode(".png", coarse, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


if __name__ == "__main__":
    sys.stdout.write(f"{screenshot(Path(sys.argv[1]))}\n")
