"""What generators are given: the interface of one component, arranged by who gives and who takes.

A ``Library`` stands on the one WIT model (``wherry.wit.model``) and adds what every generator would work out
for itself: which scopes there are, which types each of them defines and in what order they can be written,
what documentation says of each item, and which types of WASI are mentioned although WASI itself is the
business of whoever runs the component. Start reading at ``Library``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

from wherry.errors import UsageError
from wherry.wit import model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.wit.model import Function, Type, TypeDef, World

__all__ = ["Direction", "Library", "Scope", "parts_of", "places_of", "read_library"]

Direction: TypeAlias = Literal["export", "import"]
"""Who implements a scope: the component exports it, the host gives what it imports."""

_WORDS = "[A-Za-z][A-Za-z0-9-]*"
_NAME = re.compile(
    rf"(?:(?P<package>{_WORDS}(?::{_WORDS})+)/)?(?P<interface>{_WORDS})(?:@(?P<version>[0-9A-Za-z.+-]+))?"
)


@dataclass(frozen=True)
class Scope:
    """Functions and types under one name: an interface, or with ``name`` ``None`` those of the world itself.

    ``types`` are places in ``World.types`` of all named types of the scope, those that only stand for a type
    of another scope included (``Alias``), in an order in which each comes after what it is made of.
    ``functions`` has methods, static functions and constructors too, in the order of the file.
    """

    name: str | None
    direction: Direction
    types: tuple[int, ...]
    functions: tuple[Function, ...]

    @property
    def package(self) -> str | None:
        """``acme:images`` of ``acme:images/codec@1.2.0``, if the name has one."""
        return self._part("package")

    @property
    def interface(self) -> str | None:
        """``codec`` of ``acme:images/codec@1.2.0``; a plain name is itself."""
        return self._part("interface")

    @property
    def version(self) -> str | None:
        """``1.2.0`` of ``acme:images/codec@1.2.0``, if the name has one."""
        return self._part("version")

    @property
    def is_wasi(self) -> bool:
        """Whether it is part of WASI, which whoever runs the component provides."""
        return self.package is not None and self.package.startswith("wasi:")

    def members(self, resource: int, kind: str) -> list[Function]:
        """The methods, static functions or constructors of a resource; ``kind`` is as in ``Function``."""
        return [one for one in self.functions if one.kind == kind and one.resource == resource]

    def _part(self, which: str) -> str | None:
        found = _NAME.fullmatch(self.name) if self.name is not None else None
        return found[which] if found is not None else None


@dataclass(frozen=True)
class Library:
    """One component as a library: what it is called, its bytes under their digest, and its interface.

    ``name`` is ``acme/thumbs`` for a package, or the name of the file without its ending; ``version`` that of
    the package. ``digest`` is the SHA-256 of ``component`` in hexadecimal.
    """

    name: str
    version: str | None
    description: str | None
    component: bytes
    world: World

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the component."""
        return hashlib.sha256(self.component).hexdigest()

    @property
    def short(self) -> str:
        """The name without its namespace: ``thumbs``."""
        return self.name.rpartition("/")[2]

    @cached_property
    def exports(self) -> tuple[Scope, ...]:
        """What the component offers: the world's own scope first if it has anything, then interfaces.

        An interface without a function, such as one of types alone, is among them.
        """
        return self._scopes("export")

    @cached_property
    def imports(self) -> tuple[Scope, ...]:
        """What the host implements, likewise; interfaces of WASI are left out."""
        return tuple(one for one in self._scopes("import") if not one.is_wasi)

    @cached_property
    def wasi(self) -> tuple[Scope, ...]:
        """Interfaces of WASI with those of their types that exports or imports mention, and no functions."""
        mentioned = self._mentioned
        found = []
        for scope in self._scopes("import"):
            types = tuple(place for place in scope.types if place in mentioned)
            if scope.is_wasi and types:
                found.append(Scope(scope.name, "import", types, ()))
        return tuple(found)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """All scopes that have to be written, those first whose types others stand on."""
        return (*self.wasi, *self.imports, *self.exports)

    def definition(self, used: Type) -> TypeDef | model.Primitive:
        """What a type is once other names for it are followed."""
        return self.world.definition(used)

    def unnamed(self) -> list[str]:
        """Names that are none of WIT, such as addresses, which components may import things by.

        Nothing can be written for them: they are anybody's text, and not words of a language.
        """
        found = []
        for scope in self.scopes:
            if scope.name is not None and _NAME.fullmatch(scope.name) is None:
                found.append(scope.name)
            items = [one.item for one in scope.functions]
            items += [self.world.types[place].name or "" for place in scope.types]
            found += [one for one in items if re.fullmatch(_WORDS, one) is None]
        return found

    def place(self, used: int) -> int:
        """Where the definition of a named type stands, once other names for it are followed.

        Of an alias of a primitive or of a type without a name it is the alias itself.
        """
        while isinstance(found := self.world.types[used], model.Alias):
            target = found.target
            if not isinstance(target, int) or self.world.types[target].name is None:
                break
            used = target
        return used

    def docs(
        self, scope: Scope | None = None, item: str | None = None, member: str | None = None
    ) -> str | None:
        """What the interface file says: of the world, a scope, an item of it, or a part of that.

        ``item`` is the name of a type or a function as the component has it, ``member`` that of a field, case
        or flag.
        """
        key = (scope.name or "") if scope is not None else ""
        if item is not None:
            key += f"#{item}"
        if member is not None:
            key += f".{member}"
        return self.world.docs.get(key)

    def home(self, place: int) -> Scope:
        """The scope that defines a named type."""
        found = self._homes.get(place)
        if found is None:
            raise UsageError(f"`{self.name}` has a type without a home: {self.world.types[place].name}")
        return found

    def is_host(self, resource: int) -> bool:
        """Whether the host implements a resource, and not the component."""
        return self.home(self.place(resource)).direction == "import"

    def uses(self, used: int) -> Iterator[int]:
        """The places of all types that a type is made of, itself included; each once."""
        waiting = [used]
        seen: set[int] = set()
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                yield one
                waiting += [part for part in parts_of(self.world.types[one]) if isinstance(part, int)]

    def _scopes(self, direction: Direction) -> tuple[Scope, ...]:
        items = self.world.exports if direction == "export" else self.world.imports
        own_types = tuple(one.type for one in items if isinstance(one, model.WorldType))
        own_functions = tuple(one for one in items if isinstance(one, model.Function))
        found = [Scope(None, direction, own_types, own_functions)] if own_types or own_functions else []
        found += [
            Scope(
                one.name,
                direction,
                tuple(named.type for named in one.types if isinstance(named.type, int)),
                one.functions,
            )
            for one in items
            if isinstance(one, model.Interface)
        ]
        return tuple(found)

    @cached_property
    def _homes(self) -> dict[int, Scope]:
        scopes = (*self._scopes("import"), *self._scopes("export"))
        return {place: scope for scope in reversed(scopes) for place in scope.types}

    @cached_property
    def _mentioned(self) -> frozenset[int]:
        """Every type that a scope which is not of WASI mentions."""
        found: set[int] = set()
        for scope in (*self.imports, *self.exports):
            used: list[Type | None] = [*scope.types]
            for function in scope.functions:
                used += [function.result, *(param.type for param in function.params)]
            for one in used:
                if isinstance(one, int):
                    found.update(self.uses(one))
        return frozenset(found)


def parts_of(definition: TypeDef) -> list[Type]:
    """The types that one is made of directly: payloads, elements, fields, the resource of a handle."""
    match definition:
        case model.Stream(payload=payload) | model.Future(payload=payload):
            return [payload] if payload is not None else []
        case model.Own(resource=resource) | model.Borrow(resource=resource):
            return [resource]
        case model.Alias(target=target):
            return [target]
        case _:
            return [part for part in places_of(definition) if part is not None]


def places_of(definition: TypeDef) -> list[Type | None]:  # noqa: PLR0911 - a match over the WIT types
    """The types in values of one, for each field, case or element; ``None`` for a case without payload."""
    match definition:
        case model.Record(fields=fields):
            return [field.type for field in fields]
        case model.Variant(cases=cases):
            return [case.payload for case in cases]
        case model.List(element=part) | model.FixedList(element=part) | model.Option(payload=part):
            return [part]
        case model.Map(key=key, value=value):
            return [key, value]
        case model.Tuple(elements=elements):
            return [*elements]
        case model.Result(ok=ok, err=err):
            return [ok, err]
        case model.Stream(payload=part) | model.Future(payload=part):
            return [part]
        case _:
            return []


def read_library(
    component: bytes, name: str, version: str | None = None, description: str | None = None
) -> Library:
    """The library that the component in ``component`` is.

    Raises:
        LoadError: It is no WebAssembly, or damaged.
        UsageError: It is a core module or a package of interfaces, which no bindings can be made for.

    """
    found = model.read(component, name)
    if isinstance(found, model.World):
        return Library(name, version, description, component, found)
    if isinstance(found, model.Core):
        hint = "a project with interfaces in `wit` builds a component: `wherry new` begins one"
        raise UsageError(f"`{name}` is a core module, whose functions have no types", hint=hint)
    raise UsageError(f"`{name}` holds interfaces and no code", hint="bind the component that implements them")
