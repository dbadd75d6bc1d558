"""Valid files of some kilobytes that keep a compiler busy for minutes, or have it fill gigabytes.

Each is made in the binary format from a number that says how much of it there is: with ``much`` it is a bomb,
with ``little`` the same thing compiles at once. In all of them something grows faster than the file:
variables times branches, loops in one another, values of one call times calls, handlers times calls,
pictures of memories and tables, instances of instances, declarations in declarations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["DEEP", "GREEDY", "SLOW", "Bomb", "deep_types"]

MODULE = b"\0asm\1\0\0\0"
COMPONENT = b"\0asm\x0d\0\1\0"
I32 = b"\x7f"
# Instructions.
BLOCK, LOOP, END = b"\x02\x40", b"\x03\x40", b"\x0b"
ZERO, DROP, GET_FIRST = b"\x41\0", b"\x1a", b"\x20\0"
IF_SO, TO_INNERMOST = b"\x04\x40", b"\x0d\0"
CALL_TABLE = b"\x41\0\x11\0\0"


@dataclass(frozen=True)
class Bomb:
    """How it is made, and how much of it does harm and does none."""

    make: Callable[[int], bytes]
    much: int
    little: int


def number(value: int) -> bytes:
    """A number in LEB128, unsigned."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def signed(value: int) -> bytes:
    """A number in LEB128, signed; ``value`` is not negative."""
    out = bytearray()
    while value > 0x3F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def section(code: int, content: bytes) -> bytes:
    """A section, its length in front."""
    return bytes([code]) + number(len(content)) + content


def several(items: Sequence[bytes]) -> bytes:
    """A list, its length in front."""
    return number(len(items)) + b"".join(items)


def function_type(parameters: int, results: int) -> bytes:
    """A type of functions over numbers."""
    return b"\x60" + several([I32] * parameters) + several([I32] * results)


def read(local: int) -> bytes:
    """Reads a variable."""
    return b"\x20" + number(local)


def write(local: int) -> bytes:
    """Writes a variable."""
    return b"\x21" + number(local)


def module(types: Sequence[bytes], bodies: Sequence[tuple[int, int, bytes]], between: bytes = b"") -> bytes:
    """A module of functions, each with the index of its type, the number of its variables and its code."""
    indices = several([number(kind) for kind, _, _ in bodies])
    codes = [several([number(variables) + I32]) + code + END for _, variables, code in bodies]
    code = section(10, several([number(len(code)) + code for code in codes]))
    return MODULE + section(1, several(types)) + section(3, indices) + between + code


def variables_and_branches(many: int) -> bytes:
    """Variables that are all alive over branches that might change each of them."""
    code = b"".join(
        GET_FIRST + IF_SO + GET_FIRST + write(1 + at % (many // 4)) + END for at in range(many * 4)
    ) + b"".join(read(1 + at) + DROP for at in range(many // 4))
    return module([function_type(1, 0)], [(0, many // 4, code)])


def loops_in_loops(many: int) -> bytes:
    """Loops, each in the one before."""
    return module([function_type(1, 0)], [(0, 1, LOOP * many + (GET_FIRST + TO_INNERMOST + END) * many)])


def values_of_calls(many: int) -> bytes:
    """Calls that each take and give a thousand values."""
    thousand = 1_000
    code = ZERO * thousand + b"\x10\1" * many + DROP * thousand
    wide = b"".join(read(at) for at in range(thousand))
    return module([function_type(0, 0), function_type(thousand, thousand)], [(0, 0, code), (1, 0, wide)])


def values_of_branches(many: int) -> bytes:
    """Branches that each take a thousand values along, from blocks that are entered with as many."""
    thousand = 1_000
    code = ZERO * thousand + (b"\x03\1" + GET_FIRST + TO_INNERMOST + END) * many + DROP * thousand
    return module([function_type(1, 0), function_type(thousand, thousand)], [(0, 0, code)])


def labels_of_tables(many: int) -> bytes:
    """One branch with many targets, each of which takes a thousand values along."""
    thousand = 1_000
    labels = b"\x0e" + number(many) + b"\0" * many + b"\0"
    code = b"\x02\1" + ZERO * thousand + GET_FIRST + labels + END + DROP * thousand
    return module([function_type(1, 0), function_type(0, thousand)], [(0, 0, code)])


def handlers_of_calls(many: int) -> bytes:
    """Calls under a hundred handlers each."""
    handlers = 100
    code = BLOCK + b"\x1f\x40\1\2\0" * handlers + CALL_TABLE * many + END * handlers + END
    return module([function_type(0, 0)], [(0, 0, code)], section(4, b"\1\x70\0\1"))


def fields_of_structures(many: int) -> bytes:
    """Structures of two thousand fields, made again and again."""
    fields = 2_000
    structure = b"\x5f" + several([I32 + b"\1"] * fields)
    return module([structure, function_type(0, 0)], [(1, 0, b"\xfb\1\0\x1a" * many)])


def calls_of_tables(many: int) -> bytes:
    """Calls through a table, each some blocks of code."""
    return module([function_type(0, 0)], [(0, 0, CALL_TABLE * many)], section(4, b"\1\x70\0\1"))


def small_functions(many: int) -> bytes:
    """Functions that do nothing, four bytes each."""
    return (
        MODULE
        + section(1, several([function_type(0, 0)]))
        + section(3, number(many) + b"\0" * many)
        + section(10, number(many) + b"\2\0\x0b" * many)
    )


def pictures_of_memories(many: int) -> bytes:
    """Memories with a byte at the start and one at the end of sixteen megabytes."""
    last = (16 << 20) - 2
    data = [
        b"\2" + number(memory) + b"\x41" + signed(place) + b"\x0b\1x"
        for memory in range(many)
        for place in (0, last)
    ]
    return MODULE + section(5, several([b"\0" + number(256)] * many)) + section(11, several(data))


def pictures_of_tables(many: int) -> bytes:
    """Tables of a million elements, the last of which is there from the start."""
    size = 1 << 20
    last = b"\x41" + signed(size - 1) + b"\x0b\0\1\0"
    elements = section(9, several([b"\2" + number(table) + last for table in range(many)]))
    tables = section(4, several([b"\x70\0" + number(size)] * many))
    return module([function_type(0, 0)], [(0, 0, b"")], tables + elements)


def instances_of_instances(many: int) -> bytes:
    """Components that each instantiate the one before twice."""
    components = "(component $c0 (core module $m (func)) (core instance (instantiate $m)))"
    for at in range(1, many):
        components += (
            f"(component $c{at} (alias outer 1 $c{at - 1} (component $x)) "
            "(instance (instantiate $x)) (instance (instantiate $x)))"
        )
    return f"(component {components} (instance (instantiate $c{many - 1})))".encode()


def types_of_types(many: int) -> bytes:
    """Functions over tuples of two tuples of two tuples, and so on."""
    depth = 17
    types = "".join(f"(type $t{at} (tuple $t{at - 1} $t{at - 1}))" for at in range(1, depth + 1))
    lift = '(canon lift (core func $m "f") (memory $m "m") (realloc (func $m "r")))'
    return f"""(component (type $t0 (tuple u32 u32)) {types}
      (core module $m (memory (export "m") 1) (func (export "f") (param i32))
        (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
      (core instance $m (instantiate $m))
      (func $f (param "x" $t{depth}) {lift})
      {'(core func (canon lower (func $f) (memory $m "m")))' * many})""".encode()


def functions_in_text(many: int) -> bytes:
    """Text, which takes many times its size while it is read."""
    return b"(module " + b"(func nop)" * many + b")"


def deep_types(many: int) -> bytes:
    """Types that are declared in one another; a reader that calls itself for each has no stack left."""
    return COMPONENT + section(7, b"\1" + b"\x42\1\1" * (many - 1) + b"\x42\0")


# What takes time without end.
SLOW = {
    "variables and branches": Bomb(variables_and_branches, 2_000, 40),
    "loops in loops": Bomb(loops_in_loops, 9_000, 200),
    "values of branches": Bomb(values_of_branches, 5_000, 5),
    "handlers of calls": Bomb(handlers_of_calls, 4_000, 20),
    "calls of tables": Bomb(calls_of_tables, 100_000, 1_000),
    "instances of instances": Bomb(instances_of_instances, 26, 6),
    "labels of tables": Bomb(labels_of_tables, 400_000, 20),
    "types of types": Bomb(types_of_types, 3_000, 1),
    "small functions": Bomb(small_functions, 240_000, 2_000),
    "functions in text": Bomb(functions_in_text, 240_000, 2_000),
}
# What takes memory without end.
GREEDY = {
    "values of calls": Bomb(values_of_calls, 5_000, 5),
    "fields of structures": Bomb(fields_of_structures, 5_000, 2),
    "pictures of memories": Bomb(pictures_of_memories, 100, 1),
    "pictures of tables": Bomb(pictures_of_tables, 100, 1),
}
# What takes stack without end.
DEEP = {"types in types": Bomb(deep_types, 1_000_000, 50)}
