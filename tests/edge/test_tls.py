"""HTTPS: which protocol is agreed on, which certificate is shown, and what becomes of one that is wrong."""

from __future__ import annotations

import datetime as dt
import http.client
import os
import re
import signal
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h2.connection
import h2.events
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.edge.served import serving
from tests.guests.build import http_application
from wherry import NotFoundError, UsageError, WherryError, edge

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whom the clients trust."""
    return trustme.CA()


@pytest.fixture
def issue(authority: trustme.CA, tmp_path: Path) -> Callable[..., edge.Certificate]:
    """Makes a certificate for these names, under a name of its own; one of the same name takes its place."""

    def make(*names: str, file: str = "one") -> edge.Certificate:
        made = authority.issue_cert(*names)
        chain, key = tmp_path / f"{file}.pem", tmp_path / f"{file}.key"
        for path, data in [
            (chain, b"".join(one.bytes() for one in made.cert_chain_pems)),
            (key, made.private_key_pem.bytes()),
        ]:
            new = path.with_suffix(".new")
            new.write_bytes(data)
            new.replace(path)
        return edge.Certificate(certificate=str(chain), key=str(key))

    return make


def served(*certificates: edge.Certificate, **settings: Any) -> edge.Server:
    """The lean application behind these."""
    return edge.serve(http_application("lean"), address="127.0.0.1:0", tls=certificates, **settings)


def connect(
    server: edge.Server, authority: trustme.CA, name: str = "localhost", protocols: tuple[str, ...] = ()
) -> ssl.SSLSocket:
    """A connection of a client that asks for this name."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context.wrap_socket(socket.create_connection(server.address, 10), server_hostname=name)


def shown(server: edge.Server, authority: trustme.CA, name: str = "localhost") -> int:
    """The serial number of the certificate that such a client sees."""
    with connect(server, authority, name) as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"").serial_number


def serial(certificate: edge.Certificate) -> int:
    """That of a certificate in its file."""
    return x509.load_pem_x509_certificate(Path(certificate.certificate).read_bytes()).serial_number


def ask(connection: ssl.SSLSocket, path: str = "/exact") -> bytes:
    """The body of an answer over HTTP/1.1."""
    client = http.client.HTTPConnection("localhost")
    client.sock = connection
    client.request("GET", path)
    return client.getresponse().read()


def ask_http2(connection: ssl.SSLSocket) -> bytes:
    """The same over HTTP/2."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    fields = [(":method", "GET"), (":scheme", "https"), (":path", "/exact"), (":authority", "localhost")]
    client.send_headers(1, fields, end_stream=True)
    body = b""
    while True:
        connection.sendall(client.data_to_send())
        for event in client.receive_data(connection.recv(65536)):
            match event:
                case h2.events.DataReceived(data=data):
                    body += data
                case h2.events.StreamEnded():
                    return body


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        pytest.param(("h2", "http/1.1"), "h2", id="both"),
        pytest.param(("http/1.1", "h2"), "h2", id="both, the other way round"),
        pytest.param(("http/1.1",), "http/1.1", id="HTTP/1.1"),
        pytest.param((), None, id="none"),
    ],
)
def test_the_better_protocol_is_agreed_on(
    authority: trustme.CA,
    issue: Callable[..., edge.Certificate],
    offered: tuple[str, ...],
    agreed: str | None,
) -> None:
    """HTTP/2 where the client can; one that says nothing gets HTTP/1.1."""
    with (
        served(issue("localhost")) as server,
        connect(server, authority, protocols=offered) as connection,
    ):
        assert server.url.startswith("https://")
        assert connection.selected_alpn_protocol() == agreed
        assert connection.version() == "TLSv1.3"
        assert (ask_http2 if agreed == "h2" else ask)(connection) == b"Hello, World!"


def test_what_is_neither_protocol_is_refused(
    authority: trustme.CA, issue: Callable[..., edge.Certificate]
) -> None:
    """RFC 7301, 3.2: an alert, and no protocol that the client does not speak."""
    with served(issue("localhost")) as server:
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            connect(server, authority, protocols=("gopher",))
        with connect(server, authority) as connection:
            assert ask(connection) == b"Hello, World!"


def test_old_versions_are_refused(authority: trustme.CA, issue: Callable[..., edge.Certificate]) -> None:
    """TLS 1.2 is the oldest."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with served(issue("localhost")) as server:
        with pytest.deprecated_call():
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection(server.address, 10) as plain,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            context.wrap_socket(plain, server_hostname="localhost")
        context.maximum_version = context.minimum_version = ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection(server.address, 10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            assert ask(connection) == b"Hello, World!"


def test_each_name_has_its_certificate(authority: trustme.CA, issue: Callable[..., edge.Certificate]) -> None:
    """The first is for whoever asks for no name, or for one that nobody has; a star is for one label."""
    one, other = issue("localhost"), issue("shop.example", "*.shop.example", file="other")
    with served(one, other) as server:
        assert shown(server, authority) == serial(one)
        assert shown(server, authority, "shop.example") == serial(other)
        assert shown(server, authority, "a.SHOP.example") == serial(other)
        for name in ["a.b.shop.example", "elsewhere.example"]:
            with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
                shown(server, authority, name)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        context.check_hostname = False
        with (
            socket.create_connection(server.address, 10) as plain,
            context.wrap_socket(plain) as connection,
        ):
            assert ask(connection) == b"Hello, World!"


def test_the_scheme_is_that_of_the_connection(
    authority: trustme.CA, issue: Callable[..., edge.Certificate]
) -> None:
    """A target in absolute form that names the other one is for another server: RFC 9110, 7.4."""
    with served(issue("localhost")) as server:
        for scheme, status in [("https", b"200"), ("http", b"421")]:
            with connect(server, authority) as connection:
                connection.sendall(
                    f"GET {scheme}://localhost/exact HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
                )
                assert connection.recv(65536).startswith(b"HTTP/1.1 " + status)


def test_who_speaks_without_tls_is_told(
    authority: trustme.CA, issue: Callable[..., edge.Certificate]
) -> None:
    """In the words that it understands; the others are served on."""
    with served(issue("localhost")) as server:
        plain = http.client.HTTPConnection(*server.address, timeout=10)
        plain.request("GET", "/exact")
        answer = plain.getresponse()
        assert (answer.status, answer.read()) == (400, b"This is a port of HTTPS")
        plain.close()
        with connect(server, authority) as connection:
            assert ask(connection) == b"Hello, World!"


def test_a_handshake_has_its_time(authority: trustme.CA, issue: Callable[..., edge.Certificate]) -> None:
    """A client that begins it and says no more is cut off; one that says nothing at all too."""
    with served(issue("localhost"), handshake_time="300ms") as server:
        for said in [b"", b"\x16\x03\x01"]:
            with socket.create_connection(server.address, 10) as slow:
                slow.sendall(said)
                assert slow.recv(1) == b""
        with connect(server, authority) as connection:
            assert ask(connection) == b"Hello, World!"


@pytest.mark.parametrize("told", [False, True], ids=["noticed", "reload"])
def test_a_new_certificate_is_shown_without_a_restart(
    authority: trustme.CA, issue: Callable[..., edge.Certificate], *, told: bool
) -> None:
    """To connections from then on, and no request is lost meanwhile; those that are there stay."""
    over = threading.Event()
    with served(issue("localhost")) as server, connect(server, authority) as kept:
        first = shown(server, authority)

        def work() -> int:
            answers = 0
            while not over.is_set():
                with connect(server, authority) as connection:
                    assert ask(connection) == b"Hello, World!"
                answers += 1
            return answers

        with ThreadPoolExecutor(2) as pool:
            working = [pool.submit(work) for _ in range(2)]
            second = serial(issue("localhost"))
            if told:
                server.reload()
                assert shown(server, authority) == second
            while shown(server, authority) == first:
                threading.Event().wait(0.05)
            assert shown(server, authority) == second
            over.set()
            assert all(each.result() > 0 for each in working)
        assert ask(kept) == b"Hello, World!"
        assert server.failures() == []


def test_one_that_became_wrong_is_told_of_and_the_old_one_stays(
    authority: trustme.CA, issue: Callable[..., edge.Certificate]
) -> None:
    """Half of a renewal is no renewal: a certificate whose key is not there yet."""
    certificate = issue("localhost")
    with served(certificate) as server:
        first, key = serial(certificate), Path(certificate.key).read_bytes()
        second = serial(issue("localhost"))
        right = Path(certificate.key).read_bytes()
        Path(certificate.key).write_bytes(key)
        told = server.failures(10)
        while not any("is not the key of" in one.text for one in told):
            told = server.failures(10)
            assert told
        assert all(one.text.startswith("server: the certificates stay as they are: ") for one in told)
        Path(certificate.key).write_bytes(key + b"\n")
        with pytest.raises(UsageError, match="is not the key of"):
            server.reload()
        assert shown(server, authority) in {first, second}
        Path(certificate.key).write_bytes(right)
        while shown(server, authority) != second:
            threading.Event().wait(0.05)


def wrong_key(certificate: edge.Certificate, other: edge.Certificate) -> edge.Certificate:
    """The key of another one."""
    return edge.Certificate(certificate=certificate.certificate, key=other.key)


def swapped(certificate: edge.Certificate, other: edge.Certificate) -> edge.Certificate:
    """The two files in the places of each other."""
    return edge.Certificate(certificate=certificate.key, key=other.certificate)


def no_key(certificate: edge.Certificate, other: edge.Certificate) -> edge.Certificate:
    """A certificate for its own key."""
    return edge.Certificate(certificate=certificate.certificate, key=other.certificate)


def nowhere(certificate: edge.Certificate, other: edge.Certificate) -> edge.Certificate:
    """A file that is not there."""
    return edge.Certificate(certificate=certificate.certificate + "x", key=other.key)


def encrypted(certificate: edge.Certificate, other: edge.Certificate) -> edge.Certificate:
    """A key with a password."""
    key = serialization.load_pem_private_key(Path(certificate.key).read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    Path(other.key).write_bytes(locked)
    return edge.Certificate(certificate=certificate.certificate, key=other.key)


def rubbish(certificate: edge.Certificate, other: edge.Certificate) -> edge.Certificate:
    """PEM whose inside is no certificate."""
    Path(other.certificate).write_text(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", encoding="ascii"
    )
    return edge.Certificate(certificate=other.certificate, key=certificate.key)


WRONG = {
    "the key of another one": (
        wrong_key,
        UsageError,
        r"other\.key` is not the key of .* `.*one\.pem`",
    ),
    "swapped": (swapped, UsageError, r"`.*one\.key` holds no certificate"),
    "no key": (no_key, UsageError, r"`.*other\.pem` holds no key"),
    "not there": (nowhere, NotFoundError, r"`.*one\.pemx`: no such file"),
    "locked": (encrypted, UsageError, r"`.*other\.key` holds a key that is encrypted"),
    "no certificate": (rubbish, UsageError, r"`.*other\.pem` holds a certificate that cannot be read"),
}


@pytest.mark.parametrize(("wrong", "kind", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_at_the_start(
    issue: Callable[..., edge.Certificate],
    wrong: Callable[[edge.Certificate, edge.Certificate], edge.Certificate],
    kind: type[WherryError],
    message: str,
) -> None:
    """Which file, and what to do."""
    certificate = wrong(issue("localhost"), issue("localhost", file="other"))
    with pytest.raises(kind, match=message) as raised:
        served(certificate)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("days", "told"),
    [
        pytest.param((-2, 1), None, id="valid"),
        pytest.param((-2, -1), "has expired", id="expired"),
        pytest.param((1, 2), "is not valid yet", id="not yet"),
    ],
)
def test_a_certificate_that_is_not_for_today_is_a_warning(
    issue: Callable[..., edge.Certificate], days: tuple[int, int], told: str | None
) -> None:
    """It is served, as the clock of the server may be what is wrong."""
    today = dt.datetime.now(dt.UTC)
    before, after = (today + dt.timedelta(days=number) for number in days)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(x509.random_serial_number()).not_valid_before(before).not_valid_after(after)
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    certificate = issue("localhost")
    Path(certificate.certificate).write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    Path(certificate.key).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with served(certificate) as server:
        said = server.failures(0.1)
        if told is None:
            assert said == []
        else:
            (warning,) = said
            assert re.fullmatch(rf"server: the certificate in `.*one\.pem` {told}", warning.text)


def test_the_configuration_and_the_command_take_certificates(
    authority: trustme.CA, issue: Callable[..., edge.Certificate], tmp_path: Path
) -> None:
    """Paths start beside the file; SIGHUP reads them again; one flag without the other is an error."""
    certificate = issue("localhost")
    target = http_application("lean")
    (tmp_path / "edge.toml").write_text(
        f"[[server.tls]]\ncertificate = 'one.pem'\nkey = 'one.key'\n[[application]]\ntarget = '{target}'\n"
    )
    with edge.serve(str(tmp_path / "edge.toml"), address="127.0.0.1:0") as server:
        assert shown(server, authority) == serial(certificate)
    with serving(target, "--tls-cert", certificate.certificate, "--tls-key", certificate.key) as process:
        second = serial(issue("localhost"))
        os.kill(process.process, signal.SIGHUP)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        while True:
            with (
                socket.create_connection(process.address, 10) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as connection,
            ):
                got = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
                assert ask(connection) == b"Hello, World!"
            if got.serial_number == second:
                break
        assert process.url.startswith("https://")
