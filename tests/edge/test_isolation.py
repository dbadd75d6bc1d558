"""What one request leaves behind, no other sees: memory, globals, tables, growth, handles and open files.

The probe, ``guests/http/probing.c``, sums up all that it has before it does anything, and then writes
wherever it can. Every answer begins with that sum, so every request looks for what any other left.
"""

from __future__ import annotations

import http.client
import random
import socket
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.guests.build import http_probe
from tests.requesting import request
from wherry import Limits, Policy, edge

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = {
    "lean": ("lean", False),
    "full": ("full", False),
    "lean, restored": ("lean", True),
    "full, restored": ("full", True),
}
WRITES = "fghmnrst"
"""What writes somewhere and goes on."""
ENDS = ("e", "eR", "R", "RR", "x", "ex", "")
"""Whole answers, with all of the memory overwritten afterwards or not; guests that trap or stop."""
CLIENTS = 64
FIELDS = ("sum", "pages", "elements", "set", "global", "calls", "request", "handle", "file")


class Probe(NamedTuple):
    """A server, and what a guest finds that is the first of its server."""

    server: edge.Server
    lean: bool
    fresh: bytes
    dump: bytes


def serve(kind: str, folder: object) -> edge.Server:
    """A server of the probe for one host, whose guests have a folder."""
    host, large = KINDS[kind]
    return edge.serve(
        str(http_probe(host, large=large)),  # type: ignore[arg-type]
        name="probe",
        address="127.0.0.1:0",
        limits=Limits(timeout="500ms", memory="16MiB"),
        policy=Policy(dirs=[(str(folder), "/data", "rw")]),
        queue=10_000,
        wait="30s",
    )


@pytest.fixture(scope="module", params=KINDS)
def probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """The probe on one of the hosts, with what the first guest of another server found."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "file").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHERRY_VERIFY_RESETS", "1")
        with serve(request.param, folder) as first:
            fresh = ask(first, "ade")
        with serve(request.param, folder) as server:
            yield Probe(server, KINDS[request.param][0] == "lean", fresh[: fresh.index(b"\n") + 1], fresh)
            counts = server._native.restored("probe")
    assert (counts is not None) == KINDS[request.param][1]
    if counts is not None:
        assert counts["reset"] > 0
        assert (counts["different"], counts["lost"]) == (0, 0)


def ask(server: edge.Server, letters: str, seed: int = 0) -> bytes:
    """The body of an answer, as far as it came; nothing where there is none."""
    try:
        answer = request(f"{server.url}/{letters}?{seed}")
    except http.client.IncompleteRead as error:
        return error.partial
    except ConnectionError:
        return b""
    return answer.body if answer.status == 200 else b""


def leave(server: edge.Server, letters: str, seed: int) -> bytes:
    """What comes of a guest that waits for more until its client is gone."""
    with socket.create_connection(server.address, timeout=30) as connection:
        target = f"/a{letters}w?{seed}"
        connection.sendall(f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".encode())
        received = b""
        while received.count(b"\n") < received.partition(b"\r\n\r\n")[0].count(b"\n") + 4:
            received += connection.recv(65536) or b"\n" * 9
    return received.partition(b"\r\n\r\n")[2].partition(b"\r\n")[2]


def client(server: edge.Server, seed: int, requests: int) -> list[bytes]:
    """What was found by so many guests of one client."""
    numbers = random.Random(seed)  # noqa: S311 - to be the same each time
    found = []
    for _ in range(requests):
        letters = "".join(numbers.choices(WRITES, k=numbers.randrange(6)))
        if numbers.random() < 0.2:
            found.append(leave(server, letters, numbers.randrange(10_000)))
            continue
        before = "a" if numbers.random() < 0.8 else ""
        end = numbers.choice(ENDS) if numbers.random() < 0.97 else "l"
        found.append(ask(server, before + letters + end, numbers.randrange(10_000)))
    return [one for one in found if one]


def compare(probe: Probe, requests: int) -> None:
    """Sixty-four clients at once, each with so many requests: no guest may find anything."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        each = list(pool.map(lambda seed: client(probe.server, seed, requests), range(CLIENTS)))
    answers = [answer for found in each for answer in found]
    assert len(answers) > CLIENTS * requests // 2
    assert {answer.partition(b"\n")[0] + b"\n" for answer in answers} == {probe.fresh}


def test_no_request_sees_another(probe: Probe) -> None:
    """Nothing of guests that ended, trapped, looped until their time was over, or lost their client."""
    compare(probe, 4)


@pytest.mark.slow
def test_no_request_sees_any_of_thousands(probe: Probe) -> None:
    """The same for long."""
    compare(probe, 100)


@pytest.mark.parametrize(
    ("letter", "changed"),
    [
        ("f", {"file"}),
        ("g", {"global"}),
        ("m", {"pages"}),
        ("n", {"handle"}),
        ("t", {"elements", "set", "calls"}),
    ],
)
def test_the_probe_finds_what_it_changed_itself(probe: Probe, letter: str, changed: set[str]) -> None:
    """Everything that is written is looked for: a guest that looks again finds what it wrote."""
    if probe.lean:
        changed -= {"file"}
    without, found = (ask(probe.server, f"a{letters}pe", 7).splitlines()[1] for letters in ("", letter))
    pairs = zip(FIELDS, without.split(), found.split(), strict=True)
    assert {field for field, one, other in pairs if one != other} >= changed


@pytest.mark.parametrize("letter", ["h", "s"])
def test_the_probe_finds_what_it_wrote_itself(probe: Probe, letter: str) -> None:
    """The sum is over what is on the heap and in variables: thousands of bytes, each of which it counts."""
    without, found = (ask(probe.server, f"a{letters}d", 7) for letters in ("_", letter))
    assert sum(one != other for one, other in zip_longest(without, found)) > 1000


def test_randomness_is_each_guest_s_own(probe: Probe) -> None:
    """What one guest made its numbers from is not what another does."""
    sums = {ask(probe.server, "arpe").splitlines()[1] for _ in range(5)}
    assert len(sums) == (1 if probe.lean else 5)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    before=st.lists(
        st.tuples(
            st.sampled_from(["a", ""]),
            st.text(WRITES, max_size=6),
            st.sampled_from(ENDS),
            st.integers(0, 100_000),
        ),
        max_size=6,
    )
)
def test_after_any_requests_a_guest_has_the_memory_of_a_fresh_one(
    probe: Probe, before: list[tuple[str, str, str, int]]
) -> None:
    """Byte for byte, whatever was done before: that of the first guest of a server."""
    for start, letters, end, seed in before:
        ask(probe.server, start + letters + end, seed)
    assert ask(probe.server, "ade") == probe.dump
