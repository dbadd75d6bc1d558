"""A guest that is one module is told the same, byte for byte, and stopped for the same, as a component."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import GUESTS, beside_another, binary, http_application, http_component, printed
from tests.requesting import request
from wherry import Limits, edge

if TYPE_CHECKING:
    from collections.abc import Iterator

LAST_WRONG = 57
"""The number of the last thing that has to trap; see ``asking.c``."""

SENT = (
    b"POST /0 HTTP/1.1\r\nHost: example.com:80\r\nX-Sent: 1\r\nX-Sent: 2\r\nTE: trailers\r\n"
    b"Connection: close, te\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"14\r\n0123456789abcdefghij\r\n0\r\nx-after: 7\r\n\r\n"
)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[edge.Server, edge.Server]]:
    """The module by itself, and the component."""
    alone = http_component(GUESTS / "http" / "asking.c")
    limits = Limits(memory="32MiB", timeout="500ms", handles=100)
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(edge.serve(program, name="it", address="127.0.0.1:0", limits=limits))
            for program in (alone, beside_another(alone))
        )
        assert first._native.is_direct("it")
        assert not second._native.is_direct("it")
        assert second._native.is_lean("it")
        yield first, second


def told(server: edge.Server) -> bytes:
    """The whole answer, from the end of its head on."""
    with socket.create_connection(server.address, timeout=10) as connection:
        connection.sendall(SENT)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 ")
    return body


def test_every_function_gives_the_same_bytes(servers: tuple[edge.Server, edge.Server]) -> None:
    """Where they are stored, what they hold, which handles they are, and what stays as it was."""
    direct, component = (told(server).splitlines() for server in servers)
    assert len(direct) > 70
    assert direct == component


def test_a_stream_that_failed_says_why(servers: tuple[edge.Server, edge.Server]) -> None:
    """The guest has no answer that can be sent, and would trap if it were told anything else."""
    for server in servers:
        server.failures()
        assert request(f"{server.url}/1").status == 500
        ((failure, _),) = server.failures(5)
        assert "gave no answer" in failure, failure


@pytest.mark.parametrize("number", range(2, LAST_WRONG + 1))
def test_what_traps_in_a_component_traps_in_a_module(
    servers: tuple[edge.Server, edge.Server], number: int
) -> None:
    """Handles that are none, places outside of memory, values that are none of their type."""
    assert [request(f"{server.url}/{number}").status for server in servers] == [500, 500]


def test_what_does_nothing_wrong_is_answered(servers: tuple[edge.Server, edge.Server]) -> None:
    """The same guest with a number that nothing wrong is behind; so it is that which traps."""
    assert [request(f"{server.url}/{LAST_WRONG + 1}").status for server in servers] == [201, 201]


@pytest.mark.parametrize("number", range(9))
def test_an_error_code_in_place_of_an_answer_is_none(
    servers: tuple[edge.Server, edge.Server], number: int
) -> None:
    """Each form of it is read as what it is."""
    assert [request(f"{server.url}/{1000 + number}").status for server in servers] == [500, 500]


def swapped(text: str) -> str:
    """The component with two functions in each other's place in its table."""
    types = dict(re.findall(r'\(import "" "(\d+)" \(func \(;\d+;\) \(type (\d+)\)', text))
    first, second = next(
        (one, two) for one, two in combinations(types, 2) if types[one] == types[two] and one != "0"
    )
    found = re.search(r"\(elem \(;0;\) \(i32\.const 0\) func ([\d ]+)\)", text)
    assert found is not None
    places = {first: second, second: first}
    order = " ".join(places.get(number, number) for number in found[1].split())
    return text[: found.start(1)] + order + text[found.end(1) :]


def test_a_module_is_linked_by_what_the_component_says_and_not_by_names() -> None:
    """A function that the component puts in the place of another one is called in its place."""
    text = printed(http_component(GUESTS / "http" / "asking.c"))
    for component, status in ((binary(text), 201), (binary(swapped(text)), 500)):
        with edge.serve(component, name="it", address="127.0.0.1:0") as server:
            assert server._native.is_direct("it")
            assert request(f"{server.url}/0").status == status


def from_two_places(text: str) -> str:
    """The component as later tools write it: what fills its table has that from where it is made."""
    for was, now in [
        (r'\(import "" "\$imports"', '(import "shim" "$imports"'),
        (r'\(import "" "(\d+)"', r'(import "actual" "\1"'),
        (r'\n[^\n]*\(export "\$imports" \(table \$"shim table"\)\)', ""),
        (
            r'\(with "" \(instance \$fixup-args\)\)',
            '(with "actual" (instance $fixup-args)) (with "shim" (instance $wit-component-shim-instance))',
        ),
    ]:
        text, count = re.subn(was, now, text)
        assert count
    return text


def test_what_a_table_is_filled_with_may_come_from_several_places() -> None:
    """It is the component that says which."""
    component = from_two_places(printed(http_component(GUESTS / "http" / "asking.c")))
    with edge.serve(binary(component), name="it", address="127.0.0.1:0") as server:
        assert server._native.is_direct("it")
        assert request(f"{server.url}/0").status == 201


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        (r"i32\.const 1\n(\s+call_indirect)", r"i32.const 0\n\1"),
        (r"local\.get 1\n(\s+local\.get 2\n\s+i32\.const \d+\n\s+call_indirect)", r"local.get 0\n\1"),
        (r"(\(memory \(;0;\)) \d+\)", r"\1 513)"),
        (r'(\(export "memory")', r'(export "again" (memory 0))\n \1'),
    ],
    ids=["another place", "other arguments", "a large memory", "no more than another name"],
)
def test_a_module_between_that_does_more_than_connect_stays(said: str, instead: str) -> None:
    """Such a component is served as it is; the last one is no different from what it was."""
    text = printed(http_component(GUESTS / "http" / "asking.c"))
    changed, count = re.subn(said, instead, text, count=1)
    assert count == 1
    with edge.serve(binary(changed), name="it", address="127.0.0.1:0") as server:
        assert server._native.is_lean("it")
        assert server._native.is_direct("it") == ("again" in instead)


def test_a_component_of_one_module_is_instantiated_as_that() -> None:
    """One with a C library, which is called first, too; not one that imports more than HTTP."""
    for host in ("direct", "lean", "full"):
        with edge.serve(http_application(host), name="it", address="127.0.0.1:0") as server:
            assert server._native.is_direct("it") == (host == "direct")
