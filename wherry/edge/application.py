"""One application: what it is, what it is granted, and how it is served."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from wherry import _native, api
from wherry.build.locate import MANIFEST
from wherry.edge.settings import ApplicationSettings
from wherry.runtime.component import granted, usual_limits

if TYPE_CHECKING:
    from wherry._native import Limits, Policy

__all__ = ["Application"]

_EVERYTHING = ("/*rest",)

_INDEX = "index.html"
"""What makes a folder one of files to serve."""


class Application:
    """An application, which is loaded when a server starts and again when it reloads.

    ``source`` is a file, the bytes of one, a package by name, a project or a packed file; or a folder with an
    ``index.html`` and no ``wherry.toml``, whose files are served. Its guests get what
    ``policy`` grants, by default what a person agreed to for that package, and may use up ``limits``.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        settings: ApplicationSettings | None = None,
    ) -> None:
        self.source = source if isinstance(source, bytes) else os.fspath(source)
        self.policy = policy
        self.limits = limits
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
        limits, settings = self.limits, self.settings
        if isinstance(self.source, str) and _is_site(self.source):
            return _native.Application(
                None,
                self.name,
                granted(None, deterministic=False),
                limits if limits is not None else usual_limits(None),
                _completed(settings, (), self.source),
            )
        program, shown, origin, package = self.source, self.name, None, None
        routes: tuple[str, ...] = ()
        files: str | None = None
        if isinstance(program, str):
            shown = program
            if (found := api.find(program, place="http")) is not None:
                origin = api.origin_of(program, found)
                program = str(found.component)
                if found.manifest is not None and found.manifest.http is not None:
                    routes = found.manifest.http.routes
                if found.static is not None and settings.static is None:
                    files, package = str(found.static[0]), found.static[1]
        return _native.Application(
            program,
            shown,
            granted(self.policy, origin, deterministic=False),
            limits if limits is not None else usual_limits(origin),
            _completed(settings, routes, files),
            [origin.name, *origin.args] if origin is not None else [],
            origin.entry if origin is not None else None,
            package,
        )

    def __repr__(self) -> str:
        return f"<application {self.name}>"


def _completed(settings: ApplicationSettings, routes: tuple[str, ...], static: str | None) -> bytes:
    """The settings as JSON, with what a manifest says where they say nothing."""
    return msgspec.json.encode(
        msgspec.structs.replace(
            settings,
            routes=settings.routes or routes or _EVERYTHING,
            static=settings.static if settings.static is not None else static,
        )
    )


def _is_site(source: str) -> bool:
    """Whether this is a folder of files to serve, with no application in it."""
    folder = Path(source)
    return (folder / _INDEX).is_file() and not (folder / MANIFEST).exists()


def _name(source: str | bytes) -> str:
    """How an application is called that has no name: as its file, folder or package."""
    if isinstance(source, bytes):
        return "application"
    path = Path(source)
    return path.absolute().stem if path.exists() else source
