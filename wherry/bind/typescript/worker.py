"""The package in a worker, which can be ended while the component computes: so calls have deadlines.

Resources stay in the thread that made them, so that functions with resources are left out. What is the same
for every library is in ``remote.ts`` and ``served.ts``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from wherry.bind.typescript.interface import comment
from wherry.bind.typescript.spelling import camel
from wherry.wit import model

if TYPE_CHECKING:
    from wherry.bind.typescript.spelling import Spelling
    from wherry.wit.model import Function

__all__ = ["crossing", "worker"]

_HEAD = """\
// The library in a worker, which can be ended while it computes.
import type * as index from "./index.js";
"""
_TIMEOUT = """\
/** How many milliseconds a call may take: a longer one fails with a `TimeoutError`, and ends the worker. */
timeout?: number | undefined;
/** Ends the worker, and the call that it is in. */
signal?: AbortSignal | undefined;
"""
_IMPORTS = """\
/** A module, loaded in the worker, whose default export is what the component calls. */
imports: URL;
"""


def crossing(spelling: Spelling) -> list[tuple[str, list[Function]]]:
    """The functions that can be called in another thread, by the member of the instance that has them."""
    found = []
    for module in spelling.exports():
        free = [one for one in module.scope.functions if one.kind == "free"]
        functions = [one for one in free if not _has_resources(spelling, one)]
        if functions:
            found.append((module.member if module.scope.name is not None else "", functions))
    return found


def _has_resources(spelling: Spelling, function: Function) -> bool:
    library = spelling.library
    used = [function.result, *(param.type for param in function.params)]
    places = {place for one in used if isinstance(one, int) for place in library.uses(one)}
    return any(isinstance(library.world.types[place], model.Resource) for place in places)


def worker(spelling: Spelling, functions: list[tuple[str, list[Function]]], *, wasi: bool) -> bytes:
    """The file that makes one."""
    root, hosts = f"index.{spelling.root}", bool(spelling.imports())
    bases, members = [], ""
    named = [(member, [camel(one.item) for one in free]) for member, free in functions]
    for member, names in named:
        picked = " | ".join(json.dumps(one) for one in names)
        if member == "":
            bases.append(f"Later<Pick<{root}, {picked}>>")
        else:
            members += f'readonly {member}: Later<Pick<{root}["{member}"], {picked}>>;\n'
    said = comment(
        f"{spelling.library.name} in a worker of its own.",
        "Functions with resources are not here: those stay in the thread that made them.",
    )
    extends = f" extends {', '.join(bases)}" if bases else ""
    disposed = (
        f"{comment('Ends the worker; `using` does so at the end of a block.')}[Symbol.dispose](): void;\n"
    )
    granted = (
        "/** What it may reach of its surroundings. */\nwasi?: index.Wasi | undefined;\n" if wasi else ""
    )
    options = f"{_IMPORTS if hosts else ''}{granted}{_TIMEOUT}"
    option = f"options: Options{'' if hosts else ' = {}'}"
    settings = "hosted(options)" if hosts else "options"
    parts = [
        f'{_HEAD}import {{ {"hosted, " if hosts else ""}type Later, opened }} from "./remote.js";\n',
        f"const FUNCTIONS = {json.dumps(named)} as const;\n",
        f"{said}export interface InWorker{extends} {{\n{members}{disposed}}}\n",
        comment("What an instance in a worker is made with.") + f"export interface Options {{\n{options}}}\n",
        comment("Makes an instance in a worker. It calls one function after the other.")
        + f"export async function instantiate({option}): Promise<InWorker> {{\n"
        + f"return (await opened(FUNCTIONS, {settings})) as unknown as InWorker;\n}}\n",
    ]
    return "\n".join(parts).encode()
