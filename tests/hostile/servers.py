"""Real servers on loopback for guests to talk to: echoes, HTTP/1.1 and HTTP/2, TLS, and a name server.

Each runs on a thread of its own at a free port and remembers what it was asked. ``serving`` starts it and
stops it.
"""

from __future__ import annotations

import contextlib
import http.server
import queue
import socket
import socketserver
import struct
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import h2.config
import h2.connection
import h2.events

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

A, AAAA = 1, 28
_Served = TypeVar("_Served", bound=socketserver.BaseServer)


@contextlib.contextmanager
def serving(server: _Served) -> Iterator[_Served]:
    """The server, while it serves."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _EchoHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Echo)
        self.server.connections += 1
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                self.server.received += len(data)
                self.request.sendall(data)


class Echo(_Server):
    """Says what it hears; counts connections and bytes."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.connections = 0
        self.received = 0
        super().__init__((address, port), _EchoHandler)


class _SinkHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Sink)
        received = 0
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                received += len(data)
        self.server.received.put(received)


class Sink(_Server):
    """Hears all and says nothing; gives the bytes of each connection when that has ended."""

    def __init__(self) -> None:
        self.received: queue.Queue[int] = queue.Queue()
        super().__init__(("127.0.0.1", 0), _SinkHandler)


class _SourceHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Source)
        with contextlib.suppress(OSError):
            self.request.sendall(b"x" * self.server.count)


class Source(_Server):
    """Says so many bytes to everybody, and hears nothing."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(("127.0.0.1", 0), _SourceHandler)


class _DatagramHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Datagrams)
        data, sock = self.request
        self.server.received.append(data)
        sock.sendto(data, self.client_address)


class Datagrams(socketserver.ThreadingUDPServer):
    """Says what it hears, by datagrams."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.received: list[bytes] = []
        super().__init__((address, port), _DatagramHandler)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _WebHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    disable_nagle_algorithm = True

    def answer(self) -> None:
        assert isinstance(self.server, Web)
        length = int(self.headers.get("content-length") or 0)
        body = bytearray(self.rfile.read(length))
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.server.requests.append((self.requestline, dict(self.headers.items()), len(body)))
        if self.path.startswith("/redirect"):
            self.send(302, b"", location="/secret")
        elif self.path.startswith("/bytes/"):
            self.send(200, b"x" * int(self.path.rpartition("/")[2]))
        elif self.path.startswith("/last"):
            self.send(200, b"last", connection="close")
        elif self.path.startswith("/unsaid"):
            self.close_connection = True
            self.send(200, b"unsaid")
        elif self.path.startswith("/late"):
            time.sleep(3)
            self.send(200, b"late")
        elif self.path.startswith("/pause"):
            self.send_response(200)
            self.send_header("content-length", "10")
            self.end_headers()
            self.wfile.write(b"12345")
            self.wfile.flush()
            time.sleep(3)
        else:
            self.send(200, f"{self.command} {self.path} {self.headers['host']} {len(body)}".encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names that the base class calls

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Web(_Server):
    """HTTP/1.1, with TLS if there is a context; remembers requests, and counts connections."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.requests: list[tuple[str, dict[str, str], int]] = []
        self.connections = 0
        self.tls = tls
        super().__init__((address, port), _WebHandler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept, and shake hands on the thread of the connection."""
        connection, address = super().get_request()
        self.connections += 1
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no error here."""


class _MultiplexHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Multiplexed)
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        connection = h2.connection.H2Connection(config)
        with contextlib.suppress(OSError), self.server.tls.wrap_socket(self.request, server_side=True) as tls:
            self.server.connections += 1
            connection.initiate_connection()
            waiting: list[h2.events.RequestReceived] = []
            asked: dict[int | None, h2.events.RequestReceived] = {}
            tls.sendall(connection.data_to_send())
            while data := tls.recv(65536):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        asked[event.stream_id] = event
                    elif isinstance(event, h2.events.DataReceived) and event.stream_id is not None:
                        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        waiting.append(asked.pop(event.stream_id))
                while len(waiting) >= self.server.together:
                    for _ in range(self.server.together):
                        self.answer(connection, waiting.pop())
                tls.sendall(connection.data_to_send())

    def answer(self, connection: h2.connection.H2Connection, event: h2.events.RequestReceived) -> None:
        assert isinstance(self.server, Multiplexed)
        headers: dict[str, str] = {str(name): str(value) for name, value in event.headers or []}
        self.server.requests.append(headers)
        stream = event.stream_id
        assert stream is not None
        connection.send_headers(stream, [(":status", "200")])
        connection.send_data(
            stream, f"h2 {headers[':path']} {headers[':authority']}".encode(), end_stream=True
        )


class Multiplexed(_Server):
    """HTTP/2 over TLS, chosen by ALPN; answers so many requests at a time, the last one first."""

    def __init__(self, tls: ssl.SSLContext, together: int = 1) -> None:
        tls.set_alpn_protocols(["h2"])
        self.tls = tls
        self.together = together
        self.connections = 0
        self.requests: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _MultiplexHandler)


class _NameHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Names)
        question, sock = self.request
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode())
            at += 1 + length
        (kind,) = struct.unpack(">H", question[at + 1 : at + 3])
        name = ".".join(labels).lower()
        found = self.server.answer(name, kind)
        # A pointer to the name in the question, the type, class IN, no time to live, and the address.
        records = [struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(packed)) + packed for packed in found or []]
        flags = 0x8180 if found is not None else 0x8183
        head = question[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0)
        sock.sendto(head + question[12 : at + 5] + b"".join(records), self.client_address)


class Names(socketserver.ThreadingUDPServer):
    """A name server. ``zone`` gives for each name its answers, one after the other; the last one stays."""

    daemon_threads = True
    block_on_close = False
    families: ClassVar = {A: socket.AF_INET, AAAA: socket.AF_INET6}

    def __init__(self, zone: dict[str, list[list[str]]]) -> None:
        self.zone = zone
        self.asked: list[tuple[str, int]] = []
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _NameHandler)

    @property
    def resolver(self) -> str:
        """What ``--resolver`` takes."""
        return f"127.0.0.1:{self.server_address[1]}"

    def answer(self, name: str, kind: int) -> list[bytes] | None:
        """The addresses of one family; ``None`` where there is no such name."""
        with self._lock:
            self.asked.append((name, kind))
            if name not in self.zone:
                return None
            turn = self.asked.count((name, kind)) - 1
            answers = self.zone[name]
            family = self.families.get(kind)
            wanted = [at for at in answers[min(turn, len(answers) - 1)] if (":" in at) == (kind == AAAA)]
            return [] if family is None else [socket.inet_pton(family, address) for address in wanted]
