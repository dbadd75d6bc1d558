"""One server for each of the hosts, on a free port of loopback; and raw bytes over a socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import http_application
from wherry import Limits, edge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMITS = {"memory": "32MiB", "timeout": "1s"}
HOSTS = ["direct", "lean", "full", pytest.param("tasks", marks=pytest.mark.slow)]
"""The guest of tasks, a handler of WASI 0.3, is in Rust, which takes long to build for the first time."""


@pytest.fixture(scope="session", params=HOSTS)
def server(request: pytest.FixtureRequest) -> Iterator[edge.Server]:
    """The application, served by the host of that name."""
    application = http_application(request.param)
    with edge.serve(
        application, address="127.0.0.1:0", limits=Limits(**LIMITS), max_request="16MiB"
    ) as running:
        yield running


@pytest.fixture
def talk(server: edge.Server) -> Callable[[bytes], bytes]:
    """Sends bytes on a connection of their own, and gives all that comes back until it is closed."""

    def exchange(sent: bytes) -> bytes:
        with socket.create_connection(server.address, timeout=10) as connection:
            connection.sendall(sent)
            received = b""
            while piece := connection.recv(65536):
                received += piece
            return received

    return exchange
