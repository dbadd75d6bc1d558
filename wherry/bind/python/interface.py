"""One interface as a module: its types, its resources, and a class with its functions.

What the component exports becomes functions that can be called; what it imports becomes a ``Protocol`` for
the user to implement. Start reading at ``write_interface``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.bind.names import Names
from wherry.bind.python.source import File, block, docstring, signature, union
from wherry.bind.python.spelling import field_name, member_name
from wherry.wit import model

if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.bind.library import Library
    from wherry.bind.python.retyped import Ambiguous
    from wherry.bind.python.spelling import Module, Spelling
    from wherry.wit.model import Function, Type

__all__ = ["Writer"]

_INNER = "    "
_BODY = "        "


class Writer:
    """Writes one module."""

    def __init__(self, spelling: Spelling, module: Module, ambiguous: Ambiguous, *, shared: bool) -> None:
        self.spelling = spelling
        self.library: Library = spelling.library
        self.module = module
        self.scope = module.scope
        self.shared = shared
        self.ambiguous = ambiguous
        self.file = File(module.name, module.taken, module.shadowed)
        self._exported = self.scope.direction == "export"

    def types(self) -> None:
        """The classes for named types, each after those that it is made of."""
        for place in self.scope.types:
            if place in self.module.classes:
                self._type(place)
            else:
                self._borrowed(place)
        for key, name in self.module.errors.items():
            self._error(key, name)

    def interface(self) -> None:
        """The class with the functions of the interface, or the ``Protocol`` for it."""
        if self._exported:
            self._functions()
        elif self.scope.functions:
            self._protocol()

    def definition(self) -> None:
        """What the runtime has to know of the module, by names in WIT."""
        bundle = self.file.imported("._component", "COMPONENT")
        functions = "".join(
            f"    {key!r}: ({name!r}, {self._error_of(name)}{self._convert(name)}),\n"
            for name, key in self.module.keys.items()
            if self._exported
        )
        resources = "".join(
            f"    {self.library.world.types[place].name!r}: {name},\n"
            for place, name in self.module.classes.items()
            if self._exported and isinstance(self.library.world.types[place], model.Resource)
        )
        types = "".join(f"    {one},\n" for one in self._registered())
        scope = self.scope.name if self._exported else f"import {self.scope.name or ''}"
        self.file.add(
            f"{bundle}.define(\n{scope!r},\n"
            f"functions={{\n{functions}}},\nresources={{\n{resources}}},\ntypes=[\n{types}],\n)\n"
        )

    def defaults(self) -> None:
        """The functions of the module itself, which share one sandbox."""
        if self._exported and self.shared and self.module.functions:
            core = self.file.imported("._component", "SHARED")
            lines = [f"_shared = {self.module.interface}({core})"]
            self.file.add("\n".join([*lines, *self.module.shared_functions()]) + "\n")

    # Types.

    def _type(self, place: int) -> None:
        definition = self.library.world.types[place]
        name = self.module.classes[place]
        doc = self._docs(place) or f"``{definition.name}`` in WIT."
        match definition:
            case model.Record(fields=fields):
                self._dataclass(name, doc, [(one.name, one.type) for one in fields], place)
            case model.Variant(cases=cases):
                classes = self.module.cases[place]
                for case, made in zip(cases, classes, strict=True):
                    text = self._docs(place, case.name) or f"``{case.name}`` of :data:`{name}`."
                    payload = [] if case.payload is None else [("value", case.payload)]
                    self._dataclass(made, text, payload)
                alias = self.file.imported("typing", "TypeAlias")
                self.file.add(f"{name}: {alias} = {' | '.join(classes)}\n{docstring(doc, '')}")
            case model.Enum(cases=names):
                self._enum(name, doc, place, "Enum", [(one, repr(one)) for one in names])
            case model.Flags(flags=names):
                values = [(one, f"0x{1 << at:x}") for at, one in enumerate(names)]
                self._enum(name, doc, place, "Flag", values)
            case model.Resource() if self._exported:
                self._resource(name, doc, place)
            case model.Resource():
                self._host_resource(name, doc, place)
            case _:
                alias = self.file.imported("typing", "TypeAlias")
                meaning = self.spelling.meaning(place, self.file.imported)
                self.file.add(f'{name}: {alias} = "{meaning}"\n{docstring(doc, "")}')

    def _borrowed(self, place: int) -> None:
        """A type of another module, which is to be found in this one too."""
        canonical = self.spelling.canonical(place)
        if self.library.world.types[canonical].name is not None:
            home = self.spelling.module_of(canonical)
            if home is not self.module:
                self.file.imported(f".{home.name}", home.classes[canonical])

    def _dataclass(
        self, name: str, doc: str, fields: list[tuple[str, Type]], place: int | None = None
    ) -> None:
        dataclass = self.file.imported("dataclasses", "dataclass")
        lines = [f"@{dataclass}(frozen=True, slots=True)\nclass {name}:\n{docstring(doc, _INNER)}"]
        for field, used in fields:
            own = "value" if place is None else field_name(field)
            text = self._docs(place, field) if place is not None else None
            lines.append(f"{_INNER}{own}: {self._spelled(used, 'got')}\n")
            if text is not None:
                lines.append(docstring(text, _INNER))
        head, *rest = lines
        self.file.add("\n".join([head, "".join(rest)]) if rest else head)

    def _enum(self, name: str, doc: str, place: int, base: str, members: list[tuple[str, str]]) -> None:
        base = self.file.imported("enum", base)
        lines = [f"class {name}({base}):\n{docstring(doc, _INNER)}\n"]
        for member, value in members:
            lines.append(f"{_INNER}{member_name(member)} = {value}\n")
            text = self._docs(place, member)
            if text is not None:
                lines.append(docstring(text, _INNER))
        self.file.add("".join(lines))

    def _error(self, key: int | None, name: str) -> None:
        base = self.file.imported("wherry", "ResultError")
        found = []
        for function in self.scope.functions:
            error = self.spelling.error(function)
            if error is not None and self.spelling.error_key(error) == key:
                found.append(self._spelled(error.err, "got"))
        used = union(found)
        what = f":class:`{used}`" if key is not None else "what went wrong"
        if self._exported:
            doc = f"A function returned an error: ``value`` is {what}."
        else:
            doc = f"Raise it to return an error to the library: ``value`` is {what}."
        self.file.add(
            f"class {name}({base}):\n{docstring(doc, _INNER)}\n{_INNER}value: {used}\n\n"
            f"{_INNER}def __init__(self, value: {used}) -> None:\n{_BODY}super().__init__(value)\n"
        )

    # Resources that the component implements.

    def _resource(self, name: str, doc: str, place: int) -> None:
        base = self.file.imported("wherry.runtime.bound", "Resource")
        lines = [f"class {name}({base}):\n{docstring(doc, _INNER)}\n{_INNER}__slots__ = ()\n"]
        names = self.spelling.methods(self.scope, place)
        lines += [self._constructor(function) for function in self.scope.members(place, "constructor")]
        for function in self.scope.members(place, "method"):
            plain, later = names[function.name]
            lines += self._both(function, plain, later, method=True)
        if self.shared:
            for function in self.scope.members(place, "static"):
                lines += self._static(function, *names[function.name])
        self.file.add("\n".join(lines))

    def _constructor(self, function: Function) -> str:
        params = self._params(function, "given")
        doc = self._docs_of(function, f"Make one: ``{function.name}`` in WIT.")
        head = signature("__init__", ["self", *params], "None", _INNER) + docstring(doc, _BODY)
        made = self.module.functions[function.name]
        if not self.shared:
            body = f'raise TypeError("`{made}` of an open library makes one")'
            return head + block(body, indent=_BODY)
        arguments = ", ".join(name for name, _ in self.spelling.params(function))
        return head + block(f"self._take(_shared.{made}({arguments}))", indent=_BODY)

    def _static(self, function: Function, plain: str, later: str) -> list[str]:
        params = self._params(function, "given")
        returned = self._returned(function)
        arguments = ", ".join(name for name, _ in self.spelling.params(function))
        own = self.module.functions[function.name]
        if function.is_async:
            found = [("async def", plain, f"return await _shared.{own}({arguments})")]
        else:
            found = [("def", plain, f"return _shared.{own}({arguments})")]
            awaited = f"return await _shared.{self.module.later[function.name]}({arguments})"
            found.append(("async def", later, awaited))
        doc = self._docs_of(function, f"``{function.name}`` in WIT.")
        decorator = self.file.imported("builtins", "staticmethod")
        lines = []
        for at, (word, name, body) in enumerate(found):
            text = doc if at == 0 else _as_awaited(plain)
            does = body if returned != "None" else body.removeprefix("return ")
            head = signature(name, params, returned, _INNER, word=word)
            lines.append(f"{_INNER}@{decorator}\n{head}{docstring(text, _BODY)}{block(does, indent=_BODY)}")
        return lines

    # The class with the functions of an exported interface.

    def _functions(self) -> None:
        base = self.file.imported("wherry.runtime.bound", "Interface")
        own = self.library.docs(self.scope)
        doc = own or f"The functions of ``{self.scope.name}``."
        head = f"class {self.module.interface}({base}):\n{docstring(doc, _INNER)}\n"
        head += f"{_INNER}__slots__ = ()\n{_INNER}_scope = {self.scope.name!r}\n"
        self.file.add("\n".join([head, *self.functions()]))

    def functions(self) -> list[str]:
        """The methods of the class with the functions of the interface."""
        lines = []
        for function in self.scope.functions:
            if function.name in self.module.functions:
                plain = self.module.functions[function.name]
                lines += self._both(function, plain, self.module.later.get(function.name, ""), method=False)
        return lines

    def _both(self, function: Function, plain: str, later: str, *, method: bool) -> list[str]:
        """A function, and the same to be awaited; one that WIT has as ``async`` is awaited always."""
        params = ["self", *self._params(function, "given")]
        returned = self._returned(function)
        arguments = [*(["self"] if method else []), *(name for name, _ in self.spelling.params(function))]
        doc = self._docs_of(function, f"``{function.name}`` in WIT.")
        key = self.module.keys[function.name]
        # Looking an attribute up and then calling it is faster than calling it as a method that it is not.
        names = Names({*arguments})
        called = names.take("call", "called", "function")
        now = f"{called}({', '.join(arguments)})"
        awaited = self.file.imported("wherry.runtime.bound", "awaited")
        then = f"await {awaited}({', '.join(['self._calls', repr(key), *arguments])})"
        forms: list[tuple[str, str, str, list[str], str]]
        if function.is_async:
            forms = [("async def", plain, doc, [], then)]
        else:
            first = [f"{called} = self._calls.{key}"]
            forms = [("def", plain, doc, first, now), ("async def", later, _as_awaited(plain), [], then)]
        local = names.take("result", "returned", "value")
        found = []
        for word, name, text, body, call in forms:
            head = signature(name, params, returned, _INNER, word=word) + docstring(text, _BODY)
            last = [call] if returned == "None" else [f"{local}: {returned} = {call}", f"return {local}"]
            found.append(head + block(*body, *last, indent=_BODY))
        return found

    # What the host implements.

    def _protocol(self) -> None:
        protocol = self.file.imported("typing", "Protocol")
        about = f"Implement this for ``{self.scope.name or self.library.name}``."
        own = self.library.docs(self.scope)
        doc = f"{own}\n\n{about}" if own else about
        lines = [f"class {self.module.interface}({protocol}):\n{docstring(doc, _INNER)}"]
        made = [one for one in self.scope.functions if one.kind != "method"]
        lines += [self._implemented(one, self.module.functions[one.name]) for one in made]
        self.file.add("\n".join(lines))

    def _host_resource(self, name: str, doc: str, place: int) -> None:
        protocol = self.file.imported("typing", "Protocol")
        names = self.spelling.methods(self.scope, place)
        lines = [f"class {name}({protocol}):\n{docstring(doc, _INNER)}"]
        methods = self.scope.members(place, "method")
        lines += [self._implemented(function, names[function.name][0]) for function in methods]
        self.file.add("\n".join(lines))

    def _implemented(self, function: Function, name: str) -> str:
        """A function that the user writes; what it gives back may be awaited, and of an ``async`` one is."""
        params = [f"{one}: {self._spelled(used, 'got')}" for one, used in self.spelling.params(function)]
        made, word = self._given_back(function), "async def"
        if not function.is_async:
            made, word = f"{made} | {self.file.imported('collections.abc', 'Awaitable')}[{made}]", "def"
        listed = ["self", *params, *(["/"] if params else [])]
        doc = self._docs_of(function, f"``{function.name}`` in WIT.")
        head = signature(name, listed, made, _INNER, word=word)
        return head + docstring(doc, _BODY) + block("...", indent=_BODY)

    def hosted(self, imported: Callable[[str, str], str]) -> dict[str, str]:
        """What the object that implements this interface has, by the names in WIT, as source."""
        found = {}
        for function in self.scope.functions:
            if function.kind != "method":
                name = self.module.functions[function.name]
                plans = [self.ambiguous.plan(used, imported) for _, used in self.spelling.params(function)]
                told = f"({', '.join(str(plan) for plan in plans)},)" if any(plans) else "None"
                error = self.spelling.error(function)
                # What is given back may be a `result` itself, and is no error of the function then.
                ok = error.ok if error is not None else None
                inner = isinstance(ok, int) and isinstance(self.library.definition(ok), model.Result)
                found[function.name] = f"({name!r}, {told}, {inner})"
        return found

    # Parts of all of them.

    def _spelled(self, used: Type | None, position: str) -> str:
        return self.spelling.spelled(used, "given" if position == "given" else "got", self.file.imported)

    def _params(self, function: Function, position: str) -> list[str]:
        return [f"{name}: {self._spelled(used, position)}" for name, used in self.spelling.params(function)]

    def _returned(self, function: Function) -> str:
        error = self.spelling.error(function)
        return self._spelled(error.ok if error is not None else function.result, "got")

    def _given_back(self, function: Function) -> str:
        error = self.spelling.error(function)
        return self._spelled(error.ok if error is not None else function.result, "given")

    def _error_name(self, function: Function) -> str | None:
        error = self.spelling.error(function)
        return self.module.errors[self.spelling.error_key(error)] if error is not None else None

    def _error_of(self, name: str) -> str:
        function = next(one for one in self.scope.functions if one.name == name)
        return self._error_name(function) or "None"

    def _convert(self, name: str) -> str:
        """How what a function returns becomes of the right classes, where the core cannot know."""
        function = next(one for one in self.scope.functions if one.name == name)
        error = self.spelling.error(function)
        found = self.ambiguous.plan(error.ok if error is not None else function.result, self.file.imported)
        return f", {found}" if found is not None else ""

    def _registered(self) -> list[str]:
        return [text for place in self.module.classes if (text := self._row(place)) is not None]

    def _row(self, place: int) -> str | None:
        definition = self.library.world.types[place]
        name = self.module.classes[place]
        match definition:
            case model.Record(fields=fields):
                return f"('record', {definition.name!r}, {tuple(one.name for one in fields)!r}, ({name},))"
            case model.Variant(cases=cases):
                classes = "".join(f"{one}, " for one in self.module.cases[place])
                names = tuple(one.name for one in cases)
                return f"('variant', {definition.name!r}, {names!r}, ({classes}))"
            case model.Enum(cases=names):
                return f"('enum', {definition.name!r}, {names!r}, tuple({name}))"
            case model.Flags(flags=names):
                return f"('flags', {definition.name!r}, {names!r}, ({name},))"
            case _:
                return None

    def _docs(self, place: int, member: str | None = None) -> str | None:
        definition = self.library.world.types[place]
        return self.library.docs(self.scope, definition.name, member)

    def _docs_of(self, function: Function, otherwise: str) -> str:
        doc = self.library.docs(self.scope, function.name) or otherwise
        error = self._error_name(function)
        return doc if error is None else f"{doc}\n\nRaises:\n    {error}: The error that it returned."


def _as_awaited(name: str) -> str:
    return f":meth:`{name}`, awaited; cancelling the task ends the call."
