"""Every kind of error that the engine knows has a class, a way to provoke it, and a message to the letter."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import wherry
from tests.guests.build import c_command, text
from wherry import _native
from wherry.runtime.compile import precompile

Provoke = Callable[[Path], object]

GUEST = b"""
(module
  (memory (export "memory") 1)
  (func (export "_start") (call $spin))
  (func (export "trap") unreachable)
  (func $spin (export "spin") (loop $next (br $next)))
  (func $deeper (export "recurse") (call $deeper))
  (func (export "grow")
    (if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable))))
"""


def guest(limits: wherry.Limits | None = None) -> wherry.Instance:
    """An instance of ``GUEST``, whose functions each end in their own way."""
    return wherry.load(GUEST, name="guest").instantiate(limits=limits)


def adder() -> wherry.Instance:
    """An instance of a component that adds."""
    return wherry.load(text("add").read_bytes(), name="add").instantiate()


def compile_without_compiler(_: Path) -> None:
    """What is large is compiled by a process of its own, which ends at once here."""
    body = "(drop (i32.const 1))" * 1000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")
        wherry.load(f"(module {f'(func {body})' * 200})".encode(), name="large")


def call_while_a_call_runs(_: Path) -> None:
    """A host function calls into the instance that called it."""

    def host(number: int) -> object:
        return instance.call(number)

    instance = wherry.load(text("callback")).instantiate(imports={"host": host})
    with instance:
        instance.call(1)


def call_after_close(_: Path) -> None:
    """The instance is closed already."""
    instance = guest()
    instance.close()
    instance.trap()


def cancel(_: Path) -> None:
    """A guest that runs in a thread is ended from this one."""
    with wherry.start(GUEST) as running:
        running.cancel()
        running.wait()


def use_streams_twice(_: Path) -> None:
    """The streams of one guest are given to another, which nothing but a fault in Wherry does."""
    component = _native.Component(GUEST, "guest", wherry.Limits())
    streams = _native.Streams([])
    for _attempt in range(2):
        component.instantiate(_native.Policy(), _native.Limits(), streams, [])


PROVOKED: dict[str, tuple[Provoke, str]] = {
    "NotFound": (
        lambda folder: wherry.load(folder / "missing.wasm"),
        "`{folder}/missing.wasm`: no such file or directory",
    ),
    "Io": (wherry.load, "`{folder}` is a folder, not a program"),
    "NotWebAssembly": (
        lambda _: wherry.load(b"\x7fELF", name="tool"),
        "`tool` is not WebAssembly: it looks like an ELF program or library (Linux)",
    ),
    "Foreign": (
        lambda _: wherry.load(b'(module (import "env" "abort" (func)))', name="tool"),
        "`tool` was made for JavaScript by AssemblyScript: it imports `env` `abort`",
    ),
    "Invalid": (
        lambda _: wherry.load(b"\0asm\x01\0\0\0\x01\x01\x80", name="tool"),
        "`tool`: not valid WebAssembly: unexpected end-of-file (at byte 0xb)",
    ),
    "Unsupported": (
        lambda _: wherry.load(b"(module (memory 1 1 shared))", name="tool"),
        "`tool` needs shared-memory threads, which are off",
    ),
    "TooLarge": (
        lambda folder: precompile(text("add"), folder / "add.cwasm", limits=wherry.Limits(size=1)),
        f"`{text('add')}`: too large to compile: 2 bytes in all, the bound is 1",
    ),
    "Compile": (
        compile_without_compiler,
        "`large`: the compiler's process ended without a result (exit status: 1)",
    ),
    "Precompiled": (
        lambda folder: wherry.load(precompile(text("add"), folder / "add.cwasm"), precompiled=True),
        "`{folder}/add.cwasm`: compiled for mode `plain`, and this run needs `interruptible`",
    ),
    "Link": (
        lambda _: wherry.load(b'(module (import "io" "read" (func)))', name="tool").instantiate(),
        "`tool` imports what nothing provides: `read` from `io`",
    ),
    "NoExport": (
        lambda _: adder().read_memory(0, 1),
        "there is no memory to reach: only core modules export one, as `memory`",
    ),
    "Value": (
        lambda _: adder().add("two", 3),
        "add(): `a`: expected u32 (0 to 4294967295), got 'two' (str)",
    ),
    "Busy": (call_while_a_call_runs, "the instance is running a call already"),
    "Closed": (call_after_close, "the instance was closed"),
    "Trap": (lambda _: guest().trap(), "the guest trapped: wasm `unreachable` instruction executed"),
    "Stack": (lambda _: guest().recurse(), "the guest used up its limit of 1MiB of stack"),
    "Time": (
        lambda _: guest(wherry.Limits(timeout=0.05)).spin(),
        "the guest ran longer than its time limit of 50ms",
    ),
    "Fuel": (lambda _: guest(wherry.Limits(fuel=1000)).spin(), "the guest used up its limit of 1000 of fuel"),
    "Output": (
        lambda _: wherry.run(c_command("flood"), "0", capture=True, limits=wherry.Limits(output=100)),
        "the guest wrote more output than the limit of 100 bytes",
    ),
    "Memory": (
        lambda _: guest(wherry.Limits(memory="1MiB")).grow(),
        (
            "the guest trapped (wasm `unreachable` instruction executed) after it was refused memory over"
            " the limit of 1MiB"
        ),
    ),
    "Exit": (
        lambda _: getattr(wherry.load(text("exit")).instantiate(), "_start")(),  # noqa: B009 - the guest's own
        "the guest exited with code 131",
    ),
    "Interrupted": (cancel, "the call was cancelled"),
    "Usage": (lambda _: wherry.Limits(memory="lots"), "`memory`: not a size"),
    "Grant": (
        lambda folder: wherry.Policy(dirs=[folder / "missing"]),
        "`dirs`: there is no folder `{folder}/missing`",
    ),
    "Internal": (use_streams_twice, "the streams were used already"),
}
"""For each kind how to provoke it, and its message, in which ``{folder}`` is the folder of the test."""

ELSEWHERE = {"Forked": "runtime/test_fork.py", "Interface": "build/test_builder.py"}
"""Kinds whose provocation is a test of its own, in that file."""


def leaves(error: type[wherry.WherryError]) -> set[type[wherry.WherryError]]:
    """The classes that are raised: those without subclasses, but for those of generated bindings."""
    below = [one for one in error.__subclasses__() if one.__module__ == "wherry.errors"]
    return set().union(*map(leaves, below)) if below else {error}


ONLY_IN_PYTHON: set[type[wherry.WherryError]] = {wherry.ResultError, *leaves(wherry.PackageError)}
"""Classes that no kind of the engine stands for: what a typed result of a guest says, and what packages are
refused for, which ``tests/artifact`` provokes."""


def test_every_kind_has_a_row() -> None:
    """A new kind of the engine is not done before it is provoked here."""
    assert set(_native.error_kinds()) == {*PROVOKED, *ELSEWHERE, "Host"}


def test_every_class_has_a_kind() -> None:
    """Nothing stands in the tree that is never raised."""
    raised = {error.__name__ for error in {*_native.error_kinds().values()} | ONLY_IN_PYTHON}
    assert raised == {error.__name__ for error in leaves(wherry.WherryError)}


@pytest.mark.parametrize("kind", PROVOKED)
def test_each_kind_has_its_class_and_message(kind: str, tmp_path: Path) -> None:
    """The class is the one for the kind, and the message the one in the table."""
    provoke, message = PROVOKED[kind]
    with pytest.raises(wherry.WherryError) as raised:
        provoke(tmp_path)
    assert type(raised.value) is _native.error_kinds()[kind]
    assert raised.value.message == message.replace("{folder}", str(tmp_path))


@pytest.mark.parametrize(("kind", "file"), ELSEWHERE.items())
def test_kinds_with_tests_of_their_own(kind: str, file: str) -> None:
    """The test is where the table says that it is."""
    assert _native.error_kinds()[kind].__name__ in (Path(__file__).parent / file).read_text()


def test_what_a_host_function_raises_passes_unchanged() -> None:
    """The kind ``Host`` is never seen: the very exception comes out of the call, with its own traceback."""
    mine = KeyError("mine")

    def host(_: int) -> int:
        raise mine

    with (
        wherry.load(text("callback")).instantiate(imports={"host": host}) as instance,
        pytest.raises(KeyError) as raised,
    ):
        instance.call(1)
    assert raised.value is mine


@pytest.mark.parametrize("kind", ["Trap", "Stack", "Time", "Fuel", "Memory"])
def test_what_ends_a_guest_tells_where(kind: str, tmp_path: Path) -> None:
    """Traps and limits that strike inside the guest carry its stack, innermost frame first."""
    provoke, _ = PROVOKED[kind]
    with pytest.raises((wherry.Trap, wherry.LimitError)) as raised:
        provoke(tmp_path)
    assert isinstance(raised.value, wherry.Trap | wherry.LimitError)
    assert [len(frame) for frame in raised.value.frames[:1]] == [4]


@pytest.mark.parametrize("error", [wherry.UsageError("what", hint="do"), wherry.ResultError(5)], ids=repr)
def test_errors_can_be_pickled(error: wherry.WherryError) -> None:
    """An error of a worker process arrives whole in the process that waits for it."""
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (repr(arrived), vars(arrived)) == (repr(error), vars(error))
