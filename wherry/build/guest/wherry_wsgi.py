"""WSGI: PEP 3333."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from wherry_bodies import ArrivingFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TypeAlias

    from wherry_answering import Answer, Request
    from wherry_bodies import Leaving

    _Raised: TypeAlias = tuple[type[BaseException], BaseException, TracebackType]

_BUFFER = 65536


class _Exchange:
    """The head of an answer until its body begins, and the body."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._head: tuple[int, list[tuple[str, bytes]]] | None = None
        self._body: Leaving | None = None

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: _Raised | None = None
    ) -> Callable[[bytes], None]:
        """Take the head."""
        try:
            if exc_info is not None and self._answer.begun:
                raise exc_info[1].with_traceback(exc_info[2])
        finally:
            exc_info = None
        entries = [(name, value.encode("latin-1")) for name, value in headers]
        self._head = (int(status.partition(" ")[0]), entries)
        return self.write

    def write(self, data: bytes) -> None:
        """Send a piece of the body."""
        if self._body is None:
            if self._head is None:
                raise RuntimeError("the body was given before `start_response` was called")
            self._body = self._answer.begin(*self._head)
        self._body.write_blocking(data)

    def send(self, pieces: Any) -> None:
        """Send what an application returned."""
        last = len(pieces) if isinstance(pieces, list | tuple) else 0
        for number, piece in enumerate(pieces, 1):
            if piece:
                self.write(piece)
                # The end of the body sends the last one.
                if self._body is not None and number != last:
                    self._body.flush()
        self.write(b"")
        self._answer.finish()


def _environ(request: Request) -> dict[str, Any]:
    host, port = request.server()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path.decode("latin-1"),
        "QUERY_STRING": request.query.decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": io.BufferedReader(ArrivingFile(request.body), _BUFFER),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in request.fields:
        key = name.upper().replace("-", "_")
        if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        text = value.decode("latin-1")
        between = "; " if key == "HTTP_COOKIE" else ", "
        environ[key] = f"{environ[key]}{between}{text}" if key in environ else text
    return environ


def answering(application: Any) -> Callable[[Request, Answer], None]:
    """What answers by a WSGI application."""

    def run(request: Request, answer: Answer) -> None:
        exchange = _Exchange(answer)
        pieces = application(_environ(request), exchange.start_response)
        try:
            exchange.send(pieces)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    return run
