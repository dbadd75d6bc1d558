"""``wherry serve``: an application answers HTTP requests until it is told to stop."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import click

from wherry import _native, api
from wherry.cli import output
from wherry.cli.command import SERVED_LIMITS, Command, option, serving_options

if TYPE_CHECKING:
    from wherry._native import Policy
    from wherry.edge import Server

__all__ = ["serve"]

_SERVING = "Serving"

_LOOKING = 0.2
"""Seconds between two looks at whether it should stop."""

_GRACE = 10.0
"""Seconds that what runs has to come to its end."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LIMITS = tuple(flag.replace("-", "_") for flag in SERVED_LIMITS)


@click.command(
    cls=Command,
    examples=[
        "wherry serve app.wasm",
        "wherry serve . --addr 127.0.0.1:3000 --env GREETING=hello",
        "wherry serve acme/shop --addr 0.0.0.0:80 --timeout 5s --memory 64MiB",
    ],
)
@click.argument("target", metavar="TARGET", type=click.Path())
@option(
    "--addr",
    default="127.0.0.1:8080",
    metavar="ADDR:PORT",
    help="Where to listen; port 0 is a free one",
    group=_SERVING,
)
@option(
    "--max-request",
    default="64MiB",
    metavar="SIZE",
    help="The most bytes in the body of a request",
    group=_SERVING,
)
@option(
    "--concurrency",
    default=256,
    type=click.IntRange(1),
    metavar="COUNT",
    help="Requests that are answered at once",
    group=_SERVING,
)
@option(
    "--queue",
    default=1024,
    type=click.IntRange(0),
    metavar="COUNT",
    help="Requests that may wait for that",
    group=_SERVING,
)
@option(
    "--wait",
    default="10s",
    metavar="DURATION",
    help="How long they wait",
    group=_SERVING,
)
@option("--no-server-header", is_flag=True, help="Answers do not name the server", group=_SERVING)
@serving_options
def serve(  # noqa: PLR0917 - one for each option, passed by name
    target: str,
    addr: str,
    max_request: str,
    concurrency: int,
    queue: int,
    wait: str,
    no_server_header: bool,  # noqa: FBT001 - a flag
    **flags: Any,
) -> None:
    """Answer HTTP requests with an application, each in a fresh sandbox.

    TARGET is a `.wasm` file, the folder of a project, a packed file or a package by name. The URL is printed
    when the first request can come. Ctrl-C and SIGTERM let what runs come to its end.
    """
    from wherry.edge import serve as start

    file = flags.pop("policy")
    limits = _native.Limits.from_toml(file) if file is not None else _native.Limits()
    server = start(
        target,
        address=addr,
        policy=_granted(file, flags),
        limits=limits.replace(**_limited(flags)),
        max_request=max_request,
        concurrency=concurrency,
        queue=queue,
        wait=wait,
        server_header=not no_server_header,
    )
    click.echo(f"serving `{target}` at {server.url}")
    _until_told(server)
    if not _stopped(server):
        output.warn(f"what still ran after {_GRACE:.0f} seconds was cut off")


def _granted(file: str | None, flags: dict[str, Any]) -> Policy | None:
    """What the file and the options grant; ``None`` where they say nothing, and what was agreed to holds."""
    said = [
        (f"--{flag.replace('_', '-')}", *_values(value))
        for flag, value in flags.items()
        if flag not in _LIMITS and value
    ]
    granted = api.policy_of(said) if said else None
    if file is None:
        return granted
    policy = _native.Policy.from_toml(file)
    return policy if granted is None else policy | granted


def _values(value: tuple[str, ...] | str | bool) -> tuple[str, ...]:  # noqa: FBT001 - what click gives
    """What follows a flag; nothing for a switch."""
    if isinstance(value, tuple):
        return value
    return (value,) if isinstance(value, str) else ()


def _limited(flags: dict[str, Any]) -> dict[str, Any]:
    """The limits among the options, by their names in Python."""
    given = {flag: flags[flag] for flag in _LIMITS if flags[flag] is not None}
    return {flag.removeprefix("max_"): value for flag, value in given.items()}


def _until_told(server: Server) -> None:
    """Tell what goes wrong, until a signal comes."""
    told = threading.Event()
    previous = [(number, signal.signal(number, lambda *_: told.set())) for number in _SIGNALS]
    try:
        while not told.is_set():
            for failure in server.failures(_LOOKING):
                output.warn(f"request {failure}")
    finally:
        for number, handler in previous:
            signal.signal(number, handler)


def _stopped(server: Server) -> bool:
    """Let what runs come to its end; another Ctrl-C does not wait for that."""
    whole = []
    ending = threading.Thread(target=lambda: whole.append(server.stop(_GRACE)), daemon=True)
    ending.start()
    while ending.is_alive():
        ending.join(_LOOKING)
    return all(whole)
