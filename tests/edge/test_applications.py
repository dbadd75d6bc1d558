"""Several applications on one server: whose a request is, what keeps one from starting, and reloading."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import http_application
from tests.requesting import request
from wherry import ManifestError, NoSuchExportError, NotFoundError, Policy, UsageError, edge
from wherry.edge import Application, ApplicationSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANYWHERE = "127.0.0.1:0"

ROUTES = {
    "shop": ["shop.example.com/*rest"],
    "subdomains": ["*.example.com/*rest"],
    "deeper": ["*.b.example.com/*rest"],
    "basket": ["/basket/:id", "/basket/:id/items/:item"],
    "one": ["/basket/1"],
    "files": ["/files/*path"],
    "listing": ["/files/"],
    "rest": ["/*rest"],
}


def applications(routes: dict[str, list[str]]) -> list[Application]:
    """The same program under each of these names."""
    program = http_application("lean")
    return [
        Application(program, settings=ApplicationSettings(name=name, routes=tuple(patterns)))
        for name, patterns in routes.items()
    ]


@pytest.fixture(scope="module")
def routed() -> Iterator[edge.Server]:
    """A server with all of them."""
    with edge.serve(applications(ROUTES), address=ANYWHERE) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "path", "whose"),
    [
        ("shop.example.com", "/", "shop"),
        ("SHOP.example.com.:80", "/basket/1", "shop"),
        ("a.example.com", "/x", "subdomains"),
        ("a.b.example.com", "/x", "deeper"),
        ("b.example.com", "/x", "subdomains"),
        ("example.com", "/x", "rest"),
        ("elsewhere.org", "/basket/1", "one"),
        ("elsewhere.org", "/basket/2", "basket"),
        ("elsewhere.org", "/basket/2?x=/basket/1", "basket"),
        ("elsewhere.org", "/basket/2/items/3", "basket"),
        ("elsewhere.org", "/basket/2/items", "rest"),
        ("elsewhere.org", "/basket/", "rest"),
        ("elsewhere.org", "/files", "files"),
        ("elsewhere.org", "/files/", "listing"),
        ("elsewhere.org", "/files/a/b", "files"),
        ("elsewhere.org", "/files/../basket/1", "files"),
        ("elsewhere.org", "/", "rest"),
        ("127.0.0.1", "/anything/at/all", "rest"),
    ],
)
def test_a_request_is_for_the_most_exact_route(routed: edge.Server, host: str, path: str, whose: str) -> None:
    """The host counts first, then plain segments before named ones, and those before the rest."""
    before = {name: routed.statistics(name)["requests"] for name in ROUTES}
    assert request(routed.url + path, fields={"host": host}).status < 500
    after = {name: routed.statistics(name)["requests"] for name in ROUTES}
    assert {name for name in ROUTES if after[name] > before[name]} == {whose}


def test_what_no_route_is_for_is_not_found() -> None:
    """The answer is the server's own, and counts as refused."""
    with edge.serve(applications({"one": ["/one"]}), address=ANYWHERE) as server:
        answer = request(f"{server.url}/two")
        assert (answer.status, answer.text) == (404, "404 Not Found\n")
        assert server.statistics("one")["requests"] == 0
        assert (server.statistics()["requests"], server.statistics()["refused"]) == (1, 1)


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        ({"a": ["/x/:id"], "b": ["/x/:name"]}, "`/x/:id` of `a` and `/x/:name` of `b`"),
        ({"a": ["/x/*r"], "b": ["/x/*s"]}, "`/x/*r` of `a` and `/x/*s` of `b`"),
        ({"a": ["E.com/x", "/y", "e.com/x"]}, "`E.com/x` of `a` and `e.com/x` of `a`"),
        ({"a": ["*.e.com/x"], "b": ["*.E.com/x"]}, "for the same requests"),
        ({"a": ["nowhere"]}, "`nowhere` is no route"),
        ({"a": [""]}, "`` is no route"),
        ({"a": ["/x/*rest/y"]}, "`*` before its last segment"),
        ({"a": ["/x/:"]}, "without a name"),
        ({"a": ["host:80/x"]}, "more than a name"),
        ({"a": ["a.*.com/x"]}, "a star where"),
    ],
)
def test_routes_that_cannot_be_keep_the_server_from_starting(
    routes: dict[str, list[str]], words: str
) -> None:
    """Both are named, with their applications."""
    with pytest.raises(UsageError) as caught:
        edge.serve(applications(routes), address=ANYWHERE)
    assert words in str(caught.value)
    assert caught.value.hint


def test_names_are_there_once() -> None:
    """Counters and logs could not tell them apart."""
    twice = [*applications({"a": ["/a"]}), *applications({"a": ["/b"]})]
    with pytest.raises(UsageError, match="several applications `a`"):
        edge.serve(twice, address=ANYWHERE)


def test_a_budget_is_shared() -> None:
    """With one place for all, the applications take turns, and each is answered."""
    program = http_application("full")
    two = [
        Application(
            program, settings=ApplicationSettings(name=name, routes=(f"/{name}/*rest", "/sleep")[:size])
        )
        for name, size in (("a", 2), ("b", 1))
    ]
    with (
        edge.serve(two, address=ANYWHERE, total_concurrency=1) as server,
        ThreadPoolExecutor(4) as pool,
    ):
        paths = ["/sleep", "/b/x", "/a/x", "/b/y"]
        answers = list(pool.map(lambda path: request(server.url + path).status, paths))
        assert 503 not in answers


@pytest.mark.parametrize(("names", "let_in"), [(("bad", "good"), 4), (("bad",), 8)])
def test_an_application_leaves_as_much_of_the_budget_as_it_takes(names: tuple[str, ...], let_in: int) -> None:
    """However many wait for it, there is room for another one; one that is alone has all of it."""
    all_of_them = applications({name: [f"{name}.example/*rest"] for name in names})
    head = b"POST /echo HTTP/1.1\r\nHost: bad.example\r\nContent-Length: 1\r\n\r\n"
    with edge.serve(all_of_them, address=ANYWHERE, total_concurrency=8) as server, ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(socket.create_connection(server.address)).sendall(head)
        while server.statistics()["waiting"] < 10 - let_in:
            time.sleep(0.01)
        if "good" in names:
            answer = request(server.url, fields={"host": "good.example"})
            assert answer.status == 200
        assert server.statistics()["waiting"] == 10 - let_in


def test_a_reload_loses_no_request_and_keeps_the_counters(tmp_path: Path) -> None:
    """Under load, the file changes between two programs; every request is answered by one of them."""
    program = tmp_path / "app.wasm"
    shutil.copy(http_application("lean"), program)
    over = threading.Event()

    def requests() -> list[int]:
        statuses = []
        while not over.is_set():
            statuses.append(request(server.url).status)
        return statuses

    with edge.serve(program, name="app", address=ANYWHERE) as server, ThreadPoolExecutor(4) as pool:
        loading = [pool.submit(requests) for _ in range(4)]
        try:
            for number in range(10):
                shutil.copy(http_application(("full", "lean")[number % 2]), program)
                server.reload()
                assert server._native.is_lean("app") == (number % 2 == 1)
        finally:
            over.set()
        statuses = [status for one in loading for status in one.result()]
        assert statuses
        assert set(statuses) == {200}
        assert server.statistics("app")["requests"] == len(statuses)


def test_a_reload_that_fails_changes_nothing(tmp_path: Path) -> None:
    """What was served before goes on."""
    program = tmp_path / "app.wasm"
    shutil.copy(http_application("lean"), program)
    with edge.serve(program, address=ANYWHERE) as server:
        program.write_bytes(b"(module)")
        with pytest.raises(NoSuchExportError):
            server.reload()
        assert request(server.url).status == 200


class TestConfiguration:
    """``edge.toml``."""

    def write(self, folder: Path, text: str) -> Path:
        """A configuration beside a program."""
        shutil.copy(http_application("full"), folder / "app.wasm")
        file = folder / "edge.toml"
        file.write_text(text)
        return file

    def test_it_lists_applications(self, tmp_path: Path) -> None:
        """Each with its settings, grants and limits; paths start beside the file."""
        (tmp_path / "data").mkdir()
        (tmp_path / "granted.toml").write_text('memory = "32MiB"\ntimeout = "1s"\n')
        file = self.write(
            tmp_path,
            """
            [server]
            address = "127.0.0.1:0"

            [[application]]
            target = "app.wasm"
            routes = ["a.example.com/*rest"]
            policy = { dir = ["data::/data:ro"], env = ["NAME=é"], timeout = "300ms" }

            [[application]]
            name = "other"
            target = "app.wasm"
            policy = "granted.toml"
            """,
        )
        with edge.serve(file) as server:
            first, other = server.applications
            assert (first.name, other.name) == ("app", "other")
            assert first.policy == Policy(dirs=[(tmp_path / "data", "/data", "ro")], env={"NAME": "é"})
            assert first.limits is not None
            assert other.limits is not None
            assert (first.limits.timeout, other.limits.memory) == (0.3, 32 << 20)
            assert request(f"{server.url}/loop", fields={"host": "a.example.com"}).status == 504

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[[application]]\n", "`target` is missing"),
            ('[server]\nport = 1\n[[application]]\ntarget = "app.wasm"', "edge.toml:2:1: `server.port`"),
            ('[[application]]\ntarget = "app.wasm"\nqueue = -1', "-1 is too little"),
            ('[[application]]\ntarget = "app.wasm"\nroutes = "/"', "expected a list"),
            ("[[application]", "no TOML"),
            ("", "add `[[application]]`"),
        ],
    )
    def test_what_is_wrong_has_a_place(self, tmp_path: Path, text: str, words: str) -> None:
        """Line, column and what would be right."""
        with pytest.raises(ManifestError) as caught:
            edge.serve(self.write(tmp_path, text))
        assert words in str(caught.value)

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("policy = { dirr = [] }", "edge.toml"),
            ('policy = "nowhere.toml"', "nowhere.toml"),
            ('max-request = "much"', "max-request: not a size"),
        ],
    )
    def test_what_is_wrong_within_is_told(self, tmp_path: Path, line: str, words: str) -> None:
        """With the key, or the file that it names."""
        text = f'[server]\naddress = "{ANYWHERE}"\n[[application]]\ntarget = "app.wasm"\n{line}\n'
        with pytest.raises(Exception, match=words):
            edge.serve(self.write(tmp_path, text))

    def test_there_has_to_be_one(self) -> None:
        """A name that ends so is a file."""
        with pytest.raises(NotFoundError):
            edge.serve("nowhere/edge.toml")

    def test_what_is_for_one_application_is_not_said_of_several(self, tmp_path: Path) -> None:
        """It stands in the file."""
        file = self.write(tmp_path, '[[application]]\ntarget = "app.wasm"')
        with pytest.raises(UsageError, match="`queue` is for one application"):
            edge.serve(file, queue=1)
        with pytest.raises(UsageError, match="`policy` is for one application"):
            edge.serve(file, policy=Policy())


@pytest.mark.parametrize("how", ["SIGHUP", "watch"])
def test_the_command_reloads(how: str, tmp_path: Path) -> None:
    """At a signal, or when the file changes; one that is no application is told of, and changes nothing."""
    program = tmp_path / "app.wasm"
    shutil.copy(http_application("full"), program)
    words = ["--watch"] if how == "watch" else []
    with subprocess.Popen(
        [sys.executable, "-m", "wherry", "serve", program, "--addr", ANYWHERE, "--timeout", "1s", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().split()[-1]
        assert request(url).status == 200

        def replace(data: bytes) -> str:
            fresh = tmp_path / "fresh"
            fresh.write_bytes(data)
            fresh.replace(program)
            if how == "SIGHUP":
                process.send_signal(signal.SIGHUP)
            assert process.stderr is not None
            return process.stderr.readline()

        assert "not reloaded" in replace(b"(module)")
        assert request(url).status == 200
        line = replace(http_application("lean").read_bytes())
        while "reloaded" not in line or "not reloaded" in line:
            line = process.stderr.readline()
        assert request(url).status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
