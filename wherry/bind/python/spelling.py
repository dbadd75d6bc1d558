"""What everything is called in Python: modules, classes, functions, and types where they are used.

Names are given out once for a whole library, scope by scope, in the order of the file. A type has one class
however many names stand for it; an interface that is both imported and exported has one for both sides, where
both are the same. Start reading at ``Spelling``.
"""

from __future__ import annotations

import builtins
import keyword
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from wherry.bind.names import Names, distinct, pascal_case, screaming_case, snake_case
from wherry.wit import model
from wherry.wit.python_types import can_be_none

if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.bind.library import Library, Scope
    from wherry.wit.model import Function, Type, TypeDef

__all__ = ["PRIMITIVES", "Module", "Position", "Spelling", "dotted", "module_name"]

Position: TypeAlias = Literal["given", "got"]
"""Whether Python hands a value over, and may choose among what is accepted, or gets one."""

PRIMITIVES = {
    "bool": "bool",
    **dict.fromkeys(("u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64"), "int"),
    "f32": "float",
    "f64": "float",
    "char": "str",
    "string": "str",
}

_BUILTINS = ("bool", "int", "float", "str", "bytes", "bytearray", "memoryview", "list", "tuple", "dict")
_BUFFERS = ("bytes", "bytearray", "memoryview")
_KEYWORDS = frozenset({*keyword.kwlist, "_"})
_CLASSES = (model.Record, model.Variant, model.Enum, model.Flags, model.Resource)
"""Types that Python has a class for; all others with a name are aliases."""

_RESOURCE = frozenset({"close"})
_LIBRARY = frozenset({"cancel", "close"})
_SUPER = "super"
"""No keyword; but constructors call it, and would call a module or function of this name instead."""
_HOSTS = frozenset({"self", "core", "policy", "limits"})
"""What the class that opens a library takes and has beside its hosts."""
_CLASS_NAMES = frozenset({*_KEYWORDS, "TypeError"})


def dotted(name: str) -> str:
    """A name that has a namespace as one word: ``acme/thumbs`` is ``acme-thumbs``."""
    return name.replace("/", "-").replace(":", "-").replace(".", "-").replace("_", "-")


def module_name(name: str) -> str:
    """A name of a package as that of a module: ``my-tool`` is ``my_tool``, and ``import`` is ``import_``."""
    return field_name(dotted(name))


@dataclass
class Module:
    """One module of the generated package, and what its scope is called in it.

    ``classes`` are named types by their place, ``cases`` the classes for cases of variants, ``errors``
    exceptions by the type of the value they carry, with ``None`` for all types without a name. ``functions``
    are names by the name in WIT, ``keys`` the names that they are found by, which differ for methods.
    """

    name: str
    scope: Scope
    interface: str
    classes: dict[int, str] = field(default_factory=dict)
    cases: dict[int, list[str]] = field(default_factory=dict)
    errors: dict[int | None, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    later: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    taken: Names = field(default_factory=Names)
    shadowed: set[str] = field(default_factory=set)

    def shared_functions(self) -> list[str]:
        """The functions of the module itself, which are those of the object that all of them share."""
        free = [one.name for one in self.scope.functions if one.kind == "free"]
        names = [name for one in free for name in (self.functions[one], self.later.get(one))]
        return [f"{name} = _shared.{name}" for name in names if name is not None]


class Spelling:
    """The names of a library."""

    def __init__(self, library: Library, root: str) -> None:
        self.library = library
        self.world = library.world
        self.root = root
        self.modules = [self._module(name, scope) for name, scope in self._scopes().items()]
        self._of_place = {place: one for one in self.modules for place in one.classes}

    def _scopes(self) -> dict[str, Scope]:
        """A module for each scope: exported interfaces come first to the names they want."""
        exports = [one for one in self.library.exports if one.name is not None]
        others = [*self.library.imports, *self.library.wasi]
        own = {
            snake_case(one.item)
            for scope in self.library.exports
            for one in scope.functions
            if scope.name is None
        }
        reserved = {*_KEYWORDS, *_LIBRARY, _SUPER, *own}
        named = distinct({one.name: _module_names(one) for one in exports}, reserved)
        reserved |= {*named.values(), *_HOSTS}
        rest = distinct({one.name: _module_names(one) for one in others}, reserved)
        found = {rest[one.name]: one for one in others}
        for one in self.library.exports:
            found["__init__" if one.name is None else named[one.name]] = one
        return found

    def _module(self, name: str, scope: Scope) -> Module:
        interface = self.root if name == "__init__" else pascal_case(name.replace("_", "-"))
        module = Module(name, scope, interface)
        names = Names(_CLASS_NAMES)
        if name == "__init__":
            names.take(interface)
        for place in scope.types:
            if self.canonical(place) == place:
                self._name_type(module, names, place)
        if name != "__init__":
            module.interface = names.take(interface, f"{interface}Interface")
        members = Names({*_KEYWORDS, _SUPER, *(_LIBRARY if name == "__init__" else ())})
        keys = Names()
        for function in scope.functions:
            self._name_function(module, members, keys, function)
            self._name_error(module, names, function)
        for used in [*module.functions.values(), *module.later.values()]:
            names.take(used)
        names.take("_shared")
        module.shadowed = {*module.functions.values(), *_fields(self.world, scope)} & {
            *_BUILTINS,
            "staticmethod",
        }
        module.taken = names
        return module

    def _name_type(self, module: Module, names: Names, place: int) -> None:
        definition = self.world.types[place]
        plain = pascal_case(definition.name or "")
        module.classes[place] = names.take(plain, f"{plain}Type")
        if isinstance(definition, model.Variant):
            own = module.classes[place]
            module.cases[place] = [
                names.take(f"{own}{pascal_case(case.name)}", f"{own}{pascal_case(case.name)}Case")
                for case in definition.cases
            ]

    def _name_function(self, module: Module, members: Names, keys: Names, function: Function) -> None:
        wanted = snake_case(function.item)
        owner = self.world.types[function.resource] if function.resource is not None else None
        resource = snake_case(owner.name or "") if owner is not None else ""
        if function.kind in {"free", "static", "constructor"}:
            if function.kind == "static":
                wanted = f"{resource}_{wanted}"
            elif function.kind == "constructor":
                wanted = f"new_{resource}"
            module.functions[function.name] = members.take(wanted, f"{wanted}_")
            if module.scope.direction == "export" and not function.is_async:
                module.later[function.name] = members.take(f"{wanted}_async", f"{wanted}_async_")
        key = f"{resource}_{wanted}" if function.kind == "method" else module.functions[function.name]
        module.keys[function.name] = keys.take(key, f"{key}_")

    def _name_error(self, module: Module, names: Names, function: Function) -> None:
        error = self.error(function)
        if error is None or self.error_key(error) in module.errors:
            return
        place = self.error_key(error)
        if place is None:
            wanted = f"{module.interface}Error"
            module.errors[None] = names.take(wanted, f"{module.interface}Exception")
            return
        name = pascal_case(self.world.types[place].name or "")
        wanted = f"{name}Exception" if name.endswith("Error") else f"{name}Error"
        module.errors[place] = names.take(wanted, f"{name}Exception", f"{name}Raised")

    def error(self, function: Function) -> model.Result | None:
        """The result that a function returns, if it is one: its error is raised."""
        if function.result is None:
            return None
        found = self.world.definition(function.result)
        return found if isinstance(found, model.Result) else None

    def error_key(self, result: model.Result) -> int | None:
        """The named type that an error carries, by its place."""
        if isinstance(result.err, int):
            place = self.canonical(result.err)
            if self.world.types[place].name is not None:
                return place
        return None

    def canonical(self, place: int) -> int:
        """The place of the one class for a type, whatever names stand for it."""
        place = self.library.place(place)
        definition = self.world.types[place]
        if definition.name is None or isinstance(definition, model.Alias):
            return place
        home = self.library.home(place)
        if home.direction == "import":
            for scope in self.library.exports:
                if scope.name == home.name and scope.name is not None:
                    for other in scope.types:
                        same = self.world.types[other].name == definition.name
                        if same and self._shape(other) == self._shape(place):
                            return other
        return place

    def _shape(self, used: Type | None) -> str:
        """A type as text that is the same for types of the same names and parts."""
        if not isinstance(used, int):
            return str(used)
        definition = self.world.types[used]
        if isinstance(definition, model.Resource):
            return f"{definition.name} {used}"
        parts = "".join(
            f"({one.name} {self._shape(one.type)})" for one in getattr(definition, "fields", ())
        ) or "".join(
            f"({one if isinstance(one, str) else f'{one.name} {self._shape(one.payload)}'})"
            for one in (*getattr(definition, "cases", ()), *getattr(definition, "flags", ()))
        )
        rest = [
            getattr(definition, name, None)
            for name in ("element", "key", "value", "payload", "ok", "err", "target")
        ]
        rest += getattr(definition, "elements", ())
        told = "".join(f"<{self._shape(one)}>" for one in rest)
        return (
            f"{type(definition).__name__} {definition.name} {parts}{told}{getattr(definition, 'length', '')}"
        )

    def module_of(self, place: int) -> Module:
        """The module that a named type is written in."""
        return self._of_place[place]

    def class_of(self, place: int) -> str:
        """The name of a named type in its module."""
        return self._of_place[place].classes[place]

    def params(self, function: Function) -> list[tuple[str, Type]]:
        """The parameters of a function by their names, that of the resource itself left out."""
        names = Names({*_KEYWORDS, "self"})
        listed = function.params[1:] if function.kind == "method" else function.params
        return [(names.take(snake_case(one.name), f"{snake_case(one.name)}_"), one.type) for one in listed]

    def methods(self, scope: Scope, resource: int) -> dict[str, tuple[str, str]]:
        """The names of methods and static functions of a resource, plain and awaited, by the name in WIT."""
        guest = scope.direction == "export"
        names = Names({*_KEYWORDS, *(_RESOURCE if guest else ())})
        found = {}
        for kind in ("method", "static"):
            for function in scope.members(resource, kind):
                wanted = snake_case(function.item)
                later = names.take(f"{wanted}_async", f"{wanted}_async_") if guest else ""
                found[function.name] = (names.take(wanted, f"{wanted}_"), later)
        return found

    def meaning(self, place: int, imported: Callable[[str, str], str]) -> str:
        """What a name stands for that is no class, such as that of a list."""
        return _Speller(self, "got", imported).unnamed(self.world.types[place])

    def spelled(self, used: Type | None, position: Position, imported: Callable[[str, str], str]) -> str:
        """The annotation for values of a type; ``imported`` brings a name of a module into the file."""
        return _Speller(self, position, imported).used(used)


def _module_names(scope: Scope) -> list[str]:
    if scope.name is None:
        return ["host"] if scope.functions else ["types", "world_types"]
    plain = snake_case(scope.interface or scope.name)
    package = snake_case((scope.package or "host").replace(":", "-"))
    version = (scope.version or "0").replace(".", "_").replace("-", "_").replace("+", "_")
    host = [f"host_{plain}"] if scope.direction == "import" and not scope.is_wasi else []
    short = package.rpartition("_")[2]
    major = [f"{plain}_v{scope.version.partition('.')[0]}"] if scope.version is not None else []
    return [plain, *host, *major, f"{short}_{plain}", f"{package}_{plain}", f"{package}_{plain}_{version}"]


def _fields(world: model.World, scope: Scope) -> set[str]:
    """Names of fields and methods, which hide builtins of the same name from annotations beside them."""
    found = {snake_case(one.item) for one in scope.functions}
    for place in scope.types:
        definition = world.types[place]
        if isinstance(definition, model.Record):
            found |= {snake_case(one.name) for one in definition.fields}
    return found


class _Speller:
    """Writes annotations for one position in one file."""

    def __init__(self, spelling: Spelling, position: Position, imported: Callable[[str, str], str]) -> None:
        self._spelling = spelling
        self._world = spelling.world
        self._position = position
        self._imported = imported

    def used(self, used: Type | None) -> str:
        if used is None:
            return "None"
        if isinstance(used, str):
            return self.builtin(PRIMITIVES[used])
        place = self._spelling.canonical(used)
        definition = self._world.types[place]
        known = isinstance(definition, _CLASSES) or self._position == "got"
        return self.named(place) if definition.name is not None and known else self.unnamed(definition)

    def builtin(self, name: str) -> str:
        return self._imported("builtins", name) if hasattr(builtins, name) else name

    def named(self, place: int) -> str:
        module = self._spelling.module_of(place)
        return self._imported(f".{module.name}", module.classes[place])

    def unnamed(self, definition: TypeDef) -> str:  # noqa: C901, PLR0911 - a match over the WIT types
        given = self._position == "given"
        match definition:
            case model.Alias(target=target):
                return self.used(target)
            case model.List(element=element) if self._world.definition(element) == "u8":
                kinds = _BUFFERS if given else ("bytes",)
                return " | ".join(self.builtin(kind) for kind in kinds)
            case model.List(element=element):
                outer = self._imported("collections.abc", "Sequence") if given else self.builtin("list")
                return f"{outer}[{self.used(element)}]"
            case model.Map(key=key, value=value):
                outer = self._imported("collections.abc", "Mapping") if given else self.builtin("dict")
                return f"{outer}[{self.used(key)}, {self.used(value)}]"
            case model.Tuple(elements=elements):
                listed = ", ".join(self.used(one) for one in elements) or "()"
                return f"{self.builtin('tuple')}[{listed}]"
            case model.Option(payload=payload):
                inner = self.used(payload)
                if can_be_none(self._world, payload):
                    return f"{self._imported('wherry', 'Some')}[{inner}] | None"
                return f"{inner} | None"
            case model.Result(ok=ok, err=err):
                good, bad = self._imported("wherry", "Ok"), self._imported("wherry", "Err")
                return f"{good}[{self.used(ok)}] | {bad}[{self.used(err)}]"
            case model.Own(resource=resource) | model.Borrow(resource=resource):
                return self.named(self._spelling.canonical(resource))
            case model.Stream(payload=payload):
                return self.stream(payload)
            case model.Future(payload=payload):
                outer = self._imported(*(("collections.abc", "Awaitable") if given else ("wherry", "Future")))
                return f"{outer}[{self.used(payload)}]"
            case _:
                raise AssertionError(definition)  # what Python has no form for was refused

    def stream(self, payload: Type | None) -> str:
        pieces = payload is not None and self._world.definition(payload) == "u8"
        if self._position == "got":
            item = self.builtin("bytes") if pieces else self.used(payload)
            return f"{self._imported('wherry', 'Stream')}[{item}]"
        whole = [self.builtin(kind) for kind in _BUFFERS]
        item = " | ".join(whole) if pieces else self.used(payload)
        each = [self._imported("collections.abc", name) for name in ("Iterable", "AsyncIterable")]
        return " | ".join([*(whole if pieces else ()), *(f"{outer}[{item}]" for outer in each)])


def member_name(name: str) -> str:
    """A case of an enum or a flag: ``NOT_FOUND``, which no keyword and no method of an enumeration is."""
    return screaming_case(name)


def field_name(name: str) -> str:
    """A field of a record; the rule of the runtime, which looks fields up by it."""
    plain = snake_case(name)
    return f"{plain}_" if keyword.iskeyword(plain) else plain
