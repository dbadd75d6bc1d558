"""What everything is called in C: types, functions, constants, members.

Names of a library share one scope, and begin with its prefix. A name of WIT is tried as it is, then with that
of its interface, then with that of the package (``names.distinct``), so that ``graphql_parse`` stays short.
Types without a name of their own have one made of what they consist of: ``graphql_list_string``. Start
reading at ``Spelling``.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from wherry.bind.c.reserved import CONSTANTS, PREFIXES, WORDS
from wherry.bind.names import Names, distinct, snake_case
from wherry.wit import model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wherry.bind.library import Library, Scope
    from wherry.wit.model import Function, Type

__all__ = ["NUMBERS", "Spelling", "prefix_of"]

NUMBERS = {
    "bool": "bool",
    "s8": "int8_t",
    "u8": "uint8_t",
    "s16": "int16_t",
    "u16": "uint16_t",
    "s32": "int32_t",
    "u32": "uint32_t",
    "s64": "int64_t",
    "u64": "uint64_t",
    "f32": "float",
    "f64": "double",
    "char": "uint32_t",
}
"""Numbers of WIT in C, in the order of their tags."""

_FIXED = (
    *("instance", "options", "imports", "caller", "open", "close", "cancel", "lend", "fail"),
    *("caller_instance", "string", "text", "bytes"),
)
_LONGEST = 100


def prefix_of(name: str) -> str:
    """What all names of a library begin with; not what the system or libwherry begin theirs with."""
    prefix = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "library"
    if prefix in PREFIXES or prefix.startswith("wherry_") or prefix[0].isdigit():
        return f"lib_{prefix}"
    return prefix


class Spelling:
    """The names of a library.

    ``types`` are the names of named types by their place, ``functions`` those of exported functions by scope
    and name, ``closers`` those that release a resource of the guest. ``tables`` are the types of tables for
    what is imported, by the name of their scope, ``members`` where those stand among the imports.
    """

    def __init__(self, library: Library, prefix: str) -> None:
        self.library = library
        self.prefix = prefix
        self.fixed = {word: f"{prefix}_{word}" for word in _FIXED}
        named = self._named()
        self.types = {place: name for (kind, _, place), name in named.items() if kind == "type"}
        self.closers = {place: name for (kind, _, place), name in named.items() if kind == "close"}
        scopes = [*library.scopes]
        self.functions = {
            (scopes[at].name, item): name for (kind, item, at), name in named.items() if kind == "function"
        }
        self.tables = {scopes[at].name: name for (kind, _, at), name in named.items() if kind == "table"}
        self._names = Names({*self.fixed.values(), *named.values(), *WORDS})
        self._constants = Names({*CONSTANTS, f"{prefix}_values_h".upper()})
        self._made: dict[str, str] = {}
        interfaces = {
            one.name: [snake_case(one.interface or "world"), *_scopes(one)] for one in library.imports
        }
        self.members = distinct(interfaces, {*WORDS, "context"})

    def _named(self) -> dict[tuple[str, str, int], str]:
        """The names of types, of what releases them, of tables and of functions, by kind, name and place."""
        wanted: dict[tuple[str, str, int], list[str]] = {}
        for at, scope in enumerate(self.library.scopes):
            for place in scope.types:
                if self.library.place(place) == place:
                    wanted["type", "", place] = self._choices(scope, self._word(place))
            if scope.direction == "import":
                if scope.functions or self.resources(scope):
                    wanted["table", "", at] = self._choices(scope, f"{_interface(scope)}_imports")
                continue
            for place in self.resources(scope):
                stem = f"{self.prefix}_{self._word(place)}"
                wanted["close", "", place] = [f"{stem}_{word}" for word in ("close", "drop", "end")]
            for function in scope.functions:
                wanted["function", function.name, at] = self._function_choices(scope, function)
        return distinct(wanted, {*self.fixed.values(), *WORDS})

    def _function_choices(self, scope: Scope, function: Function) -> list[str]:
        word = self._function(function)
        choices = self._choices(scope, word)
        if function.kind == "constructor":
            choices.insert(1, f"{self.prefix}_{word.removesuffix('new')}create")
        return choices

    def _word(self, place: int) -> str:
        return snake_case(self.library.world.types[place].name or "type")

    def _function(self, function: Function) -> str:
        if function.resource is None:
            return snake_case(function.item)
        resource = self._word(self.library.place(function.resource))
        return (
            f"{resource}_new" if function.kind == "constructor" else f"{resource}_{snake_case(function.item)}"
        )

    def _choices(self, scope: Scope, word: str) -> list[str]:
        return [f"{self.prefix}_{word}", *(f"{self.prefix}_{one}_{word}" for one in _scopes(scope))]

    def resources(self, scope: Scope) -> list[int]:
        """The resources that a scope defines."""
        types = self.library.world.types
        return [
            one
            for one in scope.types
            if isinstance(types[one], model.Resource) and self.library.place(one) == one
        ]

    def members_of(self, wanted: Iterable[str]) -> list[str]:
        """Members or parameters of those names, in their order."""
        scope = Names(WORDS)
        return [scope.take(self._member(one)) for one in wanted]

    def parameters(self, function: Function) -> list[str]:
        """What the parameters of a function are called."""
        scope = Names({*WORDS, "instance", "out", "error", "bound", "status", "reader", "context", "caller"})
        scope.take("imports")
        return [scope.take(self._member(one.name)) for one in function.params]

    def _member(self, name: str) -> str:
        word = snake_case(name)
        return f"{word}_" if word.startswith(("wherry_", f"{self.prefix}_")) else word

    def table_functions(self, scope: Scope) -> dict[str, str]:
        """Members of the table of a scope, by names of functions; ``close`` and the place of a resource."""
        names = Names({*WORDS, "context"})
        found = {one.name: names.take(self._function(one)) for one in scope.functions}
        for place in self.resources(scope):
            found[f"close {place}"] = names.take(f"{self._word(place)}_close", f"{self._word(place)}_drop")
        return found

    def constants(self, type_name: str, cases: Iterable[str]) -> list[str]:
        """The constants of an enumeration, flags or the cases of a variant."""
        return [self._constants.take(f"{type_name}_{snake_case(case)}".upper()) for case in cases]

    def free(self, name: str) -> str:
        """A type of the library's by a name that nothing else has."""
        return self._names.take(name)

    def type(self, used: Type) -> str:
        """How a type is written where it is used."""
        if isinstance(used, int):
            place = self.library.place(used)
            return self.types[place] if place in self.types else self._unnamed(place)
        return NUMBERS.get(used, self.fixed["string"])

    def element(self, used: Type) -> str:
        """The same inside of a type without a name, where other names for a type are followed."""
        while isinstance(used, int) and isinstance(found := self.library.world.types[used], model.Alias):
            used = found.target
        return self.type(used)

    def _unnamed(self, place: int) -> str:
        definition = self.library.world.types[place]
        if isinstance(definition, model.Own | model.Borrow):
            resource = self.library.place(definition.resource)
            return self.types[resource] + (" *" if self.library.is_host(resource) else "")
        word = self._word_of(place)
        if word not in self._made:
            if isinstance(definition, model.List) and self.library.definition(definition.element) == "u8":
                self._made[word] = self.fixed["bytes"]
            else:
                kind = word.partition("_")[0]
                digest = hashlib.sha256(word.encode()).hexdigest()[:12]
                short = word if len(word) <= _LONGEST else f"{kind}_{digest}"
                self._made[word] = self._names.take(f"{self.prefix}_{short}")
        return self._made[word]

    def _word_of(self, used: Type | None) -> str:  # noqa: C901, PLR0911, PLR0912 - a match over the WIT types
        """A type as a part of a name."""
        if not isinstance(used, int):
            return used or "void"
        place = self.library.place(used)
        definition = self.library.world.types[place]
        if place in self.types and not isinstance(definition, model.Alias):
            return self.types[place].removeprefix(f"{self.prefix}_")
        match definition:
            case model.List(element=element):
                return f"list_{self._word_of(element)}"
            case model.Map(key=key, value=value):
                return f"map_{self._word_of(key)}_{self._word_of(value)}"
            case model.Option(payload=payload):
                return f"option_{self._word_of(payload)}"
            case model.Result(ok=ok, err=err):
                return f"result_{self._word_of(ok)}_{self._word_of(err)}"
            case model.Tuple(elements=elements):
                return "_".join([f"tuple_{len(elements)}", *map(self._word_of, elements)])
            case model.Own(resource=resource):
                return self._word_of(resource)
            case model.Borrow(resource=resource):
                return f"borrowed_{self._word_of(resource)}"
            case model.Alias(target=target):
                return self._word_of(target)
            case model.Stream(payload=payload):
                return f"stream_{self._word_of(payload)}"
            case model.Future(payload=payload):
                return f"future_{self._word_of(payload)}"
            case other:
                return type(other).__name__.lower()


def _interface(scope: Scope) -> str:
    return snake_case(scope.interface or "world")


def _scopes(scope: Scope) -> list[str]:
    """What tells a scope from others, shorter first."""
    side = "host" if scope.direction == "import" else "guest"
    interface = _interface(scope)
    words = [interface, f"{side}_{interface}"]
    version = re.sub("[^a-z0-9]+", "_", (scope.version or "").lower())
    if version:
        words.append(f"{interface}_{version}")
    if scope.package is not None:
        package = snake_case(scope.package.replace(":", "-"))
        words += [f"{side}_{package.partition('_')[2]}_{interface}", f"{side}_{package}_{interface}"]
    return [*words, f"{words[-1]}_{version}"] if version else words
