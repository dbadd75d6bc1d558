"""``urllib.request`` by the host, whose policy it keeps to, and who knows TLS."""

from __future__ import annotations

import io
import urllib.request
from http.client import HTTPMessage, responses
from typing import Any
from urllib.response import addinfourl

import wherry_http
from wherry_bodies import ArrivingFile


class _Handler(urllib.request.HTTPHandler):
    """Sends what `urllib` has prepared."""

    def http_open(self, req: urllib.request.Request) -> Any:
        """Send a request."""
        headers = {**req.unredirected_hdrs, **req.headers}
        data: Any = req.data
        pieces = [data] if isinstance(data, bytes) else (data or ())
        answer = wherry_http.send_blocking(
            req.full_url, req.get_method(), list(headers.items()), pieces, req.timeout
        )
        message = HTTPMessage()
        for name, value in answer.fields:
            message.add_header(name, value.decode("latin-1"))
        body = io.BufferedReader(ArrivingFile(answer.body))
        found: Any = addinfourl(body, message, req.full_url, answer.status)
        found.msg = found.reason = responses.get(answer.status, "")
        return found

    def https_open(self, req: urllib.request.Request) -> Any:
        """Send a request by TLS, which is the host's."""
        return self.http_open(req)

    https_request = urllib.request.HTTPHandler.http_request


_OTHERS = (
    urllib.request.UnknownHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPRedirectHandler,
    urllib.request.HTTPErrorProcessor,
    urllib.request.DataHandler,
)


def install() -> None:
    """Make it what ``urlopen`` uses."""
    opener = urllib.request.OpenerDirector()
    for handler in (*_OTHERS, _Handler):
        opener.add_handler(handler())
    urllib.request.install_opener(opener)
