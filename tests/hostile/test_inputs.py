"""Files that are not what they claim to be are refused with a typed error that says so."""

from __future__ import annotations

import gzip

import pytest

import wherry

MODULE = b"\0asm\x01\0\0\0"
COMPONENT = b"\0asm\x0d\0\x01\0"
LARGEST = b"\xff\xff\xff\xff\x0f"


def leb(number: int) -> bytes:
    """``number`` as the unsigned LEB128 of the specification."""
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def section(number: int, body: bytes) -> bytes:
    """A section of a module or component."""
    return bytes([number]) + leb(len(body)) + body


def function(body: bytes) -> bytes:
    """A module with one function of no parameters and that body."""
    code = b"\0" + body + b"\x0b"
    return (
        MODULE
        + section(1, b"\x01\x60\0\0")
        + section(3, b"\x01\0")
        + section(10, b"\x01" + leb(len(code)) + code)
    )


def nested_components(depth: int) -> bytes:
    """Components inside each other."""
    inner = COMPONENT
    for _ in range(depth):
        inner = COMPONENT + section(4, inner)
    return inner


FOREIGN: dict[str, tuple[bytes, str]] = {
    "ELF": (b"\x7fELF\x02\x01\x01" + bytes(57), "ELF"),
    "gzip": (gzip.compress(MODULE), "gzip"),
    "HTML": (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "HTML"),
    "HTML after white space": (b"\n\n  <html lang=en>", "HTML"),
    "JavaScript": (b"import init from './pkg.js';\nexport default function run() {}\n", "JavaScript"),
    "JavaScript with a comment": (b"// glue\nvar Module = {};\n", "JavaScript"),
}

NOTHING: dict[str, bytes] = {
    "empty": b"",
    "one byte": b"\0",
    "magic only": b"\0asm",
    "wrong version": b"\0asm\x07\0\0\0",
    "zeros": bytes(4096),
    "random text": b"hello",
    "text of parentheses": b"(" * 100_000,
    "text nested deep": b"(module " + b"(func (block " * 50_000,
    "text with invalid UTF-8": b'(module (func (export "\xff\xfe")))',
    "text with a null byte": b"(module\0)",
    "section longer than the file": MODULE + b"\x01" + LARGEST,
    "section count without end": MODULE + section(1, LARGEST),
    "a vector of four milliard functions": MODULE + section(3, LARGEST + b"\0"),
    "a name of four gigabytes": MODULE + section(0, LARGEST + b"a"),
    "data count without data": MODULE + section(12, LARGEST),
    "over-long LEB": MODULE + b"\x01" + b"\x80" * 20 + b"\0",
    "code without functions": MODULE + section(10, b"\x01\x02\0\x0b"),
    "a section that no version has": MODULE + section(100, b"\0"),
    "unclosed blocks": function(b"\x02\x40" * 1_000),
}

TOO_MUCH: dict[str, bytes] = {
    "blocks nested 100,000 deep": function(b"\x02\x40" * 100_000 + b"\x0b" * 100_000),
    "components nested 20,000 deep": nested_components(20_000),
    "locals without end": MODULE
    + section(1, b"\x01\x60\0\0")
    + section(3, b"\x01\0")
    + section(10, b"\x01\x08\x01" + LARGEST + b"\x7f\x0b"),
}


@pytest.mark.parametrize(("content", "name"), FOREIGN.values(), ids=FOREIGN.keys())
def test_another_format_is_named(content: bytes, name: str) -> None:
    """The message says what the bytes look like."""
    with pytest.raises(wherry.NotWebAssemblyError, match=name):
        wherry.load(content)


@pytest.mark.parametrize("content", NOTHING.values(), ids=NOTHING.keys())
def test_malformed_bytes_are_refused(content: bytes) -> None:
    """What is cut short is refused, and nothing is reserved for what it promises."""
    with pytest.raises((wherry.NotWebAssemblyError, wherry.InvalidModuleError)):
        wherry.load(content)


@pytest.mark.parametrize("whole", [function(b"\x01" * 40), nested_components(3)], ids=["module", "component"])
def test_a_file_that_is_cut_is_told_from_one_that_is_damaged(whole: bytes) -> None:
    """Halved, or without its last byte, it is said to end too early, and after how many bytes."""
    for length in (len(whole) // 2, len(whole) - 1):
        with pytest.raises(wherry.InvalidModuleError, match=f"ends too early, after {length} bytes"):
            wherry.load(whole[:length])


@pytest.mark.parametrize("content", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_what_is_too_deep_or_too_wide_is_refused(content: bytes) -> None:
    """The static bounds, or validation, stop it before the compiler's stack or memory does."""
    with pytest.raises((wherry.TooLargeError, wherry.InvalidModuleError)):
        wherry.load(content)


@pytest.mark.parametrize("length", range(0, 40, 3))
def test_every_prefix_of_a_module_is_refused(length: int) -> None:
    """A download that broke off is an invalid module, whichever byte was the last."""
    whole = function(b"\x01" * 40)
    with pytest.raises(wherry.LoadError):
        wherry.load(whole[:length] if length != len(MODULE) else whole[: length + 1])
