"""Components that pass validation and lie when they are called: what they return points at nothing good.

The canonical ABI says that each of these traps. None may crash, read outside the guest's memory, or
reserve what it claims.
"""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import wherry

MEMORY = 65_536
HUGE = 0xFFFF_FFFF


def liar(wit: str, result: int, data: bytes = b"", encoding: str = "utf8", types: str = "") -> bytes:
    """A component with ``lie: func() -> T``: it gives ``result``, and its memory starts with ``data``."""
    memory = "".join(f"\\{byte:02x}" for byte in data)
    return f"""(component {types}
  (core module $liar
    (memory (export "memory") 1)
    (data (i32.const 0) "{memory}")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "lie") (result i32) (i32.const {result})))
  (core instance $liar (instantiate $liar))
  (alias core export $liar "memory" (core memory $memory))
  (alias core export $liar "realloc" (core func $realloc))
  (func (export "lie") (result {wit})
    (canon lift (core func $liar "lie") (memory $memory) (realloc $realloc) string-encoding={encoding})))
""".encode()


def words(*numbers: int) -> bytes:
    """Numbers of 32 bits, one after the other."""
    return b"".join(number.to_bytes(4, "little") for number in numbers)


ENUM = '(type $e (enum "a" "b")) (export $enum "enum" (type $e))'
VARIANT = '(type $v (variant (case "a" u8) (case "b" string))) (export $variant "variant" (type $v))'

LIES: dict[str, bytes] = {
    "a result pointer outside memory": liar("string", MEMORY),
    "a result pointer that ends outside memory": liar("string", MEMORY - 4),
    "a result pointer at the end of the address space": liar("string", HUGE),
    "a result pointer that is not aligned": liar("string", 2),
    "a string outside memory": liar("string", 0, words(MEMORY, 1)),
    "a string that ends outside memory": liar("string", 0, words(MEMORY - 1, 2)),
    "a string that wraps around": liar("string", 0, words(HUGE, HUGE)),
    "a string of four gigabytes": liar("string", 0, words(8, HUGE)),
    "a string that is not UTF-8": liar("string", 0, words(8, 2) + b"\xc3\x28"),
    "a string with a surrogate": liar("string", 0, words(8, 3) + b"\xed\xa0\x80"),
    "a string with an over-long zero": liar("string", 0, words(8, 2) + b"\xc0\x80"),
    "a UTF-16 string with half a pair": liar("string", 0, words(8, 1) + b"\x00\xd8", "utf16"),
    "a UTF-16 string that is not aligned": liar("string", 0, words(9, 1), "utf16"),
    "a UTF-16 string whose bytes overflow": liar("string", 0, words(8, 0x8000_0001), "utf16"),
    "a Latin-1 string outside memory": liar("string", 0, words(MEMORY, 8), "latin1+utf16"),
    "a list outside memory": liar("(list u32)", 0, words(MEMORY, 1)),
    "a list that is not aligned": liar("(list u32)", 0, words(9, 1)),
    "a list whose size overflows": liar("(list u64)", 0, words(8, 0x2000_0000)),
    "a list of four milliard strings": liar("(list string)", 0, words(8, HUGE)),
    "a list of four gigabytes": liar("(list u8)", 0, words(8, HUGE)),
    "a list of lists that points at itself and out": liar("(list (list string))", 0, words(0, 2000)),
    "a map outside memory": liar("(map string u32)", 0, words(MEMORY - 8, 1)),
    "a char beyond Unicode": liar("char", 0x11_0000),
    "a char that is a surrogate": liar("char", 0xD800),
    "a char inside a list": liar("(list char)", 0, words(8, 1, 0xDFFF)),
    "an enum without such case": liar("$enum", 2, types=ENUM),
    "an enum in a list without such case": liar("(list $enum)", 0, words(8, 1, 7), types=ENUM),
    "a variant without such case": liar("$variant", 0, words(2, 0, 0), types=VARIANT),
    "a variant with a bad payload": liar("$variant", 0, words(1, MEMORY, 1), types=VARIANT),
    "an option without such case": liar("(option u32)", 0, words(2, 0)),
    "a result without such case": liar("(list (result u32))", 0, words(8, 1, 2, 0)),
}


@pytest.mark.parametrize("component", LIES.values(), ids=LIES.keys())
def test_a_lie_is_a_trap(component: bytes) -> None:
    """The call raises, and the instance cannot be called any more."""
    instance = wherry.load(component).instantiate()
    # What is more than a guest may hand over in one call has an error of its own.
    with pytest.raises((wherry.Trap, wherry.MemoryLimitError)):
        instance.lie()
    with pytest.raises(wherry.ClosedError):
        instance.lie()


NOT_LIES: dict[str, tuple[bytes, object]] = {
    "an empty string anywhere in memory": (liar("string", 0, words(MEMORY, 0)), ""),
    "an empty list at the end of memory": (liar("(list u32)", 0, words(MEMORY, 0)), []),
    "a string up to the end of memory": (liar("string", 0, words(MEMORY - 1, 1)), "\0"),
    "any number for true": (liar("bool", 7), True),
    "more bits than a u8 has": (liar("u8", 0x1FF), 0xFF),
    "more bits than an s16 has": (liar("s16", 0x1_FFFF), -1),
}


@pytest.mark.parametrize(("component", "value"), NOT_LIES.values(), ids=NOT_LIES.keys())
def test_what_the_abi_allows_is_no_lie(component: bytes, value: object) -> None:
    """The other side of the border: what looks odd and is right."""
    assert wherry.load(component).instantiate().lie() == value


def test_a_claim_reserves_nothing() -> None:
    """A list that claims four milliard elements is refused before anything is made for them."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    claims = [LIES["a list of four milliard strings"], LIES["a list whose size overflows"]]
    components = [wherry.load(claim) for claim in claims]
    gc.collect()
    before = resident()
    for component in components:
        with pytest.raises((wherry.Trap, wherry.MemoryLimitError)):
            component.instantiate().lie()
    assert resident() - before < 64 << 20


def allocator(answer: int) -> bytes:
    """A component that takes a list, with an allocator that always gives ``answer``."""
    return f"""(component
  (core module $liar
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const {answer}))
    (func (export "take") (param i32 i32)))
  (core instance $liar (instantiate $liar))
  (alias core export $liar "memory" (core memory $memory))
  (alias core export $liar "realloc" (core func $realloc))
  (func (export "take") (param "x" (list u32))
    (canon lift (core func $liar "take") (memory $memory) (realloc $realloc))))
""".encode()


@pytest.mark.parametrize("answer", [MEMORY, MEMORY - 4, HUGE, 1, 3], ids=hex)
def test_an_allocator_that_lies(answer: int) -> None:
    """Arguments are never written outside the memory, or where they are not aligned."""
    with wherry.load(allocator(answer)).instantiate() as instance, pytest.raises(wherry.GuestError):
        instance.take([1, 2, 3])


def test_an_allocator_that_repeats_itself() -> None:
    """It harms nobody but its own guest."""
    with wherry.load(allocator(1024)).instantiate() as instance:
        instance.take([1, 2, 3])
