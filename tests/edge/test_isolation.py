"""What one request leaves behind, no other sees: memory, globals, tables, growth, handles and open files.

The probe, ``guests/http/probing.c``, sums up all that it has before it does anything, and then writes
wherever it can. Every answer begins with that sum, so every request looks for what any other left.
"""

from __future__ import annotations

import http.client
import random
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.guests.build import GUESTS, http_probe, project
from tests.requesting import request
from wherry import Limits, Policy, edge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Kind(NamedTuple):
    """A probe and its host, and which letters it knows."""

    component: Callable[[], Path]
    lean: bool
    restored: bool
    writes: str = "fghmnrst"
    ends: tuple[str, ...] = ("e", "eR", "R", "RR", "x", "ex", "")
    time: str = "500ms"
    tables: bool = True
    rewound: bool = False


def in_python() -> Path:
    """The probe in Python."""
    return project("http_probing_python", "python", GUESTS / "http" / "probing_python")


KINDS = {
    "rewound": Kind(
        lambda: http_probe("direct", still=True), lean=True, restored=True, tables=False, rewound=True
    ),
    "direct": Kind(lambda: http_probe("direct"), lean=True, restored=True),
    "lean": Kind(lambda: http_probe("lean"), lean=True, restored=False),
    "full": Kind(lambda: http_probe("full"), lean=False, restored=False),
    "lean, restored": Kind(lambda: http_probe("lean", large=True), lean=True, restored=True),
    "full, restored": Kind(lambda: http_probe("full", large=True), lean=False, restored=True),
}
"""Of each what writes somewhere and goes on, and how it ends: with a whole answer, after which all of its
memory is overwritten or not, or it traps or stops."""
PYTHON = Kind(in_python, lean=False, restored=True, writes="efghmrs", ends=("", "x", "X"), time="3s")
CLIENTS = 64
FIELDS = ("sum", "pages", "elements", "set", "global", "calls", "request", "handle", "file")
BODY = b"123456789"


class Probe(NamedTuple):
    """A server, and what a guest finds that is the first of its server."""

    server: edge.Server
    kind: Kind
    fresh: bytes


@contextmanager
def probing(kind: Kind, folder: Path, **settings: Any) -> Iterator[Probe]:
    """The probe on a server, with what the first guest of another server found."""
    (folder / "file").write_bytes(b"")

    def serve() -> edge.Server:
        return edge.serve(
            kind.component(),
            name="probe",
            address="127.0.0.1:0",
            limits=Limits(timeout=kind.time, memory="64MiB"),
            policy=Policy(dirs=[(folder, "/data", "rw")]),
            queue=10_000,
            wait="30s",
            **settings,
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHERRY_VERIFY_RESETS", "1")
        with serve() as first:
            fresh = ask(first, "ade")
        with serve() as server:
            yield Probe(server, kind, fresh)
            counts = server._native.restored("probe")
    assert (counts is not None) == kind.restored or "reuse" in settings
    if counts is not None:
        assert counts["reset"] > 0 or "reuse" in settings
        assert (counts["rewound"] > 0) == kind.rewound
        assert (counts["different"], counts["lost"]) == (0, 0)


@pytest.fixture(scope="module", params=KINDS)
def probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """The probe in C on one of the hosts."""
    with probing(KINDS[request.param], tmp_path_factory.mktemp("data")) as probe:
        yield probe


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """The probe in Python."""
    with probing(PYTHON, tmp_path_factory.mktemp("data")) as probe:
        yield probe


def target(letters: str, seed: int) -> str:
    """Always as long: where an interpreter puts things depends on it."""
    return f"/{letters:_<12}?{seed:05}"


def ask(server: edge.Server, letters: str, seed: int = 0) -> bytes:
    """The body of an answer, as far as it came; nothing where there is none."""
    try:
        answer = request(server.url + target(letters, seed), "POST", BODY)
    except http.client.IncompleteRead as error:
        return error.partial
    except ConnectionError:
        return b""
    return answer.body if answer.status == 200 else b""


def leave(server: edge.Server, letters: str, seed: int) -> bytes:
    """What comes of a guest that waits for more until its client is gone."""
    host, port = server.address
    head = f"Host: {host}:{port}\r\ncontent-length: {len(BODY)}\r\n\r\n"
    with socket.create_connection((host, port), timeout=30) as connection:
        connection.sendall(f"POST {target(f'a{letters}w', seed)} HTTP/1.1\r\n{head}".encode())
        received = b""
        # The end of the first piece of the body.
        while received.partition(b"\r\n\r\n")[2].count(b"\r\n") < 2:
            if not (piece := connection.recv(65536)):
                return b""
            received += piece
    return received.partition(b"\r\n\r\n")[2].split(b"\r\n")[1]


def client(probe: Probe, seed: int, requests: int) -> list[bytes]:
    """What was found by so many guests of one client."""
    numbers = random.Random(seed)  # noqa: S311 - to be the same each time
    found = []
    for _ in range(requests):
        letters = "".join(numbers.choices(probe.kind.writes, k=numbers.randrange(6)))
        if numbers.random() < 0.2:
            found.append(leave(probe.server, letters, numbers.randrange(10_000)))
            continue
        before = "a" if numbers.random() < 0.8 else ""
        end = numbers.choice(probe.kind.ends) if numbers.random() < 0.97 else "l"
        found.append(ask(probe.server, before + letters + end, numbers.randrange(10_000)))
    return [one.partition(b"\n")[0] for one in found if one]


def found(probe: Probe, requests: int) -> set[bytes]:
    """All that was found by guests of sixty-four clients at once, each with so many requests."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        each = list(pool.map(lambda seed: client(probe, seed, requests), range(CLIENTS)))
    answers = [answer for found in each for answer in found]
    # Where the machine is busy, many have no time left.
    assert len(answers) > CLIENTS // 2
    return set(answers)


def compare(probe: Probe, requests: int) -> None:
    """No guest may find anything."""
    assert found(probe, requests) == {probe.fresh.partition(b"\n")[0]}


def test_no_request_sees_another(probe: Probe) -> None:
    """Nothing of guests that ended, trapped, looped until their time was over, or lost their client."""
    compare(probe, 4)


@pytest.mark.slow
def test_no_request_sees_any_of_thousands(probe: Probe) -> None:
    """The same for long."""
    compare(probe, 100)


@pytest.mark.parametrize("name", KINDS)
def test_the_same_probe_finds_what_is_left_in_an_instance_that_is_used_again(
    name: str, tmp_path: Path
) -> None:
    """With ``reuse = 128`` the next request sees each thing that is written, or it were no probe."""
    kind = KINDS[name]
    with probing(kind, tmp_path, reuse=128, concurrency=1) as probe:
        seen = ask(probe.server, "ae").split()
        for letter, field in [
            ("g", "global"),
            ("m", "pages"),
            ("t", "elements" if kind.tables else "calls"),
            ("n", "handle"),
            ("f", "file"),
        ]:
            ask(probe.server, f"a{letter}e", 7)
            now = ask(probe.server, "ae").split()
            at = FIELDS.index(field)
            assert now[0] != seen[0]
            assert (now[at] != seen[at]) == (field != "file" or not kind.lean), field
            seen = now
    with probing(kind, tmp_path, reuse=128) as probe:
        assert len(found(probe, 4)) > 1


@pytest.mark.slow
def test_no_request_to_an_interpreter_sees_another(python: Probe) -> None:
    """CPython: its objects and where they lie, modules, settings, environment and files."""
    compare(python, 20)


@pytest.mark.slow
@pytest.mark.parametrize("letter", PYTHON.writes)
def test_the_probe_in_python_finds_what_it_changed_itself(python: Probe, letter: str) -> None:
    """All that is written is looked for."""
    without, found = (ask(python.server, f"a{letters}p", 7).splitlines()[1] for letters in ("_", letter))
    assert without != found


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
    if probe.kind.lean:
        changed = changed - {"file"}
    if not probe.kind.tables:
        changed = changed - {"elements", "set"}
    without, found = (ask(probe.server, f"a{letters}pe", 7).splitlines()[1] for letters in ("_", letter))
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
    assert len(sums) == (1 if probe.kind.lean else 5)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    before=st.lists(
        st.tuples(
            st.sampled_from(["a", ""]),
            st.text(KINDS["lean"].writes, max_size=6),
            st.sampled_from(KINDS["lean"].ends),
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
    assert ask(probe.server, "ade") == probe.fresh
