"""Loading: from a path, bytes or an open file to a :class:`Component`, which is compiled once and shared."""

from __future__ import annotations

import os
from functools import cache

from wherry import _native
from wherry.errors import GrantError, UsageError
from wherry.runtime.imports import host_functions
from wherry.runtime.instance import Instance

TYPE_CHECKING = False  # not from `typing`, which takes longer to import than the rest of this
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from wherry._native import Limits, Policy
else:
    Protocol = object

__all__ = ["Component", "Origin", "Readable", "load"]


class Readable(Protocol):
    """An open binary file."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` of its bytes."""


class Origin:
    """What a component brings along from the package that it came in.

    ``name`` is what its command is called, ``entry`` where it starts if that is said, ``args`` come
    before those of the caller, ``files`` are granted whatever else is, ``agreed`` is what a person agreed
    to, which holds where the caller says nothing, and ``limits`` likewise. Where nobody agreed to what
    the package asks for, ``agreed`` is ``None`` and ``asks`` and ``hint`` say so.
    """

    __slots__ = ("agreed", "args", "asks", "entry", "files", "hint", "limits", "name")

    def __init__(  # noqa: PLR0917 - as the record that it is
        self,
        name: str,
        entry: str | None,
        args: tuple[str, ...],
        files: Policy,
        agreed: Policy | None,
        limits: Limits | None,
        asks: str = "",
        hint: str = "",
    ) -> None:
        self.name = name
        self.entry = entry
        self.args = args
        self.files = files
        self.agreed = agreed
        self.limits = limits
        self.asks = asks
        self.hint = hint


class Component:
    """A program that is compiled and ready: immutable, shared between threads, picklable with its bytes.

    Made by :func:`load`. A core module is one too; its functions take and return numbers. ``origin`` says
    what it brings along from its package, if it came in one.
    """

    __slots__ = ("_exports", "_imports", "_native", "origin")

    def __init__(self, native: _native.Component, origin: Origin | None = None) -> None:
        self._native = native
        self.origin = origin
        # Asked for by every instance, and the same for all of them.
        self._exports = [(interface, name) for interface, name, _ in native.exports()]
        self._imports = native.imports()

    @property
    def name(self) -> str:
        """What messages call it: the path, or the name that was given."""
        return self._native.name

    @property
    def digest(self) -> str:
        """SHA-256 of what was loaded, in hexadecimal."""
        return self._native.digest

    @property
    def exports(self) -> tuple[str, ...]:
        """What can be called, as WIT names it: ``add``, or ``ns:pkg/iface#fn``."""
        return tuple(_qualified(interface, name) for interface, name in self._exports)

    @property
    def imports(self) -> tuple[str, ...]:
        """What :meth:`instantiate` has to be given beyond WASI, named as in :attr:`exports`."""
        return tuple(_qualified(interface, name) for interface, name, _ in self._imports)

    def instantiate(
        self,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        imports: Mapping[str, object] | None = None,
        deterministic: bool = False,
    ) -> Instance:
        """One fresh sandbox.

        ``imports`` gives what the component imports: a callable for a function, and for an interface such as
        ``ns:pkg/iface`` a mapping or object with its functions, in snake case, and with a class for each
        resource. Coroutine functions are waited for. Without ``policy`` nothing is granted, but to a package
        what was agreed to; standard output and error are those of this process, standard input is empty.
        With ``deterministic`` the same calls give the same results and use the same fuel, on any machine, as
        far as host functions do.

        Raises :class:`~wherry.errors.LinkError` when an import is missing (all are listed),
        :class:`~wherry.errors.GrantError` when its package asks for what nobody has agreed to, and what the
        guest's start ends in.
        """
        native = self.start(policy=policy, limits=limits, imports=imports, deterministic=deterministic)
        return Instance(self, native)

    def start(
        self,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        imports: Mapping[str, object] | None = None,
        deterministic: bool = False,
    ) -> _native.Instance:
        """The sandbox of :meth:`instantiate` alone, for generated bindings."""
        return self._native.instantiate(
            granted(policy, self.origin, deterministic=deterministic),
            limits if limits is not None else usual_limits(self.origin),
            None,
            host_functions(self.name, self._imports, imports or {}),
        )

    def use_classes(self, classes: Sequence[tuple[str, str, Sequence[str], Sequence[object]]]) -> None:
        """Have generated classes stand for the types of the component, before its first call."""
        self._native.use_classes(classes)

    def places(self) -> dict[tuple[str | None, str], int]:
        """The place of each function, by its interface and its name in WIT."""
        return {named: place for place, named in enumerate(self._exports)}

    def __reduce__(self) -> tuple[object, tuple[bytes, str, Origin | None]]:
        return _restore, (self._native.bytes(), self.name, self.origin)

    def __repr__(self) -> str:
        kind = "component" if self._native.is_component else "core module"
        return f"<{kind} {self.name} with {len(self.exports)} functions>"


def load(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | Readable,
    *,
    name: str | None = None,
    precompiled: bool = False,
    limits: Limits | None = None,
    origin: Origin | None = None,
) -> Component:
    """Load a component or core module, in binary or text form, from a path, bytes or an open binary file.

    What was compiled once comes out of the cache. ``name`` is what messages call bytes. With ``precompiled``
    the source is the output of ``wherry compile``; that is machine code which runs outside any sandbox, so it
    must come from someone you trust. ``limits`` says how large a source may be (``size``, ``functions``,
    ``body``, ``nesting``), and what compiling it may take (``compile_timeout``, ``compile_memory``).

    Raises a :class:`~wherry.errors.LoadError`: not found, not WebAssembly, made for another host, not valid,
    too large.
    """
    limits = limits if limits is not None else default_limits()
    data: str | bytes
    if isinstance(source, str | os.PathLike):
        data = os.fsdecode(source)
        name = name or data
    elif isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
    else:
        if not hasattr(source, "read"):
            raise UsageError(f"a program is a path, bytes or an open file, not `{type(source).__name__}`")
        data = _read(source, limits.size)
        name = name or str(getattr(source, "name", "") or "")
    return Component(_native.Component(data, name or "<bytes>", limits, precompiled=precompiled), origin)


def _read(source: Readable, most: int) -> bytes:
    """All of an open file, or one byte more than ``most``, which shows that it is too large."""
    read: list[bytes] = []
    while most >= 0:
        part = source.read(min(most + 1, 1 << 20))
        if not isinstance(part, bytes):
            raise UsageError("the file is open for text", hint='open it with `open(path, "rb")`')
        if not part:
            break
        read.append(part)
        most -= len(part)
    return b"".join(read)


@cache
def default_limits() -> Limits:
    """The limits where none are given. Variables and settings files are read once per process for them."""
    return _native.Limits()


@cache
def nothing_granted() -> Policy:
    """The policy where none is given."""
    return _native.Policy()


def granted(policy: Policy | None, origin: Origin | None = None, *, deterministic: bool) -> Policy:
    """What a guest is granted: the policy that is given, or what was agreed to for its package, or nothing.

    With ``deterministic`` it is that as well. Raises :class:`~wherry.errors.GrantError` where no policy is
    given and nobody agreed.
    """
    if origin is not None:
        given = policy if policy is not None else origin.agreed
        if given is None:
            raise GrantError(origin.asks, hint=origin.hint)
        policy = origin.files | given
    policy = policy if policy is not None else nothing_granted()
    return policy.replace(deterministic=True) if deterministic else policy


def usual_limits(origin: Origin | None) -> Limits:
    """The limits where none are given: what was agreed to for a package, or those of every guest."""
    return origin.limits if origin is not None and origin.limits is not None else default_limits()


def _restore(data: bytes, name: str, origin: Origin | None = None) -> Component:
    """A component that was pickled."""
    return load(data, name=name, origin=origin)


def _qualified(interface: str | None, name: str) -> str:
    return name if interface is None else f"{interface}#{name}"
