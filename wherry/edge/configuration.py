"""``edge.toml``: a server and the applications on it, in one file.

The keys are the fields of :mod:`wherry.edge.settings`; what is granted, and what may be used up, is said as
in a policy file. Relative paths start beside the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from wherry import _native
from wherry.artifact.reading import read_table
from wherry.edge.application import Application
from wherry.edge.settings import ApplicationSettings, Certificate, ServerSettings

if TYPE_CHECKING:
    import os

__all__ = ["ApplicationTable", "Configuration", "read_configuration"]


class ApplicationTable(ApplicationSettings, frozen=True, kw_only=True):
    """One of the applications."""

    target: Annotated[
        str, Meta(min_length=1, description="A `.wasm` file, a project's folder, a packed file or a package.")
    ]
    policy: Annotated[
        dict[str, Any] | str,
        Meta(description="What it is granted and may use up: a policy file, or what would stand in one."),
    ] = msgspec.field(default_factory=dict)

    def application(self, file: Path) -> Application:
        """The application, where this stands in ``file``."""
        target = file.parent / self.target
        policy = file.parent / self.policy if isinstance(self.policy, str) else file
        text = None if isinstance(self.policy, str) else _toml(self.policy)
        fields = {name: getattr(self, name) for name in ApplicationSettings.__struct_fields__}
        if self.static is not None:
            fields["static"] = str(file.parent / self.static)
        return Application(
            str(target) if target.exists() else self.target,
            policy=_native.Policy.from_toml(policy, text) if self.policy else None,
            limits=_native.Limits.from_toml(policy, text) if self.policy else None,
            settings=ApplicationSettings(**fields),
        )


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of the file."""

    server: ServerSettings = ServerSettings()
    application: Annotated[tuple[ApplicationTable, ...], Meta(description="The applications.")]

    def server_of(self, file: str | os.PathLike[str]) -> ServerSettings:
        """The server of the configuration in ``file``."""
        folder = Path(file).parent
        tls = [
            Certificate(certificate=str(folder / one.certificate), key=str(folder / one.key))
            for one in self.server.tls
        ]
        return msgspec.structs.replace(self.server, tls=tuple(tls))

    def applications(self, file: str | os.PathLike[str]) -> list[Application]:
        """The applications of the configuration in ``file``."""
        return [table.application(Path(file)) for table in self.application]


def read_configuration(path: str | os.PathLike[str]) -> Configuration:
    """The configuration in a file.

    Raises:
        NotFoundError: There is no such file.
        HostIOError: It cannot be read.
        ManifestError: It is wrong; the message and ``problems`` say where and how.

    """
    return read_table(path, Configuration)


def _toml(table: dict[str, Any]) -> str:
    """A table of texts, numbers and lists of them as TOML, which has these as JSON does."""
    return "".join(
        f"{json.dumps(key, ensure_ascii=False)} = {json.dumps(value, ensure_ascii=False)}\n"
        for key, value in table.items()
    )
