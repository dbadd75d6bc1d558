"""What a server and its applications are told.

One record for each, whose fields are keys of ``edge.toml``, arguments in Python and, as JSON, the settings of
the same names in ``wherry_edge::settings``. Sizes and times are texts such as ``64MiB`` and ``10s``, which
are read there.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = [
    "SUFFIX",
    "ApplicationSettings",
    "Certificate",
    "GuestLog",
    "Log",
    "ServerSettings",
    "Traces",
]

SUFFIX = ".toml"
"""How names of files end that list applications."""


class _Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    pass


class ApplicationSettings(_Settings, frozen=True, kw_only=True):
    """How one application is served."""

    name: Annotated[str, Meta(description="What logs and counters call it; by default its target.")] = ""
    routes: Annotated[
        tuple[str, ...],
        Meta(
            description="The requests that are for it: paths such as `/shop/*rest`, after a host or alone. "
            "By default those of its manifest, or all."
        ),
    ] = ()
    max_request: Annotated[str, Meta(description="The most bytes in the body of a request.")] = "64MiB"
    max_response: Annotated[str, Meta(description="The most bytes in the body of an answer.")] = "none"
    concurrency: Annotated[int, Meta(ge=1, description="Requests that are answered at once.")] = 256
    queue: Annotated[int, Meta(ge=0, description="Requests that may wait for that.")] = 1024
    wait: Annotated[str, Meta(description="How long they wait.")] = "10s"
    reuse: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="Requests that one instance answers, which then can see what others left; "
            "by default as its manifest says, or one."
        ),
    ] = None
    instance_concurrency: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="Of those, how many at once, for handlers of WASI 0.3; "
            "by default as its manifest says, or one."
        ),
    ] = None
    static: Annotated[
        str | None,
        Meta(description="A folder whose files are answered before it is asked; by default its manifest's."),
    ] = None
    compress: Annotated[
        bool | None,
        Meta(description="Compress answers for clients that take it; by default as its manifest says."),
    ] = None


class Certificate(_Settings, frozen=True, kw_only=True):
    """A certificate and its key, as files in PEM."""

    certificate: Annotated[str, Meta(description="The certificate, and those between it and a trusted one.")]
    key: Annotated[str, Meta(description="Its key.")]


_Part = Annotated[float, Meta(ge=0, le=1)]


class Log(_Settings, frozen=True, kw_only=True):
    """The access log: a line for each request that is over."""

    file: Annotated[str, Meta(min_length=1, description="A path, or `-` for standard output.")]
    format: Annotated[
        Literal["json", "combined"], Meta(description="Objects, or the combined format of other servers.")
    ] = "json"
    sample: Annotated[
        _Part, Meta(description="The part of the requests that it has, besides all that went wrong.")
    ] = 1.0


class GuestLog(_Settings, frozen=True, kw_only=True):
    """The log of what guests print."""

    file: Annotated[
        str | None, Meta(description="A path, or `-` for standard output; by default standard error.")
    ] = None
    format: Annotated[Literal["text", "json"], Meta(description="Words for people, or objects.")] = "text"
    limit: Annotated[str, Meta(description="The most bytes for one request.")] = "64KiB"


class Traces(_Settings, frozen=True, kw_only=True):
    """Where traces go: a collector that speaks OTLP over HTTP."""

    endpoint: Annotated[str, Meta(description="Its URL, such as `http://127.0.0.1:4318`.")]
    sample: Annotated[
        _Part, Meta(description="The part that is recorded of the requests that come without a trace.")
    ] = 1.0
    service: Annotated[str, Meta(min_length=1, description="What the server is called there.")] = "wherry"
    headers: Annotated[dict[str, str], Meta(description="Fields that the collector wants to see.")] = (
        msgspec.field(default_factory=dict)
    )


class ServerSettings(_Settings, frozen=True, kw_only=True):
    """How a server listens, and what all its applications share."""

    address: Annotated[str, Meta(description="Where it listens; port 0 is a free one.")] = "127.0.0.1:8080"
    total_concurrency: Annotated[
        int, Meta(ge=1, description="Requests that are answered at once, of all applications together.")
    ] = 500
    call_depth: Annotated[
        int,
        Meta(
            ge=1,
            description="Requests of applications to one another that one request may lead to, in a row.",
        ),
    ] = 8
    server_header: Annotated[bool, Meta(description="Answers name the server.")] = True
    dev: Annotated[bool, Meta(description="Errors of guests are shown to their clients.")] = False
    tls: Annotated[
        tuple[Certificate, ...],
        Meta(description="Certificates: HTTPS alone. The first is for clients that ask for no name of them."),
    ] = ()
    handshake_time: Annotated[str, Meta(description="How long the handshake of TLS may take.")] = "10s"
    head_time: Annotated[str, Meta(description="How long the head of a request may take.")] = "30s"
    idle_time: Annotated[str, Meta(description="How long a client may pause between two requests.")] = "60s"
    body_time: Annotated[str, Meta(description="How long the body of a request may be waited for.")] = "30s"
    body_rate: Annotated[str, Meta(description="Bytes in a second that make that time longer.")] = "240"
    write_time: Annotated[
        str, Meta(description="How long a client may take in nothing of what waits for it.")
    ] = "30s"
    admin: Annotated[
        str | None, Meta(description="Where health, metrics and statistics are; by default nowhere.")
    ] = None
    log: Annotated[Log | None, Meta(description="The access log; by default none.")] = None
    guest_log: Annotated[GuestLog, Meta(description="The log of what guests print.")] = GuestLog()
    traces: Annotated[Traces | None, Meta(description="Where traces go; by default nowhere.")] = None
    trusted_proxies: Annotated[
        tuple[str, ...], Meta(description="Addresses and ranges of the proxies that are believed.")
    ] = ()
    forwarded: Annotated[
        Literal["x-forwarded", "forwarded"],
        Meta(description="What those write: `X-Forwarded-For` and so on, or `Forwarded`."),
    ] = "x-forwarded"
