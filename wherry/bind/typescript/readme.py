"""The README of a generated package: how it is used, and what a JavaScript engine cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.bind.typescript.spelling import camel

if TYPE_CHECKING:
    from wherry.bind.typescript.project import Project
    from wherry.bind.typescript.spelling import Spelling
    from wherry.wit.model import Function

__all__ = ["readme"]

_LIMITS = """\
## What a JavaScript engine cannot do

- There is no fuel: what a call costs is not counted.
- A call cannot be stopped from outside while it computes. `signal` is heard before a call, and where the
  component calls you. For a deadline use the package in a worker, which can be ended.
- Memory is bounded by the engine alone.
- Functions that you implement answer at once. A promise would have to suspend the component, which takes JSPI
  (`WebAssembly.Suspending`): Node 24 has it behind a flag alone.
"""

_WHAT = """\
The component is inside, as WebAssembly that
JavaScript engines run; there is no native library."""

_BUILDING = """\
## To build it

```console
npm install
npm pack
```

All but `dist` was made by `wherry bind` from the component with the SHA-256"""

_SHARED = """\
- Each instance has memory of its own; make as many as you like. After a `TrapError` make another.
- Classes of resources belong to their instance. What they made is released by `using`, or when it is
  collected as garbage.
"""

_CHECKED = """\
- Values are looked at before they reach the component: a `TypeError` names function and parameter, and
  says what is wrong with it.
"""

_WASI = """\
- Of your machine there are clocks, randomness, standard input and output. `wasi` grants more: arguments,
  variables, folders, the network.
"""

_BROWSERS = """\
## In browsers

Bundlers find the files in `component` by themselves, and so does a page that loads `dist/index.js` as a
module. They are compared with their digests where the page came over HTTPS or from `localhost`.
"""


_DEADLINES = """\
## Deadlines

The same in a worker, whose functions are awaited and take no longer than `timeout` milliseconds:
"""

_IN_WORKER = """\
A call that takes longer fails with a `TimeoutError`, and its worker is ended. Functions with resources are
not there: those stay in the thread that made them.
"""

_LOADED = "`imports` is a module, loaded in the worker, whose default export is what the component calls.\n"


def readme(project: Project) -> bytes:
    """The file."""
    library = project.library
    version = f" {library.version}" if library.version else ""
    parts = [f"# {project.name}\n"]
    said = library.docs() or library.description
    if said:
        parts.append(said.strip() + "\n")
    parts += [
        f"`{library.name}`{version}, for Node and browsers. {_WHAT}\n",
        _example(project),
        _told(project),
        _browsers(project),
        *([_deadlines(project)] if project.crossing else []),
        _LIMITS,
        f"{_BUILDING}\n`{library.digest}`.\n",
    ]
    return "\n".join(parts).encode()


def _example(project: Project) -> str:
    spelling = project.spelling
    variable = spelling.root[:1].lower() + spelling.root[1:]
    given = "{ imports }" if spelling.imports() else ""
    lines = [
        f'import {{ instantiate }} from "{project.name}";\n',
        *(["const imports = …; // what you implement: `Imports`\n"] if spelling.imports() else []),
        f"const {variable} = await instantiate({given});",
    ]
    for module in spelling.exports():
        free = [one for one in module.scope.functions if one.kind == "free"]
        if free:
            path = variable if module.scope.name is None else f"{variable}.{module.member}"
            lines.append(f"{path}.{_call(spelling, free[0])};")
            break
    return "```ts\n" + "\n".join(lines) + "\n```\n"


def _call(spelling: Spelling, function: Function) -> str:
    """A call with names of parameters as its arguments."""
    return f"{camel(function.item)}({', '.join(name for name, _ in spelling.named_parameters(function))})"


def _told(project: Project) -> str:
    errors = (
        "- The error of a function is thrown: a `ResultError`, whose `payload` is the value.\n"
        if project.thrown
        else '- Functions with errors return `{ tag: "ok", val }` or `{ tag: "err", val }`.\n'
    )
    return _SHARED + errors + _CHECKED + (_WASI if project.wasi else "")


def _browsers(project: Project) -> str:
    if not project.wasi:
        return _BROWSERS
    return _BROWSERS + (
        "A page without a bundler says in an import map where `@bytecodealliance/preview2-shim` is.\n"
    )


def _deadlines(project: Project) -> str:
    spelling = project.spelling
    variable = spelling.root[:1].lower() + spelling.root[1:]
    member, functions = project.crossing[0]
    hosts = 'imports: new URL("./imports.js", import.meta.url), ' if spelling.imports() else ""
    path = f"{variable}.{member}" if member else variable
    imported = f'import {{ instantiate }} from "{project.name}/worker";\n'
    made = f"const {variable} = await instantiate({{ {hosts}timeout: 5_000 }});\n"
    example = f"```ts\n{imported}\n{made}await {path}.{_call(spelling, functions[0])};\n```\n"
    return "\n".join([_DEADLINES, example, _IN_WORKER + (_LOADED if hosts else "")])
