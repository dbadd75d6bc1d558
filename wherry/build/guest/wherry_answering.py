"""``wasi:http/incoming-handler`` for an application in Python, of ASGI or of WSGI."""

from __future__ import annotations

import inspect
import sys
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import wherry_expected
import wherry_warming
from componentize_py_types import Err, Ok  # type: ignore[import-not-found]
from wherry_bodies import Arriving, Leaving, entries_of, fields
from wit_world.imports import types  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Callable

_METHODS = {
    getattr(types, f"Method_{name.capitalize()}"): name
    for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
}


_USUAL = 200
"""The status that an answer has where none is set."""

_BEGUN: list[bool] = []


class Request:
    """What a request says before its body."""

    def __init__(self, request: Any) -> None:
        method = request.method()
        self.method: str = _METHODS.get(type(method)) or method.value.upper()
        target = request.path_with_query() or "/"
        path, _, query = target.partition("?")
        self.raw_path = path.encode()
        self.path = unquote_to_bytes(self.raw_path) if "%" in path else self.raw_path
        self.query = query.encode()
        self.scheme = "https" if isinstance(request.scheme(), types.Scheme_Https) else "http"
        self.authority: str = request.authority() or ""
        self.fields = [(name.lower(), value) for name, value in entries_of(request)]
        if self.authority and not any(name == "host" for name, _ in self.fields):
            self.fields.insert(0, ("host", self.authority.encode()))
        self.body = Arriving(request)

    def server(self) -> tuple[str, int]:
        """The host and port that it was sent to."""
        host, gap, port = self.authority.rpartition(":")
        if gap and port.isdigit():
            return host.strip("[]"), int(port)
        return self.authority.strip("[]"), 443 if self.scheme == "https" else 80


class Answer:
    """An answer on its way to the host: its head once, then its body."""

    def __init__(self, outparam: Any) -> None:
        self._outparam = outparam
        self._body: Leaving | None = None
        self.finished = False

    @property
    def begun(self) -> bool:
        """Whether its head was sent."""
        return self._outparam is None

    def begin(self, status: int, entries: list[tuple[str, bytes]]) -> Leaving:
        """Send the head.

        Raises:
            ValueError: It is malformed.

        """
        response = types.OutgoingResponse(fields(entries))
        if status != _USUAL:
            try:
                response.set_status_code(status)
            except Err:
                raise ValueError(f"{status} is no status of an answer") from None
        self._body = Leaving(response)
        outparam, self._outparam = self._outparam, None
        types.ResponseOutparam.set(outparam, Ok(response))
        return self._body

    def finish(self, trailers: list[tuple[str, bytes]] | None = None) -> None:
        """End it, whole."""
        assert self._body is not None  # noqa: S101 - it has begun
        self.finished = True
        self._body.finish(trailers)

    def fail(self, why: str) -> None:
        """End it, not whole: the server answers in its place if nothing was sent yet."""
        if self.begun:
            if self._body is not None and not self.finished:
                self._body.break_off()
            return
        outparam, self._outparam = self._outparam, None
        types.ResponseOutparam.set(outparam, Err(types.ErrorCode_InternalError(why)))


def find(module: Any) -> Callable[[Request, Answer], None]:
    """What answers requests by the application of a module.

    It is asked once at build time, when all modules are there.

    Raises:
        TypeError: It has no application.

    """
    wherry_expected.provide()
    for name in ("app", "application"):
        application = getattr(module, name, None)
        if application is None:
            continue
        if inspect.isclass(application) or not callable(application):
            raise TypeError(f"`{name}` is no ASGI or WSGI application")
        if _is_asynchronous(application):
            from wherry_asgi import answering

            _warm(answering(wherry_warming.asynchronous))
            return answering(application)
        from wherry_wsgi import answering as answering_blocking

        _warm(answering_blocking(wherry_warming.blocking))
        return answering_blocking(application)
    raise TypeError(f"`{module.__name__}` has no `app`, which is an ASGI or WSGI application")


def _is_asynchronous(application: Any) -> bool:
    """Whether it is of ASGI: a coroutine function, or one of three arguments."""
    if inspect.iscoroutinefunction(application):
        return True
    if inspect.iscoroutinefunction(type(application).__call__):
        return True
    needed = [
        one
        for one in inspect.signature(application).parameters.values()
        if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD} and one.default is one.empty
    ]
    return len(needed) >= 3  # noqa: PLR2004 - scope, receive and send; WSGI has two


def _warm(answering: Callable[[Request, Answer], None]) -> None:
    """Answer requests that nobody sent, each as the first one of an instance."""

    def answer(request: Any, outparam: Any) -> None:
        _answer(answering, request, Answer(outparam))
        _BEGUN.clear()

    wherry_warming.warm(answer)


def _answer(answering: Callable[[Request, Answer], None], request: Any, answer: Answer) -> None:
    """Answer one request.

    Raises:
        RuntimeError: There is no answer, or half of one.

    """
    if not _BEGUN:
        _BEGUN.append(True)
        wherry_expected.begin()
    answering(Request(request), answer)
    if not answer.finished:
        raise RuntimeError("the application returned without a whole answer")


def answer_with(answering: Callable[[Request, Answer], None], request: Any, outparam: Any) -> None:
    """Answer one request; what is raised is told on standard error, and to the server."""
    answer = Answer(outparam)
    try:
        _answer(answering, request, answer)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the server is to know
        # Without the functions that are not the user's.
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename.startswith("/0/"):
            trace = trace.tb_next
        traceback.print_exception(error.with_traceback(trace))
        answer.fail("".join(traceback.format_exception_only(error)).strip())
    sys.stdout.flush()
    sys.stderr.flush()
