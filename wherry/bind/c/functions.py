"""Functions of an interface in C: those that the guest exports, and tables for those that the host provides.

A function gives back a status; its result goes to ``out``. What each takes, lends and hands over is said
above it. Start reading at ``Functions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.bind.c.comments import comment
from wherry.bind.c.streams import Streams
from wherry.bind.c.types import pointer
from wherry.bind.c.values import Place
from wherry.wit import model

if TYPE_CHECKING:
    from wherry.bind.c.values import Values
    from wherry.bind.library import Library, Scope
    from wherry.wit.model import Function

__all__ = ["Functions"]


class Functions:
    """What the header and the source of a library say of its functions."""

    def __init__(self, library: Library, values: Values) -> None:
        self.library = library
        self.values = values
        self.spelling = values.spelling
        self.exports = [(scope, one) for scope in library.exports for one in scope.functions]
        self.tables = [one for one in library.imports if one.name in self.spelling.tables]

    def declare_types(self) -> None:
        """Declares every type that is named, or that a function has to do with."""
        types = self.values.types
        for scope in self.library.scopes:
            for place in scope.types:
                types.declare(place)
        for scope in self.library.scopes:
            for function in scope.functions:
                for used in (*(one.type for one in function.params), function.result):
                    types.declare(used)
        self.streams = Streams(self.values)

    def prototypes(self) -> str:
        """The exported functions, each with what is to be known of it."""
        lines = []
        for scope in self.library.exports:
            lines += [f"{self._said(scope, one)}{self._head(scope, one)};\n" for one in scope.functions]
            resources = self.spelling.resources(scope)
            lines += [f"{self._closer_said(one)}{self._closer_head(one)};\n" for one in resources]
        lines.append(self.streams.prototypes())
        return "\n".join(lines)

    def definitions(self) -> str:
        """The same as code."""
        lines = [self._definition(at, scope, one) for at, (scope, one) in enumerate(self.exports)]
        for scope in self.library.exports:
            for place in self.spelling.resources(scope):
                body = "return wherry_bound_drop(instance, resource.handle, error);"
                lines.append(f"{self._closer_head(place)} {{\n{body}\n}}\n")
        lines.append(self.streams.definitions())
        return "\n".join(lines)

    def export_table(self) -> str:
        """The names by which the library finds them, in their order."""
        rows = [f"{{{_text(scope.name)}, {_text(one.name)}}}," for scope, one in self.exports]
        return "static const wherry_export wherry_exports[] = {\n" + "\n".join(rows) + "\n};\n"

    def _head(self, scope: Scope, function: Function) -> str:
        fixed = self.spelling.fixed
        names = self.spelling.parameters(function)
        words = [f"{fixed['instance']} *instance"]
        words += [
            self.values.parameter(one.type, name)[0] for one, name in zip(function.params, names, strict=True)
        ]
        if function.result is not None:
            words.append(f"{pointer(self.spelling.type(function.result), constant=False)}out")
        words.append("wherry_error **error")
        return f"wherry_status {self.spelling.functions[scope.name, function.name]}({', '.join(words)})"

    def _closer_head(self, place: int) -> str:
        words = f"{self.spelling.fixed['instance']} *instance, {self.spelling.types[place]} resource"
        return f"wherry_status {self.spelling.closers[place]}({words}, wherry_error **error)"

    def _closer_said(self, place: int) -> str:
        name = self.library.world.types[place].name
        return comment(
            f"Releases a `{name}` that the caller owns. One that was released or given away before gives"
            " WHERRY_CLOSED or WHERRY_VALUE, and nothing else happens. May be called in a callback."
        )

    def _said(self, scope: Scope, function: Function) -> str:
        """What the interface file says, and who owns what until when."""
        fixed = self.spelling.fixed
        said = []
        names = self.spelling.parameters(function)
        for one, name in zip(function.params, names, strict=True):
            if self.values.owned(one.type):
                said.append(f"`{name}` is given away: it is of no use afterwards, even if the call fails.")
        result = function.result
        if result is not None and isinstance(self.library.definition(result), model.Result):
            said.append("An error of the library's own has the status WHERRY_OK, and sets `out->is_err`.")
        if self.values.pointers(function.result):
            said.append(
                f"What `out` points to is lent until the next call on `instance` or `{fixed['close']}`."
            )
        for place in self.values.owned(function.result):
            kind = self.spelling.types[place]
            if (closer := self.spelling.closers.get(place)) is not None:
                said.append(f"Release each `{kind}` that comes back with `{closer}`.")
            else:
                said.append(f"Each `{kind}` that comes back is the caller's again.")
        return comment(self.library.docs(scope, function.name), "\n".join(said))

    def _definition(self, at: int, scope: Scope, function: Function) -> str:
        names = self.spelling.parameters(function)
        has_place = "true" if function.result is None else "out != NULL"
        call = f"&wherry_this, instance, {at}, {len(function.params)}, {has_place}, &bound, error"
        lines = [
            "wherry_bound *bound = NULL;",
            "wherry_reader reader = {NULL, NULL, false};",
            f"wherry_status status = wherry_call_begin({call});",
            "if (status != WHERRY_OK)",
            "return status;",
        ]
        for one, name in zip(function.params, names, strict=True):
            place = self.values.parameter(one.type, name)[1]
            lines.append(self.values.write(one.type, place, "&bound->arguments"))
        lines.append(f"status = wherry_call_make(bound, {at}, &reader, error);")
        if function.result is not None:
            read = self.values.read(function.result, Place("out", is_pointer=True), "&reader")
            lines.append(f"if (status == WHERRY_OK) {{ {read} }}")
        lines.append("return wherry_call_end(&wherry_this, bound, &reader, status, error);")
        return f"{self._head(scope, function)} {{\n" + "\n".join(lines) + "\n}\n"

    # What the host provides

    def table_types(self) -> str:
        """A table of functions for each scope that is imported, and one of all of them."""
        if not self.tables:
            return ""
        text = "\n".join(self._table_type(scope) for scope in self.tables)
        members = [
            "/* Given to each function; what it points to has to stay until the instance is closed. */",
            "void *context;",
        ]
        members += [
            f"{self.spelling.tables[one.name]} {self.spelling.members[one.name]};" for one in self.tables
        ]
        body = "\n".join(members)
        name = self.spelling.fixed["imports"]
        return f"{text}\n{_TABLE_SAID}typedef struct {name} {{\n{body}\n}} {name};\n"

    def _table_type(self, scope: Scope) -> str:
        name = self.spelling.tables[scope.name]
        named = self.spelling.table_functions(scope)
        members = []
        for function in scope.functions:
            words = self.callback_words(function)
            said = comment(self.library.docs(scope, function.name), self._callback_said(function))
            members.append(f"{said}int32_t (*{named[function.name]})({', '.join(words)});")
        for place in self.spelling.resources(scope):
            kind = self.spelling.types[place]
            word = self.library.world.types[place].name
            said = comment(
                f"Ends a `{word}` that the guest owned; may be NULL. Runs in a call, or at the close."
            )
            members.append(f"{said}void (*{named[f'close {place}']})(void *context, {kind} *resource);")
        title = (
            f"What the host provides as `{scope.name}`."
            if scope.name is not None
            else "What the host provides."
        )
        text = comment(title, self.library.docs(scope))
        return f"{text}typedef struct {name} {{\n" + "\n".join(members) + f"\n}} {name};\n"

    def callback_words(self, function: Function) -> list[str]:
        """The parameters of a function in a table."""
        names = self.spelling.parameters(function)
        words = ["void *context", f"{self.spelling.fixed['caller']} *caller"]
        words += [
            self.values.parameter(one.type, name)[0] for one, name in zip(function.params, names, strict=True)
        ]
        if function.result is not None:
            words.append(f"{pointer(self.spelling.type(function.result), constant=False)}out")
        return words

    def _callback_said(self, function: Function) -> str:
        said = []
        for one, name in zip(function.params, self.spelling.parameters(function), strict=True):
            for place in self.values.owned(one.type):
                kind = self.spelling.types[place]
                closer = self.spelling.closers.get(place)
                said.append(
                    f"`{name}` hands over each `{kind}`: release it with `{closer}`."
                    if closer is not None
                    else f"`{name}` hands over each `{kind}`: it is the host's again."
                )
        return "\n".join(said)

    def callbacks(self) -> str:
        """What libwherry calls, which calls the functions of the tables."""
        lines = []
        for scope in self.tables:
            named = self.spelling.table_functions(scope)
            member = self.spelling.members[scope.name]
            lines += [self._callback(one, f"{member}.{named[one.name]}") for one in scope.functions]
            for place in self.spelling.resources(scope):
                lines.append(self._ending(place, f"{member}.{named[f'close {place}']}"))
        return "\n".join(lines)

    def _callback(self, function: Function, member: str) -> str:
        names = self.spelling.parameters(function)
        lines = [
            "wherry_bound *bound = context;",
            f"const {self.spelling.fixed['imports']} *imports = bound->table;",
            "wherry_reader reader = wherry_callback_begin(bound, wherry_given, caller);",
            "int32_t status = 0;",
        ]
        words = ["imports->context", f"({self.spelling.fixed['caller']} *)bound"]
        reads = []
        for one, name in zip(function.params, names, strict=True):
            lines.append(f"{self.spelling.type(one.type)} {name};")
            reads.append(self.values.read(one.type, Place(name), "&reader"))
            words.append(f"&{name}" if self.values.by_pointer(one.type) else name)
        if function.result is not None:
            lines.append(f"{self.spelling.type(function.result)} out;")
            reads.append("memset(&out, 0, sizeof out);")
            words.append("&out")
        lines += [
            "(void)wherry_length;",
            *reads,
            f"if (!reader.failed) status = imports->{member}({', '.join(words)});",
        ]
        if function.result is not None:
            written = self.values.write(function.result, Place("out"), "&bound->reply")
            lines.append(f"if (status == 0 && !reader.failed) {{ {written} }}")
        lines.append("return wherry_callback_end(bound, status, &reader);")
        # Names that no parameter of the function has: those are never `wherry_`.
        given = "void *context, const uint8_t *wherry_given, size_t wherry_length, wherry_caller *caller"
        return f"static int32_t {_callback_name(member)}({given}) {{\n" + "\n".join(lines) + "\n}\n"

    def _ending(self, place: int, member: str) -> str:
        kind = self.spelling.types[place]
        body = [
            "const wherry_bound *bound = context;",
            f"const {self.spelling.fixed['imports']} *imports = bound->table;",
            f"imports->{member}(imports->context, ({kind} *)(uintptr_t)resource);",
        ]
        head = f"static void {_callback_name(member)}(void *context, uint64_t resource)"
        return f"{head} {{\n" + "\n".join(body) + "\n}\n"

    def import_tables(self) -> str:
        """Under which names the component asks for them, what is called, and where that is in the table."""
        functions, endings = [], []
        for scope in self.tables:
            named = self.spelling.table_functions(scope)
            member = self.spelling.members[scope.name]
            imports = self.spelling.fixed["imports"]
            for one in scope.functions:
                path = f"{member}.{named[one.name]}"
                place = f"{_callback_name(path)}, offsetof({imports}, {path})"
                functions.append(f"{{{_text(scope.name)}, {_text(one.name)}, {place}}},")
            for resource in self.spelling.resources(scope):
                path = f"{member}.{named[f'close {resource}']}"
                place = f"{_callback_name(path)}, offsetof({imports}, {path})"
                name = _text(self.library.world.types[resource].name)
                endings.append(f"{{{_text(scope.name)}, {name}, {place}}},")
        text = ""
        if functions:
            text += "static const wherry_import wherry_imported[] = {\n" + "\n".join(functions) + "\n};\n"
        if endings:
            text += "static const wherry_ending wherry_endings[] = {\n" + "\n".join(endings) + "\n};\n"
        return text

    def library_row(self, name: str, component: str) -> str:
        """What ``wherry_bind.h`` is told of the library."""
        has_functions = any(scope.functions for scope in self.tables)
        has_endings = any(self.spelling.resources(scope) for scope in self.tables)
        table = f"sizeof({self.spelling.fixed['imports']})" if self.tables else "0"
        rows = [
            f".name = {_text(name)},",
            f".digest = {_text(self.library.digest)},",
            f".component = {component},",
            f".component_end = {component}_end,",
            ".exports = wherry_exports,",
            f".export_count = {len(self.exports)},",
            f".imports = {'wherry_imported' if has_functions else 'NULL'},",
            f".import_count = {sum(len(scope.functions) for scope in self.tables)},",
            f".endings = {'wherry_endings' if has_endings else 'NULL'},",
            f".ending_count = {sum(len(self.spelling.resources(scope)) for scope in self.tables)},",
            f".table_size = {table},",
            ".shared = &wherry_shared_here,",
        ]
        shared = "static wherry_shared wherry_shared_here = {.lock = ATOMIC_FLAG_INIT};\n"
        return shared + "static const wherry_library wherry_this = {\n" + "\n".join(rows) + "\n};\n"


_TABLE_SAID = comment(
    "What the host provides. The table is copied when an instance is opened. No function in it may be NULL"
    " unless it says so.",
    "A function returns 0, or anything else to fail: that ends the guest, and the call that it is in gives"
    " WHERRY_HOST. Its arguments are lent until it returns. What it puts into `out` has to stay until it has"
    " returned, and is copied then. It runs on the thread that called, and cannot call the instance that"
    " called it.",
)


def _text(name: str | None) -> str:
    return "NULL" if name is None else f'"{name}"'


def _callback_name(member: str) -> str:
    # Two underscores, as `a.b_c` is another function than `a_b.c`.
    return f"wherry_on_{member.replace('.', '__')}"
