"""Files of a folder answer requests without a guest: their forms, their parts, and what is never reached."""

from __future__ import annotations

import gzip
import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from tests.build.test_launch import wherry
from tests.guests.build import http_application
from tests.requesting import request
from wherry import UsageError, edge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANYWHERE = "127.0.0.1:0"
STYLE = b"body { color: red }\n" * 100
LARGE = bytes(range(256)) * 8192


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site, and a secret beside it which a link in it leads to."""
    base = tmp_path_factory.mktemp("files")
    site = base / "site"
    (site / "sub").mkdir(parents=True)
    (base / "secret.txt").write_text("secret")
    (site / "out.txt").symlink_to(base / "secret.txt")
    (site / "up").symlink_to(base)
    (site / "index.html").write_text("home")
    (site / "sub" / "index.html").write_text("sub")
    (site / "digits.txt").write_text("0123456789")
    (site / "large.bin").write_bytes(LARGE)
    (site / ".hidden").write_text("hidden")
    (site / "style.css").write_bytes(STYLE)
    (site / "style.css.gz").write_bytes(gzip.compress(STYLE))
    (site / "404.html").write_text("not here")
    return site


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[edge.Server]:
    """The site, served without an application."""
    with edge.serve(folder, address=ANYWHERE) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/", "text/html; charset=utf-8", b"home"),
        ("/index.html", "text/html; charset=utf-8", b"home"),
        ("/sub/?query", "text/html; charset=utf-8", b"sub"),
        ("/d%69gits.txt", "text/plain; charset=utf-8", b"0123456789"),
        ("/style.css", "text/css; charset=utf-8", STYLE),
        ("/large.bin", "application/octet-stream", LARGE),
    ],
)
def test_files_are_answers(server: edge.Server, path: str, kind: str, body: bytes) -> None:
    """With their types and lengths, and HEAD without the body."""
    answer = request(server.url + path)
    assert (answer.status, answer.fields["content-type"], answer.body) == (200, kind, body)
    head = request(server.url + path, "HEAD")
    assert (head.status, head.fields["content-length"], head.body) == (200, str(len(body)), b"")


def test_folders_are_asked_for_with_a_slash(server: edge.Server) -> None:
    """Links in their index would lead elsewhere."""
    answer = request(f"{server.url}/sub?a=b")
    assert (answer.status, answer.fields["location"]) == (308, "/sub/?a=b")


@pytest.mark.parametrize(
    ("asked", "status", "body", "said"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=20-", 416, b"416 Range Not Satisfiable\n", "bytes */10"),
        ("lines=1-2", 200, b"0123456789", ""),
    ],
)
def test_parts_are_given(server: edge.Server, asked: str, status: int, body: bytes, said: str) -> None:
    """One range as it is; one that is none of bytes is left aside."""
    answer = request(f"{server.url}/digits.txt", fields={"range": asked})
    assert (answer.status, answer.body, answer.fields.get("content-range", "")) == (status, body, said)


def test_what_a_client_has_is_not_sent(server: edge.Server) -> None:
    """By tag and by time; a tag of something else gets all."""
    fields = request(f"{server.url}/digits.txt").fields
    for condition in (
        {"if-none-match": fields["etag"]},
        {"if-modified-since": fields["last-modified"]},
    ):
        answer = request(f"{server.url}/digits.txt", fields=condition)
        assert (answer.status, answer.body, answer.fields["etag"]) == (304, b"", fields["etag"])
    assert request(f"{server.url}/digits.txt", fields={"if-none-match": '"else"'}).status == 200
    assert request(f"{server.url}/digits.txt", fields={"if-match": '"else"'}).status == 412


def test_forms_that_lie_beside_a_file_are_sent(server: edge.Server) -> None:
    """To who takes them."""
    answer = request(f"{server.url}/style.css", fields={"accept-encoding": "gzip"})
    assert (answer.fields["content-encoding"], gzip.decompress(answer.body)) == ("gzip", STYLE)
    assert answer.fields["vary"].lower() == "accept-encoding"
    plain = request(f"{server.url}/style.css", fields={"accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in plain.fields
    assert plain.fields["etag"] != answer.fields["etag"]


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..%5csecret.txt",
        "/sub\\..\\..\\secret.txt",
        "/out.txt",
        "/up/secret.txt",
        "//secret.txt",
        "/digits.txt%00",
        "/digits.txt/",
        "/.hidden",
        "/nothing",
    ],
)
def test_nothing_else_is_reached(server: edge.Server, path: str) -> None:
    """Neither by a path nor by a link; the site's own page says that there is nothing."""
    with socket.create_connection(server.address, timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.split(b" ", 2)[1] in {b"404", b"400"}
    assert b"secret" not in received
    assert b"hidden" not in received
    assert b"x-request-id: " in received
    if b" 404 " in received:
        assert received.endswith(b"not here")


def test_files_take_no_bodies(server: edge.Server) -> None:
    """Other methods are told which there are."""
    answer = request(f"{server.url}/digits.txt", "POST", b"x")
    assert (answer.status, answer.fields["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert request(server.url, "OPTIONS").status == 204


def test_what_is_no_file_is_for_the_application(folder: Path) -> None:
    """Below the part of the path that is the route's."""
    application = http_application("lean")
    with edge.serve(application, address=ANYWHERE, static=str(folder), routes=("/a/*rest",)) as server:
        assert request(f"{server.url}/a/digits.txt").text == "0123456789"
        assert request(f"{server.url}/a").fields["location"] == "/a/"
        assert request(f"{server.url}/a/nothing").text != "not here"
        assert request(f"{server.url}/a/digits.txt", "POST", b"x").status != 405


def test_a_file_that_changes_is_sent_as_it_is(tmp_path: Path) -> None:
    """Nobody gets what was there before."""
    (tmp_path / "index.html").write_text("one")
    with edge.serve(tmp_path, address=ANYWHERE) as server:
        before = request(server.url)
        (tmp_path / "index.html").write_text("another")
        after = request(server.url, fields={"if-none-match": before.fields["etag"]})
    assert (before.text, after.status, after.text) == ("one", 200, "another")


def test_a_folder_has_to_be_there(tmp_path: Path) -> None:
    """The message names it."""
    with pytest.raises(UsageError, match=r"the files of `.*/nowhere` cannot be served"):
        edge.serve(http_application("lean"), address=ANYWHERE, static=str(tmp_path / "nowhere"))


MANIFEST = """[package]
name = "acme/site"
version = "1.0.0"

[files]
"/site" = "public"

[http]
component = "app.wasm"
static = "/site/pages"
"""


@pytest.mark.parametrize("packed", [False, True], ids=["project", "packed"])
def test_the_manifest_names_a_folder(tmp_path: Path, *, packed: bool) -> None:
    """Of a project where it stands, of a package where its files are unpacked."""
    shutil.copy(http_application("lean"), tmp_path / "app.wasm")
    (tmp_path / "public" / "pages").mkdir(parents=True)
    (tmp_path / "public" / "pages" / "a.txt").write_text("from a file")
    (tmp_path / "wherry.toml").write_text(MANIFEST)
    target = tmp_path
    if packed:
        code, _, said = wherry(tmp_path, "pack", "-o", "site.oci.tar")
        assert code == 0, said
        target = tmp_path / "site.oci.tar"
    with edge.serve(target, address=ANYWHERE) as server:
        assert request(f"{server.url}/a.txt").text == "from a file"
        assert request(f"{server.url}/").text == "Hello, World!"


def test_a_configuration_names_a_folder_beside_it(folder: Path, tmp_path: Path) -> None:
    """Relative to the file."""
    (tmp_path / "site").symlink_to(folder)
    file = tmp_path / "edge.toml"
    file.write_text(
        f'[server]\naddress = "{ANYWHERE}"\n[[application]]\ntarget = "site"\nroutes = ["/s/*r"]\n'
    )
    with edge.serve(file) as server:
        assert request(f"{server.url}/s/digits.txt").text == "0123456789"
    shutil.copy(http_application("lean"), tmp_path / "app.wasm")
    file.write_text(
        f'[server]\naddress = "{ANYWHERE}"\n[[application]]\ntarget = "app.wasm"\nstatic = "site"\n'
    )
    with edge.serve(file) as server:
        assert request(f"{server.url}/digits.txt").text == "0123456789"
