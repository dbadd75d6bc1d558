"""What guests ask of others: connections are used again, by guests of one application and by nobody else."""

from __future__ import annotations

import socketserver
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

import pytest
import trustme

from tests.edge.served import serving as served_apart
from tests.guests.build import GUESTS, project
from tests.hostile.servers import Multiplexed, Web, serving
from tests.requesting import Answer, request
from wherry import Limits, Policy, edge
from wherry.edge import Application, ApplicationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECTS = Path(__file__).with_name("languages")
ANYWHERE = "127.0.0.1:0"
LANGUAGES = ["c", pytest.param("rust_03", marks=pytest.mark.slow)]


@pytest.fixture(scope="session")
def relay() -> Path:
    """Sends on what it is asked; a guest of WASI 0.2."""
    return project("relaying", "c", GUESTS / "http" / "relaying")


@pytest.fixture
def web() -> Iterator[Web]:
    """Who is asked in the end."""
    with serving(Web()) as server:
        yield server


@pytest.fixture
def ask(relay: Path, web: Web) -> Iterator[Callable[..., Answer]]:
    """Has a guest ask for a path of that one."""
    base = f"http://127.0.0.1:{web.port}"
    with edge.serve(relay, address=ANYWHERE, policy=Policy(http=[base])) as server:
        yield lambda path, read="", **how: request(relayed(server.url, base + path, read), **how)


def relayed(server: str, url: str, read: str = "") -> str:
    """The URL of a relay's that stands for another one."""
    return f"{server}/?url={quote(url, safe='')}" + (f"&read={read}" if read else "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_hundred_requests_take_one_connection(language: str, web: Web) -> None:
    """Though each is that of another guest; and each gets the answer to what it asked."""
    component = project(f"application_{language}", language.partition("_")[0], PROJECTS / language)  # type: ignore[arg-type]
    base = f"http://127.0.0.1:{web.port}"
    with edge.serve(component, address=ANYWHERE, policy=Policy(http=[f"{base}/some"])) as server:
        for number in range(100):
            answer = request(f"{server.url}/fetch?url={base}/some/{number}")
            assert (answer.status, answer.text) == (200, f"GET /some/{number} 127.0.0.1:{web.port} 0")
        # Rarely a request comes before the connection of the last one is back.
        assert (web.connections < 5, len(web.requests)) == (True, 100)
        refused = request(f"{server.url}/fetch?url={base}/other")
        assert (refused.status, len(web.requests)) == (502, 100)
        assert "denied" in refused.text.lower()


def test_bodies_go_both_ways_over_one_connection(ask: Callable[..., Answer], web: Web) -> None:
    """One after the other; what was sent of one is not what another one sends."""
    for size in (5, 100_000, 0, 1):
        answer = ask(f"/{size}", method="POST", body=b"x" * size)
        assert answer.text == f"POST /{size} 127.0.0.1:{web.port} {size}"
    assert web.connections == 1


def test_each_gets_its_own_answer(ask: Callable[..., Answer], web: Web) -> None:
    """Of many at once, over about as many connections as there are requests at once."""
    with ThreadPoolExecutor(8) as pool:
        sizes = [1_000 + number for number in range(200)]
        answers = pool.map(lambda size: ask(f"/bytes/{size}"), sizes)
        assert [len(answer.body) for answer in answers] == sizes
    assert 1 <= web.connections <= 16


def test_what_is_not_read_to_its_end_is_not_used_again(ask: Callable[..., Answer], web: Web) -> None:
    """A guest that ends in the middle of an answer leaves nothing of it to the next one."""
    for number in range(3):
        assert ask("/bytes/1000000", read="10").body == b"x" * 10
        assert ask(f"/{number}").text == f"GET /{number} 127.0.0.1:{web.port} 0"
    assert web.connections == 4
    # What is read to its last byte is, though nobody asked whether more comes.
    for _ in range(3):
        assert ask("/bytes/10", read="10").body == b"x" * 10
    assert web.connections == 4


def test_a_client_that_goes_takes_the_connection_with_it(ask: Callable[..., Answer], web: Web) -> None:
    """As its guest ends with it."""
    with suppress(TimeoutError):
        ask("/pause", timeout=0.3)
    assert ask("/after").text.startswith("GET /after")
    assert web.connections == 2


def test_times_hold_on_a_connection_that_was_used(relay: Path, web: Web) -> None:
    """For the first byte, and between two; the connection is not used again then."""
    base = f"http://127.0.0.1:{web.port}"
    limits = Limits(first_byte_timeout="200ms", between_bytes_timeout="200ms")
    with edge.serve(relay, address=ANYWHERE, policy=Policy(http=[base]), limits=limits) as server:
        for path, text in [("/late", "connection-read-timeout"), ("/pause", "12345")]:
            before = web.connections
            assert request(relayed(server.url, f"{base}/1")).status == 200
            assert request(relayed(server.url, base + path)).text == text
            assert request(relayed(server.url, f"{base}/2")).status == 200
            assert web.connections - before <= 2
    assert web.connections == 3


@pytest.mark.parametrize("path", ["/last", "/unsaid"])
def test_a_connection_that_is_closed_is_not_used_again(
    ask: Callable[..., Answer], web: Web, path: str
) -> None:
    """Whether the server said so or not."""
    for _ in range(5):
        assert ask(path).status == 200
        assert ask(path).status == 200
    assert web.connections == 10


class Fickle(socketserver.BaseRequestHandler):
    """Answers the first request of a connection, and closes when it has the second."""

    heard: ClassVar[list[bytes]] = []
    beside: ClassVar[bytes] = b""
    """What it says after the answer, and nobody asked for."""

    def handle(self) -> None:
        """Two requests."""
        self.heard.append(self.request.recv(65536))
        self.request.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst" + self.beside)
        with suppress(OSError):
            self.heard.append(self.request.recv(65536))


class Meddling(Fickle):
    """Answers a request that nobody sent, too."""

    beside = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nmeddling"


@pytest.fixture
def fickle(request: pytest.FixtureRequest, relay: Path) -> Iterator[Callable[..., Answer]]:
    """Asks such a server."""
    handler = getattr(request, "param", Fickle)
    handler.heard.clear()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        with serving(server):
            base = f"http://127.0.0.1:{server.server_address[1]}"
            with edge.serve(relay, address=ANYWHERE, policy=Policy(http=[base])) as running:
                yield lambda **how: request_of(running.url, base, **how)


def request_of(server: str, base: str, **how: object) -> Answer:
    """One request by way of the relay."""
    return request(relayed(server, f"{base}/"), **how)  # type: ignore[arg-type]


def test_what_was_lost_is_sent_again_where_that_does_no_harm(fickle: Callable[..., Answer]) -> None:
    """A GET that nobody answered is, once, on a new connection; a POST may have been done."""
    assert [fickle().text for _ in range(4)] == ["first"] * 4
    heard = [line for line in Fickle.heard if line]
    assert len(heard) == 7, "three of four came twice"
    answer = fickle(method="POST", body=b"x")
    assert (answer.status, len([line for line in Fickle.heard if line])) == (502, 8)


@pytest.mark.parametrize("fickle", [Meddling], indirect=True)
def test_an_answer_that_nobody_asked_for_reaches_nobody(fickle: Callable[..., Answer]) -> None:
    """Its connection is not used again."""
    assert [fickle().text for _ in range(5)] == ["first"] * 5


def test_only_so_many_connections_wait(relay: Path) -> None:
    """Of forty that were needed at once, thirty-two are kept, and those are used again."""
    everybody, closed, opened = threading.Barrier(40, timeout=20), threading.Semaphore(0), []

    class Gathering(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            opened.append(self)
            while self.request.recv(65536):
                everybody.wait()
                self.request.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            closed.release()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Gathering) as server:
        server.daemon_threads, server.request_queue_size = True, 64
        with serving(server), ThreadPoolExecutor(40) as pool:
            base = f"http://127.0.0.1:{server.server_address[1]}"
            with edge.serve(relay, address=ANYWHERE, policy=Policy(http=[base])) as running:
                url = relayed(running.url, f"{base}/")
                for connections in (40, 48):
                    assert {answer.text for answer in pool.map(request, [url] * 40)} == {"ok"}
                    assert len(opened) == connections
                    assert all(closed.acquire(timeout=10) for _ in range(8))
                    assert not closed.acquire(timeout=0.1)


def test_applications_share_nothing(relay: Path, web: Web) -> None:
    """Two applications with the same program and the same policy have a connection each."""
    base = f"http://127.0.0.1:{web.port}"
    both = [
        Application(
            relay,
            policy=Policy(http=[base]),
            settings=ApplicationSettings(name=name, routes=(f"/{name}/*rest",)),
        )
        for name in ("one", "two")
    ]
    with edge.serve(both, address=ANYWHERE) as server:
        for _ in range(3):
            for name in ("one", "two"):
                assert request(relayed(f"{server.url}/{name}", f"{base}/{name}")).status == 200
        assert web.connections == 2
        server.reload()
        assert request(relayed(f"{server.url}/one", f"{base}/one")).status == 200
        assert web.connections == 3, "what is loaded anew may be granted something else"


def test_bytes_are_counted_for_each_request(relay: Path, web: Web) -> None:
    """To the last one, whether its connection is new or not: what others sent before counts for nobody."""
    base = f"http://127.0.0.1:{web.port}"
    size = len(f"GET /bytes/5000 HTTP/1.1\r\nhost: 127.0.0.1:{web.port}\r\n\r\n")
    size += len("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n") + 5000
    for limit, whole in [(size, True), (size - 1, False)]:
        limits = Limits(transfer=str(limit))
        with edge.serve(relay, address=ANYWHERE, policy=Policy(http=[base]), limits=limits) as server:
            url = relayed(server.url, f"{base}/bytes/5000")
            before = web.connections
            for _ in range(3):
                assert (len(request(url).body) == 5000) == whole
            assert web.connections - before == (1 if whole else 3)


class TestSecure:
    """Over TLS, with a certificate that the server trusts: it reads those once, in a process of its own."""

    @pytest.fixture
    def secured(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
        """TLS for ``localhost``."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "authority.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        return context

    def test_requests_at_once_share_a_connection_of_http_2(
        self, relay: Path, secured: ssl.SSLContext
    ) -> None:
        """Each of them has its answer, in whichever order these come, and nobody waits for another one."""
        with serving(Multiplexed(secured, together=8)) as server:
            base = f"https://localhost:{server.port}"
            with served_apart(relay, "--allow-http", base) as running, ThreadPoolExecutor(8) as pool:
                for turn in range(3):
                    urls = [f"{base}/{turn}/{number}" for number in range(8)]
                    answers = pool.map(lambda url: request(relayed(running.url, url)).text, urls)
                    assert list(answers) == [f"h2 /{turn}/{n} localhost:{server.port}" for n in range(8)]
            assert (server.connections, len(server.requests)) == (1, 24)

    def test_bytes_over_http_2(self, relay: Path, secured: ssl.SSLContext) -> None:
        """Each request pays for its fields and its body, and not for others on the same connection."""
        with serving(Multiplexed(secured)) as server:
            base = f"https://localhost:{server.port}"
            with served_apart(relay, "--allow-http", base, "--max-transfer", "20KiB") as running:
                sizes = [0, 15_000, 15_000, 15_000, 30_000, 15_000]
                statuses = [
                    request(relayed(running.url, f"{base}/"), method="POST", body=b"x" * size).status
                    for size in sizes
                ]
                assert statuses == [200, 200, 200, 200, 502, 200]
            assert server.connections == 1

    def test_http_1_1(self, relay: Path, secured: ssl.SSLContext) -> None:
        """Where a server speaks nothing else, its connections are used again too."""
        with serving(Web(tls=secured)) as server:
            base = f"https://localhost:{server.port}"
            with served_apart(relay, "--allow-http", base) as running, ThreadPoolExecutor(4) as pool:
                urls = [f"{base}/{number}" for number in range(40)]
                answers = pool.map(lambda url: request(relayed(running.url, url)).text, urls)
                assert list(answers) == [f"GET /{n} localhost:{server.port} 0" for n in range(40)]
            assert 1 <= server.connections <= 8
