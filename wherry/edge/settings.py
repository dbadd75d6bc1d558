"""What a server and its applications are told.

One record for each, whose fields are keys of ``edge.toml``, arguments in Python and, as JSON, the settings of
the same names in ``wherry_edge::settings``. Sizes and times are texts such as ``64MiB`` and ``10s``, which
are read there.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["SUFFIX", "ApplicationSettings", "Certificate", "ServerSettings"]

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


class ServerSettings(_Settings, frozen=True, kw_only=True):
    """How a server listens, and what all its applications share."""

    address: Annotated[str, Meta(description="Where it listens; port 0 is a free one.")] = "127.0.0.1:8080"
    total_concurrency: Annotated[
        int, Meta(ge=1, description="Requests that are answered at once, of all applications together.")
    ] = 1024
    server_header: Annotated[bool, Meta(description="Answers name the server.")] = True
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
