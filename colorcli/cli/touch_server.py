"""The server behind the page of `colorcli touch`.

It listens on the loopback address only. Every address begins with a random token, and requests for another
host name are refused, so neither another user of this machine nor a web page in the same browser can use it.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np

from colorcli.cli.touch_subject import Subject
from colorcli.errors import ColorcliError, SetupError
from colorcli.events import json_text

PAGE = Path(__file__).parent / "touch.html"
LOOPBACK = "127.0.0.1"
MOST_BYTES = 10 << 20
"""Of a request: a hundred thousand hints."""
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' blob:; "
    "connect-src 'self'"
)


class TouchServer:
    """Serves one subject to one user. A context manager."""

    def __init__(self, subject: Subject, port: int) -> None:
        """Listen on a port of this machine; 0 takes a free one.

        Raises:
            SetupError: the port is taken.
        """
        try:
            self._server = _Server(subject, port)
        except OSError as error:
            cause = f"cannot be used ({error.strerror})"
            raise SetupError(f"--port {port}", cause, "choose another") from error

    @property
    def address(self) -> str:
        """Of the page, with the token."""
        return f"http://{LOOPBACK}:{self._server.server_port}/{self._server.token}/"

    def serve_forever(self) -> None:
        """Answer requests until Ctrl-C."""
        self._server.serve_forever(poll_interval=0.2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def __init__(self, subject: Subject, port: int) -> None:
        self.subject, self.token = subject, secrets.token_urlsafe(16)
        super().__init__((LOOPBACK, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    """Answers requests."""

    server: _Server

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        self._respond(
            address.path,
            {
                "": lambda: self._answer(PAGE.read_bytes(), "text/html; charset=utf-8"),
                "state": lambda: self._answer_json(_state(self.server.subject)),
                "gray": lambda: self._gray(int(parse_qs(address.query)["frame"][0])),
            },
        )

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(min(length, MOST_BYTES))
        self._respond(
            self.path,
            {"color": lambda: self._color(json.loads(body)), "save": lambda: self._save(json.loads(body))},
        )

    def _respond(self, path: str, answers: Mapping[str, Callable[[], None]]) -> None:
        """Answer by the last part of the path, or say in one line why not."""
        host = self.headers.get("Host", "").partition(":")[0]
        _, given, name = [*path.split("/", 2), "", ""][:3]
        if host not in (LOOPBACK, "localhost") or not self._is_token(given):
            self._answer(b"Forbidden", "text/plain", HTTPStatus.FORBIDDEN)
        elif name not in answers:
            self._answer(b"Not Found", "text/plain", HTTPStatus.NOT_FOUND)
        else:
            try:
                answers[name]()
            except (ColorcliError, ValueError, KeyError, TypeError, AttributeError) as error:
                self._answer(str(error).encode(), "text/plain; charset=utf-8", HTTPStatus.BAD_REQUEST)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.server.token.encode())

    def _gray(self, number: int) -> None:
        self._answer(self.server.subject.frame(number).file.read_bytes(), "image/png")

    def _color(self, asked: dict[str, Any]) -> None:
        rgb = self.server.subject.colorized(asked["frame"], asked["hints"])
        quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
        _, coded = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), quality)
        self._answer(coded.tobytes(), "image/jpeg")

    def _save(self, asked: dict[str, Any]) -> None:
        hints = {int(number): own for number, own in asked["hints"].items()}
        self._answer_json({"flags": self.server.subject.save(hints)})

    def _answer_json(self, value: object) -> None:
        self._answer(json_text(value).encode(), "application/json")

    def _answer(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind, "Content-Length": str(len(content)), "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }  # fmt: skip
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """The terminal stays quiet."""


def _state(subject: Subject) -> dict[str, Any]:
    """What the page needs to know, again and again while a film's shots are being found."""
    frames = [
        {"number": frame.number, "label": frame.label, "size": frame.size} for frame in list(subject.frames)
    ]
    return {
        "name": subject.name, "film": subject.is_film, "complete": subject.complete,
        "problem": subject.problem, "frames": frames, "hints": subject.saved(), "output": str(subject.output),
    }  # fmt: skip
