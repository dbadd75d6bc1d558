"""Requests of applications to those on the same server: what is granted is answered without the network."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import pytest

from tests.edge.collecting import collecting
from tests.edge.test_observe import CGI, until
from tests.guests.build import GUESTS, c_command, http_application, project
from tests.hostile.servers import Web, serving
from tests.requesting import Answer, echoed_as_it_comes, request
from wherry import Limits, Policy, edge
from wherry.edge import Application, ApplicationSettings, Log, Traces

if TYPE_CHECKING:
    from collections.abc import Iterator

ANYWHERE = "127.0.0.1:0"
PROJECTS = Path(__file__).with_name("languages")
SLOW = pytest.mark.slow
HERE = "http://127.0.0.1:*"
"""Grants the server's own address, whichever port it gets."""


def application(name: str, source: Path, *granted: str, **how: Any) -> Application:
    """One that has all hosts of its name, and all paths below it; limits and reuse are said."""
    reuse = {key: how.pop(key) for key in ("reuse", "instance_concurrency") if key in how}
    return Application(
        source,
        policy=Policy(http=list(granted)),
        limits=Limits(**{"timeout": "5s", "memory": "64MiB", **how}),
        settings=ApplicationSettings(
            name=name, routes=(f"{name}.test/*rest", f"*.{name}.test/*rest", f"/{name}/*rest"), **reuse
        ),
    )


def called(server: edge.Server, url: str, by: str = "relay", **how: object) -> Answer:
    """What a relay is answered when it is told to ask for this."""
    return request(f"{server.url}/{by}/?url={quote(url, safe='')}", **how)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def relay() -> Path:
    """Sends on what it is asked."""
    return project("relaying", "c", GUESTS / "http" / "relaying")


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that answers as CGI, with what it was told of who asks."""
    source = tmp_path_factory.mktemp("cgi") / "telling.c"
    source.write_text(CGI)
    return c_command("telling", source=source)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of files."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("home")
    return tmp_path / "site"


class Beside(NamedTuple):
    """A server with a relay and others beside it."""

    server: edge.Server
    log: Path

    def lines(self) -> list[tuple[str, str, int]]:
        """Who was asked for what, and what the status was."""
        told = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [
            (line["application"] or "", line["target"].partition("?")[0], line["status"]) for line in told
        ]


@pytest.fixture
def beside(relay: Path, command: Path, site: Path, tmp_path: Path) -> Iterator[Beside]:
    """Applications of several kinds; the relay may ask all of them but one."""
    log = tmp_path / "access.log"
    granted = [
        HERE,
        *(f"http://{name}.test" for name in ("direct", "full", "cgi", "files", "relay", "eu.full")),
    ]
    each = [
        application("relay", relay, *granted),
        application("direct", http_application("direct")),
        application("full", http_application("full")),
        application("cgi", command),
        application("files", site),
        application("other", http_application("full")),
    ]
    with edge.serve(each, address=ANYWHERE, log=Log(file=str(log)), trusted_proxies=("127.0.0.1",)) as server:
        yield Beside(server, log)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://direct.test/direct", ""),
        ("http://full.test/", "Hello, World!"),
        ("http://eu.full.test/", "Hello, World!"),
        ("http://files.test/", "home"),
        ("{own}/files/", "home"),
    ],
)
def test_a_granted_call_takes_no_connection(beside: Beside, url: str, text: str) -> None:
    """Whatever answers, by a host of its routes or by the server's address; no such host exists."""
    server = beside.server
    answer = called(server, url.format(own=server.url))
    assert (answer.status, answer.text) == (200, text)
    assert server.statistics()["connections"] == 1
    until(lambda: len(beside.lines()) == 2)
    name = "files" if "files" in url else url.removeprefix("http://").removeprefix("eu.").partition(".")[0]
    assert {(line[0], line[2]) for line in beside.lines()} == {(name, 200), ("relay", 200)}
    assert [server.statistics(one)["requests"] for one in (name, "relay")] == [1, 1]


def test_a_command_is_told_of_a_call(beside: Beside) -> None:
    """Its client is this machine, and nobody's port; what a guest says of that is not a proxy's word."""
    answer = request(f"{beside.server.url}/relay/?url=http://cgi.test/&fill=1")
    told = dict(line.split("=", 1) for line in answer.text.splitlines())
    assert told["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert (told["REMOTE_ADDR"], told["REMOTE_PORT"], told["SERVER_NAME"]) == ("127.0.0.1", "", "cgi.test")


@pytest.mark.parametrize("url", ["http://other.test/", "http://other.test:80/", "http://OTHER.test./x"])
def test_what_is_not_granted_is_refused(beside: Beside, url: str) -> None:
    """Though it is on the same server."""
    answer = called(beside.server, url)
    assert (answer.status, answer.text) == (502, "HTTP-request-denied")
    assert beside.server.statistics("other")["requests"] == 0


@pytest.mark.parametrize(("granted", "here"), [("http://*:*", False), ("http://*.test", True)])
def test_a_grant_of_every_public_host_does_not_reach_inside(relay: Path, granted: str, *, here: bool) -> None:
    """An application may be there for nobody outside: who asks it has to be granted its host by name."""
    each = [application("relay", relay, granted), application("full", http_application("full"))]
    with edge.serve(each, address=ANYWHERE) as server:
        for url in ("http://full.test/", f"{server.url}/full/"):
            called(server, url)
        assert server.statistics("full")["requests"] == int(here)


def test_another_port_is_somebody_else(relay: Path) -> None:
    """A host of the routes is here at the port where it is served, and nowhere else."""
    with serving(Web()) as web:
        routes = ("localhost/*rest", "/*rest")
        granted = Policy(http=["http://localhost:*"])
        both = [
            Application(
                relay, policy=granted, settings=ApplicationSettings(name="one", routes=("/relay/*rest",))
            ),
            Application(http_application("full"), settings=ApplicationSettings(name="two", routes=routes)),
        ]
        with edge.serve(both, address=ANYWHERE) as server:
            port = server.address[1]
            assert called(server, f"http://localhost:{port}/").text == "Hello, World!"
            assert called(server, "http://localhost/").text == "Hello, World!"
            assert web.connections == 0
            assert called(server, f"http://localhost:{web.port}/").text.startswith("GET / localhost")
            assert web.connections == 1


def test_a_host_that_a_package_names_is_not_its_own(relay: Path, tmp_path: Path) -> None:
    """Its manifest may name any: what others send there goes to the network, unless who serves it says so."""
    for name in ("src", "wherry.toml"):
        (tmp_path / name).symlink_to(GUESTS / "http" / "relaying" / name)
    manifest = (GUESTS / "http" / "relaying" / "wherry.toml").read_text()
    (tmp_path / "wherry.toml").unlink()
    (tmp_path / "wherry.toml").write_text(manifest + '\nroutes = ["localhost/*rest"]\n')
    for routes, here in [((), False), (("localhost/*rest",), True)]:
        thief = Application(
            tmp_path, policy=Policy(), settings=ApplicationSettings(name="thief", routes=routes)
        )
        asking = application("relay", relay, "http://localhost")
        with edge.serve([asking, thief], address=ANYWHERE) as server:
            called(server, "http://localhost/?url=x")
            assert server.statistics("thief")["requests"] == int(here)


def test_bodies_go_both_ways(beside: Beside) -> None:
    """As they come, and whole."""
    server = beside.server
    for name in ("direct", "full"):
        answer = called(server, f"http://{name}.test/echo", method="POST", body=b"x" * 50_000)
        assert (answer.status, answer.body) == (200, b"x" * 50_000)
        assert server.statistics(name)["received"] == 50_000
    head = called(server, "http://full.test/", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert called(server, "http://full.test/teapot").status == 418
    assert called(server, "http://full.test/trap").status == 500
    # Half an answer is never taken for a whole one.
    assert called(server, "http://full.test/short").status in (200, 500)
    assert server.statistics()["connections"] == 6


def test_nobody_runs_ahead(relay: Path) -> None:
    """Megabytes go through two guests, of which none holds more than pieces of them."""
    with serving(Web()) as web:
        base = f"http://127.0.0.1:{web.port}"
        each = [
            application("relay", relay, "http://last.test", memory="18MiB"),
            application("last", relay, base, memory="18MiB"),
        ]
        with edge.serve(each, address=ANYWHERE) as server:
            to = f"http://last.test/?url={quote(base + '/sent', safe='')}"
            assert called(server, to, method="POST", body=b"x" * 8_000_000).text.endswith(" 8000000")
            large = f"http://last.test/?url={quote(base + '/bytes/8000000', safe='')}"
            assert len(called(server, large).body) == 8_000_000
            # Of an answer that is left unread the rest is never made.
            part = request(f"{server.url}/relay/?url={quote(large, safe='')}&read=1000")
            assert len(part.body) == 1000
            until(lambda: server.statistics()["active"] == 0)
            assert server.statistics("last")["sent"] < 12_000_000


@pytest.fixture(scope="session")
def relay_03() -> Path:
    """Sends on what it is asked while it comes; a guest of WASI 0.3."""
    return project("relaying_03", "rust", GUESTS / "http" / "relaying_03")


@SLOW
@pytest.mark.parametrize("reuse", [{}, {"reuse": 100, "instance_concurrency": 10}], ids=["fresh", "shared"])
class TestRelay03:
    """A guest that sends and receives at once, whose instances are its own or shared."""

    def test_bodies_come_back_as_they_go(self, relay_03: Path, reuse: dict[str, int]) -> None:
        """A client has each piece of its body back before it sends the next, by way of any guest."""
        each = [
            application(
                "relay", relay_03, "http://direct.test", "http://full.test", "http://relay.test", **reuse
            ),
            application("direct", http_application("direct")),
            application("full", http_application("full")),
        ]
        with edge.serve(each, address=ANYWHERE) as server:
            for url in (
                "direct.test/echo",
                "full.test/echo",
                "relay.test/echo",
                "relay.test/?url=http://direct.test/echo",
            ):
                with closing(http.client.HTTPConnection(*server.address, timeout=10)) as connection:
                    echoed_as_it_comes(connection, f"/relay/?url=http://{url}")
            large = b"0123456789" * 500_000
            assert request(f"{server.url}/relay/?url=http://direct.test/echo", "POST", large).body == large
            assert server.statistics()["connections"] == 5

    def test_trailers_go_both_ways(self, relay_03: Path, reuse: dict[str, int]) -> None:
        """Those of the request reach who answers it, and those of the answer come back."""
        each = [
            application("relay", relay_03, "http://last.test", **reuse),
            application("last", relay_03, **reuse),
        ]
        with (
            edge.serve(each, address=ANYWHERE) as server,
            socket.create_connection(server.address, 10) as connection,
        ):
            connection.sendall(
                b"POST /relay/?url=http://last.test/echo HTTP/1.1\r\nhost: x\r\nte: trailers\r\n"
                b"connection: close\r\ntrailer: x-sent\r\ntransfer-encoding: chunked\r\n\r\n"
                b"4\r\nbody\r\n0\r\nx-sent: 7\r\n\r\n"
            )
            received = b""
            while piece := connection.recv(65536):
                received += piece
            assert b"body" in received
            assert received.endswith(b"x-sent: 7\r\n\r\n")

    def test_a_circle_comes_to_an_end(self, relay_03: Path, reuse: dict[str, int]) -> None:
        """Though an instance may be at several requests at once."""
        with edge.serve(
            [application("relay", relay_03, "http://relay.test", **reuse)], address=ANYWHERE
        ) as server:
            ring = "?url=http://relay.test/"
            statuses = [
                request(f"{server.url}/relay/{ring * deep}echo", "POST", b"x").status
                for deep in (1, 8, 9, 20)
            ]
            assert statuses == [200, 200, 508, 508]


def test_a_circle_comes_to_an_end(relay: Path) -> None:
    """At the depth that is set, and what is not as deep is answered."""
    each = [application("relay", relay, HERE), application("full", http_application("full"))]
    with edge.serve(each, address=ANYWHERE, call_depth=3) as server:
        url = f"{server.url}/full/x"
        for depth in range(1, 5):
            answer = request(url if depth == 0 else f"{server.url}/relay/?url={quote(url, safe='')}")
            assert answer.status == (200 if depth <= 3 else 508), depth
            url = f"{server.url}/relay/?url={quote(url, safe='')}"
        before = server.statistics("relay")["requests"]
        assert request(f"{server.url}/relay/?self={server.url}/relay/").status == 508
        assert server.statistics("relay")["requests"] - before == 5
        assert any("call-depth = 3" in failure.text for failure in server.failures(timeout=5))
        until(lambda: server.statistics()["active"] == 0)
        assert server.statistics()["connections"] == 5


def test_who_goes_takes_the_called_one_along(relay: Path) -> None:
    """A client that goes away ends its guest, and that whom it asked."""
    with serving(Web()) as web:
        base = f"http://127.0.0.1:{web.port}"
        each = [application("relay", relay, "http://last.test"), application("last", relay, base)]
        with edge.serve(each, address=ANYWHERE) as server:
            url = f"http://last.test/?url={quote(base + '/late', safe='')}"
            with pytest.raises(TimeoutError):
                called(server, url, timeout=0.5)
            until(lambda: server.statistics()["active"] == 0)
            assert server.statistics("last")["requests"] == 1
            assert server.failures() == []


def test_a_head_is_no_larger_than_others_may_be(relay: Path) -> None:
    """Fields that no client could send are refused to a guest, too."""
    each = [
        application("relay", relay, "http://full.test", memory="512MiB"),
        application("full", http_application("full")),
    ]
    with edge.serve(each, address=ANYWHERE) as server:
        url = f"{server.url}/relay/?url=http://full.test/&fill="
        assert [request(f"{url}{count}").status for count in (7, 9)] == [200, 431]


def test_limits_of_both_hold(relay: Path, tmp_path: Path) -> None:
    """Those of who asks, on requests and bytes; and those of who answers, on time and size."""
    log = tmp_path / "log"
    full = http_application("full")
    answers = application("full", full, timeout="300ms")
    narrow = Application(
        full, settings=ApplicationSettings(name="narrow", routes=("narrow.test/*rest",), max_request="10")
    )
    asking = [
        application("relay", relay, "http://full.test", "http://narrow.test", HERE),
        application("poor", relay, "http://full.test", transfer="1000"),
        application("none", relay, "http://full.test", outgoing="0"),
    ]
    with edge.serve([*asking, answers, narrow], address=ANYWHERE, log=Log(file=str(log))) as server:
        assert called(server, "http://full.test/loop").status == 504
        assert called(server, "http://narrow.test/echo", method="POST", body=b"x" * 11).status == 413
        assert called(server, "http://narrow.test/echo", method="POST", body=b"x" * 10).status == 200
        assert called(server, "http://full.test/", by="none").text == "connection-limit-reached"
        echo = "http://full.test/echo"
        assert called(server, echo, by="poor", method="POST", body=b"x" * 300).body == b"x" * 300
        assert called(server, echo, by="poor", method="POST", body=b"x" * 2000).status == 502


def test_those_who_hold_all_places_do_not_wait_for_each_other(relay: Path) -> None:
    """A call that finds no place on the server is refused at once."""
    each = [application("relay", relay, HERE), application("full", http_application("full"))]
    with edge.serve(each, address=ANYWHERE, total_concurrency=1) as server:
        answers: list[int] = []
        asking = threading.Thread(
            target=lambda: answers.append(called(server, f"{server.url}/full/", timeout=5).status)
        )
        asking.start()
        asking.join(5)
        assert answers == [503]
        assert server.statistics("full")["busy"] == 1


@pytest.mark.parametrize("reuse", [1, 8])
@pytest.mark.parametrize("caller", ["relay", pytest.param("rust_03", marks=SLOW)])
def test_a_call_is_part_of_the_trace(caller: str, relay: Path, reuse: int) -> None:
    """The span of the one that answers comes from that of the request, and that from the guest's."""
    guest = relay if caller == "relay" else project("application_rust_03", "rust", PROJECTS / "rust_03")
    policy = Policy(http=["http://full.test"])
    settings = ApplicationSettings(name="asking", routes=("/*rest",), reuse=reuse)
    each = [
        Application(guest, policy=policy, settings=settings),
        application("full", http_application("full")),
    ]
    with (
        collecting() as collected,
        edge.serve(each, address=ANYWHERE, traces=Traces(endpoint=collected.url)) as server,
    ):
        for _ in range(2):
            assert request(f"{server.url}/fetch?url=http://full.test/").text == "Hello, World!"
        assert server.statistics()["connections"] == 2
        server.stop()
    spans = {span.span_id: span for span in collected.spans}
    answering = [span for span in spans.values() if span.name == "GET full.test/*rest"]
    assert len(answering) == 2
    for span in answering:
        sending = spans[span.parent_span_id]
        assert sending.kind == sending.SPAN_KIND_CLIENT
        running = spans[sending.parent_span_id]
        assert (running.name, spans[running.parent_span_id].name) == ("guest", "GET /*rest")
        assert len({one.trace_id for one in (span, sending, running)}) == 1
