"""What generated bindings lean on: one component, its instances, and functions that are found by name.

A generated package has a :class:`Bundle`, which is its component under a digest with the classes that stand
for its types. Each library that a user opens has a :class:`Core`, one sandbox that is made at the first call;
classes for interfaces and resources are :class:`Interface` and :class:`Resource`, whose methods call what
``_calls`` finds. Nothing here is for people to call: they see what was generated.
"""

from __future__ import annotations

import weakref
from _thread import allocate_lock
from functools import partial
from os import getpid

from wherry.errors import ClosedError, DigestError, ForkedError, LinkError, NotFoundError, UsageError
from wherry.runtime.component import load

TYPE_CHECKING = False  # not from `typing`, which takes longer to import than the rest of this
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from wherry import _native
    from wherry._native import Limits, Policy
    from wherry.errors import CallError, ResultError
    from wherry.runtime.component import Component, Origin

    Some = TypeVar("Some", bound="Library")

    Functions = Mapping[str, tuple[Any, ...]]  # name in WIT, exception, plan of `retyped`
    Types = Sequence[tuple[str, str, Sequence[str], Sequence[object]]]

__all__ = ["Bundle", "Calls", "Core", "Interface", "Library", "Resource", "awaited", "given", "shared"]


class Bundle:
    """The component of a package, which is loaded once, and the classes for its types.

    ``file`` is where it is, ``digest`` the SHA-256 that it must have. ``origin`` makes what a package of the
    store brings along.
    """

    def __init__(
        self, name: str, file: str, digest: str, origin: Callable[[], Origin | None] | None = None
    ) -> None:
        self.name = name
        self.file = file
        self.digest = digest
        self._origin = origin
        self._lock = allocate_lock()
        self._component: Component | None = None
        self._types: list[tuple[str, str, Sequence[str], Sequence[object]]] = []
        self.scopes: dict[str | None, tuple[Functions, Mapping[str, type[Resource]]]] = {}

    def define(
        self, scope: str | None, functions: Functions, resources: Mapping[str, type[Resource]], types: Types
    ) -> None:
        """Has a scope, by its name in WIT, be made of these functions, resources and types."""
        self.scopes[scope] = (functions, resources)
        self._types += types

    def component(self) -> Component:
        """The component, loaded.

        Raises:
            NotFoundError: It is not there.
            DigestError: It is another one.
            LoadError: It is damaged.

        """
        with self._lock:
            if self._component is None:
                self._component = self._load()
            return self._component

    def _load(self) -> Component:
        hint = f"install `{self.name}` again, or write it again with `wherry bind`"
        try:
            component = load(
                self.file, name=self.name, origin=self._origin() if self._origin is not None else None
            )
        except NotFoundError as error:
            message = f"the component of `{self.name}` is missing: `{self.file}`"
            raise NotFoundError(message, hint=hint) from error
        if component.digest != self.digest:
            message = f"`{self.file}` is not the component that `{self.name}` was made for"
            raise DigestError(f"{message}: its digest is {component.digest}, not {self.digest}", hint=hint)
        component.use_classes([_prepared(one) for one in self._types])
        return component


class Core:
    """One sandbox, made when a function of it is first called; calls of several threads take turns.

    One that is ``lasting`` makes another one where a trap or a limit has ended it: what all functions of a
    module share outlives a call that failed.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        imports: Mapping[str, object] | None = None,
        lasting: bool = False,
    ) -> None:
        self._bundle = bundle
        self._lasting = lasting
        self._policy = policy
        self._limits = limits
        self._imports = imports
        self._lock = allocate_lock()
        self._native: _native.Instance | None = None
        self._index: dict[tuple[str | None, str], int] = {}
        self._calls: dict[str | None, weakref.ref[Calls]] = {}
        self._closed = False
        self._process = 0
        self._library: type[Library] = Library

    def opened(self, library: type[Library]) -> None:
        """Has errors say what to do in terms of the class that opened it."""
        self._library = library

    def calls(self, scope: str | None) -> Calls:
        """The functions of a scope."""
        known = self._calls.get(scope)
        found = known() if known is not None else None
        if found is None:
            found = Calls(self, scope, self._bundle.scopes[scope][0])
            self._calls[scope] = weakref.ref(found)
        return found

    def function(self, scope: str | None, name: str, error: type[ResultError] | None) -> _native.Function:
        """A function by its name in WIT; it raises ``error`` for the error case of its result."""
        if self._lasting:
            self.renew()  # an earlier call, of another function, may have ended it
        native = self.native()
        renew = partial(_renewed, weakref.ref(self), scope, name, error)
        try:
            return native.function(self._index[scope, name], error, waits=True, renew=renew)
        except (ClosedError, ForkedError) as closed:
            raise (self._ended() or closed) from None

    def renew(self) -> bool:
        """Whether there is a sandbox to call: another one, where a trap or a limit has ended the last."""
        with self._lock:
            if self._closed:
                return False
            if self._native is None or self._native.alive():
                return True
            self._native = None
            for known in self._calls.values():
                calls = known()
                if calls is not None:
                    calls._forget()  # noqa: SLF001 - one module
            return True

    def native(self) -> _native.Instance:
        """The sandbox."""
        with self._lock:
            if self._closed:
                raise self._over(ClosedError, "was closed")
            if self._native is None:
                self._native = self._start()
                self._process = getpid()
            return self._native

    def renewed(self) -> bool:
        """Whether there is another sandbox to call; one that is not lasting says why it cannot be called."""
        if self._lasting:
            return self.renew()
        ended = self._ended()
        if ended is not None:
            raise ended
        return False

    def _ended(self) -> CallError | None:
        if self._closed:
            return self._over(ClosedError, "was closed")
        if self._native is None or self._native.alive():
            return None
        if self._process != getpid():
            return self._over(ForkedError, "was opened before this process forked")
        return self._over(ClosedError, "ended in an earlier call and cannot be used any more")

    def _over(self, kind: type[CallError], what: str) -> CallError:
        return kind(f"`{self._bundle.name}` {what}", hint=f"make another one: `{self._opening()}`")

    def _providing(self) -> str:
        if self._imports is None:
            return "no object can be passed for what is WASI: build the library for WASI 0.2 or 0.3"
        return f"give these functions to the objects that `{self._opening()}` takes"

    def _opening(self) -> str:
        """What opens the library, as it is typed."""
        from inspect import Parameter, signature

        name = self._library.__name__
        params = signature(self._library).parameters.values()
        return f"{name}({', '.join(f'{one.name}=...' for one in params if one.default is Parameter.empty)})"

    def close(self) -> None:
        """Ends the sandbox."""
        with self._lock:
            self._closed = True
            if self._native is not None:
                self._native.close()

    def cancel(self) -> None:
        """Ends the call that is running, if there is one."""
        if self._native is not None:
            self._native.cancel()

    def _start(self) -> _native.Instance:
        component = self._bundle.component()
        try:
            native = component.start(policy=self._policy, limits=self._limits, imports=self._imports)
        except LinkError as error:
            if "imports=" in (error.hint or ""):
                error.hint = self._providing()
            raise
        self._index = component.places()
        wrapping = {}
        for scope, (_, resources) in self._bundle.scopes.items():
            for name, made in resources.items():
                wrapping[scope, name] = partial(_wrapped, weakref.ref(self), scope, made)
        if wrapping:
            native.wrap_resources(wrapping)
        return native


class Calls:
    """The functions of one scope of a core by their names, each found when it is first called.

    They are attributes like any others, as looking one up is most of what a call through a generated method
    costs beyond the call itself.
    """

    def __init__(self, core: Core, scope: str | None, functions: Functions) -> None:
        self._core = core
        self._scope = scope
        self._functions = functions
        self._forget()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def _find(self, name: str) -> Callable[..., object]:
        wit, error, *plan = self._functions[name]
        found: Callable[..., object] = self._core.function(self._scope, wit, error)
        if plan:
            from wherry.runtime.retyped import returning

            found = returning(found, plan[0])
        setattr(self, name, found)
        return found

    def _forget(self) -> None:
        """Has functions be found when they are next called."""
        own = weakref.ref(self)  # not itself, as what is in a circle is freed late
        for name in self._functions:
            setattr(self, name, partial(_found, own, name))


def _found(calls: weakref.ref[Calls], name: str, *arguments: object) -> object:
    """Calls a function for the first time."""
    alive = calls()
    if alive is None:
        raise ClosedError("the library of the function is gone")
    return alive._find(name)(*arguments)  # noqa: SLF001 - one module


async def awaited(calls: Calls, name: str, *arguments: object) -> Any:
    """Calls a function on a thread of its own; cancelling the task ends the call."""
    from wherry.runtime.aio import call_on_thread

    return await call_on_thread(calls._core.cancel, partial(getattr(calls, name), *arguments))  # noqa: SLF001 - one module


class Interface:
    """The functions of an interface of one library."""

    __slots__ = ("__weakref__", "_calls")
    _scope: str | None = None

    def __init__(self, core: Core) -> None:
        self._calls = core.calls(self._scope)


class Library(Interface):
    """One sandbox of a component, and what it offers.

    A context manager: leaving it gives back memory, files and sockets at once. Calls of several threads take
    turns; for calls side by side each thread opens a library of its own.
    """

    __slots__ = ("_core",)

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._core = core
        core.opened(type(self))

    def close(self) -> None:
        """End the sandbox. Doing so twice is no error; using it afterwards raises ``ClosedError``."""
        self._core.close()

    def cancel(self) -> None:
        """End the call that is running, from another thread; it raises ``InterruptedCallError``."""
        self._core.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Resource:
    """Something that lives in a library: closed by :meth:`close`, by ``with``, or with its last reference."""

    __slots__ = ("__weakref__", "_calls", "_handle")
    _calls: Calls
    _handle: _native.Resource

    def __init__(self) -> None:
        raise TypeError(f"`{type(self).__name__}` has no constructor: a function of its library makes it")

    def _take(self, made: Resource) -> None:
        """Has this object be what a constructor has made."""
        self._calls = made._calls
        self._handle = made._handle

    def close(self) -> None:
        """Give it back now. Doing so twice is no error; using it afterwards raises ``ClosedError``."""
        self._handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def shared(library: type[Some], core: Core) -> Some:
    """A library around a core that all functions of a module share."""
    found = library.__new__(library)
    Library.__init__(found, core)
    return found


def given(name: str, host: object, functions: Mapping[str, tuple[str, Any, bool]]) -> dict[str, object]:
    """What a host implements of an interface, by names in WIT.

    ``functions`` has the names in Python, each with the plans of ``retyped`` for its arguments if they need
    any, and whether what it gives back is a ``result`` within one. What is missing is left out, and named
    when the library is instantiated.
    """
    if host is None:
        raise UsageError(f"`{name}` is None: it takes an object that implements it")
    found: dict[str, Any] = {}
    for wit, (python, plans, inner) in functions.items():
        function = getattr(host, python, None)
        if function is not None and plans is not None:
            from wherry.runtime.retyped import taking

            function = taking(function, plans)
        if function is not None and inner:
            from wherry.runtime.retyped import succeeding

            function = succeeding(function)
        if not wit.startswith("["):
            found[wit] = function
            continue
        kind, _, rest = wit[1:].partition("]")
        resource, _, member = rest.partition(".")
        made = found.setdefault(resource, _Maker())
        made.__dict__["make" if kind == "constructor" else member] = function
    return found


class _Maker:
    """What stands for the class of a resource that the host implements."""

    def __call__(self, *arguments: object) -> Any:
        return self.__dict__["make"](*arguments)


def _renewed(
    core: weakref.ref[Core], scope: str | None, name: str, error: type[ResultError] | None
) -> _native.Function | None:
    """The function of another sandbox, where that of a core has ended and is to be replaced."""
    alive = core()
    if alive is None or not alive.renewed():
        return None
    return alive.native().function(alive._index[scope, name], error, waits=True)  # noqa: SLF001 - one module


def _wrapped(
    core: weakref.ref[Core], scope: str | None, kind: type[Resource], handle: _native.Resource
) -> Resource:
    """The object of a generated class for a resource that came out of a guest."""
    found = kind.__new__(kind)
    alive = core()
    if alive is None:
        raise ClosedError("the library of the resource is gone")
    found._calls = alive.calls(scope)  # noqa: SLF001 - one module
    found._handle = handle  # noqa: SLF001 - as above
    return found


def _prepared(
    one: tuple[str, str, Sequence[str], Sequence[object]],
) -> tuple[str, str, Sequence[str], Sequence[object]]:
    """A type as the core wants it.

    A record brings a class of the same slots that is not frozen, through which its objects are made.
    """
    kind, name, members, classes = one
    if kind == "variant":
        for place, case in enumerate(classes):
            case._index = place  # type: ignore[attr-defined]  # noqa: SLF001 - a generated class, told its place
    if kind != "record":
        return one
    (made,) = classes
    twin = type(name, (), {"__slots__": made.__slots__})  # type: ignore[attr-defined]  # a dataclass with slots
    return kind, name, members, (made, twin)
