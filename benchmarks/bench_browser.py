"""The prompt decoder beside the published graph in one browser, by onnxruntime-web.

``python -m benchmarks.bench_browser ORT PUBLISHED OURS [THREADS]``: the ``dist`` folder of the npm
package onnxruntime-web, the ONNX file of the published ``export_onnx_model.py``, and a
``decoder.onnx`` of ``triscope segment export``. Chromium runs headless; the page is cross-origin
isolated, so that threads work.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).resolve().parent / "browser"


class Isolated(SimpleHTTPRequestHandler):
    """Files with the headers that let a page use shared memory."""

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def guess_type(self, path: Any) -> str:
        kinds = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}
        return kinds.get(Path(path).suffix) or super().guess_type(path)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def bench(ort: Path, published: Path, ours: Path, threads: int, picture: Path | None = None) -> Any:
    """What the page measured."""
    from playwright.sync_api import sync_playwright

    with TemporaryDirectory() as place:
        folder = Path(place)
        for name in ("index.html", "bench.js", "worker.js"):
            (folder / name).symlink_to(HERE / name)
        (folder / "ort").symlink_to(ort.resolve())
        (folder / "published.onnx").symlink_to(published.resolve())
        (folder / "ours.onnx").symlink_to(ours.resolve())
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Isolated, directory=place))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with sync_playwright() as play:
                browser = play.chromium.launch(
                    executable_path=os.environ.get("CHROMIUM") or None, args=["--no-sandbox"]
                )
                page = browser.new_page(viewport={"width": 820, "height": 420})
                page.on("pageerror", lambda error: print(error, file=sys.stderr))
                page.goto(f"http://127.0.0.1:{server.server_address[1]}/?threads={threads}")
                page.wait_for_function("window.result", timeout=300_000)
                if picture:
                    page.screenshot(path=str(picture))
                found = page.evaluate("window.result")
                browser.close()
                return found
        finally:
            server.shutdown()
            server.server_close()


if __name__ == "__main__":
    ort, published, ours, *more = sys.argv[1:]
    count = int(more[0]) if more else 1
    seen = Path(more[1]) if len(more) > 1 else None
    print(json.dumps(bench(Path(ort), Path(published), Path(ours), count, seen), indent=2))
