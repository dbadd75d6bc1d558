"""The application of a project while its tests ask it: ``wherry serve`` on a free port.

It is a process of its own, which a user could start too, as programs and calls in tests are. It runs from the
first request on.
"""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from wherry.errors import BuildError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["REQUEST", "Served", "read_fields"]

REQUEST = re.compile(r"(?P<method>[A-Z]+) (?P<target>/\S*)(?P<rest>(?: .*)?)")
"""What stands after ``>`` where a request is sent: ``POST /notes accept:text/plain < note.txt``."""

_TIMEOUT = 60.0
"""Seconds that an answer may take: what a guest may take is less, and said by the server."""


class Served:
    """The application in a folder, with what it is granted as flags; it runs from the first request on."""

    def __init__(self, folder: Path, flags: Sequence[str]) -> None:
        self._folder = folder
        self._flags = flags
        self._process: subprocess.Popen[str] | None = None
        self._address = ("", 0)

    def request(self, method: str, target: str, fields: Sequence[tuple[str, str]], body: bytes) -> str:
        """The body of the answer as text, and on a line of its own the status if it is not 200.

        Raises:
            BuildError: It cannot be served; the reason was printed.

        """
        host, port = self._running()
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in fields:
                connection.putheader(name, value)
            if body:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace").strip("\n")
        except (OSError, http.client.HTTPException) as error:
            return f"[{type(error).__name__}: {error}]"
        finally:
            connection.close()
        if answer.status == http.client.OK:
            return text
        return f"{text}\n[{answer.status} {answer.reason}]".lstrip("\n")

    def _running(self) -> tuple[str, int]:
        """Where it listens."""
        if self._process is None:
            command = [sys.executable, "-m", "wherry", "serve", "--addr", "127.0.0.1:0", *self._flags, "."]
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
            )
            assert self._process.stdout is not None  # noqa: S101 - asked for above
            url = urlsplit(self._process.stdout.readline().rpartition(" ")[2].strip())
            if url.hostname is None or url.port is None:
                raise BuildError("the application cannot be served", hint="`wherry serve .` says why")
            self._address = (url.hostname, url.port)
        return self._address

    def __enter__(self) -> Self:
        """Nothing yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()


def read_fields(words: Sequence[str], where: str) -> list[tuple[str, str]]:
    """The fields among the words of a request, each ``name:value``.

    Raises:
        UsageError: A word is none.

    """
    fields = []
    for word in words:
        name, colon, value = word.partition(":")
        if not (colon and name):
            raise UsageError(
                f"{where}: `{word}` is no field", hint="a field of a request is written `name:value`"
            )
        fields.append((name, value.strip()))
    return fields
