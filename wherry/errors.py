"""Every exception that Wherry raises, in one tree.

``WherryError`` is the root, so ``except wherry.WherryError`` catches all of them. Each class knows the
exit code of the command line for it. This module imports nothing of Wherry; the compiled core imports it.

.. code-block:: text

    WherryError
    ├── LoadError                 the file cannot be used
    │   ├── NotFoundError             it does not exist                  (also FileNotFoundError)
    │   ├── HostIOError               the host refused to read or write  (also OSError)
    │   ├── NotWebAssemblyError       it is something else
    │   ├── ForeignModuleError        made for another host: emscripten, wasm-bindgen, WASIX, Extism
    │   ├── InvalidModuleError        does not pass validation
    │   ├── UnsupportedFeatureError   needs a proposal that is off
    │   ├── TooLargeError             over the static bounds
    │   ├── CompileError              the compiler gave up
    │   ├── PrecompiledError          compiled for something else
    │   └── LinkError                 imports that nothing provides
    ├── CallError                 the call could not be made
    │   ├── NoSuchExportError         no export of that name              (also AttributeError)
    │   ├── WitTypeError              a value does not fit its WIT type   (also TypeError)
    │   ├── BusyError                 the instance runs a call already
    │   ├── ClosedError               used after close, drop or trap
    │   └── ForkedError               made before the process forked
    ├── GuestError                the guest failed
    │   ├── Trap                      it trapped; ``frames`` holds its stack
    │   ├── GuestExit                 it exited with a code other than 0
    │   ├── InterruptedCallError      it was cancelled
    │   └── ResultError               it returned the error case of a ``result``; ``value`` holds it
    ├── LimitError                a limit struck
    │   ├── TimeLimitError            (also TimeoutError)
    │   ├── FuelLimitError
    │   ├── MemoryLimitError
    │   ├── OutputLimitError
    │   └── StackLimitError
    ├── GrantError                a capability cannot be granted
    ├── PackageError              a package cannot be made, read or unpacked
    │   ├── ManifestError             `wherry.toml` is wrong; ``problems`` holds what (also ValueError)
    │   ├── BuildError                a source cannot be built; ``output`` holds what the compiler said
    │   │   ├── InterfaceError            an interface is wrong; the message points at the line
    │   │   └── ToolError                 a tool is missing, or cannot be fetched
    │   ├── PackError                 something cannot go into a package
    │   ├── DependencyError           what a package uses is not there, or does not fit together
    │   ├── StoreError                the store on this machine is damaged
    │   └── ArtifactError             somebody's package is refused; ``reason`` says why
    │       ├── MalformedArtifactError    not of the form: cut, trailing data, no JSON
    │       ├── DigestError               not the bytes that were named
    │       ├── UnsafeEntryError          a path, link or device that no package holds
    │       ├── UnsupportedArtifactError  of a form that Wherry does not know
    │       └── ArtifactLimitError        over a bound, such as a bomb is
    ├── UsageError                a flag, setting or argument makes no sense (also ValueError)
    └── InternalError             a fault of ours

    UserWarning
    └── WherryWarning             something works, but slower or with less than was asked for
"""

from __future__ import annotations

__all__ = [
    "ArtifactError",
    "ArtifactLimitError",
    "BuildError",
    "BusyError",
    "CallError",
    "ClosedError",
    "CompileError",
    "DependencyError",
    "DigestError",
    "ForeignModuleError",
    "ForkedError",
    "FuelLimitError",
    "GrantError",
    "GuestError",
    "GuestExit",
    "HostIOError",
    "InterfaceError",
    "InternalError",
    "InterruptedCallError",
    "InvalidModuleError",
    "LimitError",
    "LinkError",
    "LoadError",
    "MalformedArtifactError",
    "ManifestError",
    "MemoryLimitError",
    "NoSuchExportError",
    "NotFoundError",
    "NotWebAssemblyError",
    "OutputLimitError",
    "PackError",
    "PackageError",
    "PrecompiledError",
    "ResultError",
    "StackLimitError",
    "StoreError",
    "TimeLimitError",
    "TooLargeError",
    "ToolError",
    "Trap",
    "UnsafeEntryError",
    "UnsupportedArtifactError",
    "UnsupportedFeatureError",
    "UsageError",
    "WherryError",
    "WherryWarning",
    "WitTypeError",
]

TYPE_CHECKING = False  # not from `typing`, whose import would take longer than the rest
if TYPE_CHECKING:
    from typing import Any

    from wherry.runtime.program import Denial

    Frame = tuple[str | None, str | None, str | None, int | None]
    Problem = tuple[int, int, str, str, str]


class WherryError(Exception):
    """The root of the tree.

    ``message`` says what failed, on what and why; ``hint`` what to do about it, a line for each thing, or is
    ``None``.
    ``exit_code`` is what ``wherry run`` ends with; other commands end with ``command_exit_code``.
    """

    exit_code: int = 125
    command_exit_code: int = 1

    def __init__(self, message: str = "", *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        if self.hint is None:
            return self.message
        hints = self.hint.replace("\n", "\nhint: ")
        return f"{self.message}\n\nhint: {hints}"


class WherryWarning(UserWarning):
    """Something works, but slower or with less than was asked for, such as a cache that cannot be written."""


class LoadError(WherryError):
    """The file cannot be used."""

    exit_code = 126


class NotFoundError(LoadError, FileNotFoundError):
    """The file that was named does not exist."""

    exit_code = 127


class HostIOError(LoadError, OSError):
    """The host refused to read or write: permissions, a full disk, a folder where a file was expected."""


class NotWebAssemblyError(LoadError):
    """The bytes are not WebAssembly; the message names what they look like."""


class ForeignModuleError(LoadError):
    """WebAssembly that was made for a host which Wherry is not."""


class InvalidModuleError(LoadError):
    """WebAssembly that is malformed or does not pass validation."""


class UnsupportedFeatureError(LoadError):
    """WebAssembly that needs a proposal which is switched off."""


class TooLargeError(LoadError):
    """Larger than the static bounds that are checked before compiling starts."""

    exit_code = 125


class CompileError(LoadError):
    """The compiler gave up."""

    exit_code = 125


class PrecompiledError(LoadError):
    """Compiled code that does not fit this version, mode, processor or source."""


class LinkError(LoadError):
    """The guest imports something that nothing here provides; the message lists all of it."""


class CallError(WherryError):
    """The call could not be made."""


class NoSuchExportError(CallError, AttributeError):
    """There is no export of that name; the message says which there are."""

    exit_code = 126


class WitTypeError(CallError, TypeError):
    """A value does not fit its WIT type; the message shows the path to it and the right form."""

    exit_code = 126


class BusyError(CallError):
    """The instance runs a call already, in another thread or further up in this one."""


class ClosedError(CallError):
    """The instance or resource was closed, or the instance died in a trap."""


class ForkedError(CallError):
    """The instance was made before this process forked; make a new one from the same component."""


class _OfRun:
    """What is known of a guest that ran as a program and did not end well; the rest of its ``Completed``."""

    stdout: bytes | None = None
    stderr: bytes | None = None
    fuel: int | None = None
    peak_memory: int | None = None
    denials: tuple[Denial, ...] = ()


class GuestError(WherryError, _OfRun):
    """The guest ran and failed.

    Where it ran as a program, ``stdout``, ``stderr``, ``fuel``, ``peak_memory`` and ``denials`` are as in
    :class:`wherry.Completed`, up to its end.
    """


class Trap(GuestError):  # noqa: N818 - the field's own word
    """The guest trapped.

    ``frames`` is its stack, innermost first: tuples of ``(function, module, file, line)``, where what
    the guest does not tell is ``None``.
    """

    exit_code = 134
    frames: tuple[Frame, ...] = ()


class GuestExit(GuestError):  # noqa: N818 - not an error by itself: a program may end so on purpose
    """The guest ended itself with ``code``, which is not zero."""

    code: int = 1


class ResultError(GuestError):
    """A function returned the error case of its ``result``; ``value`` is the typed value.

    A host function raises it to return the error case to the guest.
    """

    def __init__(self, value: object = None, *, message: str | None = None) -> None:
        super().__init__(message if message is not None else f"the function returned an error: {value!r}")
        self.args = (value,)  # what pickling makes it from again
        self.value: Any = value


class InterruptedCallError(GuestError):
    """The call was cancelled from another thread or task."""

    exit_code = 130


class LimitError(WherryError, _OfRun):
    """A limit struck; the message says which, its value and how to raise it.

    ``frames`` is the guest's stack at that moment as in :class:`Trap`, where it was looked at; the rest is as
    in :class:`GuestError`.
    """

    frames: tuple[Frame, ...] = ()


class TimeLimitError(LimitError, TimeoutError):
    """The guest ran longer than its wall time."""

    exit_code = 124


class FuelLimitError(LimitError):
    """The guest used up its fuel."""

    exit_code = 152


class MemoryLimitError(LimitError):
    """The guest trapped after it was refused memory."""

    exit_code = 137


class OutputLimitError(LimitError):
    """The guest wrote more output than it may."""

    exit_code = 153


class StackLimitError(LimitError):
    """The guest used up its stack."""

    exit_code = 134


class GrantError(WherryError):
    """A capability that was asked for cannot be granted, such as a folder that does not exist."""

    exit_code = 125


class PackageError(WherryError):
    """A package cannot be made, read or unpacked."""

    exit_code = 126


class ManifestError(PackageError, ValueError):
    """`wherry.toml` is wrong; the message names each place.

    ``problems`` holds all of them in the order of the file: tuples of ``(line, column, key, wrong, right)``,
    where line and column count from 1, ``key`` is as in ``package.version``, and ``right`` says what would
    be right.
    """

    problems: tuple[Problem, ...] = ()


class BuildError(PackageError):
    """A source cannot be built; ``output`` holds what the compiler said, as it said it."""

    exit_code = 125
    output: str = ""


class InterfaceError(BuildError):
    """An interface is wrong, or a language has no form for it; the message points at the line."""


class ToolError(BuildError):
    """A tool that builds is missing, or cannot be fetched or started."""


class PackError(PackageError):
    """Something cannot go into a package, such as a symbolic link or a file that is not there."""


class DependencyError(PackageError):
    """No packages are there that are all that a package uses; the message says who wants which.

    ``wants`` holds that, the fewest that cannot all be met: tuples of ``(package, name, wanted)`` such as
    ``("acme/tools@1.0.0", "acme/exif", "^2.1")``.
    """

    exit_code = 125
    wants: tuple[tuple[str, str, str], ...] = ()


class StoreError(PackageError):
    """The store on this machine is damaged, or of a newer version of Wherry."""


class ArtifactError(PackageError):
    """Somebody's package is refused, before anything of it is written.

    ``reason`` is a stable name for why, such as ``absolute-path``; the message says it in words.
    """

    reason: str = ""


class MalformedArtifactError(ArtifactError):
    """The package is not of the form that packages have: cut short, with data behind its end, or no JSON."""


class DigestError(ArtifactError):
    """The bytes are not those that were named: another digest, or another size."""


class UnsafeEntryError(ArtifactError):
    """An archive holds what no package holds: a path that leads out, a link, a device, two twins."""


class UnsupportedArtifactError(ArtifactError):
    """The package is of a form that Wherry does not know; the message names it."""


class ArtifactLimitError(ArtifactError):
    """The package is over a bound: too large, too many entries, too deep, as one made to do harm is."""


class UsageError(WherryError, ValueError):
    """A flag, setting or argument makes no sense."""

    exit_code = 125
    command_exit_code = 2


class InternalError(WherryError):
    """A fault of Wherry's own. Please report it with the output of ``--debug``."""

    exit_code = 125
    command_exit_code = 70
