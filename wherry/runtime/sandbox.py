"""The plug-in case: code of strangers behind one object, where each call gets a sandbox of its own.

.. code-block:: python

    with wherry.Sandbox("plugin.wasm", limits=wherry.Limits(timeout="100ms", memory="64MiB")) as sandbox:
        answer = sandbox.greet("world")

The code is compiled once; each call runs in a fresh instance that is gone when the call returns, so nothing
passes from one call to the next: no memory, no handle, no file position. An instance takes some ten
microseconds to make. :class:`wherry.aio.Sandbox` is the same for asyncio.
"""

from __future__ import annotations

import contextvars
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from wherry import _native
from wherry.errors import ClosedError, NoSuchExportError, UsageError
from wherry.runtime.component import Component, granted, load, usual_limits
from wherry.runtime.imports import host_functions
from wherry.runtime.instance import Functions, Instance, Interface, find_interface
from wherry.runtime.program import Command, read_input
from wherry.wit.names import snake_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from wherry._native import Limits, Policy
    from wherry.runtime.program import Completed, Input, Path

    Imports = Mapping[str, object] | Callable[[], Mapping[str, object]]

__all__ = ["Call", "Sandbox", "closed", "most_calls"]


def most_calls() -> int:
    """How many calls a sandbox runs at once unless told otherwise: as for threads, of which some wait."""
    return min(32, (os.cpu_count() or 1) + 4)


def closed() -> ClosedError:
    """The error of a sandbox that was closed."""
    return ClosedError("the sandbox was closed", hint="make a new one from the same component")


class Call:
    """One call in a sandbox of its own: it is run once, and may be ended meanwhile from elsewhere."""

    __slots__ = ("_arguments", "_cancelled", "_named", "_native", "_place", "_sandbox")

    def __init__(
        self, sandbox: Sandbox, place: int, arguments: tuple[object, ...], named: dict[str, object]
    ) -> None:
        self._sandbox = sandbox
        self._place = place
        self._arguments = arguments
        self._named = named
        self._native: _native.Instance | None = None
        self._cancelled = False

    def run(self) -> Any:
        """Run it on this thread, in its turn."""
        sandbox = self._sandbox
        with sandbox._turn(self):  # noqa: SLF001 - two halves of one class
            native = self._native = sandbox._instantiate(whole=True)  # noqa: SLF001 - as above
            try:
                if self._cancelled:
                    native.cancel()
                return native.function(self._place)(*self._arguments, **self._named)
            finally:
                native.close()

    def cancel(self) -> None:
        """End it, now or as soon as it starts."""
        self._cancelled = True
        if self._native is not None:
            self._native.cancel()


class _Function:
    """One function of a sandbox."""

    __slots__ = ("_name", "_place", "_sandbox")

    def __init__(self, sandbox: Sandbox, place: int, name: str) -> None:
        self._sandbox = sandbox
        self._place = place
        self._name = name

    def __call__(self, *args: object, **named: object) -> Any:
        return Call(self._sandbox, self._place, args, named).run()

    def __repr__(self) -> str:
        return f"<function {self._name} of {self._sandbox!r}>"


class Sandbox(Functions):
    """Code that is not trusted, loaded once; each call runs in a fresh instance.

    ``program`` is a path, bytes or a loaded component. Functions of its world are attributes,
    ``sandbox.greet("you")``, those of an interface are reached by its name,
    ``sandbox["ns:pkg/iface"].parse("...")``, and :meth:`run` runs it as a command. ``policy`` says what it
    may reach (nothing, unless given) and ``limits`` what it may use up. The time limit is a deadline for the
    whole of a call, the start of the instance included. ``imports`` are host functions as for
    :meth:`wherry.Component.instantiate`, or a callable that makes them anew for each call. What a function
    writes to standard output and error is thrown away, unless ``output`` is ``"inherit"``.

    Any number of threads may call at the same time. At most ``concurrency`` calls run, by default four more
    than there are processors; the others wait for their turn, and their time does not begin before it comes.
    ``deterministic`` is as for :meth:`wherry.Component.instantiate`.

    A context manager: leaving it ends the calls that still run.
    """

    def __init__(
        self,
        program: Path | bytes | Component,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        imports: Imports | None = None,
        concurrency: int | None = None,
        deterministic: bool = False,
        output: Literal["discard", "inherit"] = "discard",
    ) -> None:
        self._interface = None
        self.component = program if isinstance(program, Component) else load(program)
        origin = self.component.origin
        self.policy = granted(policy, origin, deterministic=deterministic)
        self.limits = limits if limits is not None else usual_limits(origin)
        self.concurrency = most_calls() if concurrency is None else concurrency
        self._imports = imports
        # What is missing is an error now, and not at the first call.
        self._shared = None if callable(imports) else self._host_functions(imports)
        self._native = self.component._native  # noqa: SLF001 - one package
        self._native.prepare(self.policy, self.limits)
        self._sink: Literal["inherit"] | None = None if output == "discard" else "inherit"
        self._turns = _Turns(self.concurrency)
        self._running: set[Call | Command] = set()
        self._closed = False

    @property
    def _owner(self) -> Sandbox:  # type: ignore[override]  # an attribute would be a circle: freed late
        return self

    def __getitem__(self, interface: str) -> Interface:
        """The functions of an exported interface; raises ``NoSuchExportError`` where there is none."""
        return Interface(self, find_interface(self.component, interface))

    def call(self, name: str, /, *args: object, **named: object) -> Any:
        """Call a function by its name in :attr:`wherry.Component.exports`: ``add``, ``ns:pkg/iface#fn``.

        Raises what a call of a function of :class:`wherry.Instance` raises.
        """
        return self.prepare(name, args, named).run()

    def prepare(self, name: str, arguments: tuple[object, ...], named: dict[str, object]) -> Call:
        """What :meth:`call` does before anything runs: find the function."""
        scope, separator, function = name.rpartition("#")
        interface = find_interface(self.component, scope) if separator else None
        return Call(self, self._place(interface, function), arguments, named)

    def run(self, *args: str, stdin: Input = None, check: bool = False) -> Completed:
        """Run it as a command with these arguments, and capture what it writes.

        As :func:`wherry.run` otherwise: raises :class:`~wherry.errors.Trap`, the
        :class:`~wherry.errors.LimitError` of a limit that strikes, and with ``check``
        :class:`~wherry.errors.GuestExit`.
        """
        completed = self.run_command(self.command(args), stdin)
        if check:
            completed.check_returncode()
        return completed

    def command(self, args: tuple[str, ...]) -> Command:
        """What :meth:`run` runs."""
        imports = self._imports() if callable(self._imports) else self._imports
        return Command(self.component, args, self.policy, self.limits, imports)

    def run_command(self, command: Command, stdin: Input) -> Completed:
        """Run what :meth:`command` made, in its turn."""
        with self._turn(command):
            return command.run(read_input(stdin), "capture", "capture")

    @contextmanager
    def instance(self) -> Iterator[Instance]:
        """One fresh instance for several calls that belong together; it is closed at the end.

        Each of these calls has the time limit to itself. The instance counts as one call among those that run
        at the same time.
        """
        with self._turns, Instance(self.component, self._instantiate(whole=False)) as instance:
            yield instance

    def close(self) -> None:
        """End the calls that run, and refuse new ones with ``ClosedError``. Doing so twice is no error."""
        self._closed = True
        for running in tuple(self._running):
            running.cancel()

    def __enter__(self) -> Sandbox:  # noqa: PYI034 - as Instance
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<sandbox of {self.component.name}>"

    @contextmanager
    def _turn(self, running: Call | Command) -> Iterator[None]:
        """Wait for a turn, and be known to :meth:`close` while it lasts."""
        with self._turns:
            self._running.add(running)
            try:
                self._check_open()
                yield
            finally:
                self._running.discard(running)

    def within(self) -> bool:
        """Whether this is a host function of a call, whose own calls do not wait for a turn."""
        return self._turns.held()

    def _check_open(self) -> None:
        if self._closed:
            raise closed()

    def _instantiate(self, *, whole: bool) -> _native.Instance:
        """One fresh instance. With ``whole`` the time limit holds for all that is done with it."""
        self._check_open()
        functions = self._host_functions(self._imports()) if callable(self._imports) else self._shared
        streams = _native.Streams([self.component.name], None, self._sink, self._sink)
        return self._native.instantiate(self.policy, self.limits, streams, functions or [], whole=whole)

    def _host_functions(self, imports: Mapping[str, object] | None) -> list[Callable[..., object]]:
        return host_functions(self.component.name, self.component._imports, imports or {})  # noqa: SLF001 - one package

    def _find(self, interface: str | None, name: str) -> _Function:
        """The function that an attribute names."""
        return _Function(self, self._place(interface, name), name)

    def _names(self, interface: str | None) -> list[str]:
        """The attributes of a scope."""
        exports = self.component._exports  # noqa: SLF001 - one package
        return [snake_case(wit) for scope, wit in exports if scope == interface and wit[0] != "["]

    def _place(self, interface: str | None, name: str) -> int:
        """The place of a function in the list of exports."""
        exports = self.component._exports  # noqa: SLF001 - one package
        for place, (scope, wit) in enumerate(exports):
            if scope == interface and name in (wit, snake_case(wit)):
                return place
        names = ", ".join(f"`{known}`" for known in self._names(interface))
        where = self.component.name if interface is None else interface
        raise NoSuchExportError(
            f"`{where}` exports no function `{name}`", hint=f"it exports {names}" if names else None
        )


_through: contextvars.ContextVar[tuple[tuple[_Turns, int], ...]] = contextvars.ContextVar(
    "wherry_through", default=()
)
"""Whose turn a call is in, and in which process it came. Not by thread: host functions run on another."""


class _Turns:
    """Lets so many calls through at once. One that is through already may enter again."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise UsageError("`concurrency` is at least 1")
        self._most = most
        self._start()

    def _start(self) -> None:
        # Those that were through when the process forked are threads of the parent.
        self._process = os.getpid()
        self._free = threading.Semaphore(self._most)

    def held(self) -> bool:
        """Whether this is in a call that is through, such as a host function of it."""
        return any(turns is self for turns, _ in _through.get())

    def __enter__(self) -> None:
        if os.getpid() != self._process:
            self._start()
        # A host function that calls the sandbox again would wait for itself.
        if not self.held():
            self._free.acquire()
        _through.set((*_through.get(), (self, self._process)))

    def __exit__(self, *_: object) -> None:
        *through, (_turns, process) = _through.get()
        _through.set(tuple(through))
        if not self.held() and process == os.getpid():
            self._free.release()
