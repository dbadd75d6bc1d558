"""Requests that nobody sent, answered while a guest is built: its interpreter gets used to them.

CPython fits its code to the types that it meets, and remembers where it found attributes. Each instance
begins as the guest was built: what was not learned then would be learned for every request again, and
written to pages that the server has to put back. The applications here are Wherry's own: nothing of the
user's runs.
"""

# ruff: noqa: SLF001 - whoever asks the host is known by its frame alone

from __future__ import annotations

import functools
import sys
import weakref
from typing import TYPE_CHECKING, Any

import componentize_py_runtime  # type: ignore[import-not-found]
from componentize_py_types import Ok  # type: ignore[import-not-found]
from wit_world.imports import streams, types  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMES = 20
"""How many requests: code is fitted after it ran a few times."""

_TEXT = b"Hello, World!"


def blocking(_environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    """Say hello, by WSGI."""
    start_response("200 OK", [("content-type", "text/plain")])
    return [_TEXT]


async def asynchronous(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Say hello, by ASGI."""
    if scope["type"] == "http":
        await receive()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
        )
        await send({"type": "http.response.body", "body": _TEXT})


def warm(answer: Callable[[Any, Any], None]) -> None:
    """Have requests answered, by what the host calls."""
    call_host = componentize_py_runtime.call_import
    # What is no function of Python, as the host's is none: calls are fitted to that too.
    componentize_py_runtime.call_import = functools.partial(_call_import)
    try:
        for _ in range(_TIMES):
            answer(_held(types.IncomingRequest), _held(types.ResponseOutparam))
    finally:
        componentize_py_runtime.call_import = call_host


def _held(kind: type) -> Any:
    """What stands for a resource of the host's."""
    made: Any = object.__new__(kind)
    made.handle = 1
    made.finalizer = weakref.finalize(made, _drop, 0, 1)
    return made


def _drop(_kind: int, _handle: int) -> None:
    """Nothing is held."""


def _call_import(_function: int, _arguments: list[Any]) -> Any:
    """What the host would answer, by what asks it."""
    return _ANSWERS[sys._getframe(1).f_code.co_qualname]()


_FIELDS = [("accept", b"*/*"), ("accept-encoding", b"gzip"), ("user-agent", b"none")]

_ANSWERS: dict[str, Callable[[], Any]] = {
    "IncomingRequest.method": types.Method_Get,
    "IncomingRequest.path_with_query": lambda: "/",
    "IncomingRequest.scheme": types.Scheme_Http,
    "IncomingRequest.authority": lambda: "localhost:8080",
    "IncomingRequest.headers": lambda: _held(types.Fields),
    "IncomingRequest.consume": lambda: Ok(_held(types.IncomingBody)),
    "IncomingBody.stream": lambda: Ok(_held(streams.InputStream)),
    "InputStream.read": lambda: Ok(_TEXT),
    "Fields.entries": lambda: list(_FIELDS),
    "Fields.from_list": lambda: Ok(_held(types.Fields)),
    "OutgoingResponse.__init__": lambda: _held(types.OutgoingResponse),
    "OutgoingResponse.set_status_code": lambda: Ok(None),
    "OutgoingResponse.body": lambda: Ok(_held(types.OutgoingBody)),
    "OutgoingBody.write": lambda: Ok(_held(streams.OutputStream)),
    "OutgoingBody.finish": lambda: Ok(None),
    "ResponseOutparam.set": lambda: None,
    "OutputStream.check_write": lambda: Ok(65536),
    "OutputStream.write": lambda: Ok(None),
    "OutputStream.flush": lambda: Ok(None),
}
