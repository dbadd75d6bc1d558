"""Collectors of traces: one that the tests read, and in front of it the OpenTelemetry Collector itself."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.edge.programs import go_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

__all__ = ["Collected", "collecting", "passed_on"]


class Collected(NamedTuple):
    """What a collector was sent."""

    url: str
    spans: list[Span]
    fields: list[dict[str, str]]


@contextmanager
def collecting(statuses: tuple[int, ...] = ()) -> Iterator[Collected]:
    """A collector that answers with these statuses first, and takes what comes after that."""
    spans: list[Span] = []
    fields: list[dict[str, str]] = []
    refusals = list(statuses)

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = refusals.pop(0) if refusals else 200
            if status == 200 and self.path == "/v1/traces":
                fields.append({name.lower(): value for name, value in self.headers.items()})
                sent = ExportTraceServiceRequest.FromString(body)
                spans.extend(
                    span
                    for resource in sent.resource_spans
                    for scope in resource.scope_spans
                    for span in scope.spans
                )
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Collected(f"http://127.0.0.1:{server.server_address[1]}", spans, fields)
        server.shutdown()
        thread.join()


@contextmanager
def passed_on() -> Iterator[Collected]:
    """The OpenTelemetry Collector, which takes what it understands; that is read as it passes it on."""
    with collecting() as collected:
        exporter = {"endpoint": collected.url, "compression": "none", "sending_queue": {"enabled": False}}
        settings = {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:0"}}}},
            "exporters": {"otlp_http": exporter},
            "service": {
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]}},
                "telemetry": {"metrics": {"level": "none"}, "logs": {"encoding": "json"}},
            },
        }
        command = [str(go_program("collector")), "--config", f"yaml:{json.dumps(settings)}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield collected._replace(url=_address(process))
            finally:
                process.terminate()
                process.communicate(timeout=30)


def _address(process: subprocess.Popen[str]) -> str:
    """Where it listens, as it says."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"127\.0\.0\.1:[1-9]\d*", line):
            return f"http://{found[0]}"
    raise AssertionError("".join(said))
