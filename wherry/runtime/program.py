"""Running commands: the shape and habits of :mod:`subprocess`, with a guest in place of a process.

:func:`run` waits for the end; :class:`Running` is a guest that runs meanwhile, whose output can be read line
by line.
"""

from __future__ import annotations

import os
import threading
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

from wherry import _native
from wherry.errors import CallError, GuestError, GuestExit, LimitError, UsageError
from wherry.runtime.component import Component, granted, load, usual_limits
from wherry.runtime.imports import host_functions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from wherry._native import Limits, Policy

    Path = str | os.PathLike[str]
    Dirs = Mapping[Path, Path] | Iterable[Path | tuple[Path, Path] | tuple[Path, Path, Literal["ro", "rw"]]]
    Input = bytes | bytearray | memoryview | IO[bytes] | int | None
    Output = IO[bytes] | int | None
    # The same two as the core takes them.
    Source = bytes | int | None
    Sink = int | Literal["inherit", "capture"]

__all__ = ["Command", "Completed", "Denial", "Running", "prepare", "read_input", "run", "start"]


class Denial(NamedTuple):
    """Something that a guest was refused, and how often.

    ``subject`` is the sort of thing that it reached for, such as ``file``, ``net`` or ``limit``,
    ``operation`` what it wanted with it, ``target`` its name as the guest has it, and ``reason`` why it was
    refused. ``flag`` and ``value`` are the option that would allow it, as in ``--dir data``; both are
    ``None`` where no grant does.
    """

    subject: str
    operation: str
    target: str
    reason: str
    flag: str | None
    value: str | None
    times: int


class Completed:
    """A command that ended by itself: its exit code, what was captured, and what it took.

    ``stdout`` and ``stderr`` are bytes if the command was run with ``capture``, and ``None`` otherwise.
    ``fuel`` is the fuel that it used, where that was limited, ``peak_memory`` the most bytes of memory that
    it had, ``denials`` all that it was refused, and ``hint`` the same in words with what would allow it.
    """

    __slots__ = ("args", "denials", "fuel", "hint", "peak_memory", "returncode", "stderr", "stdout")

    args: tuple[str, ...]
    returncode: int
    # Bytes or nothing, as the caller knows, who chose `capture`. A union would ask each of them for an
    # assertion; typeshed has decided the same for `subprocess.CompletedProcess`.
    stdout: Any
    stderr: Any
    fuel: int | None
    peak_memory: int
    denials: tuple[Denial, ...]
    hint: str | None

    def __init__(
        self,
        args: tuple[str, ...],
        returncode: int,
        stdout: bytes | None = None,
        stderr: bytes | None = None,
        *,
        fuel: int | None = None,
        peak_memory: int = 0,
        denials: tuple[Denial, ...] = (),
        hint: str | None = None,
    ) -> None:
        self.args = args
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        self.fuel = fuel
        self.peak_memory = peak_memory
        self.denials = denials
        self.hint = hint

    def check_returncode(self) -> None:
        """Raise :class:`~wherry.errors.GuestExit` if the exit code is not zero."""
        if self.returncode:
            error = GuestExit(f"`{self.args[0]}` exited with code {self.returncode}", hint=self.hint)
            error.code = self.returncode
            self.describe(error)
            raise error

    def describe(self, error: GuestError | LimitError) -> None:
        """Put what is known of the run into an error that ended it."""
        error.stdout = self.stdout
        error.stderr = self.stderr
        error.fuel = self.fuel
        error.peak_memory = self.peak_memory
        error.denials = self.denials

    def __repr__(self) -> str:
        return f"Completed(args={self.args!r}, returncode={self.returncode})"


def run(
    program: Path | bytes | Component,
    *args: str,
    stdin: Input = None,
    stdout: Output = None,
    stderr: Output = None,
    capture: bool = False,
    check: bool = False,
    env: Mapping[str, str] | Iterable[str] | None = None,
    dirs: Dirs | None = None,
    workdir: str | None = None,
    timeout: float | str | None = None,
    deterministic: bool = False,
    policy: Policy | None = None,
    limits: Limits | None = None,
    imports: Mapping[str, object] | None = None,
) -> Completed:
    """Run a command and wait for its end.

    ``program`` is a path, bytes or a loaded component; for ``wherry.run`` the name of a package, too, such as
    ``acme/tools#resize``. ``stdin`` is empty unless given as bytes, an open file
    or a descriptor; ``stdout`` and ``stderr`` are those of this process unless given, and with ``capture``
    they come back as bytes. ``env`` and ``dirs`` are grants as in :class:`wherry.Policy`, ``timeout`` is in
    seconds (30 unless given), and ``imports`` are host functions as for :meth:`wherry.Component.instantiate`.
    With ``deterministic`` each run of it gives the same bytes and uses the same fuel, on any machine. With
    ``check`` an exit code other than zero raises :class:`~wherry.errors.GuestExit`.

    Raises what loading raises, :class:`~wherry.errors.Trap` when the guest breaks, and a
    :class:`~wherry.errors.LimitError` when a limit strikes; both carry what the guest wrote until then.
    """
    command, streams = prepare(
        program,
        args,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        capture=capture,
        env=env,
        dirs=dirs,
        workdir=workdir,
        timeout=timeout,
        deterministic=deterministic,
        policy=policy,
        limits=limits,
        imports=imports,
    )
    completed = command.run(*streams)
    if check:
        completed.check_returncode()
    return completed


def prepare(
    program: Path | bytes | Component,
    args: tuple[str, ...],
    *,
    stdin: Input = None,
    stdout: Output = None,
    stderr: Output = None,
    capture: bool = False,
    env: Mapping[str, str] | Iterable[str] | None = None,
    dirs: Dirs | None = None,
    workdir: str | None = None,
    timeout: float | str | None = None,
    deterministic: bool = False,
    policy: Policy | None = None,
    limits: Limits | None = None,
    imports: Mapping[str, object] | None = None,
) -> tuple[Command, tuple[Source, Sink, Sink]]:
    """What :func:`run` does before anything runs: read the arguments, load the program."""
    if capture and (stdout is not None or stderr is not None):
        raise UsageError(
            "`capture` and `stdout` or `stderr` exclude each other", hint="leave one of them out"
        )
    given, limits = _given(policy, env, dirs, workdir), _limited(program, limits, timeout)
    command = Command(program, args, given, limits, imports, deterministic=deterministic)
    if capture:
        return command, (read_input(stdin), "capture", "capture")
    return command, (read_input(stdin), _output(stdout), _output(stderr))


def start(
    program: Path | bytes | Component,
    *args: str,
    stdin: Input = None,
    stderr: Output = None,
    env: Mapping[str, str] | Iterable[str] | None = None,
    dirs: Dirs | None = None,
    workdir: str | None = None,
    timeout: float | str | None = None,
    deterministic: bool = False,
    policy: Policy | None = None,
    limits: Limits | None = None,
    imports: Mapping[str, object] | None = None,
) -> Running:
    """Start a command and return while it runs; iterate over the result for the lines that it writes.

    The arguments are those of :func:`run`. The guest waits when its output is not read.
    """
    given, limits = _given(policy, env, dirs, workdir), _limited(program, limits, timeout)
    command = Command(program, args, given, limits, imports, deterministic=deterministic)
    return Running(command, read_input(stdin), _output(stderr))


class Running:
    """A command that runs in a thread of its own, with its standard output as a pipe.

    A context manager: leaving it ends the guest if it still runs.
    """

    def __init__(self, command: Command, stdin: Source, stderr: Sink) -> None:
        reading, writing = os.pipe()
        self.stdout: IO[bytes] = os.fdopen(reading, "rb")
        self._command = command
        self._completed: Completed | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._work, args=(stdin, writing, stderr), name="wherry-guest", daemon=True
        )
        self._thread.start()

    def _work(self, stdin: Source, writing: int, stderr: Sink) -> None:
        try:
            self._completed = self._command.run(stdin, writing, stderr)
        except BaseException as error:  # noqa: BLE001 - raised again by wait(), in the thread that asks
            self._error = error
        finally:
            os.close(writing)

    def __iter__(self) -> Iterator[bytes]:
        # Not a generator: one that is left early would close the pipe.
        return iter(self.stdout)

    def wait(self, timeout: float | None = None) -> Completed:
        """Wait for the end, at most ``timeout`` seconds (``TimeoutError``).

        Raises what :func:`run` would have raised.
        """
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"the guest still runs after {timeout} seconds")
        if self._error is not None:
            raise self._error
        if self._completed is None:
            raise RuntimeError("the guest ended without a result")
        return self._completed

    def cancel(self) -> None:
        """End the guest; :meth:`wait` then raises ``InterruptedCallError``."""
        self._command.cancel()

    def close(self) -> None:
        """End the guest if it still runs, and give back its pipe and its thread."""
        self.cancel()
        self.stdout.close()
        self._thread.join()

    def __enter__(self) -> Running:  # noqa: PYI034 - as Instance
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Command:
    """A program with its arguments and grants, to be run once."""

    def __init__(
        self,
        program: Path | bytes | Component,
        args: tuple[str, ...],
        policy: Policy | None,
        limits: Limits,
        imports: Mapping[str, object] | None = None,
        *,
        deterministic: bool = False,
    ) -> None:
        for arg in args:
            if not isinstance(arg, str):
                raise UsageError(
                    f"an argument for the guest is {_kind(arg)}, not a string: {arg!r:.40}",
                    hint='each stands by itself: `wherry.run(program, "--level", "3")`',
                )
        self._component = program if isinstance(program, Component) else load(program, limits=limits)
        origin = self._component.origin
        self._args = args if origin is None else (*origin.args, *args)
        self._policy = granted(policy, origin, deterministic=deterministic)
        self._limits = limits
        self._imports = imports or {}
        self._cancelled = False
        self._native: _native.Instance | None = None

    def run(self, stdin: Source, stdout: Sink, stderr: Sink) -> Completed:
        """Run it on this thread."""
        origin = self._component.origin
        # pathlib would cost 5 ms at start-up.
        name = origin.name if origin is not None else os.path.basename(self._component.name)  # noqa: PTH119
        streams = _native.Streams([name, *self._args], stdin, stdout, stderr)
        completed = Completed((name, *self._args), 0)
        try:
            completed.returncode = self._run(completed, streams)
        except GuestExit as ended:
            completed.returncode = ended.code
        except (GuestError, LimitError) as error:
            completed.stdout, completed.stderr = streams.captured()
            completed.describe(error)
            raise
        completed.stdout, completed.stderr = streams.captured()
        return completed

    def _run(self, completed: Completed, streams: _native.Streams) -> int:
        """Run it, and note in ``completed`` what it took."""
        component = self._component._native  # noqa: SLF001 - one package
        origin = self._component.origin
        entry = component.entry_point(origin.entry if origin is not None else None)
        functions = host_functions(self._component.name, component.imports(), self._imports)
        instance = component.instantiate(self._policy, self._limits, streams, functions, whole=True)
        self._native = instance
        if self._cancelled:
            instance.cancel()
        try:
            return instance.run(entry)
        finally:
            try:
                completed.fuel = instance.burnt()
                completed.peak_memory = instance.memory()
            except CallError:
                pass  # a host function that did not come back in time still holds it
            completed.denials = tuple(Denial._make(denial) for denial in instance.denials())
            completed.hint = instance.hint()
            # A guest that runs on a thread whose reader went away must not outlive it.
            instance.close()

    def cancel(self) -> None:
        """End it, now or as soon as it starts."""
        self._cancelled = True
        if self._native is not None:
            self._native.cancel()


def _given(
    policy: Policy | None,
    env: Mapping[str, str] | Iterable[str] | None,
    dirs: Dirs | None,
    workdir: str | None,
) -> Policy | None:
    """What the caller grants; ``None`` where nothing is said of it."""
    if env is None and dirs is None and workdir is None:
        return policy
    if policy is not None:
        raise UsageError(
            "`policy` and `env`, `dirs` or `workdir` exclude each other", hint="put them into the policy"
        )
    return _native.Policy(dirs=dirs, env=env, workdir=workdir)


def _limited(program: Path | bytes | Component, limits: Limits | None, timeout: float | str | None) -> Limits:
    if limits is None:
        usual = usual_limits(program.origin if isinstance(program, Component) else None)
        return usual if timeout is None else usual.replace(timeout=timeout)
    if timeout is not None:
        raise UsageError("`limits` and `timeout` exclude each other", hint="put the timeout into the limits")
    return limits


def read_input(stdin: Input) -> Source:
    """What the core takes for an input: an open file by its descriptor, or read whole if it has none."""
    if stdin is None or isinstance(stdin, int):
        return stdin
    if isinstance(stdin, bytes | bytearray | memoryview):
        return bytes(stdin)
    if not hasattr(stdin, "read"):
        raise UsageError(
            f"`stdin` takes bytes, an open file or a descriptor, not {_kind(stdin)}",
            hint="encode text: `stdin=text.encode()`",
        )
    try:
        return stdin.fileno()
    except (AttributeError, OSError):
        return stdin.read()


def _output(stream: Output) -> Sink:
    if stream is None:
        return "inherit"
    if isinstance(stream, int):
        return stream
    if not hasattr(stream, "flush"):
        raise UsageError(
            f"an output is an open file or a descriptor, not {_kind(stream)}",
            hint='open a path first: `stdout=open(path, "wb")`',
        )
    stream.flush()
    try:
        return stream.fileno()
    except (AttributeError, OSError):
        raise UsageError(
            "the output is not a file with a descriptor", hint="use `capture=True` and write what comes back"
        ) from None


def _kind(value: object) -> str:
    """What a person calls the type of a value."""
    return f"`{type(value).__name__}`"
