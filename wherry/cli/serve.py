"""``wherry serve``: an application answers HTTP requests until it is told to stop."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, get_args

import click
import msgspec

from wherry import _native, api
from wherry.cli import agreeing, output
from wherry.cli.command import SERVED_LIMITS, Command, option, serving_options
from wherry.cli.serving import Preparing, finish, until_told
from wherry.cli.watching import watching
from wherry.edge.settings import ApplicationSettings, Certificate, Log, ServerSettings
from wherry.errors import GrantError, UsageError
from wherry.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry._native import Limits, Policy
    from wherry.build.tools import Progress
    from wherry.edge import Application, Server

    Decorator = Callable[[Callable[..., object] | click.Command], Any]

__all__ = ["serve"]

_SERVING = "Serving"

_SETTINGS = ("address", "max_request", "max_response", "concurrency", "queue", "wait", "admin")
_LIMITS = tuple(flag.replace("-", "_") for flag in SERVED_LIMITS)


def _setting(flag: str, of: type[ServerSettings | ApplicationSettings], field: str, **more: Any) -> Decorator:
    """An option for a field of the settings, with its words and its default."""
    found = next(one for one in msgspec.structs.fields(of) if one.name == field)
    told = get_args(found.type)[1]
    words = told.description.removesuffix(".").partition("; by default ")[0]
    more.setdefault("default_text", str(found.default))
    return option(flag, field, help=words, group=_SERVING, **more)


@click.command(
    cls=Command,
    examples=[
        "wherry serve app.wasm",
        "wherry serve . --watch --addr 127.0.0.1:3000 --env GREETING=hello",
        "wherry serve acme/shop --addr 0.0.0.0:80 --timeout 5s --memory 64MiB",
        "wherry serve edge.toml",
    ],
)
@click.argument("target", metavar="TARGET", type=click.Path())
@_setting("--addr", ServerSettings, "address", metavar="ADDR:PORT")
@_setting("--max-request", ApplicationSettings, "max_request", metavar="SIZE")
@_setting("--max-response", ApplicationSettings, "max_response", metavar="SIZE")
@_setting("--concurrency", ApplicationSettings, "concurrency", type=click.IntRange(1), metavar="COUNT")
@_setting("--queue", ApplicationSettings, "queue", type=click.IntRange(0), metavar="COUNT")
@_setting("--wait", ApplicationSettings, "wait", metavar="DURATION")
@option(
    "--tls-cert",
    help="Speak HTTPS, with this certificate in PEM; again for another name",
    group=_SERVING,
    metavar="FILE",
    multiple=True,
    type=click.Path(),
)
@option("--tls-key", help="The key of it", group=_SERVING, metavar="FILE", multiple=True, type=click.Path())
@option(
    "--compress",
    is_flag=True,
    help="Compress answers for clients that take it (else as the manifest says)",
    group=_SERVING,
)
@option(
    "--log", metavar="FILE|-", help="Write a line for each request; `-` is standard output", group=_SERVING
)
@option(
    "--log-format",
    type=click.Choice(["json", "combined"]),
    metavar="FORMAT",
    help="How: `json`, or the `combined` format of other servers",
    group=_SERVING,
    default_text="json",
)
@_setting("--admin", ServerSettings, "admin", metavar="ADDR:PORT", default_text="nowhere")
@option("--no-server-header", is_flag=True, help="Answers do not name the server", group=_SERVING)
@option("--dev", is_flag=True, help="Show what is wrong with a guest to its client", group=_SERVING)
@option("--open", "opened", is_flag=True, help="Show it in a browser", group=_SERVING)
@option("--watch", is_flag=True, help="Reload when what is served changes on the disk", group=_SERVING)
@serving_options
def serve(target: str, no_server_header: bool, dev: bool, opened: bool, watch: bool, **said: Any) -> None:  # noqa: FBT001 - flags
    """Answer HTTP requests with an application, each in a fresh sandbox.

    TARGET is a `.wasm` file, the folder of a project, a packed file, a package by name, or an `edge.toml`
    with several of them. What a package asks for you are asked once. The URL is printed when the first
    request can come. SIGHUP reloads; SIGUSR1 opens logs anew; Ctrl-C and SIGTERM let what runs come to its
    end.
    """
    from wherry.edge import serve as start

    settings = {name: said.pop(name) for name in _SETTINGS}
    settings["compress"] = said.pop("compress") or None
    settings["tls"] = _certificates(said.pop("tls_cert"), said.pop("tls_key"))
    file = said.pop("policy")
    settings["server_header"] = False if no_server_header else None
    settings["dev"] = True if dev else None
    settings["log"] = _log(said.pop("log"), said.pop("log_format"))
    flags = _flags(said)
    tell = output.long_work()
    preparing = Preparing(target, tell)

    def ask(application: Application) -> None:
        with preparing.paused():
            _ask(target, flags, application, tell)

    with preparing:
        server = start(
            target,
            policy=_policy(file, flags),
            limits=_limits(file, said),
            flags=flags if file is None else (),
            ask=ask,
            **{name: value for name, value in settings.items() if value is not None},
        )
    if opened:
        threading.Thread(target=_open, args=(server,), daemon=True).start()
    with watching(server, target) if watch else nullcontext():
        until_told(server, f"serving `{target}` at {server.url}")
    finish(server)


def _certificates(certificates: tuple[str, ...], keys: tuple[str, ...]) -> tuple[Certificate, ...] | None:
    """Each certificate with its key, in the order in which they were typed; ``None`` without any."""
    if len(certificates) != len(keys):
        raise UsageError(
            "each `--tls-cert` has a `--tls-key`", hint="`--tls-cert cert.pem --tls-key key.pem`"
        )
    pairs = zip(certificates, keys, strict=True)
    return tuple(Certificate(certificate=one, key=key) for one, key in pairs) or None


def _flags(said: dict[str, Any]) -> list[tuple[str, ...]]:
    """The flags that were typed of those that grant and limit, as words."""
    typed: list[tuple[str, ...]] = []
    for name, value in said.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, tuple):
            typed += [(flag, one) for one in value]
        elif isinstance(value, str):
            typed.append((flag, value))
        elif value:
            typed.append((flag,))
    return typed


def _log(file: str | None, form: Literal["json", "combined"] | None) -> Log | None:
    """The access log that the options ask for."""
    if file is None and form is not None:
        raise UsageError(
            "`--log-format` without a log", hint="say where it goes with `--log FILE`, or `--log -`"
        )
    if file is None:
        return None
    return Log(file=file, format=form or "json")


def _policy(file: str | None, flags: list[tuple[str, ...]]) -> Policy | None:
    """What a file grants, which says all of it, and flags beside it."""
    return _native.Policy.from_toml(file) | api.policy_of(flags) if file is not None else None


def _limits(file: str | None, flags: dict[str, Any]) -> Limits | None:
    """What guests may use up, where there is a file that says so."""
    if file is None:
        return None
    said = {flag: flags[flag] for flag in _LIMITS if flags[flag] is not None}
    limits = _native.Limits.from_toml(file)
    return limits.replace(**{flag.removeprefix("max_"): value for flag, value in said.items()})


def _ask(target: str, flags: list[tuple[str, ...]], application: Application, tell: Progress) -> None:
    """Ask whether its package may have what it asks for, unless that is said or was agreed to."""
    if application.policy is not None or (found := application.package(tell)) is None:
        return
    source = str(application.source)
    with LocalStore() as store:
        try:
            agreeing.granted(store, found, [word for flag in flags for word in flag], source, command="serve")
        except GrantError as error:
            if source == target or error.hint is None:
                raise
            hint = f"`wherry serve {source}` asks on a terminal; `policy` in `{target}` says what is granted"
            raise GrantError(error.message, hint=hint) from error


def _open(server: Server) -> None:
    """Show what is served in the browser of the user."""
    import webbrowser

    if not webbrowser.open(server.url):
        output.warn(f"no browser could be opened for {server.url}")
