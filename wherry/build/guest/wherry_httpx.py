"""``httpx`` by the host, whose policy it keeps to, and who knows TLS."""

# mypy: allow-subclassing-any

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import wherry_http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that arrives."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._body.read_blocking():
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._body.read():
            yield piece

    def close(self) -> None:
        self._body.close()

    async def aclose(self) -> None:
        self._body.close()


def _asked(request: httpx.Request) -> tuple[str, str, list[tuple[str, str]], float | None]:
    headers = [(name.decode(), value.decode("latin-1")) for name, value in request.headers.raw]
    return str(request.url), request.method, headers, request.extensions.get("timeout", {}).get("read")


def _answer(found: wherry_http.Response) -> httpx.Response:
    headers = [(name.encode(), value) for name, value in found.fields]
    return httpx.Response(found.status, headers=headers, stream=_Body(found.body))


class Transport(httpx.BaseTransport):
    """What a client sends by."""

    def __init__(self, **options: object) -> None:
        del options

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        url, method, headers, timeout = _asked(request)
        pieces: Any = request.stream
        try:
            return _answer(wherry_http.send_blocking(url, method, headers, pieces, timeout))
        except OSError as error:
            raise _as_httpx_has_it(error, request) from error


class AsyncTransport(httpx.AsyncBaseTransport):
    """The same for clients that are asynchronous."""

    def __init__(self, **options: object) -> None:
        del options

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        url, method, headers, timeout = _asked(request)
        pieces: Any = request.stream
        try:
            return _answer(await wherry_http.send(url, method, headers, pieces, timeout))
        except OSError as error:
            raise _as_httpx_has_it(error, request) from error


def _as_httpx_has_it(error: OSError, request: httpx.Request) -> httpx.TransportError:
    kind = httpx.ReadTimeout if isinstance(error, TimeoutError) else httpx.ConnectError
    return kind(str(error), request=request)


def install() -> None:
    """Make them what clients use."""
    for module in (httpx, httpx._client):  # noqa: SLF001 - where clients find them
        module.HTTPTransport = Transport
        module.AsyncHTTPTransport = AsyncTransport
