"""A WASI 0.3 command that tries the network: the same tries as ``network_02``, on asynchronous interfaces."""

import asyncio
import ipaddress

import wit_world
from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import client, environment, ip_name_lookup, stdout
from wit_world.imports import exit as ending
from wit_world.imports import wasi_http_types as http
from wit_world.imports import wasi_sockets_types as net

LINES = []


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


async def read(source, count):
    data = b""
    while len(data) < count and not source.writer_dropped:
        data += await source.read(count - len(data))
    return data


async def connected(address, port):
    socket = net.TcpSocket.create(family(address))
    await socket.connect(endpoint(address, port))
    return socket


async def checked(ended):
    ended = await ended.read()
    if isinstance(ended, Err):
        raise ended


async def exchanged(address, port, data, count):
    """Sends ``data`` and reads ``count`` bytes, both at once; gives what was read."""
    with await connected(address, port) as socket:
        writer, reader = wit_world.byte_stream()
        sent = socket.send(reader)
        source, received = socket.receive()

        async def send():
            with writer:
                await writer.write_all(data)

        with source:
            _, found = await asyncio.gather(send(), read(source, count))
        if len(found) < count:
            await say(str(len(found)), end=" ")
            await checked(sent)
            await checked(received)
        return found


async def tcp(address, port, text):
    return (await exchanged(address, port, text.encode(), len(text.encode()))).decode()


async def flood(address, port, count):
    found = await exchanged(address, port, b"x" * int(count), int(count))
    return f"{len(found)} done"


async def send(address, port, count):
    with await connected(address, port) as socket:
        writer, reader = wit_world.byte_stream()
        sent = socket.send(reader)
        with writer:
            await writer.write_all(b"x" * int(count))
        await checked(sent)
        return "sent"


async def receive(address, port, count):
    with await connected(address, port) as socket:
        source, received = socket.receive()
        with source:
            found = await read(source, int(count))
        if len(found) < int(count):
            await say(str(len(found)), end=" ")
            await checked(received)
        return str(len(found))


async def hold(address, port, count):
    held = []
    try:
        for _ in range(int(count)):
            held.append(await connected(address, port))  # noqa: PERF401 - those before a failure are kept
    finally:
        await say(str(len(held)), end=" ")
        for socket in held:
            socket.__exit__(None, None, None)
    return "held"


async def udp(address, port, text):
    with net.UdpSocket.create(family(address)) as socket:
        await socket.send(text.encode(), endpoint(address, port))
        data, _ = await socket.receive()
        return data.decode()


async def serve(address, port):
    with net.UdpSocket.create(family(address)) as socket:
        socket.bind(endpoint(address, port))
        await say("serving")
        data, peer = await socket.receive()
        await socket.send(data, peer)
        return "served"


async def lookup(name):
    return ",".join(map(shown, await ip_name_lookup.resolve_addresses(name)))


async def name(name, port, text):
    return await tcp(shown((await ip_name_lookup.resolve_addresses(name))[0]), port, text)


async def listen(address, port):
    with net.TcpSocket.create(family(address)) as socket:
        socket.bind(endpoint(address, port))
        clients = socket.listen()
        await say(f"listening {socket.get_local_address().value.port}")
        with clients, (await clients.read(1))[0] as client:
            source, _ = client.receive()
            with source:
                data = await read(source, 4)
            writer, reader = wit_world.byte_stream()
            sent = client.send(reader)
            with writer:
                await writer.write_all(data)
            await checked(sent)
        return "served"


async def http_answer(method, url, options, body, headers=()):
    scheme, rest = url.split("://", 1)
    authority, slash, path = rest.partition("/")
    fields = http.Fields.from_list([(key, value.encode()) for key, value in headers])
    _, trailers = wit_world.result_option_wasi_http_types_fields_wasi_http_types_error_code_future(
        lambda: Ok(None)
    )
    writer, reader = wit_world.byte_stream()
    request, _ = http.Request.new(fields, reader, trailers, options)
    known = {"http": http.Scheme_Http(), "https": http.Scheme_Https()}
    request.set_scheme(known.get(scheme, http.Scheme_Other(scheme)))
    request.set_authority(authority)
    request.set_path_with_query(slash + path or "/")
    kind = getattr(http, f"Method_{method.capitalize()}", None)
    request.set_method(kind() if kind else http.Method_Other(method))

    async def send():
        with writer:
            if body:
                await writer.write_all(b"x" * body)

    _, answer = await asyncio.gather(send(), client.send(request))
    status = answer.get_status_code()
    for key, value in answer.get_headers().copy_all():
        if key == "location":
            status = f"{status} {value.decode()}"
    _, done = wit_world.result_unit_wasi_http_types_error_code_future(lambda: Ok(None))
    source, ended = http.Response.consume_body(answer, done)
    data = b""
    with source:
        while not source.writer_dropped:
            data += await source.read(65536)
    ended = await ended.read()
    if isinstance(ended, Err):
        await say(f"{status} {len(data)}", end=" ")
        raise ended
    return f"{status} {data.decode() if len(data) < 200 else len(data)}"


async def request(method, url, count="0", *headers):
    return await http_answer(method, url, None, int(count), [header.split("=", 1) for header in headers])


async def slow(url, milliseconds):
    options = http.RequestOptions()
    for set_timeout in (
        options.set_connect_timeout,
        options.set_first_byte_timeout,
        options.set_between_bytes_timeout,
    ):
        set_timeout(int(milliseconds) * 1_000_000)
    return await http_answer("GET", url, options, 0)


def reason(value):
    text = getattr(value, "name", None) or type(value).__name__.rpartition("_")[2]
    if text.isupper():
        return text.lower().replace("_", "-")
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in text).lstrip("-")


TRIES = {
    "http": request,
    **{
        act.__name__: act for act in (tcp, flood, send, receive, hold, udp, serve, lookup, name, listen, slow)
    },
}


async def say(text, end="\n"):
    writer, reader = wit_world.byte_stream()
    written = stdout.write_via_stream(reader)
    with writer:
        await writer.write_all((text + end).encode())
    await written.read()


class Run(exports.Run):
    async def run(self) -> None:
        failed = False
        for argument in environment.get_arguments()[1:]:
            act, *words = argument.split(" ")
            try:
                await say(await TRIES[act](*words))
            except Err as error:
                await say(reason(error.value))
                failed = True
        if failed:
            ending.exit(Err(None))
