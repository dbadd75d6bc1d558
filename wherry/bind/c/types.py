"""Types of an interface as types of C: structures, tagged unions, enumerations, flags, views.

``Types`` writes each type after what it consists of, once. Views are a pointer and a length; a resource of
the guest is a number in a structure of its own, so that one cannot stand for another, and a resource of the
host's a pointer to a structure that only the host defines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.bind.c.comments import comment
from wherry.bind.library import parts_of
from wherry.wit import model

if TYPE_CHECKING:
    from wherry.bind.c.spelling import Spelling
    from wherry.bind.library import Library
    from wherry.wit.model import Type

__all__ = ["Types", "pointer"]


def pointer(name: str, *, constant: bool = True) -> str:
    """A pointer to a type, which may be a pointer itself."""
    if name.endswith("*"):
        return f"{name}const *" if constant else f"{name}*"
    return f"const {name} *" if constant else f"{name} *"


class Types:
    """The declarations of a library, in ``lines``; ``order`` has the places of all types that came of it."""

    def __init__(self, library: Library, spelling: Spelling) -> None:
        self.library = library
        self.spelling = spelling
        self.lines: list[str] = []
        self.order: list[int] = []
        self.constants: dict[int, list[str]] = {}
        self.tags: dict[int, str] = {}
        self.entries: dict[str, str] = {}
        self._done: set[str] = set()

    def declare(self, used: Type | None) -> None:
        """Writes a type and all that it consists of, unless that was done."""
        if not isinstance(used, int):
            return
        place = self.library.place(used)
        definition = self.library.world.types[place]
        if isinstance(definition, model.Own | model.Borrow):
            self.declare(definition.resource)
            return
        name = self.spelling.type(place)
        if name in self._done:
            return
        self._done.add(name)
        for part in parts_of(definition):
            self.declare(part)
        self.order.append(place)
        self.lines.append(self._docs(place) + self._written(place, name, definition))

    def _docs(self, place: int) -> str:
        name = self.library.world.types[place].name
        if name is None or place not in self.spelling.types:
            return ""
        return comment(self.library.docs(self.library.home(place), name))

    def _member_docs(self, place: int, member: str) -> str:
        definition = self.library.world.types[place]
        if definition.name is None:
            return ""
        return comment(self.library.docs(self.library.home(place), definition.name, member))

    def _written(self, place: int, name: str, definition: model.TypeDef) -> str:  # noqa: C901, PLR0911, PLR0912 - a match over the WIT types
        spell, element_of = self.spelling.type, self.spelling.element
        match definition:
            case model.Record(fields=fields):
                names = self.spelling.members_of(field.name for field in fields)
                body = [
                    f"{self._member_docs(place, field.name)}{spell(field.type)} {member};"
                    for field, member in zip(fields, names, strict=True)
                ]
                return _structure(name, body)
            case model.Tuple(elements=elements):
                return _structure(name, [f"{element_of(one)} f{at};" for at, one in enumerate(elements)])
            case model.Variant():
                return self._variant(place, name, definition)
            case model.Enum(cases=cases):
                return self._enumeration(place, name, name, cases)
            case model.Flags(flags=flags):
                return self._flags(place, name, flags)
            case model.Option(payload=payload):
                return _structure(name, ["bool is_some;", f"{element_of(payload)} value;"])
            case model.Result(ok=ok, err=err):
                parts = [
                    f"{element_of(one)} {member};"
                    for one, member in ((ok, "ok"), (err, "err"))
                    if one is not None
                ]
                return _structure(name, ["bool is_err;", *_union(parts)])
            case model.List(element=element):
                return "" if name == self.spelling.fixed["bytes"] else _view(name, element_of(element))
            case model.Map(key=key, value=value):
                entry = self.entries[name] = self.spelling.free(f"{name}_entry")
                return _structure(entry, [f"{element_of(key)} key;", f"{element_of(value)} value;"]) + _view(
                    name, entry
                )
            case model.Resource():
                return self._resource(place, name)
            case model.Stream() | model.Future():
                return f"typedef struct {name} {{ wherry_stream *handle; }} {name};\n"
            case model.Alias(target=target):
                return f"typedef {spell(target)} {name};\n"
            case other:  # refused before
                raise AssertionError(other)

    def _resource(self, place: int, name: str) -> str:
        if self.library.is_host(place):
            return f"typedef struct {name} {name};\n"
        return f"typedef struct {name} {{ uint64_t handle; }} {name};\n"

    def _enumeration(self, place: int, name: str, stem: str, cases: tuple[str, ...]) -> str:
        constants = self.constants[place] = self.spelling.constants(stem, cases)
        body = [
            f"{self._member_docs(place, case)}{constant} = {at},"
            for at, (case, constant) in enumerate(zip(cases, constants, strict=True))
        ]
        return f"typedef enum {name} {{\n" + "\n".join(body) + f"\n}} {name};\n"

    def _flags(self, place: int, name: str, flags: tuple[str, ...]) -> str:
        constants = self.constants[place] = self.spelling.constants(name, flags)
        lines = [
            f"{self._member_docs(place, flag)}#define {constant} ((uint32_t)1 << {at})\n"
            for at, (flag, constant) in enumerate(zip(flags, constants, strict=True))
        ]
        return f"typedef uint32_t {name};\n" + "".join(lines)

    def _variant(self, place: int, name: str, definition: model.Variant) -> str:
        tag = self.tags[place] = self.spelling.free(f"{name}_tag")
        names = tuple(case.name for case in definition.cases)
        text = self._enumeration(place, tag, name, names)
        parts = [
            f"{self.spelling.type(case.payload)} {member};"
            for case, member in zip(definition.cases, self.members(definition), strict=True)
            if case.payload is not None
        ]
        return text + "\n" + _structure(name, [f"{tag} tag;", *_union(parts)])

    def members(self, definition: model.Variant) -> list[str]:
        """The members of a union, by the cases of a variant."""
        return self.spelling.members_of(case.name for case in definition.cases)


def _structure(name: str, members: list[str]) -> str:
    return f"typedef struct {name} {{\n" + "\n".join(members) + f"\n}} {name};\n"


def _union(parts: list[str]) -> list[str]:
    return ["union {\n" + "\n".join(parts) + "\n} value;"] if parts else []


def _view(name: str, element: str) -> str:
    return _structure(name, [f"{pointer(element)}data;", "size_t length;"])
