"""Ways out over the network, tried for real: none gets through, and each does with the grant given.

The guests are ``network_02`` and ``network_03``; what they print stands in the first. The servers are real
ones on loopback, and names are answered by a name server of ours.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

import wherry
from tests.guests.build import python_command
from tests.hostile.servers import Datagrams, Echo, Multiplexed, Names, Sink, Source, Web, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
GUESTS = ("network_02", "network_03")
# One version is run from Python and the other one from the command line: the grants are the same for both.
WAYS = (("network_02", "python"), ("network_03", "typed"))
ARGUMENTS = {"allow-net": "net", "allow-http": "http", "allow-listen": "listen"}


@dataclass(frozen=True)
class Tried:
    """What came of a run: its exit code, a line for each try, its hints, and the flags in them."""

    code: int
    lines: list[str]
    hints: str
    flags: list[str]


@dataclass(frozen=True)
class Attempt:
    """Runs a guest, each time a fresh one: ``attempt("tcp 127.0.0.1 80 hello", flags=["--allow-dns"])``."""

    name: str
    way: str

    @property
    def guest(self) -> Path:
        """The guest."""
        return python_command(self.name)

    def __call__(self, *tries: str, flags: list[str] | tuple[str, ...] = ()) -> Tried:
        """Run it in one of the ways."""
        return self.typed(*tries, flags=flags) if self.way == "typed" else self.called(*tries, flags=flags)

    def typed(self, *tries: str, flags: list[str] | tuple[str, ...] = (), **variables: str) -> Tried:
        """Run it from the command line."""
        command = [sys.executable, "-m", "wherry", "run", *flags, str(self.guest), *tries]
        environment = {**os.environ, **variables}
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=300, cwd=ROOT, env=environment
        )
        hints = [
            line.split("allow it with ")[1] for line in done.stderr.splitlines() if "allow it with " in line
        ]
        words = [word for hint in hints for word in shlex.split(hint)]
        return Tried(done.returncode, done.stdout.splitlines(), done.stderr, words)

    def called(self, *tries: str, flags: list[str] | tuple[str, ...] = ()) -> Tried:
        """Run it from Python."""
        policy: dict[str, Any] = {}
        limits: dict[str, Any] = {}
        words = iter(flags)
        for flag in words:
            name = flag.removeprefix("--")
            if name in ARGUMENTS:
                policy.setdefault(ARGUMENTS[name], []).append(next(words))
            elif name == "allow-dns":
                policy["dns"] = True
            elif name == "resolver":
                policy[name] = next(words)
            else:
                limits[name.removeprefix("max-").replace("-", "_")] = next(words)
        grants = wherry.Policy(**policy)
        done = wherry.run(self.guest, *tries, policy=grants, limits=wherry.Limits(**limits), capture=True)
        lifting = [denial for denial in done.denials if denial.subject != "limit"]
        lifts = [word for denial in lifting for word in (f"--{denial.flag}", denial.value or "")]
        return Tried(done.returncode, done.stdout.decode().splitlines(), done.hint or "", lifts)


@pytest.fixture(params=WAYS, ids="-".join)
def attempt(request: pytest.FixtureRequest) -> Attempt:
    """A guest and a way to run it."""
    return Attempt(*request.param)


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A server that says what it hears."""
    with serving(Echo()) as server:
        yield server


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server."""
    with serving(Web()) as server:
        yield server


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority."""
    return trustme.CA()


def secured(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """TLS for a server of these names, vouched for by the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


class TestSockets:
    """TCP and UDP."""

    def test_nothing_is_reached_without_a_grant(self, attempt: Attempt, echo: Echo) -> None:
        """No address and no name; the hints, as they are typed, let the same guest through."""
        tries = (f"tcp 127.0.0.1 {echo.port} hello", f"name localhost {echo.port} again")
        refused = attempt(*tries)
        assert (refused.code, refused.lines) == (1, ["access-denied", "access-denied"])
        assert echo.connections == 0

        granted = attempt(*tries, flags=refused.flags)
        assert (granted.code, granted.lines) == (0, ["hello", "again"])

    @pytest.mark.parametrize("grant", ["127.0.0.1:{}", "localhost:{}", "127.0.0.0/8:*", "0.0.0.0/0:{}"])
    def test_a_grant_that_names_the_address(self, attempt: Attempt, echo: Echo, grant: str) -> None:
        """An address, a range, or `localhost`."""
        tried = attempt(f"tcp 127.0.0.1 {echo.port} hello", flags=["--allow-net", grant.format(echo.port)])
        assert tried.lines == ["hello"]

    @pytest.mark.parametrize("grant", ["*:*", "127.0.0.2:*", "localhost:1", "[::1]:*", "*.example.com:*"])
    def test_a_grant_that_does_not(self, attempt: Attempt, echo: Echo, grant: str) -> None:
        """A wildcard covers no loopback address, and a grant no other address or port."""
        tried = attempt(f"tcp 127.0.0.1 {echo.port} hello", flags=["--allow-net", grant])
        assert tried.lines == ["access-denied"]
        assert echo.connections == 0

    def test_ipv6(self, attempt: Attempt) -> None:
        """The same for IPv6; an IPv4 address inside an IPv6 one is no way round."""
        with serving(Echo("::1")) as echo, serving(Echo()) as four:
            tries = (f"tcp ::1 {echo.port} hello", f"tcp ::ffff:127.0.0.1 {four.port} mapped")
            refused = attempt(*tries, flags=["--allow-net", "127.0.0.1:*"])
            assert refused.lines == ["access-denied", "invalid-argument"]
            granted = attempt(*tries, flags=refused.flags)
            assert granted.lines == ["hello", "invalid-argument"]
            assert four.connections == 0

    def test_no_wildcard_covers_what_is_not_public(self, attempt: Attempt) -> None:
        """Metadata, private, link-local and multicast addresses, and those that carry one."""
        inside = [
            "169.254.169.254",
            "10.0.0.1",
            "fd00:ec2::254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::1",
            "fe80::1",
        ]
        tried = attempt(*(f"tcp {address} 80 hello" for address in inside), flags=["--allow-net", "*:*"])
        assert tried.lines == ["access-denied"] * len(inside)

    def test_each_datagram_is_checked(self, attempt: Attempt) -> None:
        """To another address than the granted one nothing is sent."""
        with serving(Datagrams()) as one, serving(Datagrams()) as other:
            tries = (f"udp 127.0.0.1 {one.port} one", f"udp 127.0.0.1 {other.port} other")
            tried = attempt(*tries, flags=["--allow-net", f"127.0.0.1:{one.port}"])
            assert tried.lines == ["one", "access-denied"]
            assert (one.received, other.received) == ([b"one"], [])
            assert attempt(*tries, flags=["--allow-net", "127.0.0.1:*"]).lines == ["one", "other"]


class TestNames:
    """Name lookup, and where names lead."""

    def test_a_name_is_granted_with_its_lookup(self, attempt: Attempt) -> None:
        """Other names are not, and a name server is not even asked for them."""
        with serving(Names({"a.example": [["93.184.216.34"]], "b.example": [["93.184.216.35"]]})) as names:
            flags = ["--resolver", names.resolver, "--allow-net", "a.example:443"]
            tried = attempt(
                "lookup a.example", "lookup A.Example.", "lookup b.example", "lookup c.", flags=flags
            )
            assert tried.lines == ["93.184.216.34", "93.184.216.34", "access-denied", "access-denied"]
            assert {name for name, _ in names.asked} == {"a.example"}
            everything = attempt("lookup b.example", "lookup c.example", flags=[*flags, "--allow-dns"])
            assert everything.lines == ["93.184.216.35", "name-unresolvable"]

    def test_below_a_name(self, attempt: Attempt) -> None:
        """`*.example` is every name below it, and not the name itself."""
        zone = {name: [["93.184.216.34"]] for name in ("x.y.example", "example", "badexample")}
        with serving(Names(zone)) as names:
            flags = ["--resolver", names.resolver, "--allow-net", "*.example:443"]
            tried = attempt("lookup x.y.example", "lookup example", "lookup badexample", flags=flags)
            assert tried.lines == ["93.184.216.34", "access-denied", "access-denied"]

    def test_a_granted_name_that_leads_inside(self, attempt: Attempt) -> None:
        """It is refused after the lookup; the flags of the hints, with the names' own, make it known."""
        inside = ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.2", "64:ff9b::a00:1"]
        tries = [f"lookup {number}.example" for number in range(len(inside))]
        with serving(
            Names({f"{number}.example": [[inside[number]]] for number in range(len(inside))})
        ) as names:
            flags = ["--resolver", names.resolver, "--allow-net", "*.example:*"]
            refused = attempt(*tries, flags=flags)
            assert refused.lines == ["access-denied"] * len(inside)
            granted = attempt(*tries, flags=[*flags, *refused.flags])
            assert granted.lines == [address.removeprefix("::ffff:") for address in inside]

    def test_a_name_that_leads_elsewhere_the_second_time(self, attempt: Attempt) -> None:
        """Rebinding: the first answer is granted, the second is not, and nothing arrives there."""
        with serving(Echo("127.0.0.1")) as first, serving(Echo("127.0.0.2", first.port)) as second:
            tries = [f"name re.example {first.port} one", f"name re.example {first.port} two"]
            for grant, lines in (("127.0.0.1", ["one", "access-denied"]), ("127.0.0.0/8", ["one", "two"])):
                with serving(Names({"re.example": [["127.0.0.1"], ["127.0.0.2"]]})) as names:
                    flags = ["--resolver", names.resolver, "--allow-net", f"re.example:{first.port}"]
                    tried = attempt(*tries, flags=[*flags, "--allow-net", f"{grant}:{first.port}"])
                    assert tried.lines == lines
                    assert second.connections == (lines[1] == "two")

    def test_an_address_is_reached_by_a_name_only_after_the_lookup(self, attempt: Attempt) -> None:
        """And by the lookup of a name that is granted: `--allow-dns` alone opens no address."""
        with serving(Echo()) as echo, serving(Names({"a.example": [["127.0.0.1"]]})) as names:
            flags = ["--resolver", names.resolver, "--allow-dns", "--allow-net", "a.example:*"]
            tried = attempt("lookup a.example", f"tcp 127.0.0.1 {echo.port} x", flags=flags)
            assert tried.lines == ["127.0.0.1", "access-denied"]


class TestRequests:
    """Outgoing HTTP."""

    def test_no_request_without_a_grant(self, attempt: Attempt, web: Web) -> None:
        """A grant of sockets is none of requests; the hint lets the same guest through."""
        url = f"http://127.0.0.1:{web.port}/a?b=c"
        refused = attempt(f"http GET {url}", flags=["--allow-net", "127.0.0.1:*"])
        assert refused.lines == ["http-request-denied"]
        assert "b=c" not in refused.hints
        assert web.requests == []
        granted = attempt(f"http GET {url}", f"http POST {url} 70000", flags=refused.flags)
        host = f"127.0.0.1:{web.port}"
        assert granted.lines == [f"200 GET /a?b=c {host} 0", f"200 POST /a?b=c {host} 70000"]

    def test_method_and_path(self, attempt: Attempt, web: Web) -> None:
        """Both are as the rule says, however the path is written."""
        base = f"http://127.0.0.1:{web.port}"
        good = ["/v1", "/v1/users", "/v1/../v1/x", "/v1//../x", "/v1?/../.."]
        bad = ["/", "/v10", "/v1/../admin", "/v1/%2e%2e/admin", "/v1/..%2Fadmin", "/v1/..;/admin", "/V1"]
        tries = [f"http GET {base}{path}" for path in [*good, *bad]] + [f"http POST {base}/v1"]
        tried = attempt(*tries, flags=["--allow-http", f"GET,HEAD {base}/v1"])
        assert [line.partition(" ")[0] for line in tried.lines[: len(good)]] == ["200"] * len(good)
        assert tried.lines[len(good) :] == ["http-request-denied"] * (len(bad) + 1)
        assert [request[0].split()[1] for request in web.requests] == [
            "/v1",
            "/v1/users",
            "/v1/x",
            "/v1/x",
            "/v1?/../..",
        ]
        everything = attempt(*tries, flags=["--allow-http", base])
        assert everything.code == 0

    def test_the_host_is_the_one_that_was_checked(self, attempt: Attempt, web: Web) -> None:
        """No user in front of it, no header of the guest's own, no other spelling."""
        base = f"127.0.0.1:{web.port}"
        tries = [
            f"http GET http://{base}@evil.example/",
            f"http GET http://evil.example@{base}/",
            f"http GET http://0x7f.1:{web.port}/",
            f"http GET ftp://{base}/",
            f"http CONNECT http://{base}/",
            f"http GET http://{base}/ 0 x-host=evil.example",
        ]
        tried = attempt(*tries, flags=["--allow-http", f"http://{base}/"])
        assert tried.lines[2] == f"200 GET / {base} 0"
        assert tried.lines[5] == f"200 GET / {base} 0"
        assert all("200" not in line for line in (*tried.lines[:2], *tried.lines[3:5]))

    def test_a_redirect_is_a_request_of_the_guest_s_own(self, attempt: Attempt, web: Web) -> None:
        """It is answered to the guest and not followed."""
        base = f"http://127.0.0.1:{web.port}"
        tries = (f"http GET {base}/redirect", f"http GET {base}/secret")
        tried = attempt(*tries, flags=["--allow-http", f"{base}/redirect"])
        assert tried.lines == ["302 /secret ", "http-request-denied"]
        assert [request[0] for request in web.requests] == ["GET /redirect HTTP/1.1"]
        assert attempt(*tries, flags=["--allow-http", base]).lines[1].startswith("200")

    def test_a_name_that_leads_inside(self, attempt: Attempt) -> None:
        """The address is checked after the lookup, for each connection; that one is connected to."""
        with serving(Web("127.0.0.1")) as first, serving(Web("127.0.0.2", first.port)) as second:
            url = f"http://re.example:{first.port}/last"
            for grants, lines in (
                ([], ["destination-ip-prohibited"] * 2),
                (
                    [f"127.0.0.1:{first.port}"],
                    ["200 last", "destination-ip-prohibited"],
                ),
                ([f"127.0.0.0/8:{first.port}"], ["200 last"] * 2),
            ):
                with serving(Names({"re.example": [["127.0.0.1"], ["127.0.0.2"]]})) as names:
                    flags = ["--resolver", names.resolver, "--allow-http", url]
                    flags += [word for grant in grants for word in ("--allow-net", grant)]
                    tried = attempt(f"http GET {url}", f"http GET {url}", flags=flags)
                    assert tried.lines == lines
            assert len(second.requests) == 1

    def test_certificates_are_verified(self, attempt: Attempt, authority: trustme.CA, tmp_path: Path) -> None:
        """By those that the host trusts: an unknown authority and another name are refused."""
        file = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(file)
        trusted = {"SSL_CERT_FILE": str(file)}
        with (
            serving(Web(tls=secured(authority, "localhost", "127.0.0.1"))) as good,
            serving(Web(tls=secured(authority, "other.example"))) as other,
            serving(Web()) as plain,
        ):
            tries = [f"http GET https://localhost:{good.port}/", f"http GET https://127.0.0.1:{good.port}/"]
            flags = ["--allow-http", "https://localhost:*/"]
            assert attempt.typed(*tries, flags=flags).lines == ["tls-certificate-error"] * 2
            assert attempt.typed(*tries, flags=flags, **trusted).code == 0
            bad = [f"http GET https://localhost:{other.port}/", f"http GET https://localhost:{plain.port}/"]
            tried = attempt.typed(*bad, flags=flags, **trusted)
            assert tried.lines == ["tls-certificate-error", "tls-protocol-error"]
            assert (other.requests, plain.requests) == ([], [])

    def test_http_2(self, attempt: Attempt, authority: trustme.CA, tmp_path: Path) -> None:
        """Where the server speaks it; rules are the same."""
        file = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(file)
        with serving(Multiplexed(secured(authority, "localhost"))) as server:
            base = f"https://localhost:{server.port}"
            tries = (f"http GET {base}/v1/x", f"http GET {base}/v1/../v2")
            tried = attempt.typed(*tries, flags=["--allow-http", f"{base}/v1"], SSL_CERT_FILE=str(file))
            assert tried.lines == [f"200 h2 /v1/x localhost:{server.port}", "http-request-denied"]


class TestLimits:
    """What may be used of the network."""

    def test_connections(self, attempt: Attempt, echo: Echo) -> None:
        """Just as many as the limit at once; a connection that ended gives its place back."""
        flags = ["--allow-net", "localhost:*", "--max-connections", "3"]
        hold = f"hold 127.0.0.1 {echo.port}"
        limit = {"network_02": "new-socket-limit", "network_03": "other"}[attempt.name]
        tried = attempt(f"{hold} 2", f"{hold} 3", f"{hold} 4", f"{hold} 3", flags=flags)
        assert tried.lines == ["2 held", "3 held", f"3 {limit}", "3 held"]
        assert "the limit of 3 connections" in tried.hints
        assert "--max-connections" in tried.hints

    def test_requests(self, attempt: Attempt, web: Web) -> None:
        """Just as many as the limit; what is not granted does not count."""
        base = f"http://127.0.0.1:{web.port}"
        tries = [f"http GET {base}/{path}" for path in ("v1", "v2", "v1", "v1")]
        flags = ["--allow-http", f"{base}/v1", "--max-outgoing"]
        answers = [line.split()[0] for line in attempt(*tries, flags=[*flags, "3"]).lines]
        assert answers == ["200", "http-request-denied", "200", "200"]
        tried = attempt(*tries, flags=[*flags, "2"])
        answers = [line.split()[0] for line in tried.lines]
        assert answers == ["200", "http-request-denied", "200", "connection-limit-reached"]
        assert "the limit of 2 requests" in tried.hints
        assert "--max-outgoing" in tried.hints

    def test_bytes_by_datagram(self, attempt: Attempt) -> None:
        """Sent and received together, to the last one."""
        with serving(Datagrams()) as server:
            flags = ["--allow-net", "localhost:*", "--max-transfer"]
            send = f"udp 127.0.0.1 {server.port} 12345"
            assert attempt(send, send, flags=[*flags, "20"]).lines == ["12345", "12345"]
            assert attempt(send, send, flags=[*flags, "19"]).lines == ["12345", "access-denied"]
            assert len(server.received) == 4
            assert attempt(send, send, flags=[*flags, "14"]).lines == ["12345", "access-denied"]
            assert len(server.received) == 5

    @pytest.mark.parametrize(("limit", "code"), [(4001, 0), (4000, 0), (3999, 1)])
    def test_bytes_by_connection(self, attempt: Attempt, echo: Echo, limit: int, code: int) -> None:
        """Sent and received together: exactly the limit passes, one byte more does not."""
        flags = ["--allow-net", "localhost:*", "--max-transfer", str(limit)]
        tried = attempt(f"flood 127.0.0.1 {echo.port} 2000", flags=flags)
        assert tried.code == code
        if code:
            assert "--max-transfer" in tried.hints
            assert echo.received <= limit

    @pytest.mark.parametrize(("limit", "code"), [(5001, 0), (5000, 0), (4999, 1)])
    def test_bytes_that_are_only_sent(self, attempt: Attempt, limit: int, code: int) -> None:
        """The server hears all of it, or no more than the limit."""
        with serving(Sink()) as sink:
            flags = ["--allow-net", "localhost:*", "--max-transfer", str(limit)]
            tried = attempt(f"send 127.0.0.1 {sink.port} 5000", flags=flags)
            heard = sink.received.get(timeout=60)
        assert tried.code == code, tried
        if code:
            assert "--max-transfer" in tried.hints
            assert heard <= limit
        else:
            assert heard == 5000

    @pytest.mark.parametrize(("limit", "code"), [(5001, 0), (5000, 0), (4999, 1)])
    def test_bytes_that_are_only_received(self, attempt: Attempt, limit: int, code: int) -> None:
        """The guest reads all of it, or no more than the limit."""
        with serving(Source(5000)) as source:
            flags = ["--allow-net", "localhost:*", "--max-transfer", str(limit)]
            tried = attempt(f"receive 127.0.0.1 {source.port} 5000", flags=flags)
        assert tried.code == code, tried
        if code:
            assert "--max-transfer" in tried.hints
            assert int(tried.lines[0].split()[0]) <= limit
        else:
            assert tried.lines == ["5000"]

    def test_bodies_that_nobody_sends(self) -> None:
        """Of requests that are begun and filled the host keeps at most three sixteenths of the memory."""
        memory = 512 << 20
        limits = wherry.Limits(memory=memory)
        done = wherry.run(python_command("network_02"), "bodies 1000 2000000", limits=limits, capture=True)
        assert done.stdout is not None
        begun, kept, _ = done.stdout.decode().split()
        assert int(begun) == 1000
        assert 0 < int(kept) <= memory * 3 // 16

    def test_bytes_of_requests(self, attempt: Attempt, web: Web) -> None:
        """Counted on the wire: an exchange passes with its size for a limit, and not with one byte less."""
        request = f"http GET http://127.0.0.1:{web.port}/bytes/5000"
        flags = ["--allow-http", f"http://127.0.0.1:{web.port}", "--max-transfer"]

        def passes(limit: int) -> bool:
            return attempt(request, flags=[*flags, str(limit)]).code == 0

        size = len(f"GET /bytes/5000 HTTP/1.1\r\nhost: 127.0.0.1:{web.port}\r\n\r\n")
        size += len("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n") + 5000
        assert [passes(size - 1), passes(size), passes(size + 1)] == [False, True, True]
        assert "body-size" in attempt(request, flags=[*flags, str(size - 1)]).lines[0]

    def test_time(self, attempt: Attempt, web: Web) -> None:
        """To the first byte and between two; a guest may ask for less and never gets more."""
        base = f"http://127.0.0.1:{web.port}"
        grant = ["--allow-http", base]
        for path, limit in (("late", "first-byte-timeout"), ("pause", "between-bytes-timeout")):
            began = time.monotonic()
            own = attempt(f"slow {base}/{path} 200", flags=grant)
            struck = attempt(f"slow {base}/{path} 60000", flags=[*grant, f"--{limit}", "200ms"])
            assert time.monotonic() - began < 2.5
            assert own.lines[0].endswith("connection-read-timeout")
            assert struck.lines[0].endswith("connection-read-timeout")
            assert f"--{limit}" in struck.hints
            assert f"--{limit}" not in own.hints

    def test_time_to_connect(self, attempt: Attempt) -> None:
        """Of a server that never accepts: neither a socket nor a request waits longer than the limit."""
        with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, contextlib.ExitStack() as queue:
            port = deaf.getsockname()[1]
            # Those that wait to be accepted fill the queue, and the system ignores all others.
            for _ in range(4):
                waiting = queue.enter_context(socket.socket())
                waiting.settimeout(0)
                waiting.connect_ex(("127.0.0.1", port))
            grants = ["--allow-net", "localhost:*", "--allow-http", "http://127.0.0.1:*/"]
            began = time.monotonic()
            tries = (f"tcp 127.0.0.1 {port} hello", f"http GET http://127.0.0.1:{port}/")
            tried = attempt(*tries, flags=[*grants, "--connect-timeout", "300ms"])
            assert time.monotonic() - began < 3
            assert tried.lines == ["timeout", "connection-timeout"]
            assert "--connect-timeout" in tried.hints


class TestListening:
    """`--allow-listen`."""

    def test_an_address_that_is_not_granted(self, attempt: Attempt) -> None:
        """Neither a port of the guest's choice nor one of the system's."""
        tried = attempt("listen 127.0.0.1 0", "listen 127.0.0.1 18473", "serve 127.0.0.1 18473")
        assert tried.lines[-1] == "access-denied"
        assert {"listening", "serving"}.isdisjoint(word for line in tried.lines for word in line.split())
        other = attempt("listen 0.0.0.0 18473", flags=["--allow-listen", "127.0.0.1:*"])
        assert other.lines == ["access-denied"]

    def test_a_granted_address(self, attempt: Attempt) -> None:
        """The flag of the hint lets the guest serve."""
        refused = attempt("listen 127.0.0.1 0")
        assert refused.flags == ["--allow-listen", "127.0.0.1:*"]
        command = [sys.executable, "-m", "wherry", "run", *refused.flags, str(attempt.guest)]
        guest = subprocess.Popen(
            [*command, "listen 127.0.0.1 0"], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        with guest:
            assert guest.stdout is not None
            port = int(guest.stdout.readline().split()[1])
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(b"ping")
                assert client.recv(4, socket.MSG_WAITALL) == b"ping"
            assert guest.stdout.readline() == "served\n"
        assert guest.returncode == 0

    def test_who_sends_to_a_granted_port_may_be_answered(self, attempt: Attempt) -> None:
        """And nobody else."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "wherry", "run", "--allow-listen", f"127.0.0.1:{port}"]
        words = [f"serve 127.0.0.1 {port}", "udp 127.0.0.1 9 x"]
        guest = subprocess.Popen(
            [*command, str(attempt.guest), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        with guest, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            assert guest.stdout is not None
            assert guest.stdout.readline() == "serving\n"
            client.settimeout(10)
            client.sendto(b"ping", ("127.0.0.1", port))
            assert client.recv(10) == b"ping"
            assert guest.stdout.read().splitlines() == ["served", "access-denied"]


class TestNothingIsLeft:
    """In a process that lives on."""

    @pytest.mark.parametrize("guest", GUESTS)
    @pytest.mark.parametrize("waits", ["tcp 127.0.0.1 {} silence", "http GET http://127.0.0.1:{}/"])
    def test_a_deadline_ends_waiting_and_closes_sockets(self, guest: str, waits: str) -> None:
        """A guest that waits for a server that never answers is ended on time, and its sockets are closed."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            policy = wherry.Policy(net=["127.0.0.1:*"], http=["http://127.0.0.1:*/"])
            wherry.run(python_command(guest))  # compiled, if it was not
            counts = []
            for _ in range(4):
                began = time.monotonic()
                with pytest.raises(wherry.TimeLimitError):
                    wherry.run(
                        python_command(guest),
                        waits.format(port),
                        policy=policy,
                        limits=wherry.Limits(timeout=0.3),
                    )
                assert time.monotonic() - began < 1.5
                client, _ = silent.accept()
                with client:
                    client.settimeout(5)
                    while client.recv(4096):
                        pass
                counts.append(settled())
            (files_then, threads_then), (files_now, threads_now) = counts[0], counts[-1]
            assert files_now <= files_then
            # The pool for blocking calls may take a thread meanwhile; a leak would be one for each run.
            assert threads_now <= threads_then + 1

    STRIKES = (
        ("send 127.0.0.1 {} 5000", {"transfer": 1_000}),
        ("hold 127.0.0.1 {} 5", {"connections": 2}),
        ("http GET http://127.0.0.1:{}/ 0", {"first_byte_timeout": "100ms"}),
    )

    @pytest.mark.parametrize("guest", GUESTS)
    @pytest.mark.parametrize(("words", "limits"), STRIKES, ids=["sent", "connections", "time"])
    def test_a_limit_that_strikes_closes_sockets(
        self, guest: str, words: str, limits: dict[str, Any]
    ) -> None:
        """The guest hears an error and ends by itself; descriptors and threads are back to before."""
        component = wherry.load(python_command(guest))
        policy = wherry.Policy(net=["127.0.0.1:*"], http=["http://127.0.0.1:*/"])
        counts = []
        with serving(Sink()) as server:
            words = words.format(server.port)
            for _ in range(3):
                bounds = wherry.Limits(**limits)
                done = wherry.run(component, words, policy=policy, limits=bounds, check=False)
                assert done.returncode == 1
                assert any(denial.subject == "limit" for denial in done.denials)
                counts.append(settled())
        (files_then, threads_then), (files_now, threads_now) = counts[0], counts[-1]
        assert files_now <= files_then
        assert threads_now <= threads_then + 1


def settled() -> tuple[int, int]:
    """Descriptors and threads of this process, once neither has changed for a while."""
    counts: list[tuple[int, int]] = []
    while len(counts) < 10 or len(set(counts[-10:])) > 1:
        counts.append((len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))))  # noqa: PTH208 - names will do
        time.sleep(0.03)
    return counts[-1]
