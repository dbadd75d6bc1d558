"""Requests over HTTP/1.1 that send and receive at once, as clients of streaming servers do."""

from __future__ import annotations

import http.client
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Answer", "echoed_as_it_comes", "request"]


class Answer(NamedTuple):
    """Status, fields with names in lower case, and body."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def request(
    url: str,
    method: str = "GET",
    body: bytes | Iterable[bytes] = b"",
    fields: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> Answer:
    """What a server answers on a connection of its own; pieces of a body are sent as chunks."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=timeout)
    fields = dict(fields or {})
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.putrequest(method, target, skip_host="host" in fields, skip_accept_encoding=True)
    for name, value in fields.items():
        connection.putheader(name, value)
    if isinstance(body, bytes):
        pieces: Iterable[bytes] = [body]
        connection.putheader("content-length", str(len(body)))
    else:
        pieces = [*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in body), b"0\r\n\r\n"]
        connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()

    def send() -> None:
        # A server may answer, and close, before it has all of the body.
        with suppress(OSError):
            for piece in pieces:
                connection.send(piece)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())
    finally:
        if connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(2)
        sending.join()
        connection.close()


def echoed_as_it_comes(connection: http.client.HTTPConnection, path: str) -> None:
    """Sends a body in two pieces to what sends it back, the second when the first is back."""
    connection.putrequest("POST", path)
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()
    connection.send(b"5\r\nfirst\r\n")
    answer = connection.getresponse()
    assert answer.read1(5) == b"first"
    connection.send(b"6\r\nsecond\r\n0\r\n\r\n")
    assert answer.read() == b"second"
    connection.close()
