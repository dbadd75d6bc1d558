"""One application: what it is, what it is granted, and how it is served."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from wherry import _native, api
from wherry.edge.settings import ApplicationSettings
from wherry.runtime.component import granted, usual_limits

if TYPE_CHECKING:
    from wherry._native import Limits, Policy

__all__ = ["Application"]

_EVERYTHING = ("/*rest",)


class Application:
    """An application, which is loaded when a server starts and again when it reloads.

    ``source`` is a file, the bytes of one, a package by name, a project or a packed file. Its guests get what
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
            NoSuchExportError: It answers no HTTP requests.
            LoadError: It is no WebAssembly, or not valid.
            GrantError: Nothing is granted, and its package asks for what nobody has agreed to.
            UsageError: A setting is wrong.

        """
        program, shown, origin = self.source, self.name, None
        routes = self.settings.routes
        if isinstance(program, str):
            shown = program
            if (found := api.find(program, place="http")) is not None:
                origin = api.origin_of(program, found)
                program = str(found.component)
                if found.manifest is not None and found.manifest.http is not None:
                    routes = routes or found.manifest.http.routes
        return _native.Application(
            program,
            shown,
            granted(self.policy, origin, deterministic=False),
            self.limits if self.limits is not None else usual_limits(origin),
            msgspec.json.encode(msgspec.structs.replace(self.settings, routes=routes or _EVERYTHING)),
        )

    def __repr__(self) -> str:
        return f"<application {self.name}>"


def _name(source: str | bytes) -> str:
    """How an application is called that has no name: as its file, folder or package."""
    if isinstance(source, bytes):
        return "application"
    path = Path(source)
    return path.absolute().stem if path.exists() else source
