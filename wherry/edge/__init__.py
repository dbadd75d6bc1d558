"""HTTP applications on a server of one's own: a fresh sandbox for every request.

:func:`serve` starts a server in threads of its own and returns at once. No Python runs while it answers.

``docs/edge.md`` has examples.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from wherry import _native, api
from wherry.runtime.component import granted, usual_limits

if TYPE_CHECKING:
    from types import TracebackType

    from wherry._native import Limits, Policy

__all__ = ["Server", "serve"]


class Server:
    """A server that runs until it is stopped, or its ``with`` block ends."""

    def __init__(self, native: _native.Server) -> None:
        self._native = native

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens at."""
        return self._native.address()

    @property
    def url(self) -> str:
        """The same as a URL."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def statistics(self) -> dict[str, int]:
        """What it counted since it started.

        ``connections`` and ``requests`` that came, ``active`` those that wait for their answer to begin, and
        ``waiting`` those of them that wait for a place. Turned away were ``busy`` as there were too many, and
        ``refused`` as they were malformed or too large. ``failed`` guests trapped or gave no answer, and
        ``late`` ones were not done in time.
        """
        return self._native.statistics()

    def failures(self, timeout: float = 0.0) -> list[str]:
        """What went wrong since this was asked last, waiting up to ``timeout`` seconds for the first.

        Each begins with the number that the client got in ``x-request-id``, or ``-`` where the answer had
        begun. The last thousand are kept.
        """
        return self._native.failures(timeout)

    def stop(self, timeout: float = 10.0) -> bool:
        """Take no more connections, let what runs come to its end, and end.

        What still runs after ``timeout`` seconds is cut off. Returns whether all came to its end. To stop
        what is stopped does nothing.
        """
        return self._native.stop(timeout)

    def __enter__(self) -> Self:
        """Nothing: it runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it; after an exception at once."""
        self.stop(0.0 if kind is not None else 10.0)


def serve(
    source: str | os.PathLike[str] | bytes,
    *,
    address: str = "127.0.0.1:8080",
    policy: Policy | None = None,
    limits: Limits | None = None,
    max_request: str = "64MiB",
    concurrency: int = 256,
    queue: int = 1024,
    wait: str = "10s",
    server_header: bool = True,
) -> Server:
    """Serve an application: a file, the bytes of one, a package by name, a project or a packed file.

    It is a component that exports ``wasi:http/incoming-handler`` of WASI 0.2. Each request has a fresh
    instance, with what ``policy`` grants and up to ``limits``: its ``timeout`` is for the whole answer. When
    this returns the first request can come; at port 0 the system chooses one, which
    :attr:`Server.address` tells.

    ``max_request`` bounds the body of a request. Up to ``concurrency`` requests are answered at once; up to
    ``queue`` more wait for that, no longer than ``wait``. Without ``server_header`` answers do not say that
    Wherry gave them.

    Raises:
        NotFoundError: There is no such file or package.
        NoSuchExportError: It answers no HTTP requests.
        LoadError: It is no WebAssembly, or not valid.
        UsageError: The address cannot be listened at.

    """
    name = "the application" if isinstance(source, bytes) else str(source)
    program: str | bytes = source if isinstance(source, bytes) else os.fspath(source)
    origin = None
    if isinstance(program, str) and (found := api.find(program, place="http")) is not None:
        origin = api.origin_of(program, found)
        program = str(found.component)
    native = _native.Server(
        program,
        name,
        granted(policy, origin, deterministic=False),
        limits if limits is not None else usual_limits(origin),
        address,
        max_request=max_request,
        concurrency=concurrency,
        queue=queue,
        wait=wait,
        named=server_header,
    )
    return Server(native)
