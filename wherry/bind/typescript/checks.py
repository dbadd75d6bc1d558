"""What values have to be, as checks of ``checks.ts``: what users give, and what their functions return.

Each named type becomes one constant of ``bindings.ts``, and so does what a check inside a function stands on,
as that would else be made anew with each call. Start at ``Checks``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wherry.bind.names import Names
from wherry.bind.typescript.spelling import ARRAYS, RESERVED, camel
from wherry.wit import model

if TYPE_CHECKING:
    from wherry.bind.typescript.spelling import Spelling
    from wherry.wit.model import Function, Type

__all__ = ["Checks"]

_OWN = frozenset({"CORES", "DIGEST", "EXPORTS", "IMPORTS", "WASI", "args", "is", "of", "to", "undefined"})
_NAMED = model.Record | model.Variant | model.Enum | model.Flags
_WORDS = 6


class Checks:
    """The checks of one package; ``declared`` has the constants that they stand on, in their order."""

    def __init__(self, spelling: Spelling) -> None:
        self.spelling = spelling
        self.library = spelling.library
        self.declared: list[str] = []
        self._names = Names(RESERVED | _OWN)
        self._known: dict[str, str] = {}
        self._types: dict[int, str] = {}

    def signature(self, function: Function, direction: str) -> str:
        """What the runtime knows of a function: of one that is offered what it takes, else what it gives."""
        failing = self.spelling.failing(function)
        how = "thrown" if self.spelling.throws(function) else "returned"
        parts = {"fails": _quoted(how)} if failing is not None else {}
        if direction == "export":
            parts |= self._takes(function)
        elif function.kind != "constructor":
            parts |= self._gives(function, failing)
        return "{ " + ", ".join(f"{name}: {text}" for name, text in parts.items()) + " }"

    def _takes(self, function: Function) -> dict[str, str]:
        called = [
            f'{self._called(used, f"args[{at}]")}?.at("{name}")'
            for at, (name, used) in enumerate(self.spelling.named_parameters(function))
        ]
        # Said, as no type is found for what stands beside the name `constructor`.
        types = {"args": "is.Args", "to": "is.Classes"}
        return {"takes": _function(types, called)} if called else {}

    def _gives(self, function: Function, failing: model.Result | None) -> dict[str, str]:
        if failing is None or not self.spelling.throws(function):
            return {"gives": self._payload(function.result)}
        error = {} if failing.err is None else {"error": self.expression(failing.err)}
        return {"gives": self._payload(failing.ok), **error}

    def _payload(self, used: Type | None) -> str:
        return "is.nothing" if used is None else self.expression(used)

    def expression(self, used: Type) -> str:
        """The check of a type."""
        definition = self.library.definition(used)
        if isinstance(definition, str):
            return f"is.{definition}"
        if not isinstance(used, int) or not isinstance(definition, _NAMED):
            return self._unnamed(definition)
        place = self.library.place(used)
        if place not in self._types:
            name = definition.name or ""
            wanted = (camel(name), camel(f"{self.spelling.file(place)}-{name}"))
            self._types[place] = self._constant(self._named(place, definition), *wanted)
        return self._types[place]

    def _named(self, place: int, definition: model.TypeDef) -> str:
        title = _quoted(self.spelling.title(place))
        match definition:
            case model.Record(fields=fields):
                named = [(camel(one.name), one.type) for one in fields]
                called = [
                    f'{self._called(used, f"of[{_quoted(name)}]")}?.at(".{name}")' for name, used in named
                ]
                return f"is.record({title}, {_function({'of': '', 'to': ''}, called)})"
            case model.Variant(cases=cases):
                return self._variant(title, {one.name: one.payload for one in cases})
            case model.Flags(flags=names):
                return f"is.flags({', '.join([title, *(_quoted(camel(one)) for one in names)])})"
            case model.Enum(cases=names):
                return f"is.oneOf({', '.join(map(_quoted, names))})"
            case _:
                raise AssertionError(definition)

    def _unnamed(self, definition: model.TypeDef) -> str:  # noqa: PLR0911 - a match over the WIT types
        match definition:
            case model.Option(payload=payload):
                kind = "boxed" if self.spelling.is_optional(payload) else "option"
                return f"is.{kind}({self.expression(payload)})"
            case model.Result(ok=ok, err=err):
                parts = ("is.empty" if part is None else self.expression(part) for part in (ok, err))
                return f"is.result({', '.join(parts)})"
            case model.List(element=element):
                number = self.library.definition(element)
                if isinstance(number, str) and number in ARRAYS:
                    name = ARRAYS[number]
                    return f"is.{name[0].lower()}{name[1:]}"
                return f"is.list({self.expression(element)})"
            case model.Map(key=key, value=value):
                return f"is.map({self.expression(key)}, {self.expression(value)})"
            case model.Tuple(elements=elements):
                return f"is.tuple({', '.join(map(self.expression, elements))})"
            case model.Own(resource=resource) | model.Borrow(resource=resource):
                return f'is.resource("{self.spelling.class_path(resource)}")'
            case _:
                raise AssertionError(definition)

    def _variant(self, title: str, cases: dict[str, Type | None]) -> str:
        parts = (
            f'"{name}": {"is.empty" if payload is None else self.expression(payload)}'
            for name, payload in cases.items()
        )
        return f"is.variant({title}, {{ {', '.join(parts)} }})"

    def _called(self, used: Type, value: str) -> str:
        check = self.expression(used)
        if re.fullmatch(r"is\.\w+", check):
            return f"{check}({value})"
        if check.isidentifier():
            return f"{check}({value}, to)"
        first, *rest = [one for one in re.findall("[A-Za-z0-9]+", check) if one != "is"][:_WORDS]
        name = first + "".join(one[0].upper() + one[1:] for one in rest)
        return f"{self._constant(check, name)}({value}, to)"

    def _constant(self, check: str, *wanted: str) -> str:
        if check not in self._known:
            self._known[check] = self._names.take(*wanted)
            self.declared.append(f"const {self._known[check]} = {check};\n")
        return self._known[check]


def _function(params: dict[str, str], called: list[str]) -> str:
    """Calls one check after the other, until one finds a fault; takes the classes where one needs them."""
    needed = list(params.items())[: 2 if any(", to)?" in one for one in called) else 1]
    taken = ", ".join(f"{name}: {type_}" if type_ else name for name, type_ in needed)
    return f"({taken}) => {' ?? '.join(called)}"


def _quoted(name: str) -> str:
    """A name as text; those of WIT have nothing that would have to be escaped."""
    return f'"{name}"'
