"""One file of TypeScript: the types of a scope, and the interface of its functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.bind.typescript.spelling import camel, pascal
from wherry.wit import model

if TYPE_CHECKING:
    from wherry.bind.typescript.spelling import Module, Spelling
    from wherry.wit.model import Function

__all__ = ["comment", "imported", "plain", "write_module"]


def write_module(spelling: Spelling, module: Module) -> bytes:
    """The file of a scope."""
    writer = _Writer(spelling, module)
    blocks = [writer.declaration(place) for place in module.scope.types]
    if module.scope.functions:
        blocks.append(writer.functions())
    scope = module.scope
    what = f"`{scope.name}`" if scope.name is not None else "The world itself"
    by = "which you implement" if scope.direction == "import" else "which the component offers"
    said = spelling.library.docs(scope) if scope.name is not None and not scope.functions else None
    head = "".join(f"// {line}".rstrip() + "\n" for line in [f"{what}, {by}.", *lines_of(said)])
    return "\n".join([head + imported(module), *blocks, *([] if blocks else ["export {};\n"])]).encode()


def imported(module: Module) -> str:
    """The imports of a file."""
    lines = []
    for file, names in sorted(module.imports.items()):
        lines.append(f'import type {{ {", ".join(sorted(names))} }} from "./{file}.js";\n')
    return "".join(lines)


def lines_of(said: str | None) -> list[str]:
    """What anybody said, line by line, after an empty one; nothing, if that is nothing."""
    return ["", *plain(said.strip()).split("\n")] if said and said.strip() else []


def plain(said: str) -> str:
    """Words that do not reach beyond their comment."""
    return "".join(char for char in said.expandtabs(4) if char == "\n" or char.isprintable())


def comment(*parts: str | None) -> str:
    """A comment of these paragraphs, which may be anybody's words."""
    said = "\n\n".join(one.strip() for one in parts if one and one.strip())
    if not said:
        return ""
    lines = plain(said).replace("*/", "*\\/").split("\n")
    if len(lines) == 1:
        return f"/** {lines[0]} */\n"
    return "/**\n" + "".join(f" * {line}".rstrip() + "\n" for line in lines) + " */\n"


class _Writer:
    """Declarations of one scope."""

    def __init__(self, spelling: Spelling, module: Module) -> None:
        self.spelling = spelling
        self.library = spelling.library
        self.module = module
        self.hosted = module.scope.direction == "import"

    def docs(self, item: str, member: str | None = None) -> str | None:
        return self.library.docs(self.module.scope, item, member)

    def declaration(self, place: int) -> str:
        """A named type."""
        definition = self.library.world.types[place]
        name = self.module.types[place]
        told = definition.name or ""
        head = comment(self.docs(told))
        match definition:
            case model.Record(fields=fields):
                body = "".join(self._field(told, one) for one in fields)
                return f"{head}export interface {name} {{\n{body}}}\n"
            case model.Flags(flags=flags):
                body = "".join(
                    f"{comment(self.docs(told, one))}{camel(one)}?: boolean | undefined;\n" for one in flags
                )
                return f"{head}export interface {name} {{\n{body}}}\n"
            case model.Variant(cases=cases):
                return f"{head}export type {name} =\n{''.join(self._case(told, one) for one in cases)};\n"
            case model.Enum(cases=names):
                body = "".join(f'{comment(self.docs(told, one))}| "{one}"\n' for one in names)
                return f"{head}export type {name} =\n{body};\n"
            case model.Resource():
                return self._resource(place, name, told)
            case _:
                return f"{head}export type {name} = {self._target(place)};\n"

    def _target(self, place: int) -> str:
        """What a type is another name for."""
        definition = self.library.world.types[place]
        if isinstance(definition, model.Alias):
            return self.spelling.type(definition.target, self.module)
        return self.spelling.body(place, self.module)

    def _field(self, told: str, one: model.Named) -> str:
        """A field; what may be absent may be left out."""
        used = self.spelling.type(one.type, self.module)
        absent = self.spelling.is_optional(one.type)
        if absent and not used.endswith("| undefined"):
            used += " | undefined"
        mark = "?" if absent else ""
        return f"{comment(self.docs(told, one.name))}{camel(one.name)}{mark}: {used};\n"

    def _case(self, told: str, one: model.Case) -> str:
        head = comment(self.docs(told, one.name))
        if one.payload is None:
            return f'{head}| {{ tag: "{one.name}"; val?: undefined }}\n'
        return f'{head}| {{ tag: "{one.name}"; val: {self.spelling.type(one.payload, self.module)} }}\n'

    # Functions.

    def functions(self) -> str:
        """The interface of a scope: its functions, and a class for each of its resources."""
        module = self.module
        members = [
            # The class is found under the name that the transpiler has for it.
            f"readonly {pascal(self.library.world.types[place].name or '')}: {name};\n"
            for place, name in module.classes.items()
        ]
        members += [
            self.function(one, camel(one.item)) for one in module.scope.functions if one.kind == "free"
        ]
        head = comment(self.library.docs(module.scope)) if module.scope.name is not None else ""
        return f"{head}export interface {module.interface} {{\n{''.join(members)}}}\n"

    def function(self, one: Function, name: str) -> str:
        """The declaration of a function."""
        params = ", ".join(self.spelling.parameters(one, self.module))
        returned = self.spelling.returned(one, self.module)
        # Without quotes it would be what objects are made by.
        name = f'"{name}"' if name == "new" and one.kind != "constructor" else name
        return f"{comment(self.docs(one.name), self._thrown(one))}{name}({params}): {returned};\n"

    def _thrown(self, one: Function) -> str | None:
        failing = self.spelling.failing(one)
        if failing is None or not self.spelling.throws(one):
            return None
        payload = "" if failing.err is None else self.spelling.type(failing.err, self.module)
        payload = f" with a `{payload}`" if payload else ""
        return f"@throws `ResultError`{payload}"

    def _resource(self, place: int, name: str, told: str) -> str:
        scope, module = self.module.scope, self.module
        methods = "".join(self.function(one, camel(one.item)) for one in scope.members(place, "method"))
        if self.hosted:
            over = comment("Called when the component has no more use for it.")
            methods += f"{over}[Symbol.dispose]?(): void;\n"
        else:
            over = comment("Releases it; `using` does so at the end of a block.")
            methods += f"{over}[Symbol.dispose](): void;\n"
        statics = "".join(self.function(one, camel(one.item)) for one in scope.members(place, "static"))
        made = [
            self.function(one, "new").replace("): void;", f"): {name};")
            for one in scope.members(place, "constructor")
        ]
        shape = f"readonly prototype: {name};\n"
        return (
            f"{comment(self.docs(told))}export interface {name} {{\n{methods}}}\n\n"
            f"{comment(f'The class of `{name}`.')}"
            f"export interface {module.classes[place]} {{\n{''.join(made)}{shape}{statics}}}\n"
        )
