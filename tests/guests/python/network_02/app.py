"""A WASI 0.2 command that tries the network: each argument is one try, and each prints one line.

``tcp ADDRESS PORT TEXT`` says TEXT and prints the echo; ``flood ADDRESS PORT COUNT`` sends COUNT bytes and
counts the echo; ``send ADDRESS PORT COUNT`` only sends, ``receive ADDRESS PORT COUNT`` only reads;
``bodies COUNT SIZE`` begins COUNT requests and writes to each as much as is taken; ``hold ADDRESS PORT
COUNT`` keeps COUNT connections; ``udp ADDRESS PORT TEXT`` is ``tcp`` by datagram; ``lookup NAME``;
``name NAME PORT TEXT`` looks up and says; ``listen ADDRESS PORT`` serves one connection;
``serve ADDRESS PORT`` answers one datagram; ``http METHOD URL [BYTES [HEADER=VALUE]]``;
``slow URL MILLISECONDS`` asks with timeouts of its own. A failure is printed by its name in the interface.
"""

import functools
import ipaddress
import sys
import time

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import (
    instance_network,
    ip_name_lookup,
    outgoing_handler,
    streams,
    tcp_create_socket,
    udp_create_socket,
)
from wit_world.imports import network as net
from wit_world.imports import udp as datagrams
from wit_world.imports import wasi_http_types as http


@functools.cache
def network():
    return instance_network.instance_network()


def family(address):
    return (
        net.IpAddressFamily.IPV4 if ipaddress.ip_address(address).version == 4 else net.IpAddressFamily.IPV6
    )


def endpoint(address, port):
    packed = ipaddress.ip_address(address).packed
    if len(packed) == 4:
        return net.IpSocketAddress_Ipv4(net.Ipv4SocketAddress(int(port), tuple(packed)))
    parts = tuple(packed[at] << 8 | packed[at + 1] for at in range(0, 16, 2))
    return net.IpSocketAddress_Ipv6(net.Ipv6SocketAddress(int(port), 0, parts, 0))


def shown(address):
    parts = address.value
    if len(parts) == 4:
        return str(ipaddress.IPv4Address(bytes(parts)))
    return str(ipaddress.IPv6Address(b"".join(part.to_bytes(2, "big") for part in parts)))


def until_ready(source, act):
    while True:
        try:
            return act()
        except Err as error:
            if error.value is not net.ErrorCode.WOULD_BLOCK:
                raise
        with source.subscribe() as pollable:
            pollable.block()


def connect(address, port):
    socket = tcp_create_socket.create_tcp_socket(family(address))
    socket.start_connect(network(), endpoint(address, port))
    return socket, *until_ready(socket, socket.finish_connect)


def read(source, count):
    data = b""
    while len(data) < count:
        try:
            data += source.blocking_read(count - len(data))
        except Err as error:
            if isinstance(error.value, streams.StreamError_Closed):
                break
            print(len(data), end=" ")
            raise
    return data


def write(output, data):
    sent = 0
    while sent < len(data):
        with output.subscribe() as pollable:
            pollable.block()
        part = data[sent : sent + output.check_write()]
        output.write(part)
        sent += len(part)


def tcp(address, port, text):
    socket, source, output = connect(address, port)
    with socket, source, output:
        write(output, text.encode())
        return read(source, len(text.encode())).decode()


def flood(address, port, count):
    socket, source, output = connect(address, port)
    with socket, source, output:
        sent = 0
        try:
            while sent < int(count):
                part = b"x" * min(1000, int(count) - sent)
                write(output, part)
                sent += len(read(source, len(part)))
        finally:
            print(sent, end=" ")
        return "done"


def send(address, port, count):
    socket, source, output = connect(address, port)
    with socket, source, output:
        write(output, b"x" * int(count))
        output.blocking_flush()
        return "sent"


def receive(address, port, count):
    socket, source, output = connect(address, port)
    with socket, source, output:
        return len(read(source, int(count)))


def bodies(count, size):
    held, kept = [], 0
    try:
        for _ in range(int(count)):
            request = http.OutgoingRequest(http.Fields())
            with request.body() as body, body.write() as output:
                held.append(request)
                while room := output.check_write():
                    output.write(b"x" * min(room, int(size)))
                    kept += min(room, int(size))
    finally:
        print(len(held), kept, end=" ")
    return "kept"


def hold(address, port, count):
    held = []
    try:
        for _ in range(int(count)):
            held.append(connect(address, port))  # noqa: PERF401 - those before a failure are kept
    finally:
        print(len(held), end=" ")
        for socket, source, output in held:
            source.__exit__(None, None, None)
            output.__exit__(None, None, None)
            socket.__exit__(None, None, None)
    return "held"


def bound(socket, address, port):
    socket.start_bind(network(), endpoint(address, port))
    socket.finish_bind()


def udp(address, port, text):
    with udp_create_socket.create_udp_socket(family(address)) as socket:
        everywhere = "0.0.0.0" if family(address) is net.IpAddressFamily.IPV4 else "::"  # noqa: S104 - to send from
        bound(socket, everywhere, 0)
        incoming, outgoing = socket.stream(None)
        with incoming, outgoing:
            until_ready(outgoing, outgoing.check_send)
            outgoing.send([datagrams.OutgoingDatagram(text.encode(), endpoint(address, port))])
            return received(incoming).data.decode()


def received(incoming):
    while True:
        if found := incoming.receive(1):
            return found[0]
        with incoming.subscribe() as pollable:
            pollable.block()


def serve(address, port):
    with udp_create_socket.create_udp_socket(family(address)) as socket:
        bound(socket, address, port)
        incoming, outgoing = socket.stream(None)
        with incoming, outgoing:
            print("serving", flush=True)
            found = received(incoming)
            until_ready(outgoing, outgoing.check_send)
            outgoing.send([datagrams.OutgoingDatagram(found.data, found.remote_address)])
            return "served"


def resolved(name):
    with ip_name_lookup.resolve_addresses(network(), name) as stream:
        found = []
        while (address := until_ready(stream, stream.resolve_next_address)) is not None:
            found.append(shown(address))
        return found


def lookup(name):
    return ",".join(resolved(name))


def name(name, port, text):
    return tcp(resolved(name)[0], port, text)


def listen(address, port):
    with tcp_create_socket.create_tcp_socket(family(address)) as socket:
        bound(socket, address, port)
        socket.start_listen()
        socket.finish_listen()
        print("listening", socket.local_address().value.port, flush=True)
        client, source, output = until_ready(socket, socket.accept)
        with client, source, output:
            write(output, read(source, 4))
        return "served"


def http_answer(method, url, options, body, headers=()):
    scheme, rest = url.split("://", 1)
    authority, slash, path = rest.partition("/")
    request = http.OutgoingRequest(http.Fields.from_list([(key, value.encode()) for key, value in headers]))
    known = {"http": http.Scheme_Http(), "https": http.Scheme_Https()}
    request.set_scheme(known.get(scheme, http.Scheme_Other(scheme)))
    request.set_authority(authority)
    request.set_path_with_query(slash + path or "/")
    kind = getattr(http, f"Method_{method.capitalize()}", None)
    request.set_method(kind() if kind else http.Method_Other(method))
    outgoing = request.body()
    pending = outgoing_handler.handle(request, options)
    if body:
        with outgoing.write() as output:
            write(output, b"x" * body)
    http.OutgoingBody.finish(outgoing, None)
    with pending.subscribe() as pollable:
        pollable.block()
    answer = pending.get().value
    if isinstance(answer, Err):
        raise answer
    answer = answer.value
    status = answer.status()
    for key, value in answer.headers().entries():
        if key == "location":
            status = f"{status} {value.decode()}"
    with answer.consume() as incoming, incoming.stream() as source:
        data = b""
        try:
            while True:
                data += source.blocking_read(65536)
        except Err as error:
            if not isinstance(error.value, streams.StreamError_Closed):
                why = http.http_error_code(error.value.value)
                print(status, len(data), end=" ")
                raise Err(why) from None
    return f"{status} {data.decode() if len(data) < 200 else len(data)}"


def request(method, url, count="0", *headers):
    return http_answer(method, url, None, int(count), [header.split("=", 1) for header in headers])


def slow(url, milliseconds):
    options = http.RequestOptions()
    for set_timeout in (
        options.set_connect_timeout,
        options.set_first_byte_timeout,
        options.set_between_bytes_timeout,
    ):
        set_timeout(int(milliseconds) * 1_000_000)
    return http_answer("GET", url, options, 0)


def sleep(milliseconds):
    time.sleep(int(milliseconds) / 1000)
    return "slept"


def reason(value):
    if isinstance(value, streams.StreamError_LastOperationFailed):
        return "last-operation-failed"
    text = getattr(value, "name", None) or type(value).__name__.rpartition("_")[2]
    if text.isupper():
        return text.lower().replace("_", "-")
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in text).lstrip("-")


TRIES = {
    "http": request,
    **{
        act.__name__: act
        for act in (tcp, flood, send, receive, bodies, hold, udp, serve, lookup, name, listen, slow, sleep)
    },
}


class Run(exports.Run):
    def run(self) -> None:
        failed = False
        for argument in sys.argv[1:]:
            act, *words = argument.split(" ")
            try:
                print(TRIES[act](*words), flush=True)
            except Err as error:
                print(reason(error.value), flush=True)
                failed = True
        if failed:
            sys.exit(1)
