"""What is seen of a server: logs, metrics and traces are read by parsers of others, and agree."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.edge.collecting import collecting, passed_on
from tests.edge.conftest import HOSTS
from tests.guests.build import c_command, http_application
from tests.requesting import request
from wherry import HostIOError, Limits, UsageError, edge
from wherry.edge import Application, ApplicationSettings, GuestLog, Log, Traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

Host: TypeAlias = Literal["lean", "full", "tasks"]

ANYWHERE = "127.0.0.1:0"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"

COMBINED = re.compile(
    r'(?P<client>\S+) - - \[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<target>\S+) (?P<version>HTTP/[\d.]+)" '
    r'(?P<status>\d{3}) (?P<bytes>\d+|-) "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"'
)


CGI = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
    const char *path = getenv("PATH_INFO");
    fprintf(stderr, "asked for %s\\n", path);
    if (!strcmp(path, "/trap")) __builtin_trap();
    if (!strcmp(path, "/code")) return 3;
    puts("Content-Type: text/plain\\n");
    for (const char **name = (const char *[]){"REMOTE_ADDR", "REMOTE_PORT", "HTTPS", "SERVER_NAME",
         "HTTP_X_FORWARDED_FOR", "HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT", 0}; *name; name++)
        printf("%s=%s\\n", *name, getenv(*name) ? getenv(*name) : "");
}
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that answers as CGI, with what it was told of who asks."""
    source = tmp_path_factory.mktemp("cgi") / "telling.c"
    source.write_text(CGI)
    return c_command("telling", source=source)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what comes soon."""
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    pytest.fail("it never came")


def watched(server: edge.Server, path: str) -> Any:
    """What is told at the admin address."""
    assert server.admin is not None
    host, port = server.admin
    return request(f"http://{host}:{port}{path}")


def metrics(server: edge.Server) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples, by name and labels, as the parser of Prometheus's own client reads them."""
    answer = watched(server, "/metrics")
    assert answer.fields["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def said(span: Span) -> dict[str, Any]:
    """What is said of a span."""
    return {
        one.key: one.value.string_value if one.value.HasField("string_value") else one.value.int_value
        for one in span.attributes
    }


def applications(hosts: Iterable[Host]) -> list[Application]:
    """One for each of the hosts, and one that has all the time that its clients may want."""
    return [
        Application(
            http_application(host),
            limits=Limits(timeout=time, memory="32MiB"),
            settings=ApplicationSettings(name=name, routes=(f"{name}.example/*rest",), max_request="1MiB"),
        )
        for host, name, time in [*((host, host, "300ms") for host in hosts), ("lean", "patient", "1m")]
    ]


def mixed(server: edge.Server, hosts: Iterable[Host]) -> Counter[tuple[str, str, int]]:
    """Requests of all sorts; how many there were by application, method and status."""
    made: Counter[tuple[str, str, int]] = Counter()
    for host in (*hosts, "nobody"):
        named = host if host != "nobody" else ""
        for path, method, body, status in [
            ("/", "GET", b"", 200),
            ("/", "HEAD", b"", 200),
            ("/echo", "POST", b"x" * 100_000, 200),
            ("/echo", "PUT", b"x" * 2_000_000, 413),
            ("/empty", "DELETE", b"", 204),
            ("/teapot", "BREW", b"", 418),
            ("/trap", "GET", b"", 500),
            ("/silent", "GET", b"", 500),
            ("/loop", "GET", b"", 504),
            ("/late-trap", "GET", b"", 200),
        ]:
            for _ in range(2):
                # An answer that breaks off is an error to its client.
                with suppress(http.client.IncompleteRead, ConnectionError):
                    answer = request(f"{server.url}{path}", method, body, {"host": f"{host}.example"})
                    assert answer.status == (status if named else 404)
                made[named, method, status if named else 404] += 1
    return made


@pytest.mark.parametrize("hosts", [("lean", "full"), pytest.param(("tasks",), marks=pytest.mark.slow)])
def test_logs_metrics_and_spans_agree_with_what_was_asked(hosts: tuple[Host, ...], tmp_path: Path) -> None:
    """Every request is one line, one count and one span, of the same application, method and status."""
    log = tmp_path / "access.log"
    with (
        passed_on() as collected,
        edge.serve(
            applications(hosts),
            address=ANYWHERE,
            admin=ANYWHERE,
            log=Log(file=str(log)),
            traces=Traces(endpoint=collected.url),
        ) as server,
    ):
        made = mixed(server, hosts)
        # Who goes away before there is an answer is counted too.
        with socket.create_connection(server.address) as connection:
            connection.sendall(b"GET /loop HTTP/1.1\r\nhost: patient.example\r\n\r\n")
            until(lambda: server.statistics("patient")["active"] == 1)
        until(lambda: server.statistics()["active"] == 0)
        made["patient", "GET", 499] += 1
        until(lambda: len(lines(log)) == made.total())
        counted = metrics(server)
        server.stop()
        spans = [span for span in collected.spans if span.kind == span.SPAN_KIND_SERVER]
    named = {"BREW": "_OTHER"}
    by_line = Counter((line["application"] or "", line["method"], line["status"]) for line in lines(log))
    by_span = Counter(
        (
            said(span).get("wherry.application", ""),
            said(span)["http.request.method"],
            said(span)["http.response.status_code"],
        )
        for span in spans
    )
    by_count = {
        (labels["application"], labels["method"], int(labels["status"])): value
        for (name, pairs), value in counted.items()
        if name == "wherry_requests_total"
        for labels in [dict(pairs)]
    }
    assert by_line == made
    assert by_span == made
    assert by_count == {
        (application, named.get(method, method), status): count
        for (application, method, status), count in made.items()
    }
    for application in (*hosts, ""):
        total = sum(count for (name, *_), count in made.items() if name == application)
        labels = (("application", application),)
        assert counted["wherry_request_duration_seconds_count", labels] == total
        assert counted["wherry_requests_active", labels] == 0
        sent = sum(line["bytes"] for line in lines(log) if (line["application"] or "") == application)
        assert counted["wherry_response_body_bytes_total", labels] == sent
    for host in hosts:
        assert counted["wherry_guest_failures_total", (("application", host), ("reason", "late"))] == 2
        assert counted["wherry_guest_failures_total", (("application", host), ("reason", "failed"))] == 6
        assert counted["wherry_request_body_bytes_total", (("application", host),)] == 200_000
        assert counted["wherry_guest_memory_peak_bytes", (("application", host),)] >= 65536
    assert counted["process_resident_memory_bytes", ()] > 1e6
    assert counted["wherry_log_lines_dropped_total", (("log", "access"),)] == 0
    broken = [line["target"] for line in lines(log) if not line["complete"]]
    assert sorted(set(broken)) == ["/late-trap", "/loop"]
    assert {line["trace_id"] for line in lines(log)} == {span.trace_id.hex() for span in spans}


def test_commands_and_files_are_seen_as_well(command: Path, tmp_path: Path) -> None:
    """They have lines, counts and spans; a command is told of its client, and what it says is logged."""
    site, log, said_by = tmp_path / "site", tmp_path / "access.log", tmp_path / "guests.log"
    site.mkdir()
    (site / "index.html").write_text("home")
    settings = ApplicationSettings(name="both", static=str(site))
    fields = {
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "shop.example",
    }
    with (
        collecting() as collected,
        edge.serve(
            [Application(command, settings=settings)],
            address=ANYWHERE,
            admin=ANYWHERE,
            log=Log(file=str(log)),
            guest_log=GuestLog(file=str(said_by), format="json"),
            traces=Traces(endpoint=collected.url),
            trusted_proxies=("127.0.0.1",),
        ) as server,
    ):
        assert request(server.url).text == "home"
        direct = dict(line.split("=", 1) for line in request(f"{server.url}/tell").text.splitlines())
        behind = request(f"{server.url}/tell", fields={**fields, "x-request-id": "abc-1"})
        told = dict(line.split("=", 1) for line in behind.text.splitlines())
        assert [request(f"{server.url}{path}").status for path in ("/trap", "/code")] == [500, 500]
        until(lambda: len(lines(log)) == 5)
        counted = metrics(server)
        server.stop()
    assert (direct["REMOTE_ADDR"], direct["HTTPS"], direct["SERVER_NAME"]) == ("127.0.0.1", "", "127.0.0.1")
    assert direct["REMOTE_PORT"].isdigit()
    assert (told["REMOTE_ADDR"], told["REMOTE_PORT"]) == ("203.0.113.9", "")
    assert (told["HTTPS"], told["SERVER_NAME"]) == ("on", "shop.example")
    assert (told["HTTP_X_FORWARDED_FOR"], told["HTTP_X_REQUEST_ID"]) == ("203.0.113.9", "abc-1")
    assert [(line["target"], line["status"], line["bytes"] > 0) for line in lines(log)] == [
        ("/", 200, True),
        ("/tell", 200, True),
        ("/tell", 200, True),
        ("/trap", 500, True),
        ("/code", 500, True),
    ]
    ids = {line["request_id"]: line["target"] for line in lines(log)}
    heard = [(one["application"], ids[one["request_id"]], one["message"]) for one in lines(said_by)]
    assert sorted(heard) == sorted(
        ("both", path, f"asked for {path}") for path in ("/tell", "/tell", "/trap", "/code")
    )
    assert (
        counted["wherry_requests_total", (("application", "both"), ("method", "GET"), ("status", "200"))] == 3
    )
    assert counted["wherry_instances_total", (("application", "both"),)] == 4
    assert counted["wherry_guest_memory_peak_bytes", (("application", "both"),)] >= 65536
    by_trace = Counter(span.name for span in collected.spans)
    assert by_trace == {"GET /*rest": 5, "instance": 4, "guest": 4}
    errors = sorted(
        said(span)["error.type"] for span in collected.spans if span.name == "guest" and span.status.code
    )
    assert errors == ["exit 3", "trap"]
    guests = {span.trace_id: span.span_id.hex() for span in collected.spans if span.name == "guest"}
    traced = [told["HTTP_TRACEPARENT"].split("-")[2], direct["HTTP_TRACEPARENT"].split("-")[2]]
    assert set(traced) <= set(guests.values())


@pytest.mark.parametrize("host", HOSTS)
def test_spans_have_parents_and_the_guest_is_told_of_its_trace(host: Host) -> None:
    """The request comes from the caller's span, and instance and guest come from the request's."""
    with (
        collecting() as collected,
        edge.serve(
            http_application(host),
            address=ANYWHERE,
            traces=Traces(endpoint=collected.url, sample=0.0, headers={"x-key": "secret"}),
        ) as server,
    ):
        fields = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=1"}
        told = request(f"{server.url}/tell", fields=fields).text
        # Not recorded by its caller, not valid, and not taken by the ratio.
        for traceparent in (f"00-{TRACE}-{PARENT}-00", f"00-{TRACE.upper()}-{PARENT}-01", ""):
            request(server.url, fields={"traceparent": traceparent} if traceparent else {})
        server.stop()
    spans = {span.name: span for span in collected.spans}
    assert sorted(spans) == ["GET /*rest", "guest", "instance"]
    server_span = spans["GET /*rest"]
    assert {span.trace_id.hex() for span in collected.spans} == {TRACE}
    assert {span.trace_state for span in collected.spans} == {"a=1"}
    assert server_span.parent_span_id.hex() == PARENT
    assert spans["instance"].parent_span_id == spans["guest"].parent_span_id == server_span.span_id
    for span in collected.spans:
        assert server_span.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
    assert f"traceparent: 00-{TRACE}-{spans['guest'].span_id.hex()}-01\n" in told
    assert "tracestate: a=1\n" in told
    assert collected.fields[0]["x-key"] == "secret"


def test_a_collector_that_is_away_for_a_moment_gets_all() -> None:
    """What it does not take is sent again; what it refuses is dropped, and counted."""
    with (
        collecting((503, 429)) as collected,
        edge.serve(
            http_application("lean"), address=ANYWHERE, admin=ANYWHERE, traces=Traces(endpoint=collected.url)
        ) as server,
    ):
        request(server.url)
        until(lambda: len(collected.spans) == 3)
        until(lambda: metrics(server)["wherry_spans_exported_total", ()] == 3)
    with (
        collecting((400,)) as collected,
        edge.serve(
            http_application("lean"), address=ANYWHERE, admin=ANYWHERE, traces=Traces(endpoint=collected.url)
        ) as server,
    ):
        request(server.url)
        until(lambda: metrics(server)["wherry_spans_dropped_total", ()] == 3)
        assert not collected.spans


def test_the_combined_format_is_read_as_others_write_it(tmp_path: Path) -> None:
    """A client cannot begin a line, nor end a quoted field."""
    log = tmp_path / "access.log"
    with edge.serve(
        http_application("lean"), address=ANYWHERE, log=Log(file=str(log), format="combined")
    ) as server:
        agent = 'a" "b\\ \x1b[31m\x80'
        with socket.create_connection(server.address) as connection:
            head = f"GET /?q=1 HTTP/1.0\r\nuser-agent: {agent}\r\nreferer: http://a.example/\r\n\r\n"
            connection.sendall(head.encode("latin-1").replace(b"\x1b", b"\x09"))
            assert connection.recv(65536)
        request(server.url)
    first, second = (COMBINED.fullmatch(line) for line in log.read_text().splitlines())
    assert first is not None
    assert second is not None
    assert first["agent"] == 'a\\" \\"b\\\\ \\x09[31m\\x80'
    assert first.group("client", "method", "target", "version", "status", "bytes", "referer") == (
        "127.0.0.1",
        "GET",
        "/?q=1",
        "HTTP/1.0",
        "200",
        "-",
        "http://a.example/",
    )
    assert second.group("status", "bytes", "target") == ("200", "13", "/")


def test_a_part_of_the_requests_is_logged_and_all_errors(tmp_path: Path) -> None:
    """With a sample of none, what went wrong is there."""
    log = tmp_path / "access.log"
    with edge.serve(http_application("lean"), address=ANYWHERE, log=Log(file=str(log), sample=0.0)) as server:
        for path in ("/", "/trap", "/", "/teapot", "/"):
            request(f"{server.url}{path}")
    assert [line["target"] for line in lines(log)] == ["/trap", "/teapot"]


def test_a_log_that_was_moved_is_reopened(tmp_path: Path) -> None:
    """Lines before are in the old file, lines after in the new one, and none is lost."""
    log = tmp_path / "access.log"
    with edge.serve(http_application("lean"), address=ANYWHERE, log=Log(file=str(log))) as server:
        request(f"{server.url}/empty")
        until(lambda: len(lines(log)) == 1)
        log.rename(tmp_path / "access.log.1")
        server.reopen()
        request(f"{server.url}/teapot")
        until(lambda: log.exists() and len(lines(log)) == 1)
    assert [line["target"] for line in lines(tmp_path / "access.log.1")] == ["/empty"]
    assert [line["target"] for line in lines(log)] == ["/teapot"]


def test_what_cannot_be_opened_is_an_error_at_the_start(tmp_path: Path) -> None:
    """A folder that is not there, and settings that are none."""
    with pytest.raises(HostIOError, match="missing"):
        edge.serve(http_application("lean"), address=ANYWHERE, log=Log(file=str(tmp_path / "missing/log")))
    refused: list[tuple[dict[str, Any], str]] = [
        ({"traces": Traces(endpoint="localhost:4318")}, "no URL of a collector"),
        ({"trusted_proxies": ("10.0.0.0/33",)}, "no range of addresses"),
        ({"log": Log(file="-", sample=1.5)}, "no part of the requests"),
        ({"admin": "nowhere"}, "no address to listen at"),
        ({"guest_log": GuestLog(limit="much")}, "size"),
    ]
    for settings, words in refused:
        with pytest.raises(UsageError, match=words):
            edge.serve(http_application("lean"), address=ANYWHERE, **settings)


@pytest.mark.parametrize("host", HOSTS)
def test_only_named_proxies_are_believed(host: Host) -> None:
    """A guest sees what was found out, in place of what its client says."""
    fields = {
        "x-forwarded-for": "6.6.6.6, 203.0.113.9",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "shop.example",
        "x-forwarded-prefix": "/admin",
        "forwarded": "for=6.6.6.6",
        "x-real-ip": "6.6.6.6",
        "x-request-id": "abc-1",
    }
    program = http_application(host)
    with edge.serve(program, address=ANYWHERE) as server:
        told = request(f"{server.url}/tell", fields=fields).text
        assert "6.6.6.6" not in told
        assert "abc-1" not in told
        assert "prefix" not in told
        assert "x-forwarded-for: 127.0.0.1\n" in told
        assert "x-forwarded-proto: http\n" in told
        assert f"x-forwarded-host: 127.0.0.1:{server.address[1]}\n" in told
        assert re.search(r"^x-request-id: [0-9a-f]{16}-[0-9a-f]+$", told, re.MULTILINE)
        assert request(f"{server.url}/trap", fields=fields).fields["x-request-id"] != "abc-1"
    with edge.serve(program, address=ANYWHERE, trusted_proxies=("127.0.0.0/8",)) as server:
        told = request(f"{server.url}/tell", fields=fields).text
        assert told.splitlines()[0].endswith(" shop.example")
        assert "6.6.6.6" not in told
        assert "x-forwarded-for: 203.0.113.9\n" in told
        assert "x-forwarded-proto: https\n" in told
        assert 'forwarded: for=203.0.113.9;proto=https;host="shop.example"\n' in told
        assert "x-request-id: abc-1\n" in told
        assert request(f"{server.url}/trap", fields=fields).fields["x-request-id"] == "abc-1"
        assert any(failure.text.startswith("abc-1 ") for failure in server.failures(5.0))


def test_the_admin_address_tells_of_health_and_changes_nothing() -> None:
    """It is alive and ready until it stops or cannot load what it serves."""
    server = edge.serve(http_application("lean"), address=ANYWHERE, admin=ANYWHERE)
    with server:
        assert watched(server, "/health").status == 200
        assert watched(server, "/ready").status == 200
        request(server.url)
        statistics = watched(server, "/statistics")
        told = msgspec.json.decode(statistics.body)
        (name,) = [name for name in told["applications"] if name]
        assert told["applications"][name]["requests"] == 1
        assert watched(server, "/nothing").status == 404
        assert server.admin is not None
        assert request(f"http://127.0.0.1:{server.admin[1]}/ready", "POST").status == 405
        server._native.note_stale()
        assert watched(server, "/ready").status == 503
        server.reload()
        assert watched(server, "/ready").status == 200
        # A request that goes on keeps the server from its end, for a while.
        with socket.create_connection(server.address) as connection:
            connection.sendall(b"GET /after HTTP/1.1\r\nhost: a.example\r\n\r\n")
            stopping = threading.Thread(target=server.stop, args=(2.0,))
            stopping.start()
            until(lambda: watched(server, "/ready").status == 503)
            assert watched(server, "/health").status == 200
            stopping.join()
    with edge.serve(http_application("lean"), address=ANYWHERE) as quiet:
        assert quiet.admin is None


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_a_guest_prints_is_lines_with_their_request(form: Any, tmp_path: Path) -> None:
    """Each says when, of which application and request, and by which stream; nothing reaches a terminal."""
    log = tmp_path / "guests.log"
    with edge.serve(
        http_application("full"),
        address=ANYWHERE,
        name="shop",
        guest_log=GuestLog(file=str(log), format=form),
        trusted_proxies=("127.0.0.1",),
    ) as server:
        assert request(f"{server.url}/print", fields={"x-request-id": "abc-1"}).status == 200
    told: list[tuple[Any, ...]]
    if form == "json":
        told = [(one["application"], one["request_id"], one["stream"], one["message"]) for one in lines(log)]
    else:
        pattern = re.compile(r"\S+Z (\S+) (\S+) (\S+): (.*)")
        told = [one.groups() for one in map(pattern.fullmatch, log.read_text().splitlines()) if one]
    escape = "\x1b" if form == "json" else "\\u{1b}"
    assert sorted(told) == [
        ("shop", "abc-1", "stderr", "three"),
        ("shop", "abc-1", "stdout", "one"),
        ("shop", "abc-1", "stdout", f"two {escape}[31m"),
    ]


def test_an_instance_that_is_used_again_speaks_for_its_request(tmp_path: Path) -> None:
    """What it prints, and its spans, are those of the request that it answers, in one instance."""
    log = tmp_path / "guests.log"
    with (
        collecting() as collected,
        edge.serve(
            http_application("full"),
            address=ANYWHERE,
            reuse=16,
            name="shop",
            admin=ANYWHERE,
            guest_log=GuestLog(file=str(log), format="json"),
            traces=Traces(endpoint=collected.url),
            trusted_proxies=("127.0.0.1",),
        ) as server,
    ):
        for number in ("one", "two"):
            assert request(f"{server.url}/print", fields={"x-request-id": number}).status == 200
        assert metrics(server)["wherry_instances_total", (("application", "shop"),)] == 1
        server.stop()
    assert Counter(one["request_id"] for one in lines(log)) == {"one": 3, "two": 3}
    assert Counter(span.name for span in collected.spans) == {"GET /*rest": 2, "instance": 1, "guest": 2}
