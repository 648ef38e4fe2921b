"""The engine over HTTP, for a browser tool: JSON in, JSON out; standard library only.

GET /state, /image/NAME (the file), /masks/NAME. POST /look, /predict, /add, /remove, /finish,
/skip, /advance with the arguments of the Python methods as a JSON object. One request at a time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from triscope.errors import TriscopeError, UsageError
from triscope.kernel.geometry.rle import Rle
from triscope.segment.engine.machine import Engine
from triscope.segment.formats import Mask

LARGEST = 1 << 26  # bytes of a request


def serve(engine: Engine, port: int = 0, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """A server for the engine; the caller runs ``serve_forever`` and closes it."""
    lock = threading.Lock()

    class Handler(_Handler):
        def answer(self, work: Callable[[Engine], Any]) -> Any:
            with lock:
                return work(engine)

    return ThreadingHTTPServer((host, port), Handler)


class _Handler(BaseHTTPRequestHandler):
    """Routes requests; every error of ours becomes 400 with its message."""

    def answer(self, work: Callable[[Engine], Any]) -> Any:
        raise NotImplementedError

    def do_GET(self) -> None:
        """State, images and masks."""
        what, _, name = unquote(self.path).strip("/").partition("/")
        if what == "image":
            self._file(name)
        else:
            self._json(lambda engine: _read(engine, what, name))

    def do_POST(self) -> None:
        """A step of the work."""
        length = int(self.headers.get("Content-Length", 0))
        if length > LARGEST:
            self._send(413, {"error": f"a request has at most {LARGEST} bytes, got {length}"})
            return
        body = self.rfile.read(length)
        self._json(lambda engine: _step(engine, self.path.strip("/"), body))

    def _json(self, work: Callable[[Engine], Any]) -> None:
        try:
            self._send(200, self.answer(work))
        except TriscopeError as error:
            self._send(400, {"error": str(error)})

    def _file(self, name: str) -> None:
        try:
            path = self.answer(lambda engine: _path_of(engine, name))
        except TriscopeError as error:
            self._send(400, {"error": str(error)})
            return
        data = Path(path).read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _send(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr: the tool shows its own state."""


def _read(engine: Engine, what: str, name: str) -> Any:
    if what == "state":
        return {
            "stage": engine.stage,
            "waiting": engine.waiting(),
            "images": list(engine.manifest.images),
            "figures": engine.figures(),
        }
    if what == "masks":
        return {"masks": [_plain(mask) for mask in engine.masks(name)]}
    raise UsageError(f"no address /{what}: there are /state, /image/NAME, /masks/NAME.")


def _path_of(engine: Engine, name: str) -> str:
    engine.image(name)  # checks that it is the image that the masks belong to
    return engine.manifest.images[name].path


def _step(engine: Engine, what: str, body: bytes) -> Any:
    try:
        given = json.loads(body or b"{}")
        if not isinstance(given, dict):
            raise ValueError("expected an object")
    except ValueError as error:
        raise UsageError(f"the request is not a JSON object: {error}.") from error
    steps: dict[str, Callable[..., Any]] = {
        "look": lambda name: {"masks": [_plain(mask) for mask in engine.look(name)]},
        "predict": lambda name, **prompt: _answered(engine.predict(name, **prompt)),
        "add": lambda name, rle, **more: {"masks": engine.add(name, Rle.from_coco(rle), **more)},
        "remove": lambda name, index: {"masks": engine.remove(name, index)},
        "finish": lambda name: _done(engine.finish, name),
        "skip": lambda name, why="": _done(engine.skip, name, why),
        "advance": lambda: {"stage": engine.advance()},
    }
    if what not in steps:
        raise UsageError(f"no step /{what}: there are {', '.join(steps)}.")
    try:
        return steps[what](**given)
    except TypeError as error:
        raise UsageError(f"/{what}: {error}.") from error


def _done(step: Callable[..., None], *arguments: str) -> dict[str, bool]:
    step(*arguments)
    return {"done": True}


def _answered(found: Any) -> dict[str, Any]:
    rows = [
        {"rle": Rle.encode(mask).to_coco(), "predicted_iou": float(iou)}
        for mask, iou in zip(found.masks, found.iou, strict=True)
    ]
    return {"masks": rows, "best": found.best}


def _plain(mask: Mask) -> dict[str, Any]:
    return {"rle": mask.rle.to_coco(), "label": mask.label, **mask.extra}
