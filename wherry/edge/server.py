"""A server that runs: started, looked at, given other applications, stopped."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeGuard

import msgspec

from wherry import _native
from wherry.edge.application import Application
from wherry.edge.settings import SUFFIX, ApplicationSettings, ServerSettings
from wherry.errors import UsageError, WherryError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from wherry._native import Limits, Policy

__all__ = ["Failure", "Server", "is_single", "serve", "wanted"]


class Failure(NamedTuple):
    """What went wrong once while a server ran."""

    text: str
    """It begins with the name of its request, which the client got in ``x-request-id`` where its answer had
    not begun, or with ``server:`` where no request is meant."""

    hint: str | None
    """What to do about it."""


class Server:
    """A server that runs until it is stopped, or its ``with`` block ends."""

    def __init__(
        self,
        applications: Sequence[Application],
        settings: ServerSettings,
        again: Callable[[], Sequence[Application]] | None = None,
        make: Callable[[list[_native.Application], bytes], _native.Server] = _native.Server,
    ) -> None:
        """Serve these; a reload serves what ``again`` gives, or the same as they are then."""
        self._again = again
        self.applications: tuple[Application, ...] = ()
        self._scheme = "https" if settings.tls else "http"
        self._native = make(self._load(applications), msgspec.json.encode(settings))
        self._stopped = False

    def _load(self, wanted: Sequence[Application]) -> list[_native.Application]:
        names = Counter(one.name for one in wanted)
        if twice := [name for name, times in names.items() if times > 1]:
            raise UsageError(
                f"there are several applications `{twice[0]}`", hint="give each a `name` of its own"
            )
        loaded = [one.load() for one in wanted]
        self.applications = tuple(wanted)
        return loaded

    def reload(self) -> None:
        """Read what is served again, and serve that from the next request on. No request is lost.

        Certificates are read again too. What runs comes to its end as it began. If anything cannot be
        loaded, all stays as it was.

        Raises:
            UsageError: It was stopped.
            WherryError: As :func:`serve`.

        """
        if self._stopped:
            raise UsageError(
                "the server was stopped, and reloads nothing", hint="`wherry.edge.serve` starts another"
            )
        try:
            wanted = self._again() if self._again is not None else self.applications
            self._native.replace(self._load(wanted))
        except WherryError:
            self._native.note_stale()
            raise

    def reopen(self) -> None:
        """Open the files of the logs anew, after they were moved.

        Raises:
            HostIOError: One cannot be opened; what was open goes on.

        """
        self._native.reopen()

    def connect(self, address: str, port: int) -> socket.socket:
        """A connection to it without a network, for a client at this address."""
        # Not at the top, as the start of a server is waited for.
        import socket
        from ipaddress import ip_address

        return socket.socket(fileno=self._native.connect(ip_address(address), port))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens at."""
        return self._native.address()

    @property
    def url(self) -> str:
        """The same as a URL."""
        host, port = self.address
        return f"{self._scheme}://[{host}]:{port}" if ":" in host else f"{self._scheme}://{host}:{port}"

    @property
    def admin(self) -> tuple[str, int] | None:
        """Host and port where health, metrics and statistics are, if they are asked for."""
        return self._native.admin()

    def statistics(self, application: str | None = None) -> dict[str, int]:
        """What it counted since it started, of one application or of all.

        ``connections`` and ``requests`` that came, ``active`` those whose answer is not over, and
        ``waiting`` those of them that wait for a place; ``instances`` that were made of guests; bytes of
        bodies ``received`` and ``sent``. Turned away were ``busy`` as there were too many, and ``refused``
        as they were malformed, too large or for no application. ``failed`` guests trapped or gave no answer,
        and ``late`` ones were not done in time. Counters outlive a reload.
        """
        counters = self._native.counters()
        if application is not None:
            return counters.get(application) or dict.fromkeys(counters[""], 0)
        total: Counter[str] = Counter()
        for each in counters.values():
            total.update(each)
        return {"connections": self._native.connections(), **{name: total[name] for name in counters[""]}}

    def failures(self, timeout: float = 0.0) -> list[Failure]:
        """What went wrong since this was asked last, waiting up to ``timeout`` seconds for the first.

        The last thousand are kept.
        """
        return [Failure(*told) for told in self._native.failures(timeout)]

    def stop(self, timeout: float = 10.0) -> bool:
        """Take no more connections, let what runs come to its end, and end.

        What still runs after ``timeout`` seconds is cut off. Returns whether all came to its end. To stop
        what is stopped does nothing.
        """
        self._stopped = True
        whole = self._native.stop(timeout)
        for one in self.applications:
            one.close()
        return whole

    def __enter__(self) -> Self:
        """Nothing: it runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it; after an exception at once."""
        self.stop(0.0 if kind is not None else 10.0)


def serve(
    source: str | os.PathLike[str] | bytes | Sequence[Application],
    *,
    policy: Policy | None = None,
    limits: Limits | None = None,
    flags: Sequence[tuple[str, ...]] = (),
    ask: Callable[[Application], object] | None = None,
    **settings: Any,
) -> Server:
    """Serve an application: a file, the bytes of one, a package by name, a project or a packed file.

    Several are served from a list of :class:`Application`, or from an ``edge.toml``. Each request has a fresh
    instance, with what ``policy`` grants and up to ``limits``: its ``timeout`` is for the whole answer. When
    this returns the first request can come; at port 0 the system chooses one, which
    :attr:`Server.address` tells.

    ``flags`` are those of :class:`Application`. ``ask`` is called with each application before any is loaded:
    whoever asks people what they agree to does so there.

    ``settings`` are fields of :class:`~wherry.edge.ServerSettings`, such as ``address``, and of
    :class:`~wherry.edge.ApplicationSettings`, such as ``concurrency``; the latter for one application alone.
    With ``tls``, some of :class:`~wherry.edge.Certificate`, it speaks HTTPS and nothing else.

    Raises:
        NotFoundError: There is no such file or package, or no certificate.
        NoSuchExportError: It answers no HTTP requests.
        LoadError: It is no WebAssembly, or not valid.
        ManifestError: The configuration is wrong.
        UsageError: The address cannot be listened at, routes are in each other's way, or a setting or a
            certificate is wrong.
        TypeError: There is no such setting.

    """
    applications, server, again = wanted(source, policy, limits, flags, settings)
    if ask is not None:
        for one in applications:
            ask(one)
    return Server(applications, server, again)


def wanted(
    source: str | os.PathLike[str] | bytes | Sequence[Application],
    policy: Policy | None,
    limits: Limits | None,
    flags: Sequence[tuple[str, ...]],
    settings: Mapping[str, Any],
) -> tuple[Sequence[Application], ServerSettings, Callable[[], Sequence[Application]] | None]:
    """The applications that arguments of :func:`serve` mean, their server, and what reads them anew.

    The last is for those of a configuration; others are what they were.
    """
    of_server = {name: value for name, value in settings.items() if name in ServerSettings.__struct_fields__}
    of_one = {name: value for name, value in settings.items() if name not in of_server}
    if is_single(source):
        own = ApplicationSettings(**of_one)
        application = Application(source, policy=policy, limits=limits, flags=flags, settings=own)
        return [application], ServerSettings(**of_server), None
    _alone({"policy": policy, "limits": limits, "flags": flags or None} | of_one)
    if not isinstance(source, str | os.PathLike | bytes):
        return list(source), ServerSettings(**of_server), None
    from wherry.edge.configuration import read_configuration

    path = os.fsdecode(source)
    configuration = read_configuration(path)
    return (
        configuration.applications(path),
        msgspec.structs.replace(configuration.server_of(path), **of_server),
        lambda: read_configuration(path).applications(path),
    )


def is_single(
    source: str | os.PathLike[str] | bytes | Sequence[Application],
) -> TypeGuard[str | os.PathLike[str] | bytes]:
    """Whether this is one application, and neither a list of them nor an ``edge.toml``."""
    if isinstance(source, str | os.PathLike):
        return not os.fspath(source).endswith(SUFFIX)
    return isinstance(source, bytes)


def _alone(said: dict[str, Any]) -> None:
    """Refuse what is said of one application where there may be several."""
    if first := next((name for name, value in said.items() if value is not None), None):
        raise UsageError(
            f"`{first}` is for one application, and here may be several", hint="say it for each of them"
        )
