"""Each limit has its status, says nothing of the inside, and leaves the server as it was."""

from __future__ import annotations

import http.client
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest

from tests.edge.conftest import HOSTS
from tests.guests.build import http_application, text
from tests.requesting import request
from wherry import Limits, NoSuchExportError, UsageError, edge


@pytest.mark.parametrize(
    ("path", "status", "counter"),
    [
        pytest.param("/loop", 504, "late", id="time"),
        pytest.param("/greedy", 500, "failed", id="memory"),
        pytest.param("/trap", 500, "failed", id="trap"),
        pytest.param("/silent", 500, "failed", id="no answer"),
        pytest.param("/informational", 500, "failed", id="no final status"),
    ],
)
def test_a_guest_that_fails_is_an_error_with_a_number(
    server: edge.Server, path: str, status: int, counter: str
) -> None:
    """The number is in the answer and in what is kept for the operator; the reason is in the latter alone."""
    server.failures()
    before = server.statistics()[counter]
    answer = request(server.url + path)
    assert answer.status == status
    assert re.fullmatch(rf"{status} [\w ]+\n", answer.text)
    assert server.statistics()[counter] == before + 1
    ((failure, _),) = server.failures(5)
    assert failure.startswith(answer.fields["x-request-id"] + " ")
    assert request(server.url).text == "Hello, World!"


def test_memory_that_no_guest_can_begin_in_is_refused_at_the_start() -> None:
    """The error has what it takes, with which it is served."""
    program = http_application("lean")
    with pytest.raises(UsageError, match="memory") as refused:
        edge.serve(program, address="127.0.0.1:0", limits=Limits(memory="64KiB"))
    found = re.search(r"--memory (\w+)", str(refused.value.hint))
    assert found is not None
    with edge.serve(program, address="127.0.0.1:0", limits=Limits(memory=found[1])) as server:
        assert request(server.url).status == 200


@pytest.mark.parametrize("host", HOSTS)
def test_fuel_is_counted_for_each_request(host: Literal["lean", "full", "tasks"]) -> None:
    """One guest after the other has all of it; what loops runs out before its time is over."""
    limits = Limits(fuel="50M", timeout="20s")
    with edge.serve(http_application(host), address="127.0.0.1:0", limits=limits) as server:
        for _ in range(3):
            assert request(server.url).text == "Hello, World!"
            assert request(f"{server.url}/loop").status == 500
            ((failure, _),) = server.failures(5)
            assert "fuel" in failure


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_a_body_that_is_too_large_is_refused(server: edge.Server, *, chunked: bool) -> None:
    """One at the limit passes, one byte more is 413."""
    most = 16 << 20
    for size, status in [(most, 200), (most + 1, 413)]:
        whole = bytes(size)
        path = "/echo" if chunked else "/tell"
        try:
            answer = request(server.url + path, "POST", iter([whole]) if chunked else whole)
        except (http.client.IncompleteRead, ConnectionError):
            # What was echoed already cannot be taken back: the answer breaks off.
            assert chunked
            assert status == 413
            continue
        assert answer.status == status


@pytest.mark.parametrize("host", ["lean", "full", "tasks"])
def test_an_answer_that_is_too_large_is_none(host: Literal["lean", "full", "tasks"]) -> None:
    """One at the limit passes; a longer one is an error, or breaks off where some of it was sent."""
    with edge.serve(http_application(host), address="127.0.0.1:0", max_response="1MiB") as server:

        def echo(size: int) -> int:
            return len(request(f"{server.url}/echo", "POST", iter([bytes(size)])).body)

        assert echo(1 << 20) == 1 << 20
        with pytest.raises(http.client.IncompleteRead):
            echo((1 << 20) + 1)
        ((failure, _),) = server.failures(5)
        assert "max-response" in failure
        assert request(server.url).status == 200
    with edge.serve(http_application(host), address="127.0.0.1:0", max_response="12") as server:
        answer = request(server.url)
        assert answer.status == 500
        ((failure, _),) = server.failures(5)
        assert failure.startswith(answer.fields["x-request-id"])
        assert "max-response" in failure


def test_too_many_at_once_wait_and_then_are_turned_away() -> None:
    """One is answered, one waits, and the others are told to come later."""
    with edge.serve(
        http_application("full"),
        address="127.0.0.1:0",
        concurrency=1,
        queue=1,
        wait="20s",
    ) as server:
        # Each holds its place for 0.3 s.
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: request(f"{server.url}/sleep"), range(6)))
        statuses = sorted(answer.status for answer in answers)
        assert statuses[:2] == [200, 200]
        assert statuses[-1] == 503
        for answer in answers:
            assert (answer.status == 503) == (answer.fields.get("retry-after") == "1")
        assert server.statistics()["busy"] == statuses.count(503)
        assert request(server.url).status == 200


def test_a_wait_that_is_too_long_ends() -> None:
    """Who waits is turned away when the time is over."""
    with edge.serve(http_application("full"), address="127.0.0.1:0", concurrency=1, wait="50ms") as server:
        holding = threading.Thread(target=request, args=(f"{server.url}/sleep",))
        holding.start()
        while server.statistics()["active"] == 0 and holding.is_alive():
            threading.Event().wait(0.005)
        assert request(f"{server.url}/").status in {200, 503}
        holding.join()
        assert server.statistics()["waiting"] == 0


def test_looping_guests_leave_time_for_others(server: edge.Server) -> None:
    """A guest that computes gives way, on the thread of all of them."""
    with ThreadPoolExecutor(4) as pool:
        looping = [pool.submit(request, f"{server.url}/loop") for _ in range(3)]
        while server.statistics()["active"] < 3:
            threading.Event().wait(0.005)
        assert request(server.url).text == "Hello, World!"
        assert not all(one.done() for one in looping)
        assert [one.result().status for one in looping] == [504, 504, 504]


def test_what_follows_an_answer_does_not_hold_it_up(server: edge.Server) -> None:
    """The answer is there while its guest still runs; its time ends it."""
    before = server.statistics()["late"]
    assert request(f"{server.url}/after").text == "done"
    while server.statistics()["late"] == before:
        threading.Event().wait(0.01)


def test_what_answers_no_requests_is_not_served() -> None:
    """The error says what an application exports."""
    with pytest.raises(NoSuchExportError, match="answers no HTTP requests") as caught:
        edge.serve(text("add"), address="127.0.0.1:0")
    assert "wasi:http/incoming-handler" in str(caught.value.hint)


@pytest.mark.parametrize(
    "address", ["nowhere", "127.0.0.1", "127.0.0.1:99999", "example.com:80", "192.0.2.1:80"]
)
def test_an_address_that_cannot_be_is_refused(address: str) -> None:
    """With what an address looks like."""
    with pytest.raises(UsageError) as caught:
        edge.serve(http_application("lean"), address=address, limits=Limits(timeout="1s"))
    assert caught.value.hint
