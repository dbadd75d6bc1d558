"""Requests to other servers, as far as the policy allows them: ``await wherry_http.fetch(url)``.

``urllib.request`` works too, for what knows no event loop.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok  # type: ignore[import-not-found]
from wherry_bodies import Arriving, Leaving, entries_of, fields
from wherry_loop import LOOP
from wit_world.imports import outgoing_handler, types  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping

__all__ = ["Response", "fetch"]

_METHODS = {
    name: getattr(types, f"Method_{name.capitalize()}")
    for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
}


@dataclass
class Response:
    """What a server answered; its body is read once, by one of ``read``, ``text``, ``json`` or a loop.

    ``headers`` have names in small letters; ``fields`` has each in order, as bytes.
    """

    status: int
    headers: dict[str, str]
    fields: list[tuple[str, bytes]]
    body: Arriving = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110, 15.3

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The body, piece by piece as it arrives."""
        while piece := await self.body.read():
            yield piece

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self])

    async def text(self) -> str:
        """The whole body as text."""
        return (await self.read()).decode(errors="replace")

    async def json(self) -> Any:
        """The whole body, which is JSON."""
        return json.loads(await self.read())


async def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | str | AsyncIterable[bytes] | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - the host's, which ends the request as well
) -> Response:
    """Send a request and wait for the head of its answer, no longer than ``timeout`` seconds.

    Raises:
        PermissionError: The policy does not allow it.
        OSError: There is no answer; the message says why.
        ValueError: The URL is none of HTTP, or a field is malformed.

    """
    data = body.encode() if isinstance(body, str) else body
    sent = [*(headers or {}).items()]
    if not isinstance(data, bytes):
        return await send(url, method, sent, data, timeout)
    if data and not any(name.lower() == "content-length" for name, _ in sent):
        sent.append(("content-length", str(len(data))))
    return await send(url, method, sent, _one(data), timeout)


async def _one(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data


async def send(
    url: str,
    method: str,
    headers: list[tuple[str, str]],
    pieces: AsyncIterable[bytes] | None,
    timeout: float | None,  # noqa: ASYNC109 - the host's
) -> Response:
    """Send a request whose body comes in pieces."""
    future, leaving = _handed(url, method, headers, timeout)
    with future:
        async for piece in pieces or _one(b""):
            await leaving.write(piece)
        leaving.finish()
        while (outcome := future.get()) is None:
            await LOOP.wait(future.subscribe())
    return _arrived(outcome, url)


def send_blocking(
    url: str,
    method: str,
    headers: list[tuple[str, str]],
    pieces: Iterable[bytes],
    timeout: float | None,
) -> Response:
    """The same for what knows no loop."""
    future, leaving = _handed(url, method, headers, timeout)
    with future:
        for piece in pieces:
            leaving.write_blocking(piece)
        leaving.finish()
        while (outcome := future.get()) is None:
            with future.subscribe() as ready:
                ready.block()
    return _arrived(outcome, url)


def _handed(
    url: str, method: str, headers: list[tuple[str, str]], timeout: float | None
) -> tuple[Any, Leaving]:
    """What the host is to answer, and the body that it takes."""
    request = _outgoing(url, method, headers)
    leaving = Leaving(request)
    try:
        return outgoing_handler.handle(request, _options(timeout)), leaving
    except Err as error:
        raise _failure(error.value, url) from None


def _outgoing(url: str, method: str, headers: list[tuple[str, str]]) -> Any:
    """A request for the host."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"`{url}` is no URL of HTTP")
    entries = [(name, value.encode("latin-1")) for name, value in headers]
    request = types.OutgoingRequest(fields(entries))
    target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    known = _METHODS.get(method.upper())
    try:
        request.set_method(known() if known else types.Method_Other(method))
        request.set_scheme(types.Scheme_Https() if parts.scheme == "https" else types.Scheme_Http())
        request.set_authority(parts.netloc.rpartition("@")[2])
        request.set_path_with_query(target)
    except Err:
        raise ValueError(f"`{method} {url}` is no request") from None
    return request


def _options(timeout: float | None) -> Any:
    """How long the host waits."""
    if not isinstance(timeout, int | float):
        return None
    made = types.RequestOptions()
    for limit in (made.set_connect_timeout, made.set_first_byte_timeout, made.set_between_bytes_timeout):
        limit(int(timeout * 1e9))
    return made


def _arrived(outcome: Any, url: str) -> Response:
    """The answer out of what the host gives."""
    if isinstance(outcome, Err) or isinstance(outcome.value, Err):
        raise _failure(outcome.value.value if isinstance(outcome, Ok) else None, url)
    response = outcome.value.value
    found = entries_of(response)
    headers: dict[str, str] = {}
    for name, value in found:
        text = value.decode("latin-1")
        low = name.lower()
        headers[low] = f"{headers[low]}, {text}" if low in headers else text
    return Response(response.status(), headers, found, Arriving(response))


def _failure(code: Any, url: str) -> OSError:
    """Why there is no answer."""
    name = type(code).__name__.removeprefix("ErrorCode_")
    words = "".join(f" {one.lower()}" if one.isupper() else one for one in name).strip()
    told = getattr(code, "value", None)
    message = f"{url}: {words}{f': {told}' if told else ''}"
    if name == "HttpRequestDenied":
        return PermissionError(f"{message} by the policy")
    if "Timeout" in name:
        return TimeoutError(message)
    return ConnectionError(message)
