"""Components with much data are prepared: each guest gets the memory of an earlier one, put back as it was.

That nothing is left behind is in ``test_isolation.py``. Here is which components it is done for, and what
their guests do that it has to cope with.
"""

from __future__ import annotations

import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.guests.build import adapted, c_command, http_application, http_probe
from tests.requesting import request
from wherry import Limits, edge
from wherry.edge import Application, ApplicationSettings

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits(timeout="5s", memory="16MiB")
SLOTS = 64
COUNTING = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static unsigned char data[1200000] = {1, [1199999] = 1};
int main(void) {
  const char *query = getenv("QUERY_STRING");
  unsigned first = data[0]++, last = data[sizeof data - 1]++;
  memset(data, 5, sizeof data / 2);
  if (!strcmp(query, "exit")) return 3;
  if (!strcmp(query, "trap")) __builtin_trap();
  printf("Content-Type: text/plain\n\n%u %u", first, last);
}
"""


@pytest.fixture(autouse=True)
def _every_byte_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is put back is compared with what it should be."""
    monkeypatch.setenv("WHERRY_VERIFY_RESETS", "1")


def counts(server: edge.Server, application: str = "probe") -> dict[str, int]:
    """What was counted of an application that was prepared, of whose memories none was found different."""
    found = server._native.restored(application)
    assert found is not None
    assert (found["different"], found["lost"]) == (0, 0)
    return found


def probe() -> edge.Server:
    """A server of the large probe."""
    return edge.serve(
        http_probe("lean", large=True),
        name="probe",
        address="127.0.0.1:0",
        limits=LIMITS,
    )


def test_what_is_large_is_prepared_and_the_rest_is_served_as_it_is() -> None:
    """A small component starts fast anyway, and a reason is given for each that is not prepared."""
    with probe() as server:
        request(f"{server.url}/ae")
        assert counts(server)["reset"] == 1
        assert server._native.plain("probe") is None
    with edge.serve(http_application("lean"), name="small", address="127.0.0.1:0") as server:
        assert request(f"{server.url}/exact").text == "Hello, World!"
        assert server._native.restored("small") is None
        assert server._native.plain("small") == "it is small, and starts fast as it is"


def test_what_cannot_be_prepared_is_served_as_it_is(tmp_path: Path) -> None:
    """A module that is handed on may make memories that nobody counts. It answers all the same."""
    component = tmp_path / "handing_on.wasm"
    component.write_bytes(handing_on(http_probe("lean", large=True).read_bytes()))
    (why,) = [served.why for served in [wherry.inspect(component).served] if served is not None]
    assert why == "it exports a module, which others may instantiate"
    with edge.serve(component, name="probe", address="127.0.0.1:0", limits=LIMITS) as server:
        assert request(f"{server.url}/ae").status == 200
        assert server._native.plain("probe") == why


def handing_on(component: bytes) -> bytes:
    """The same component with a module of its own among its exports."""
    module = b"\0asm\1\0\0\0"
    export = b"\1\0\4more\0\x11" + _leb(component_modules(component)) + b"\0"
    return component + b"\1" + _leb(len(module)) + module + b"\x0b" + _leb(len(export)) + export


def component_modules(component: bytes) -> int:
    """How many modules it has at its own level, without those in components of it."""
    return sum(part.form == "module" and part.depth == 1 for part in wherry.inspect(component).parts)


def _leb(number: int) -> bytes:
    """A number as WebAssembly writes it."""
    written = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        written.append(low | (0x80 if number else 0))
        if not number:
            return bytes(written)


def test_guests_that_wait_have_a_memory_each() -> None:
    """Sixty-four at once: all come to their end, and their places are used again."""
    with probe() as server, ExitStack() as stack:
        waiting = [
            stack.enter_context(socket.create_connection(server.address, timeout=30)) for _ in range(SLOTS)
        ]
        for number, connection in enumerate(waiting):
            head = (
                f"POST /ahsgmw?{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\n"
            )
            connection.sendall(head.encode())
        heads = [connection.recv(65536) for connection in waiting]
        assert all(head.startswith(b"HTTP/1.1 200") for head in heads)
        assert counts(server)["made"] == SLOTS
        for connection in waiting:
            connection.sendall(b"x")
        for connection in waiting:
            while connection.recv(65536):
                pass
        with ThreadPoolExecutor(8) as pool:
            answers = {answer.body for answer in pool.map(request, [f"{server.url}/ae"] * 100)}
        assert len(answers) == 1
        found = counts(server)
        assert (found["made"], found["waiting"], found["reset"]) == (SLOTS, SLOTS, SLOTS + 100)


def test_memory_that_was_grown_is_kept_within_bounds() -> None:
    """Every guest grows by megabytes: nothing of it is seen, and no place keeps more than its share."""
    with probe() as server:
        bodies = {request(f"{server.url}/ame?99").body for _ in range(300)}
        assert len(bodies) == 1
        found = counts(server)
        assert found["kept"] <= found["made"] * (16 << 20)
        assert found["given_back"] == 300 // 256


def test_a_guest_that_wants_too_much_harms_nobody() -> None:
    """Growth up to the limit, and a trap; the next guest begins with what it should."""
    with probe() as server:
        fresh = request(f"{server.url}/ae").body
        for _ in range(3):
            assert request(f"{server.url}/{'m' * 10}x?99").status == 500
            assert request(f"{server.url}/ae").body == fresh


def test_applications_have_memories_of_their_own(tmp_path: Path) -> None:
    """Several that are prepared, in one process and with one engine: none gets the memory of another."""
    names = ["1", "2", "3", "4"]
    applications = []
    for number, name in enumerate(names):
        component = shutil.copy(
            http_probe("lean" if number % 2 else "full", large=True), tmp_path / f"{name}.wasm"
        )
        settings = ApplicationSettings(name=name, routes=(f"/{name}/*rest",))
        applications.append(Application(component, limits=LIMITS, settings=settings))
    with edge.serve(applications, address="127.0.0.1:0") as server:
        urls = [f"{server.url}/{name}/ae" for name in names]
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda url: request(url).body, urls * 25))
        assert len(set(found)) == 2
        assert all(len(set(found[place::4])) == 1 for place in range(4))
        assert all(counts(server, name)["reset"] == 25 for name in names)


def test_a_reload_begins_with_new_memories() -> None:
    """What was prepared before is let go, and what runs ends with what it has."""
    with probe() as server:
        first = request(f"{server.url}/ae").body
        server.reload()
        assert counts(server)["made"] == 0
        assert request(f"{server.url}/ae").body == first


def test_a_large_command_is_prepared_too(tmp_path: Path) -> None:
    """Each request starts it with the memory that it began with, however the last one ended."""
    source = tmp_path / "counting.c"
    source.write_text(COUNTING)
    with edge.serve(
        adapted(c_command("counting", source=source)), name="counting", address="127.0.0.1:0"
    ) as server:
        answers = [request(f"{server.url}/?{query}") for query in ("", "exit", "", "trap", "")]
        assert [(answer.status, answer.text) for answer in answers[::2]] == [(200, "1 1")] * 3
        assert [answer.status for answer in answers[1::2]] == [500, 500]
        assert counts(server, "counting")["reset"] >= 5


def test_inspect_says_whether_it_is_prepared() -> None:
    """And why not; what answers no requests is not asked."""
    large, small = wherry.inspect(http_probe("full", large=True)), wherry.inspect(http_probe("full"))
    assert large.served is not None
    assert small.served is not None
    assert (large.served.prepared, large.served.why) == (True, None)
    assert (small.served.prepared, small.served.why) == (False, "it is small, and starts fast as it is")
