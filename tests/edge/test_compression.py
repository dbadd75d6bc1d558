"""Answers are compressed where their author asked for it, the client takes it, and nothing is lost by it."""

from __future__ import annotations

import email.utils
import http.client
import shutil
import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import c_command, http_application
from tests.requesting import Answer, request
from wherry import edge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TALKING = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
    const char *path = getenv("PATH_INFO"), *field = getenv("HTTP_X_FIELD"), *type = getenv("HTTP_X_TYPE");
    if (field) puts(field);
    printf("Content-Type: %s\\n\\n", type ? type : "text/plain; charset=utf-8");
    fflush(stdout);
    if (!strncmp(path, "/size/", 6)) {
        for (int left = atoi(path + 6); left > 0; left--) putchar('a' + left * left % 7);
    } else if (!strcmp(path, "/breaks")) {
        for (int left = 300000; left > 0; left--) putchar('a' + left % 7);
        fflush(stdout);
        __builtin_trap();
    } else {
        char line[256];
        while (fgets(line, sizeof line, stdin)) {
            printf("heard %s", line);
            fflush(stdout);
        }
    }
    return 0;
}
"""
TEXT = b"".join(b"line %d of a text that repeats itself\n" % number for number in range(3000))


def unpacked(answer: Answer) -> bytes:
    """The content as it was."""
    coding = answer.fields.get("content-encoding")
    match coding:
        case "gzip":
            return zlib.decompress(answer.body, zlib.MAX_WBITS | 16)
        case "zstd":
            zstd = shutil.which("zstd")
            assert zstd is not None, "`zstd` is missing: apt install zstd"
            return subprocess.run([zstd, "-dc"], input=answer.body, capture_output=True, check=True).stdout
        case _:
            assert coding is None
            return answer.body


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "index.html").write_text("short")
    (folder / "text.txt").write_bytes(TEXT)
    (folder / "picture.png").write_bytes(TEXT)
    (folder / "ready.css").write_bytes(TEXT)
    (folder / "ready.css.gz").write_bytes(zlib.compress(TEXT, wbits=zlib.MAX_WBITS | 16))
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Iterator[edge.Server]:
    """A command behind some files, with compression."""
    source = tmp_path_factory.mktemp("talking") / "talking.c"
    source.write_text(TALKING)
    command = c_command("talking", source=source)
    with edge.serve(command, address="127.0.0.1:0", compress=True, static=str(site)) as running:
        yield running


def ask(server: edge.Server, path: str, accepted: str | None = None, **fields: str) -> Answer:
    """An answer to a client that takes these codings."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return request(server.url + path, fields=named | ({"accept-encoding": accepted} if accepted else {}))


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0.5, gzip", "gzip"),
        ("*;q=0.1", "zstd"),
        ("gzip;q=0, zstd;q=0", None),
        ("identity;q=1, gzip;q=0.5", None),
        ("deflate, br", None),
        ("gzip;q=none", None),
        (None, None),
    ],
)
@pytest.mark.parametrize(
    "path", ["/size/5000", "/size/300000", "/text.txt"], ids=["whole", "streamed", "file"]
)
def test_a_client_gets_what_it_takes(
    server: edge.Server, path: str, accepted: str | None, coding: str | None
) -> None:
    """The content is the same in each form, and caches are told that there are several."""
    plain = ask(server, path)
    answer = ask(server, path, accepted)
    assert answer.fields.get("content-encoding") == coding
    assert answer.fields["vary"] == "accept-encoding"
    assert unpacked(answer) == plain.body
    assert "content-encoding" not in plain.fields
    assert coding is None or len(answer.body) < len(plain.body) // 2


def test_nothing_is_compressed_unasked(site: Path) -> None:
    """The author says so, or the operator."""
    with edge.serve(str(site), address="127.0.0.1:0") as server:
        answer = ask(server, "/text.txt", "gzip")
    assert "content-encoding" not in answer.fields
    assert answer.body == TEXT


@pytest.mark.parametrize(
    ("size", "field", "kind"),
    [
        pytest.param(1000, "x: y", "text/plain", id="small"),
        pytest.param(5000, "x: y", "image/png", id="packed by its type"),
        pytest.param(5000, "Content-Encoding: br", "text/plain", id="packed by its guest"),
        pytest.param(5000, "Cache-Control: no-transform", "text/plain", id="may not be changed"),
        pytest.param(5000, "Content-Digest: sha-256=:AA==:", "text/plain", id="has a digest"),
    ],
)
def test_what_gains_nothing_stays(server: edge.Server, size: int, field: str, kind: str) -> None:
    """Byte for byte, where the same bytes as other text are compressed."""
    assert len(ask(server, "/size/5000", "gzip").body) < 2500
    answer = ask(server, f"/size/{size}", "gzip", x_field=field, x_type=kind)
    assert len(answer.body) == size
    assert answer.fields.get("content-encoding") in {None, "br"}


def test_each_piece_comes_when_it_was_written(server: edge.Server) -> None:
    """A client that waits for one line before it sends the next gets each: nothing is held back."""
    connection = http.client.HTTPConnection(*server.address, timeout=20)
    connection.putrequest("POST", "/lines", skip_accept_encoding=True)
    connection.putheader("accept-encoding", "gzip")
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    connection.send(b"6\r\nfirst\n\r\n")
    answer = connection.getresponse()
    assert answer.getheader("content-encoding") == "gzip"

    def until(line: bytes) -> None:
        heard = b""
        while not heard.endswith(line):
            piece = answer.read1(65536)
            assert piece, heard
            heard += unpacking.decompress(piece)

    until(b"heard first\n")
    connection.send(b"7\r\nsecond\n\r\n")
    until(b"heard second\n")
    connection.send(b"0\r\n\r\n")
    unpacking.decompress(answer.read())
    assert unpacking.eof
    connection.close()


@pytest.mark.parametrize("path", ["/text.txt", "/index.html", "/ready.css", "/picture.png"])
def test_head_is_answered_as_get_is(server: edge.Server, path: str) -> None:
    """The same fields, but for a length that is only known when the content is there."""
    got = ask(server, path, "gzip")
    head = request(server.url + path, "HEAD", fields={"accept-encoding": "gzip"})
    names = ["content-encoding", "vary", "etag", "content-type", "accept-ranges"]
    assert [head.fields.get(name) for name in names] == [got.fields.get(name) for name in names]
    assert head.fields.get("content-length") in {None, str(len(got.body))}
    assert head.body == b""


def test_what_is_compressed_beforehand_is_sent_so(server: edge.Server, site: Path) -> None:
    """Once, and with its own length."""
    answer = ask(server, "/ready.css", "gzip")
    assert answer.body == (site / "ready.css.gz").read_bytes()
    assert answer.fields["content-length"] == str(len(answer.body))
    assert unpacked(answer) == TEXT


def test_conditions_and_ranges_are_followed(server: edge.Server) -> None:
    """A tag of the compressed form is weak: good for asking again, and for no part of it."""
    whole = ask(server, "/text.txt", "gzip")
    tag = whole.fields["etag"]
    assert tag.startswith('W/"')
    again = ask(server, "/text.txt", "gzip", if_none_match=tag)
    assert (again.status, again.body, again.fields["vary"]) == (304, b"", "accept-encoding")
    part = ask(server, "/text.txt", "gzip", range="bytes=10-19")
    assert (part.status, part.body) == (206, TEXT[10:20])
    assert "content-encoding" not in part.fields
    guarded = ask(server, "/text.txt", "gzip", range="bytes=10-19", if_range=tag)
    assert (guarded.status, unpacked(guarded)) == (200, TEXT)
    date = email.utils.parsedate_to_datetime(whole.fields["last-modified"])
    since = ask(server, "/text.txt", "gzip", if_modified_since=email.utils.format_datetime(date, usegmt=True))
    assert since.status == 304


def test_an_answer_that_breaks_off_is_not_taken_for_whole(server: edge.Server) -> None:
    """Its packed form breaks off too."""
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ask(server, "/breaks", "gzip")


def test_a_manifest_asks_for_it(tmp_path: Path) -> None:
    """By `compress` of `[http]`; whoever serves it has the last word."""
    shutil.copy(http_application("lean"), tmp_path / "app.wasm")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "text.txt").write_bytes(TEXT)
    (tmp_path / "wherry.toml").write_text(
        '[package]\nname = "acme/site"\nversion = "1.0.0"\n\n'
        '[files]\n"/public" = "public"\n\n'
        '[http]\ncomponent = "app.wasm"\nstatic = "/public"\ncompress = true\n'
    )
    for compress, coding in [(None, "gzip"), (False, None)]:
        with edge.serve(str(tmp_path), address="127.0.0.1:0", compress=compress) as server:
            answer = ask(server, "/text.txt", "gzip")
        assert answer.fields.get("content-encoding") == coding
        assert unpacked(answer) == TEXT
