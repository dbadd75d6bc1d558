"""Values of an interface between C and the encoding: what writes arguments, and what reads results.

``Values`` gives the statement for a value of each type. Numbers, text, handles and lists of numbers are one
call of ``wherry_values.h``; all others have a function of their own, which ``functions`` lists in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from wherry.bind.c.spelling import NUMBERS
from wherry.bind.c.types import pointer
from wherry.bind.library import parts_of
from wherry.wit import model

if TYPE_CHECKING:
    from wherry.bind.c.types import Types
    from wherry.wit.model import Type

__all__ = ["Place", "Values"]

_TAGS = {name: tag for tag, name in enumerate(NUMBERS, 1)}


@dataclass(frozen=True)
class Place:
    """A value in C: its name, or that of a pointer to it."""

    name: str
    is_pointer: bool = False

    @property
    def value(self) -> str:
        """The value itself."""
        return f"*{self.name}" if self.is_pointer else self.name

    @property
    def address(self) -> str:
        """Its address."""
        return self.name if self.is_pointer else f"&{self.name}"

    def member(self, name: str) -> str:
        """One of its members."""
        return f"{self.name}{'->' if self.is_pointer else '.'}{name}"

    def at(self, name: str) -> Place:
        """The same, to go on from."""
        return Place(self.member(name))


class Values:
    """Statements and functions for the values of a library."""

    def __init__(self, types: Types) -> None:
        self.types = types
        self.library = types.library
        self.spelling = types.spelling
        self._written: dict[str, str] = {}
        self._read: dict[str, str] = {}

    @property
    def functions(self) -> str:
        """All functions that statements so far have called, in order."""
        return "\n".join([*self._written.values(), *self._read.values()])

    def number(self, used: Type) -> str | None:
        """What number of WIT a type is, if it is one."""
        found = self.library.definition(used)
        return found if isinstance(found, str) and found in NUMBERS else None

    def by_pointer(self, used: Type) -> bool:
        """Whether a parameter of this type is a pointer to it, as all are that are more than two words."""
        match self.library.definition(used):
            case model.Record() | model.Variant() | model.Tuple() | model.Result():
                return True
            case model.Option(payload=payload):
                return self.by_pointer(payload)
            case _:
                return False

    def parameter(self, used: Type, name: str) -> tuple[str, Place]:
        """A parameter as it is declared, and the value that it brings."""
        spelled = self.spelling.type(used)
        if self.by_pointer(used):
            return f"{pointer(spelled)}{name}", Place(name, is_pointer=True)
        return f"{spelled} {name}", Place(name)

    def write(self, used: Type, place: Place, writer: str = "writer") -> str:  # noqa: PLR0911 - a match over the WIT types
        """The statement that writes a value."""
        number = self.number(used)
        if number is not None:
            return f"wherry_write_{number}({writer}, {place.value});"
        definition = self.library.definition(used)
        match definition:
            case "string":
                data, length = place.member("data"), place.member("length")
                return f"wherry_write_pieces({writer}, 0x10, {data}, {length}, 1);"
            case model.List(element=element) if (found := self.number(element)) is not None:
                tag = 0x40 + _TAGS[found]
                data, length = place.member("data"), place.member("length")
                return f"wherry_write_pieces({writer}, {tag:#x}, {data}, {length}, sizeof *{data});"
            case model.Enum():
                return f"wherry_write_head({writer}, 0x17, (uint32_t){place.value});"
            case model.Flags():
                return f"wherry_write_head({writer}, 0x18, {place.value});"
            case model.Own() | model.Borrow():
                return self._write_handle(definition, place, writer)
            case model.Stream() | model.Future():
                tag = 0x22 if isinstance(definition, model.Stream) else 0x23
                handle = f"(uint64_t)(uintptr_t){place.member('handle')}"
                return f"wherry_write_handle({writer}, {tag:#x}, {handle});"
            case _:
                return f"{self._writer(used)}({writer}, {place.address});"

    def _write_handle(self, handle: model.Own | model.Borrow, place: Place, writer: str) -> str:
        tag = 0x20 if isinstance(handle, model.Own) else 0x21
        value = place.member("handle")
        if self.library.is_host(handle.resource):
            value = f"(uint64_t)(uintptr_t){place.value}"
        return f"wherry_write_handle({writer}, {tag:#x}, {value});"

    def read(self, used: Type, place: Place, reader: str = "reader") -> str:  # noqa: PLR0911 - a match over the WIT types
        """The statement that reads a value into its place."""
        number = self.number(used)
        if number is not None:
            return f"{place.value} = wherry_read_{number}({reader});"
        definition = self.library.definition(used)
        match definition:
            case "string":
                data, length = place.member("data"), place.member("length")
                return f"{data} = (const char *)wherry_read_pieces({reader}, &{length}, 1);"
            case model.List(element=element) if (found := self.number(element)) is not None:
                data, length = place.member("data"), place.member("length")
                kind = pointer(NUMBERS[found])
                return f"{data} = ({kind})wherry_read_pieces({reader}, &{length}, sizeof *{data});"
            case model.Enum():
                return f"{place.value} = ({self._defined(used)})wherry_read_head({reader});"
            case model.Flags():
                return f"{place.value} = wherry_read_head({reader});"
            case model.Own(resource=resource) | model.Borrow(resource=resource):
                if self.library.is_host(resource):
                    kind = pointer(self.spelling.type(resource), constant=False)
                    return f"{place.value} = ({kind})(uintptr_t)wherry_read_handle({reader});"
                return f"{place.member('handle')} = wherry_read_handle({reader});"
            case model.Stream() | model.Future():
                return f"{place.member('handle')} = (wherry_stream *)(uintptr_t)wherry_read_handle({reader});"
            case _:
                return f"{self._reader(used)}({reader}, {place.address});"

    def _place(self, used: Type) -> int:
        """Where the definition of a type stands, once all other names for it are followed."""
        types = self.library.world.types
        while isinstance(used, int) and isinstance(found := types[used], model.Alias):
            used = found.target
        return cast("int", used)  # only of types that have a definition

    def _defined(self, used: Type) -> str:
        return self.spelling.type(self._place(used))

    def _writer(self, used: Type) -> str:
        """The name of the function that writes values of a type, which is made on first use."""
        place = self._place(used)
        name = f"wherry_write_{self.spelling.type(place)}"
        if name not in self._written:
            body = self._write_body(place)
            kind = pointer(self.spelling.type(place))
            head = f"static inline void {name}(wherry_writer *writer, {kind}value)"
            # Put after the functions that its body calls, which were made just now.
            self._written[name] = f"{head} {{\n{body}\n}}\n"
        return name

    def _reader(self, used: Type) -> str:
        place = self._place(used)
        name = f"wherry_read_{self.spelling.type(place)}"
        if name not in self._read:
            body = self._read_body(place)
            kind = pointer(self.spelling.type(place), constant=False)
            self._read[name] = f"static inline void {name}(wherry_reader *reader, {kind}out) {{\n{body}\n}}\n"
        return name

    def _write_body(self, place: int) -> str:
        value = Place("value", is_pointer=True)
        definition = self.library.world.types[place]
        match definition:
            case model.Record() | model.Tuple():
                tag = "0x13" if isinstance(definition, model.Record) else "0x14"
                parts = self._parts(definition)
                lines = [self.write(used, value.at(name)) for used, name in parts]
                return "\n".join([f"wherry_write_head(writer, {tag}, {len(parts)});", *lines])
            case model.Variant():
                return self._write_variant(place, definition, value)
            case model.Option(payload=payload):
                inner = self.write(payload, value.at("value"))
                tag = "wherry_write_tag(writer, value->is_some ? 0x1a : 0x19);"
                return f"{tag}\nif (value->is_some) {{ {inner} }}"
            case model.Result(ok=ok, err=err):
                good = self._write_side(ok, value.at("value.ok"), 0x1B)
                bad = self._write_side(err, value.at("value.err"), 0x1D)
                return f"if (value->is_err) {{\n{bad}\n}} else {{\n{good}\n}}"
            case model.List(element=element):
                return self._write_items("0x11", [self.write(element, Place("value->data[i]"))])
            case model.Map(key=key, value=held):
                pair = [(key, "key"), (held, "value")]
                inner_two = [self.write(one, Place(f"value->data[i].{name}")) for one, name in pair]
                return self._write_items("0x12", inner_two)
            case _:
                raise AssertionError(definition)

    def _parts(self, definition: model.Record | model.Tuple) -> list[tuple[Type, str]]:
        """The types and members of a structure."""
        if isinstance(definition, model.Tuple):
            return [(one, f"f{at}") for at, one in enumerate(definition.elements)]
        members = self.spelling.members_of(field.name for field in definition.fields)
        return [(field.type, name) for field, name in zip(definition.fields, members, strict=True)]

    def _write_items(self, tag: str, inner: list[str]) -> str:
        loop = "for (size_t i = 0; i < length; i++) {\n" + "\n".join(inner) + "\n}"
        written = f"wherry_write_elements(writer, {tag}, value->data, value->length)"
        return f"const size_t length = {written};\n{loop}"

    def _write_side(self, used: Type | None, place: Place, tag: int) -> str:
        if used is None:
            return f"wherry_write_tag(writer, {tag:#x});"
        return f"wherry_write_tag(writer, {tag + 1:#x});\n{self.write(used, place)}"

    def _write_variant(self, place: int, definition: model.Variant, value: Place) -> str:
        lines = ["switch (value->tag) {"]
        constants, members = self.types.constants[place], self.types.members(definition)
        for case, constant, member in zip(definition.cases, constants, members, strict=True):
            if case.payload is not None:
                inner = self.write(case.payload, value.at(f"value.{member}"))
                lines += [
                    f"case {constant}:",
                    f"wherry_write_head(writer, 0x16, {constant});",
                    inner,
                    "break;",
                ]
        return "\n".join(
            [*lines, "default:", "wherry_write_head(writer, 0x15, (uint32_t)value->tag);", "break;", "}"]
        )

    def _read_body(self, place: int) -> str:
        out = Place("out", is_pointer=True)
        definition = self.library.world.types[place]
        match definition:
            case model.Record() | model.Tuple():
                lines = [self.read(used, out.at(name)) for used, name in self._parts(definition)]
                return "\n".join(["wherry_read_head(reader);", *lines])
            case model.Variant():
                return self._read_variant(place, definition, out)
            case model.Option(payload=payload):
                inner = self.read(payload, out.at("value"))
                test = "out->is_some = wherry_read_tag(reader) == 0x1a;"
                return f"{test}\nif (out->is_some) {{ {inner} }}"
            case model.Result():
                return self._read_result(definition, out)
            case model.List(element=element):
                item = self.read(element, Place("item", is_pointer=True))
                return self._read_items(self.spelling.element(element), [item])
            case model.Map(key=key, value=held):
                at = Place("item", is_pointer=True)
                pair = [self.read(key, at.at("key")), self.read(held, at.at("value"))]
                return self._read_items(self.types.entries[self.spelling.type(place)], pair)
            case _:
                raise AssertionError(definition)

    def _read_result(self, definition: model.Result, out: Place) -> str:
        good = self.read(definition.ok, out.at("value.ok")) if definition.ok is not None else ""
        bad = self.read(definition.err, out.at("value.err")) if definition.err is not None else ""
        test = "out->is_err = wherry_read_tag(reader) >= 0x1d;"
        if not bad:
            return f"{test}\nif (!out->is_err) {{ {good} }}" if good else test
        other = f" else {{\n{good}\n}}" if good else ""
        return f"{test}\nif (out->is_err) {{\n{bad}\n}}{other}"

    def _read_items(self, element: str, inner: list[str]) -> str:
        star = pointer(element, constant=False)
        return "\n".join(
            [
                f"{star}items;",
                f"{element} spare;",
                "items = wherry_read_room(reader, &out->length, sizeof *items);",
                "for (size_t i = 0; i < out->length; i++) {",
                f"{star}item = items != NULL ? &items[i] : &spare;",
                *inner,
                "}",
                "out->data = items;",
                "out->length = items != NULL ? out->length : 0;",
            ]
        )

    def _read_variant(self, place: int, definition: model.Variant, out: Place) -> str:
        lines = [f"out->tag = ({self.types.tags[place]})wherry_read_head(reader);", "switch (out->tag) {"]
        constants, members = self.types.constants[place], self.types.members(definition)
        for case, constant, member in zip(definition.cases, constants, members, strict=True):
            if case.payload is not None:
                lines += [f"case {constant}:", self.read(case.payload, out.at(f"value.{member}")), "break;"]
        return "\n".join([*lines, "default:", "break;", "}"])

    def pointers(self, used: Type | None) -> bool:
        """Whether a value points at memory, text or a list, somewhere in it."""
        if not isinstance(used, int):
            return used == "string"
        definition = self.library.definition(used)
        if isinstance(definition, model.List | model.Map) or definition == "string":
            return True
        if isinstance(definition, str | model.Own | model.Borrow | model.Stream | model.Future):
            return False
        return any(self.pointers(part) for part in parts_of(definition))

    def owned(self, used: Type | None) -> list[int]:
        """The resources that a value hands over."""
        if not isinstance(used, int):
            return []
        found = []
        for place in self.library.uses(used):
            definition = self.library.world.types[place]
            if isinstance(definition, model.Own):
                found.append(self.library.place(definition.resource))
        return list(dict.fromkeys(found))
