"""Names and types of a library as TypeScript has them.

Members are named as the transpiler names them, so that no value has to be made anew on its way; types and
files are given out here, once for the whole package. Start at ``Spelling``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wherry.bind.names import Names, distinct
from wherry.wit import model

if TYPE_CHECKING:
    from wherry.bind.library import Library, Scope
    from wherry.wit.model import Function, Type

__all__ = ["ARRAYS", "RESERVED", "Module", "Spelling", "camel", "pascal"]

_NUMBERS = frozenset({"u8", "u16", "u32", "s8", "s16", "s32", "f32", "f64"})
ARRAYS = {
    "u8": "Uint8Array",
    "u16": "Uint16Array",
    "u32": "Uint32Array",
    "u64": "BigUint64Array",
    "s8": "Int8Array",
    "s16": "Int16Array",
    "s32": "Int32Array",
    "s64": "BigInt64Array",
    "f32": "Float32Array",
    "f64": "Float64Array",
}

_GLOBALS = frozenset(
    {"Array", "AsyncIterable", "Error", "Map", "Option", "Promise", "Result", "ResultError", "Symbol"}
) | frozenset(ARRAYS.values())
"""What generated files mean by these names; no type may be called so."""

_FILES = frozenset(
    {
        "aux",
        "bindings",
        "checks",
        "con",
        "index",
        "nul",
        "prn",
        "remote",
        "runtime",
        "served",
        "wasi",
        "worker",
    }
)

_WORDS = """
arguments await break case catch class const continue debugger default delete do else enum eval export extends
false finally for function if implements import in instanceof interface let new null package private protected
public return static super switch this throw true try typeof var void while with yield
"""
RESERVED = frozenset(_WORDS.split())


def camel(name: str) -> str:
    """``get-URL2`` is ``getUrl2``."""
    first, *rest = name.split("-")
    return first.lower() + "".join(word.capitalize() for word in rest)


def pascal(name: str) -> str:
    """``get-URL2`` is ``GetUrl2``."""
    return "".join(word.capitalize() for word in name.split("-"))


@dataclass
class Module:
    """A file with the types of one scope.

    ``name`` is that of the file, ``member`` what the scope is called where it is given or taken, and
    ``interface`` the type of its functions. ``types`` has the name of each type by its place, ``classes``
    that of the class of each resource, next to the type of its objects.
    """

    scope: Scope
    name: str
    member: str
    interface: str
    types: dict[int, str]
    classes: dict[int, str]
    imports: dict[str, set[str]] = field(default_factory=dict)

    def uses(self, file: str, name: str) -> str:
        """A name of another file, which is imported."""
        self.imports.setdefault(file, set()).add(name)
        return name


class Spelling:
    """All names of a package, and how types are written in its files."""

    def __init__(self, library: Library, *, thrown: bool) -> None:
        self.library = library
        self.thrown = thrown
        scopes = [one for one in library.scopes if not one.is_wasi or one.functions]
        files = distinct({place: _wanted(one) for place, one in enumerate(scopes)}, _FILES)
        self.modules = [self._module(one, files[place]) for place, one in enumerate(scopes)]
        for direction in ("import", "export"):
            self._keep_apart([one for one in self.modules if one.scope.direction == direction])
        self.root = self._root()
        self._homes = {place: module for module in self.modules for place in module.scope.types}

    def _module(self, scope: Scope, file: str) -> Module:
        taken = Names(_GLOBALS)
        own = pascal(scope.interface or "world")
        types: dict[int, str] = {}
        classes: dict[int, str] = {}
        for place in scope.types:
            wanted = pascal(self.library.world.types[place].name or "type")
            types[place] = taken.take(wanted, own + wanted, wanted + "Type")
        for place in scope.types:
            if isinstance(self.library.world.types[place], model.Resource):
                classes[place] = taken.take(f"{types[place]}Class", f"{types[place]}Constructor")
        direction = "Imports" if scope.direction == "import" else "Exports"
        interface = taken.take(pascal(file), f"{pascal(file)}{direction}", f"{pascal(file)}Interface")
        return Module(scope, file, camel(file), interface, types, classes)

    def _root(self) -> str:
        """What an instance is, as a type: no type of the library is called so."""
        taken = Names({"Imports", "Life", "Options", "Wasi", *_GLOBALS})
        for module in self.modules:
            for name in (*module.types.values(), *module.classes.values(), module.interface):
                if name not in taken:
                    taken.take(name)
        words = "-".join(re.findall("[A-Za-z0-9]+", self.library.short))
        wanted = pascal(words) if words[:1].isalpha() else "Library"
        return taken.take(wanted, f"{wanted}Instance")

    def _keep_apart(self, modules: list[Module]) -> None:
        """Interfaces are members of the same object as what belongs to the world itself."""
        world = [one for one in modules if one.scope.name is None]
        taken = Names(camel(function.item) for one in world for function in one.scope.functions)
        for module in modules:
            if module.scope.name is not None:
                module.member = taken.take(module.member, f"{module.member}Interface")

    def imports(self) -> list[Module]:
        """The scopes that the host implements."""
        return [one for one in self.modules if one.scope.direction == "import" and one.scope.functions]

    def exports(self) -> list[Module]:
        """The scopes that the component offers."""
        return [one for one in self.modules if one.scope.direction == "export" and one.scope.functions]

    # Types.

    def type(self, used: Type, module: Module) -> str:
        """A type where it is used in a module."""
        if not isinstance(used, int):
            return self._primitive(used)
        definition = self.library.world.types[used]
        if isinstance(definition, model.Own | model.Borrow):
            return self._named(definition.resource, module)
        if definition.name is not None and used in self._homes:
            return self._named(used, module)
        return self.body(used, module)

    def _primitive(self, used: model.Primitive) -> str:
        if used in _NUMBERS:
            return "number"
        return {"bool": "boolean", "u64": "bigint", "s64": "bigint"}.get(used, "string")

    def _home(self, place: int) -> tuple[Module, int]:
        """The file that has a named type, and where the type is that it has."""
        home = self._homes.get(place)
        if home is None:
            place = self.library.place(place)
            home = self._homes[place]
        return home, place

    def title(self, place: int) -> str:
        """What a named type is called in its file."""
        home, place = self._home(place)
        return home.types[place]

    def file(self, place: int) -> str:
        """The file that has a named type."""
        return self._home(place)[0].name

    def member(self, module: Module, name: str) -> str:
        """How users find what an interface or the world has: ``codec.decode``, or ``imports.files.read``."""
        parts = ["imports"] if module.scope.direction == "import" else []
        parts += [module.member] if module.scope.name is not None else []
        return ".".join([*parts, name])

    def class_path(self, resource: int) -> str:
        """How users find the class of a resource."""
        place = self.library.place(resource)
        name = self.library.world.types[place].name or ""
        return self.member(self._homes[place], pascal(name))

    def _named(self, place: int, module: Module) -> str:
        home, place = self._home(place)
        name = home.types[place]
        if home is module:
            return name
        if name in module.types.values() or name in module.classes.values() or name == module.interface:
            alias = f"{pascal(home.name)}{name}"
            module.uses(home.name, f"{name} as {alias}")
            return alias
        clashing = [
            other
            for file, names in module.imports.items()
            for other in names
            if file != home.name and other.split(" as ")[-1] == name
        ]
        if clashing:
            alias = f"{pascal(home.name)}{name}"
            module.uses(home.name, f"{name} as {alias}")
            return alias
        return module.uses(home.name, name)

    def body(self, used: int, module: Module) -> str:  # noqa: PLR0911 - a match over the WIT types
        """What a type without a name is made of."""
        definition = self.library.world.types[used]
        match definition:
            case model.Option(payload=payload):
                inner = self.type(payload, module)
                if self.is_optional(payload):
                    return f"{module.uses('runtime', 'Option')}<{inner}>"
                return f"{_grouped(inner)} | undefined"
            case model.Result():
                return self.result(definition, module)
            case model.List(element=element):
                named = self.library.definition(element)
                if isinstance(named, str) and named in ARRAYS:
                    return ARRAYS[named]
                return f"{_grouped(self.type(element, module))}[]"
            case model.Map(key=key, value=value):
                return f"Map<{self.type(key, module)}, {self.type(value, module)}>"
            case model.Tuple(elements=elements):
                return f"[{', '.join(self.type(one, module) for one in elements)}]"
            case model.Alias(target=target):
                return self.type(target, module)
            case _:
                raise AssertionError(f"a {type(definition).__name__} has a name")

    def result(self, definition: model.Result, module: Module) -> str:
        """``Result<T, E>``."""
        ok, err = (self._payload(part, module) for part in (definition.ok, definition.err))
        return f"{module.uses('runtime', 'Result')}<{ok}, {err}>"

    def _payload(self, used: Type | None, module: Module) -> str:
        return "undefined" if used is None else self.type(used, module)

    def is_optional(self, used: Type) -> bool:
        """Whether ``undefined`` is a value of a type: each other level of nested options has a tag."""
        definition = self.library.definition(used)
        return isinstance(definition, model.Option) and not self.is_optional(definition.payload)

    # Functions.

    def failing(self, function: Function) -> model.Result | None:
        """The result whose error a function throws, if it has one."""
        found = function.result
        definition = self.library.world.types[found] if isinstance(found, int) else None
        return definition if isinstance(definition, model.Result) else None

    def throws(self, function: Function) -> bool:
        """Whether a function that fails throws its error, as constructors always do."""
        return self.thrown or function.kind == "constructor"

    def returned(self, function: Function, module: Module) -> str:
        """What a function gives back."""
        failing = self.failing(function)
        if failing is not None and self.throws(function):
            text = "void" if failing.ok is None else self.type(failing.ok, module)
        elif function.result is None:
            text = "void"
        else:
            text = self.type(function.result, module)
        return text

    def parameters(self, function: Function, module: Module) -> list[str]:
        """How the parameters but for the object itself are declared."""
        named = self.named_parameters(function)
        optional = len(named)
        while optional and self.is_optional(named[optional - 1][1]):
            optional -= 1
        return [
            f"{name}{'?' if at >= optional else ''}: {self.type(used, module)}"
            for at, (name, used) in enumerate(named)
        ]

    def named_parameters(self, function: Function) -> list[tuple[str, Type]]:
        """The names and types of the parameters but for the object itself."""
        params = function.params[1:] if function.kind == "method" else function.params
        names = Names(RESERVED)
        return [(names.take(camel(one.name)), one.type) for one in params]


def _wanted(scope: Scope) -> list[str]:
    """What the file of a scope may be called, the best first."""
    if scope.name is None:
        return ["world" if scope.direction == "export" else "world-imports"]
    interface = scope.interface or scope.name
    if scope.package is None:
        return [interface, f"{interface}-{scope.direction}s"]
    package = scope.package.rpartition(":")[2]
    whole = f"{scope.package.replace(':', '-').replace('/', '-')}-{interface}"
    version = (scope.version or "").replace(".", "-").replace("+", "-")
    found = [interface.lower()]
    if scope.version is not None:
        major, minor, *_ = f"{scope.version}.0".split(".")
        found.append(f"{interface}-v{major}".lower() if major != "0" else f"{interface}-v0-{minor}".lower())
    found.append(f"{package}-{interface}".lower())
    found += [f"{whole}-{version}".lower()] if version else [whole.lower()]
    return [*found, f"{found[-1]}-{scope.direction}s"]


def _grouped(text: str) -> str:
    """A union in brackets, where something is said of it."""
    return f"({text})" if "|" in text or "=>" in text else text
