"""One application: what it is, what it is granted, and how it is served."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from wherry import _native, api
from wherry.edge.settings import ApplicationSettings
from wherry.errors import NotFoundError, NotWebAssemblyError
from wherry.runtime.component import granted, usual_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry._native import Limits, Policy
    from wherry.build.launch import Launch
    from wherry.build.tools import Progress
    from wherry.runtime.component import Origin

__all__ = ["EVERYTHING", "Application", "Found"]

EVERYTHING = ("/*rest",)
"""The routes of an application that is for all requests."""

_INDEX = "index.html"
"""What makes a folder one of files to serve."""

_NO_PROJECT = (
    "an `index.html` in it makes it a folder of static files\n`wherry new --kind http` makes a project"
)
_ELSEWHERE = (
    "`wherry serve DIR` builds the project in a folder and serves it; `wherry new --kind http` makes one"
)


class Application:
    """An application, which is loaded when a server starts and again when it reloads.

    ``source`` is a file, the bytes of one, a package by name, a project or a packed file; or a folder with an
    ``index.html`` and no ``wherry.toml``, whose files are served. Its guests get what
    ``policy`` grants and may use up ``limits``; by default what a person agreed to for that package, and
    what ``flags`` say as ``wherry run`` takes them, such as ``("--env", "NAME")``.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        flags: Sequence[tuple[str, ...]] = (),
        settings: ApplicationSettings | None = None,
    ) -> None:
        self.source = source if isinstance(source, bytes) else os.fspath(source)
        self.policy = policy
        self.limits = limits
        self.flags = tuple(flags)
        settings = settings if settings is not None else ApplicationSettings()
        self.settings = msgspec.structs.replace(settings, name=settings.name or _name(self.source))

    @property
    def name(self) -> str:
        """What logs and counters call it."""
        return self.settings.name

    def load(self) -> _native.Application:
        """Build it if it is a project, compile and link it.

        Raises:
            NotFoundError: There is no such file or package.
            NoSuchExportError: It answers no HTTP requests, and is no command.
            LoadError: It is no WebAssembly, or not valid.
            GrantError: Nothing is granted, and its package asks for what nobody has agreed to.
            UsageError: A setting is wrong.

        """
        found = self._found()
        origin = found.origin
        policy = self.policy if origin is not None or self.policy is not None else api.policy_of(self.flags)
        limits = self.limits
        if limits is None:
            said = api.limits_of(self.flags) if origin is None else None
            limits = said if said is not None else usual_limits(origin)
        try:
            return _native.Application(
                found.program,
                found.shown,
                granted(policy, origin, deterministic=False),
                limits,
                self.completed(found),
                [origin.name, *origin.args] if origin is not None else [],
                origin.entry if origin is not None else None,
                found.package,
            )
        except (NotFoundError, NotWebAssemblyError) as error:
            if error.hint is None and origin is None:
                error.hint = _ELSEWHERE
            raise

    def package(self, progress: Progress | None = None) -> Launch | None:
        """What its source names, if that is a package, a project or a packed file; a project is built."""
        if isinstance(self.source, bytes) or _is_site(self.source):
            return None
        try:
            return api.find(self.source, progress, place="http")
        except NotFoundError as error:
            if not _is_no_project(self.source):
                raise
            what = f"`{self.source}` has neither a project nor a page to serve"
            raise NotFoundError(what, hint=_NO_PROJECT) from error

    def _found(self) -> Found:
        """What the source names now."""
        source = self.source
        if isinstance(source, bytes):
            return Found(source, self.name)
        if _is_site(source):
            return Found(None, self.name, static=source)
        found = self.package()
        if found is None:
            return Found(source, source)
        http = found.manifest.http if found.manifest is not None else None
        static, package = found.static if found.static is not None else (None, None)
        own = self.settings.static is not None
        return Found(
            str(found.component),
            source,
            api.origin_of(source, found, self.flags, command="serve"),
            http.routes if http is not None else (),
            None if static is None else str(static),
            None if own else package,
            http.reuse if http is not None else None,
            http.concurrency if http is not None else None,
            http is not None and http.compress,
        )

    def completed(self, found: Found) -> bytes:
        """The settings as JSON, with what a manifest says where they say nothing."""
        settings = self.settings
        at_once = settings.instance_concurrency
        completed = msgspec.structs.replace(
            settings,
            routes=settings.routes or found.routes or EVERYTHING,
            reuse=settings.reuse if settings.reuse is not None else found.reuse,
            instance_concurrency=at_once if at_once is not None else found.concurrency,
            static=settings.static if settings.static is not None else found.static,
            compress=settings.compress if settings.compress is not None else found.compress,
        )
        # No package makes a host its own for the applications beside it by naming it.
        return msgspec.json.encode(msgspec.to_builtins(completed) | {"routes-said": bool(settings.routes)})

    def close(self) -> None:
        """Let go of what only this one holds; a server does that when it stops."""

    def __repr__(self) -> str:
        return f"<application {self.name}>"


class Found(NamedTuple):
    """What a source names: a program, or files alone, and what its package says of it.

    Messages call it ``shown``. With the digest of a ``package`` the files in ``static`` are those of that.
    """

    program: str | bytes | None
    shown: str
    origin: Origin | None = None
    routes: tuple[str, ...] = ()
    static: str | None = None
    package: str | None = None
    reuse: int | None = None
    concurrency: int | None = None
    compress: bool = False


def _is_site(source: str) -> bool:
    """Whether this is a folder of files to serve, with no application in it."""
    if not os.path.isfile(os.path.join(source, _INDEX)):  # noqa: PTH113, PTH118 - `pathlib` takes as long as a guest
        return False
    from wherry.build.locate import MANIFEST

    return not os.path.exists(os.path.join(source, MANIFEST))  # noqa: PTH110, PTH118 - as above


def _is_no_project(source: str) -> bool:
    """Whether this is a folder, and neither it nor one above it has a manifest."""
    from wherry.build.locate import MANIFEST, find_project

    return os.path.isdir(source) and not (find_project(source) / MANIFEST).is_file()  # noqa: PTH112 - as above


def _name(source: str | bytes) -> str:
    """How an application is called that has no name: as its file, folder or package."""
    if isinstance(source, bytes):
        return "application"
    if not os.path.exists(source):  # noqa: PTH110 - as above
        return source
    return os.path.splitext(os.path.basename(os.path.abspath(source)))[0]  # noqa: PTH100, PTH119, PTH122 - as above
