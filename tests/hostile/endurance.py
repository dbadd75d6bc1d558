"""Hostile runs one after the other in this process; prints what it holds after a hundred and at the end.

``python -m tests.hostile.endurance RUNS``: two lines, each the numbers of a ``Footprint``.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import sys
import time
from typing import TYPE_CHECKING

import wherry
from tests.guests.build import c_command, text
from tests.hostile import bombs
from tests.hostile.commands import GENERATIONS, command
from tests.hostile.footprint import Footprint

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = 100
LIMITS = wherry.Limits(timeout="20ms", memory="64MiB", output="1MiB")
METERED = wherry.Limits(fuel=1_000_000, memory="64MiB", output="1MiB")

LOOP = "(loop $on (br $on))"
BOMB = "(loop $on (br_if $on (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable"
DEEP = "(drop (call $run))"
TRAP = "unreachable"
# Handles that the guest makes of a resource of its own, and never drops.
LEAK = b"""(component
    (type $thing (resource (rep i32)))
    (core func $new (canon resource.new $thing))
    (core module $module (import "" "new" (func $new (param i32) (result i32)))
        (func (export "run") (result i32) (loop $on (drop (call $new (i32.const 1))) (br $on)) (i32.const 0)))
    (core instance $main (instantiate $module (with "" (instance (export "new" (func $new))))))
    (func $run (result (result)) (canon lift (core func $main "run")))
    (instance $exported (export "run" (func $run)))
    (export "wasi:cli/run@0.2.6" (instance $exported)))"""


def bombs_of_all_kinds() -> list[bytes]:
    """What a compiler would be busy with for minutes, or take gigabytes for."""
    return [bomb.make(bomb.much) for kind in (bombs.SLOW, bombs.GREEDY, bombs.DEEP) for bomb in kind.values()]


def compile_bomb(number: int) -> bytes:
    """A module that is over a bound, each another one."""
    return f"(module (func) (func) (func (i32.const {number}) drop))".encode()


def compiling_bombs() -> list[Callable[[], object]]:
    """One of each kind of bomb for the compiler."""
    tight = wherry.Limits(compile_timeout="80ms", compile_memory="100MiB")
    return [functools.partial(wherry.load, bomb, limits=tight) for bomb in bombs_of_all_kinds()]


def actions() -> list[Callable[[], object]]:
    """One of each, in the order in which they take turns."""
    bodies = [LOOP, BOMB, DEEP, TRAP]
    fields = {BOMB: "(memory 1)"}
    guests = [
        wherry.load(command(generation, body, fields.get(body, "")))
        for generation in GENERATIONS
        for body in bodies
    ]
    guests += [wherry.load(c_command("flood")), wherry.load(LEAK)]
    numbers = itertools.count()

    def run(guest: wherry.Component, limits: wherry.Limits) -> Callable[[], object]:
        return lambda: wherry.run(guest, "0", capture=True, limits=limits)

    def compile_one() -> object:
        return wherry.load(compile_bomb(next(numbers)), limits=wherry.Limits(functions=2))

    compiling = itertools.cycle(compiling_bombs())

    def compile_bombs() -> object:
        return next(compiling)()

    def call_back() -> object:
        component = wherry.load(text("callback"))
        with component.instantiate(limits=LIMITS, imports={"host": lambda x: x}) as instance:
            return instance.call_then_trap(1)

    runs = [run(guest, limits) for guest in guests for limits in (LIMITS, METERED)]
    return [*runs, compile_one, compile_bombs, call_back]


def main() -> None:
    """Run them."""
    # The threads that compile stay as long as the process does, so they begin before the first hundred.
    wherry.load(b"(module (func (i64.const %d) drop))" % time.time_ns())
    # Among the first hundred is each of them.
    turns = itertools.chain(compiling_bombs(), itertools.cycle(actions()))
    for number in range(1, int(sys.argv[1]) + 1):
        with contextlib.suppress(wherry.LimitError, wherry.Trap, wherry.TooLargeError):
            next(turns)()
            sys.stderr.write(f"run {number} ended well, which none may\n")
        if number in (FIRST, int(sys.argv[1])):
            # Threads that wait for work are given back after a while.
            time.sleep(0.05)
            sys.stdout.write(f"{' '.join(map(str, Footprint.now()))}\n")


if __name__ == "__main__":
    main()
