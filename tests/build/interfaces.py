"""Interfaces made up at random, with values for them and a library in AssemblyScript that implements them.

Each function of an interface asks the same function of the host and gives back what it was told, so that each
value crosses four times: in, out, back in and back out.
"""

from __future__ import annotations

import random
import re
import struct
from dataclasses import dataclass, field
from typing import Any

from wherry import Err, Ok, Some, Variant

__all__ = ["Interface", "random_interface"]

_INTEGERS = {f"{sign}{bits}": (sign, bits) for sign in "us" for bits in (8, 16, 32, 64)}
_FLAT = ["bool", *_INTEGERS, "f32", "f64", "char", "string"]
_NAMED = ["record", "variant", "enum", "flags"]
_NESTED = ["list", "option", "result", "tuple", "map"]
_KEYS = ["bool", "u8", "s16", "u32", "s64", "char", "string"]
_DEPTH = 4


@dataclass
class _Type:
    """A type of WIT: ``form`` says which sort, ``parts`` what it is made of, ``name`` what it is called."""

    form: str
    parts: list[_Type | None] = field(default_factory=list)
    name: str = ""

    def wit(self) -> str:
        """As an interface has it."""
        parts = [part.wit() if part else "_" for part in self.parts]
        if self.form == "result" and parts[1] == "_":
            parts = [part for part in parts[:1] if part != "_"]
        if self.name or not parts:
            return self.name or self.form
        return f"{self.form}<{', '.join(parts)}>"

    def written(self) -> str:
        """As AssemblyScript has it."""
        if self.name:
            return self.name.capitalize()
        parts = [part.written() if part else "Unit" for part in self.parts]
        match self.form:
            case "list":
                return "Uint8Array" if parts == ["u8"] else f"Array<{parts[0]}>"
            case "option":
                return f"{parts[0]} | null" if self.parts[0].is_reference() else f"Some<{parts[0]}> | null"  # type: ignore[union-attr]  # an option has its part
            case "tuple" | "result" | "map":
                size = len(parts) if self.form == "tuple" else ""
                return f"{self.form.capitalize()}{size}<{', '.join(parts)}>"
            case "char":
                return "u32"
        return self.form.replace("s", "i") if self.form in _INTEGERS else self.form

    def is_reference(self) -> bool:
        """Whether null can stand for none of it."""
        return self.form not in {"bool", *_INTEGERS, "f32", "f64", "char", "enum", "flags", "option"}


class _Maker:
    """Makes types and values, always the same of the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - nothing is kept secret
        self.named: list[_Type] = []

    def type(self, depth: int = 0) -> _Type:
        """A type, which may be one that has a name already."""
        pick = self.random
        if self.named and pick.random() < 0.3:
            return pick.choice(self.named)
        form = pick.choice(_FLAT if depth >= _DEPTH else [*_FLAT, *_NAMED * 2, *_NESTED * 3])
        if form in _FLAT:
            return _Type(form)
        if form == "map":
            return _Type(form, [_Type(pick.choice(_KEYS)), self.type(depth + 1)])
        least, most = {"list": (1, 1), "option": (1, 1), "result": (2, 2), "flags": (1, 32)}.get(form, (1, 6))
        count = pick.randint(least, most)
        bare = form in {"variant", "result"}
        parts: list[_Type | None] = [
            None if form in {"enum", "flags"} or (bare and pick.random() < 0.3) else self.type(depth + 1)
            for _ in range(count)
        ]
        made = _Type(form, parts)
        if form in _NAMED:
            made.name = f"t{len(self.named)}"
            self.named.append(made)
        return made

    def value(self, of: _Type) -> Any:
        """A value of a type, as Python has it."""
        pick, parts = self.random, of.parts
        if of.form in _FLAT:
            return self.flat(of.form)
        match of.form:
            case "list":
                values = [self.value(parts[0]) for _ in range(pick.choice([0, 1, 3]))]  # type: ignore[arg-type]  # a list has its part
                return bytes(values) if parts[0] == _Type("u8") else values
            case "map":
                return {self.value(parts[0]): self.value(parts[1]) for _ in range(3)}  # type: ignore[arg-type]  # a map has its parts
            case "option":
                value = self.value(parts[0])  # type: ignore[arg-type]  # an option has its part
                some = Some(value) if parts[0].form == "option" else value  # type: ignore[union-attr]  # the same
                return pick.choice([None, some])
            case "enum":
                return f"c{pick.randrange(len(parts))}"
            case "flags":
                return frozenset(f"c{nth}" for nth in range(len(parts)) if pick.random() < 0.5)
        if of.form in {"variant", "result"}:
            nth = pick.randrange(len(parts))
            payload = parts[nth]
            held = () if payload is None else (self.value(payload),)
            return (Ok, Err)[nth](*held) if of.form == "result" else Variant(f"c{nth}", *held)
        values = [self.value(part) for part in parts if part]
        return tuple(values) if of.form == "tuple" else {f"c{nth}": value for nth, value in enumerate(values)}

    def flat(self, form: str) -> Any:
        """A number, character or text, often at an edge."""
        pick = self.random
        if form in _INTEGERS:
            sign, bits = _INTEGERS[form]
            least, most = (0, (1 << bits) - 1) if sign == "u" else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
            return pick.choice([least, most, pick.randint(least, most)])
        match form:
            case "bool":
                return pick.random() < 0.5
            case "char":
                return pick.choice("a\0é\ud7ff\ue000😀\U0010ffff")
            case "string":
                return "".join(
                    pick.choice("a\0é\ud7ff\ue000😀\U0010ffff") for _ in range(pick.choice([0, 1, 9]))
                )
        number = pick.choice([-0.0, float("inf"), float("nan"), pick.uniform(-1e9, 1e9)])
        return struct.unpack("<f", struct.pack("<f", number))[0]


@dataclass(frozen=True)
class Interface:
    """An interface, a source that implements it, and what each of its functions may be called with."""

    wit: str
    source: str
    calls: list[tuple[str, list[Any]]]


def random_interface(seed: int, functions: int = 12) -> Interface:
    """The interface of a seed; its package is ``acme:greeter``."""
    maker = _Maker(seed)
    signatures = [[maker.type() for _ in range(maker.random.choice([1, 2, 5]))] for _ in range(functions)]
    declared = "".join(f"  {_declared(one)}\n" for one in maker.named)
    wit, source = "", ""
    for nth, types in enumerate(signatures):
        parameters = ", ".join(f"a{n}: {one.wit()}" for n, one in enumerate(types))
        wit += f"  f{nth}: func({parameters}) -> tuple<{', '.join(one.wit() for one in types)}>;\n"
        written = [one.written() for one in types]
        parameters = ", ".join(f"a{n}: {one}" for n, one in enumerate(written))
        passed = ", ".join(f"a{n}" for n in range(len(types)))
        source += f"  export function f{nth}({parameters}): Tuple{len(types)}<{', '.join(written)}> {{\n"
        source += f"    return host.f{nth}({passed});\n  }}\n"
    names = ", ".join(one.name for one in maker.named)
    use = f"  use types.{{{names}}};\n" if names else ""
    calls = [
        (f"f{nth}", [maker.value(one) for one in types])
        for nth, types in enumerate(signatures)
        for _ in range(20)
    ]
    tuples = "".join(f", {one}" for one in sorted({*re.findall(r"Tuple\d", source)}))
    return Interface(
        f"package acme:greeter;\ninterface types {{\n{declared}}}\ninterface host {{\n{use}{wit}}}\n"
        f"interface api {{\n{use}{wit}}}\nworld greeter {{ import host; export api; }}\n",
        _IMPORTS.format(names=", ".join(one.name.capitalize() for one in maker.named), tuples=tuples)
        + f"export namespace api {{\n{source}}}\n",
        calls,
    )


_IMPORTS = """import * as host from "../build/bindings/greeter/imports/host";
import {{ {names} }} from "../build/bindings/greeter/imports/types";
import {{ Result, Some, Unit{tuples} }} from "../build/bindings/greeter/wit";
"""


def _declared(named: _Type) -> str:
    """The declaration of a type with a name."""
    parts = [part.wit() if part else None for part in named.parts]
    match named.form:
        case "record":
            inner = [f"c{nth}: {part}" for nth, part in enumerate(parts)]
        case "variant":
            inner = [f"c{nth}({part})" if part else f"c{nth}" for nth, part in enumerate(parts)]
        case _:
            inner = [f"c{nth}" for nth in range(len(parts))]
    return f"{named.form} {named.name} {{ {', '.join(inner)} }}"
