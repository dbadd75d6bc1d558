"""``wherry.toml``: what a package says of itself, the same file for every place.

These records are the whole of it: ``reading`` makes them from a file and says what is wrong, ``schema``
makes the JSON schema that editors complete from, and ``docs/manifest.md`` is checked against them. The
values in them are those of ``manifest_types``. Start reading at ``Manifest``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from wherry.artifact.manifest_types import (  # noqa: TC001 - msgspec reads annotations
    CommandName,
    ConfigName,
    Count,
    Digest,
    Duration,
    GuestPath,
    HostAndPort,
    Keyword,
    Licence,
    Line,
    Method,
    OwnAddress,
    PackageName,
    Positive,
    ProjectPath,
    RequestUrl,
    Requirement,
    Route,
    Size,
    Url,
    VariableName,
    Version,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Build",
    "Command",
    "Dependency",
    "FilesFrom",
    "Http",
    "Language",
    "Library",
    "LimitsAsked",
    "Manifest",
    "Need",
    "Needs",
    "Package",
]

Language: TypeAlias = Literal[
    "assemblyscript", "c", "cpp", "go", "javascript", "python", "rust", "typescript"
]
"""What ``wherry build`` builds."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What all sections have: keys with dashes, and none that is unknown."""


class Package(_Section, frozen=True, kw_only=True):
    """What the package is."""

    name: PackageName
    version: Version
    description: Annotated[Line, Meta(description="What it is for, in one line.")] | None = None
    licence: Licence | None = None
    keywords: Annotated[tuple[Keyword, ...], Meta(max_length=20, description="Words to find it by.")] = ()
    readme: Annotated[ProjectPath, Meta(description="A page about it, in Markdown.")] | None = None
    repository: Annotated[Url, Meta(description="Where its source is.")] | None = None


class Build(_Section, frozen=True, kw_only=True):
    """How components are made from source; what is left out is found out."""

    language: (
        Annotated[Language, Meta(description="The language of the source; left out, it is found out.")] | None
    ) = None
    source: Annotated[ProjectPath, Meta(description="The file or folder that is built.")] | None = None
    wit: Annotated[ProjectPath, Meta(description="The folder or file of interfaces.")] | None = None
    world: Annotated[Line, Meta(description="The world of the interfaces that is built.")] | None = None
    optimise: Annotated[Literal["size", "speed"], Meta(description="What counts more.")] | None = None


class _Place(_Section, frozen=True, kw_only=True):
    """What every place that the package offers has."""

    component: (
        Annotated[
            ProjectPath,
            Meta(description="The component or core module; left out, it is what `wherry build` made."),
        ]
        | None
    ) = None
    source: (
        Annotated[ProjectPath, Meta(description="What is built, if not the source of `[build]`.")] | None
    ) = None
    language: (
        Annotated[Language, Meta(description="Its language, if not that of `[build]`; left out, found out.")]
        | None
    ) = None
    description: Annotated[Line, Meta(description="What it does, in one line.")] | None = None


class Command(_Place, frozen=True, kw_only=True):
    """A program that people run."""

    args: Annotated[tuple[str, ...], Meta(description="Arguments that come before those of the user.")] = ()
    entry: (
        Annotated[str, Meta(description="The function of a core module that starts it, if not `_start`.")]
        | None
    ) = None
    workdir: (
        Annotated[GuestPath, Meta(description="The folder that it starts in, as the guest sees it.")] | None
    ) = None


class Library(_Place, frozen=True, kw_only=True):
    """Functions that other programs call."""


class Http(_Place, frozen=True, kw_only=True):
    """A service that answers requests."""

    routes: Annotated[
        tuple[Route, ...],
        Meta(
            description="Which requests it answers; left out, all. `:name` stands for one part of a path, "
            "`*name` for the rest.",
            examples=["/api/:id", "shop.example.com/*rest"],
        ),
    ] = ()
    reuse: (
        Annotated[
            Positive,
            Meta(
                description="How many requests one instance answers, which then can see what others left; "
                "left out, each has a fresh one.",
            ),
        ]
        | None
    ) = None
    concurrency: (
        Annotated[
            Positive,
            Meta(
                description="How many of them at once, where its interface allows that (WASI 0.3).",
            ),
        ]
        | None
    ) = None
    compress: Annotated[
        bool, Meta(description="Answers are compressed where the client and their type allow it.")
    ] = False
    static: (
        Annotated[
            GuestPath,
            Meta(
                description="A folder among `[files]`, from which requests are answered before the program "
                "is asked."
            ),
        ]
        | None
    ) = None
    command: (
        Annotated[CommandName, Meta(description="A command of the package that answers, as CGI (RFC 3875).")]
        | None
    ) = None


class FilesFrom(_Section, frozen=True, kw_only=True):
    """Where files come from, and which are left out."""

    path: Annotated[ProjectPath, Meta(description="A file or folder of the project.")]
    exclude: Annotated[
        tuple[str, ...], Meta(description="Patterns of paths that are left out, such as `*.tmp`.")
    ] = ()


class Need(_Section, frozen=True, kw_only=True):
    """Something outside the sandbox that the package asks for. Asking grants nothing."""

    why: Annotated[Line, Meta(description="What for, in words for the user.")]
    optional: Annotated[bool, Meta(description="The package does without, too.")] = False

    def flags(self) -> tuple[str, ...]:
        """What follows the flag that grants it, once for each time it is given; empty for a switch."""
        raise NotImplementedError

    def words(self) -> str:
        """What it is, for a person: as ``It wants to`` goes on."""
        raise NotImplementedError

    @property
    def open(self) -> bool:
        """Whether only the user can say what it is: a flag holds a word in capitals then."""
        return False


class FolderNeed(Need, frozen=True, kw_only=True):
    """A folder of the user's."""

    guest: Annotated[GuestPath, Meta(description="What the package calls it.")]
    host: Annotated[str, Meta(min_length=1, description="Which folder it means, such as `.`.")] | None = None
    write: Annotated[bool, Meta(description="It changes files there.")] = False

    def flags(self) -> tuple[str, ...]:
        """As in ``--dir .::/data:ro``; HOST stands for a folder that the user has to choose."""
        return (f"{self.host or 'HOST'}::{self.guest}{'' if self.write else ':ro'}",)

    def words(self) -> str:
        """As in ``read files in `.`, which it calls /data``."""
        what = "read and change" if self.write else "read"
        where = f"`{self.host}`" if self.host is not None else "a folder of your choice"
        return f"{what} files in {where}, which it calls {self.guest}"

    @property
    def open(self) -> bool:
        """Whether it does not say which folder."""
        return self.host is None


class VariableNeed(Need, frozen=True, kw_only=True):
    """An environment variable."""

    name: Annotated[VariableName, Meta(description="The name of the variable.")]

    def flags(self) -> tuple[str, ...]:
        """As in ``--env NAME``."""
        return (self.name,)

    def words(self) -> str:
        """As in ``read the variable TOKEN``."""
        return f"read the variable {self.name}"


class NameNeed(Need, frozen=True, kw_only=True):
    """A value under a name."""

    name: Annotated[ConfigName, Meta(description="The name that it asks for.")]

    def flags(self) -> tuple[str, ...]:
        """As in ``--secret NAME``."""
        return (self.name,)

    def words(self) -> str:
        """As in ``use the secret token``."""
        return f"use the secret {self.name}"


class ConfigNeed(NameNeed, frozen=True, kw_only=True):
    """A value of the configuration."""

    def flags(self) -> tuple[str, ...]:
        """As in ``--config NAME=VALUE``; VALUE stands for what the user has to say."""
        return (f"{self.name}=VALUE",)

    def words(self) -> str:
        """As in ``be told the value log-level``."""
        return f"be told the value {self.name}"

    @property
    def open(self) -> bool:
        """The user says the value."""
        return True


class AddressNeed(Need, frozen=True, kw_only=True):
    """A host and port."""

    address: Annotated[HostAndPort, Meta(description="The host and port.")]

    def flags(self) -> tuple[str, ...]:
        """As in ``--allow-net HOST:PORT``."""
        return (self.address,)

    def words(self) -> str:
        """As in ``connect to db.example.com:5432``."""
        return f"connect to {self.address}"


class ListenNeed(Need, frozen=True, kw_only=True):
    """An address and port of the user's."""

    address: Annotated[OwnAddress, Meta(description="Where others can connect to.")]

    def flags(self) -> tuple[str, ...]:
        """As in ``--allow-listen ADDRESS:PORT``."""
        return (self.address,)

    def words(self) -> str:
        """As in ``accept connections at 127.0.0.1:8080``."""
        return f"accept connections at {self.address}"


class RequestNeed(Need, frozen=True, kw_only=True):
    """Requests over HTTP."""

    url: Annotated[RequestUrl, Meta(description="Where requests go, and below.")]
    methods: Annotated[tuple[Method, ...], Meta(description="Which methods; left out, any.")] = ()

    def flags(self) -> tuple[str, ...]:
        """As in ``--allow-http 'GET https://example.com/'``."""
        return (f"{','.join(self.methods)} {self.url}" if self.methods else self.url,)

    def words(self) -> str:
        """As in ``send requests (GET) to https://example.com/``."""
        methods = f" ({', '.join(self.methods)})" if self.methods else ""
        return f"send requests{methods} to {self.url}"


class SwitchNeed(Need, frozen=True, kw_only=True):
    """Something that is granted whole."""

    def flags(self) -> tuple[str, ...]:
        """Nothing follows the flag."""
        return ()

    def words(self) -> str:
        """The only switch there is."""
        return "look up any name"


class StoreNeed(Need, frozen=True, kw_only=True):
    """A key-value store that lasts."""

    def flags(self) -> tuple[str, ...]:
        """As in ``--kv PATH``; PATH stands for what the user has to choose."""
        return ("PATH",)

    def words(self) -> str:
        """As it is."""
        return "keep values in a file of your choice"

    @property
    def open(self) -> bool:
        """The user says which file."""
        return True


class HostNeed(Need, frozen=True, kw_only=True):
    """What every guest has unless it is withheld."""

    def flags(self) -> tuple[str, ...]:
        """As in ``--clock host``."""
        return ("host",)

    def words(self) -> str:
        """As it is."""
        return "have the clock and randomness of this machine"


class LimitsAsked(_Section, frozen=True, kw_only=True):
    """How much of each the package asks for, under the names of the flags."""

    memory: Annotated[Size, Meta(description="Memory.")] | None = None
    timeout: Annotated[Duration, Meta(description="Wall time.")] | None = None
    fuel: Annotated[Count, Meta(description="Fuel, about one for each instruction.")] | None = None
    max_output: Annotated[Size, Meta(description="Bytes written to standard output and error.")] | None = None
    stack: Annotated[Size, Meta(description="Stack.")] | None = None
    max_handles: Annotated[Count, Meta(description="Open files, folders and other handles.")] | None = None
    max_connections: Annotated[Count, Meta(description="Connections at once.")] | None = None
    max_outgoing: Annotated[Count, Meta(description="HTTP requests sent.")] | None = None
    max_write: Annotated[Size, Meta(description="Bytes written to files.")] | None = None
    max_transfer: Annotated[Size, Meta(description="Bytes over the network.")] | None = None
    connect_timeout: Annotated[Duration, Meta(description="Time until a connection stands.")] | None = None
    first_byte_timeout: Annotated[Duration, Meta(description="Time until an answer begins.")] | None = None
    between_bytes_timeout: (
        Annotated[Duration, Meta(description="Time between pieces of an answer.")] | None
    ) = None
    max_instances: Annotated[Count, Meta(description="Core instances.")] | None = None
    max_tables: Annotated[Count, Meta(description="Tables.")] | None = None
    max_functions: Annotated[Count, Meta(description="Functions in a file.")] | None = None
    max_body: Annotated[Size, Meta(description="The largest function in a file.")] | None = None
    max_nesting: Annotated[Count, Meta(description="Nesting of blocks.")] | None = None
    max_size: Annotated[Size, Meta(description="The size of a file.")] | None = None
    compile_timeout: Annotated[Duration, Meta(description="Time to read and compile it.")] | None = None
    compile_memory: Annotated[Size, Meta(description="Memory of the compiler.")] | None = None


class Needs(_Section, frozen=True, kw_only=True):
    """What the package asks for, under the names of the flags that grant it."""

    dir: Annotated[tuple[FolderNeed, ...], Meta(description="Folders.")] = ()
    env: Annotated[tuple[VariableNeed, ...], Meta(description="Environment variables.")] = ()
    allow_net: Annotated[tuple[AddressNeed, ...], Meta(description="Connections to a host and port.")] = ()
    allow_http: Annotated[tuple[RequestNeed, ...], Meta(description="Requests over HTTP.")] = ()
    allow_listen: Annotated[tuple[ListenNeed, ...], Meta(description="Connections from outside.")] = ()
    allow_dns: Annotated[SwitchNeed | None, Meta(description="Looking any name up.")] = None
    config: Annotated[tuple[ConfigNeed, ...], Meta(description="Values of the configuration.")] = ()
    secret: Annotated[tuple[NameNeed, ...], Meta(description="Values that nobody else sees.")] = ()
    kv: Annotated[StoreNeed | None, Meta(description="A key-value store that lasts.")] = None
    clock: Annotated[HostNeed | None, Meta(description="The real time.")] = None
    random: Annotated[HostNeed | None, Meta(description="Real randomness.")] = None
    limits: Annotated[LimitsAsked | None, Meta(description="How much of each it needs.")] = None

    def asked(self) -> Iterator[tuple[str, Need]]:
        """Each need with the name of the flag that grants it, in the order of the documentation."""
        for name, key in _keys(Needs):
            found = getattr(self, name)
            if isinstance(found, Need):
                yield key, found
            elif isinstance(found, tuple):
                yield from ((key, need) for need in found)

    def flags(self) -> tuple[tuple[str, ...], ...]:
        """The flags that grant all of it and set the limits, each as words: ``("--env", "TOKEN")``."""
        found: list[tuple[str, ...]] = []
        for key, need in self.asked():
            found += [(f"--{key}", value) for value in need.flags()] or [(f"--{key}",)]
        for name, key in _keys(LimitsAsked):
            value = getattr(self.limits, name, None)
            if value is not None:
                found.append((f"--{key}", str(value)))
        return tuple(found)


class Dependency(_Section, frozen=True, kw_only=True):
    """Another package, and what of it this one uses."""

    version: Requirement | None = None
    digest: Annotated[Digest, Meta(description="Exactly this one.")] | None = None
    path: (
        Annotated[
            str,
            Meta(
                min_length=1,
                description="The folder of its project, which is used as long as this is a project too.",
            ),
        ]
        | None
    ) = None
    commands: Annotated[
        tuple[CommandName, ...], Meta(description="Commands of it that this package offers as well.")
    ] = ()
    files: (
        Annotated[GuestPath, Meta(description="Where its files are seen: below it, each under its own path.")]
        | None
    ) = None


class Manifest(_Section, frozen=True, kw_only=True):
    """A whole ``wherry.toml``."""

    package: Annotated[Package, Meta(description="What the package is.")]
    build: Annotated[Build | None, Meta(description="How its components are made from source.")] = None
    command: Annotated[dict[CommandName, Command], Meta(description="Programs that people run, by name.")] = (
        msgspec.field(default_factory=dict)
    )
    library: Annotated[Library | None, Meta(description="Functions that other programs call.")] = None
    http: Annotated[Http | None, Meta(description="A service that answers requests.")] = None
    files: Annotated[
        dict[GuestPath, ProjectPath | FilesFrom],
        Meta(
            description="Read-only files, each path in the guest with the file or folder that stands there."
        ),
    ] = msgspec.field(default_factory=dict)
    needs: Annotated[Needs, Meta(description="What it asks for. Asking grants nothing.")] = Needs()
    dependencies: Annotated[
        dict[PackageName, Requirement | Dependency],
        Meta(description="Packages that it uses, each with the versions that fit."),
    ] = msgspec.field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The name that people use, such as ``acme/thumbs@1.2.0``."""
        return f"{self.package.name}@{self.package.version}"

    def uses(self) -> Iterator[tuple[str, Dependency]]:
        """The packages that it uses by name; a version alone is written out as the rest is."""
        for name, wanted in self.dependencies.items():
            yield name, wanted if isinstance(wanted, Dependency) else Dependency(version=wanted)

    def borrowed(self) -> dict[str, str]:
        """The commands of other packages that it offers, each with the name of the package that has it."""
        return {command: name for name, wanted in self.uses() for command in wanted.commands}

    def commands(self) -> list[str]:
        """All commands that it offers, its own first."""
        return [*self.command, *self.borrowed()]

    def places(self) -> Iterator[tuple[str, Command | Library | Http]]:
        """Each place that has a component: ``command.NAME``, ``library``, ``http``; the main one first.

        A service that a command answers for has none of its own.
        """
        for name, command in self.command.items():
            yield f"command.{name}", command
        if self.library is not None:
            yield "library", self.library
        if self.http is not None and self.http.command is None:
            yield "http", self.http


def _keys(section: type[_Section]) -> Iterator[tuple[str, str]]:
    """The fields of a section, each with its key in the file."""
    return ((field.name, field.encode_name) for field in msgspec.structs.fields(section))
