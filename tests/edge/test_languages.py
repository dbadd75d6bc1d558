"""One small application in each language, and one suite of requests that all of them answer the same.

The sources are in ``languages``, each a project as a user has it, built once and kept by what goes into it.
What is asked is asked over each version of HTTP, by curl; the application fetches from a server on loopback.
"""

from __future__ import annotations

import functools
import http.client
import http.server
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import trustme

from tests.guests.build import project
from tests.requesting import echoed_as_it_comes
from tests.servers import free_port, serving
from wherry import Limits, Policy, _native, edge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.artifact.manifest import Language

PROJECTS = Path(__file__).with_name("languages")
LANGUAGES: dict[str, Language] = {
    "c": "c",
    "go": "go",
    "javascript": "javascript",
    "python": "python",
    "rust": "rust",
    "rust_03": "rust",
}
"""The folders of the application, each with its language; the last is a handler of WASI 0.3."""
SLOW = pytest.mark.slow
"""For what takes long to build for the first time."""
MARKS = {
    "javascript": [SLOW],
    "python": [SLOW],
    "rust": [SLOW],
    "rust_03": [SLOW],
}
FUSED = ("c", "go", "javascript", "python", "rust")
"""Those that are asked as one module too."""
VERSIONS = {"http1.1": ["--http1.1"], "h2c": ["--http2-prior-knowledge"], "tls": ["--http2"]}


@functools.cache
def application(name: str) -> Path:
    """The component of the application in a folder."""
    return project(f"application_{name}", LANGUAGES[name], PROJECTS / name)


class Upstream(http.server.BaseHTTPRequestHandler):
    """What the application fetches from: it answers with 203 and what it was asked."""

    def do_GET(self) -> None:
        """Any path."""
        body = f"{self.command} {self.path} ".encode() + b"x" * 100_000
        self.send_response(203)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Served(NamedTuple):
    """The application, plain and over TLS, and where it may fetch from."""

    upstream: str
    server: edge.Server
    secure: edge.Server

    def at(self, version: str) -> str:
        """Where a version of HTTP is spoken."""
        return self.secure.url if version == "tls" else self.server.url


class Answered(NamedTuple):
    """What curl got."""

    status: int
    version: str
    kind: str
    body: bytes


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[edge.Certificate]:
    """For the address of loopback, of an authority that curl trusts."""
    folder = tmp_path_factory.mktemp("certificate")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURL_CA_BUNDLE", str(folder / "authority.pem"))
        yield edge.Certificate(certificate=str(folder / "both.pem"), key=str(folder / "both.pem"))


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param((name, False), id=name, marks=MARKS.get(name, [])) for name in LANGUAGES),
        *(pytest.param((name, True), id=f"{name}, fused", marks=SLOW) for name in FUSED),
    ],
)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificate: edge.Certificate
) -> Iterator[Served]:
    """The application in one language, which may fetch from one server; as it was built, or as one module."""
    name, fused = request.param
    component = application(name)
    if fused:
        path = tmp_path_factory.mktemp("fused") / component.name
        path.write_bytes(_native.fuse(component.read_bytes()))
        component = path
    with serving(Upstream) as port:
        upstream = f"http://127.0.0.1:{port}"
        serve = functools.partial(
            edge.serve,
            str(component),
            address="127.0.0.1:0",
            policy=Policy(http=[f"{upstream}/allowed"]),
            limits=Limits(timeout="5s", memory="256MiB"),
        )
        with serve() as server, serve(tls=[certificate]) as secure:
            yield Served(upstream, server, secure)


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """A version of HTTP."""
    return str(request.param)


def ask(url: str, version: str, *words: str, body: bytes | None = None) -> Answered:
    """What comes of a request."""
    curl = shutil.which("curl")
    assert curl is not None, "`curl` is missing: apt install curl"
    told = "%{stderr}%{http_code} %{http_version} %{content_type}"
    command = [curl, "-sS", "--max-time", "30", *VERSIONS[version], "-w", told, *words]
    command += ["--data-binary", "@-"] if body is not None else []
    done = subprocess.run([*command, url], check=True, input=body, capture_output=True)
    status, spoken, kind = done.stderr.decode().split(" ", 2)
    return Answered(int(status), spoken, kind, done.stdout)


def test_it_says_hello(served: Served, version: str) -> None:
    """Body and type are those of the application, in the version of HTTP that was asked."""
    answer = ask(f"{served.at(version)}/hello", version)
    spoken = "1.1" if version == "http1.1" else "2"
    assert answer == (200, spoken, "text/plain", b"Hello, World!")


@pytest.mark.parametrize("size", [0, 1, 4096, 1_500_000])
def test_it_echoes(served: Served, version: str, size: int) -> None:
    """A body of any length comes back as it was, with its type; the expectation of 100 is met."""
    body = os.urandom(size)
    answer = ask(f"{served.at(version)}/echo", version, "-H", "content-type: application/x-any", body=body)
    assert (answer.status, answer.kind, answer.body == body) == (200, "application/x-any", True)


def test_an_echo_comes_while_the_request_goes_on(served: Served) -> None:
    """What was sent comes back before the rest is sent: nothing waits for the whole."""
    echoed_as_it_comes(http.client.HTTPConnection(*served.server.address, timeout=20), "/echo")


def test_it_reads_and_writes_json(served: Served, version: str) -> None:
    """JSON in, JSON out, also beyond ASCII; what is none is refused by the application itself."""
    body = json.dumps({"name": "Ægir"}, ensure_ascii=False).encode()
    answer = ask(f"{served.at(version)}/json", version, body=body)
    assert (answer.status, answer.kind) == (200, "application/json")
    assert json.loads(answer.body) == {"greeting": "Hello, Ægir!"}
    assert ask(f"{served.at(version)}/json", version, body=b"none").status == 400


def test_it_fetches_what_it_may(served: Served, version: str) -> None:
    """Status and body of an answer from elsewhere are passed on; what no policy grants is refused."""
    answer = ask(f"{served.at(version)}/fetch?url={served.upstream}/allowed/page", version)
    assert (answer.status, answer.body) == (203, b"GET /allowed/page " + b"x" * 100_000)
    refused = ask(f"{served.at(version)}/fetch?url={served.upstream}/other", version)
    assert refused.status == 502
    nobody = ask(f"{served.at(version)}/fetch?url=http://127.0.0.1:{free_port()}/", version)
    assert nobody.status == 502


def test_a_trap_is_its_own_request_s_alone(served: Served, version: str) -> None:
    """A trap is a 500 without a word of the inside, and the next request is answered."""
    answer = ask(f"{served.at(version)}/trap", version)
    assert answer.status == 500
    assert b"asked" not in answer.body
    assert ask(f"{served.at(version)}/hello", version).status == 200


def test_a_slow_answer_comes(served: Served, version: str) -> None:
    """A guest that waits answers when it is done."""
    answer = ask(f"{served.at(version)}/slow", version)
    assert (answer.status, answer.body) == (200, b"At last")
