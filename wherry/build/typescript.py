"""TypeScript: checked by its compiler, then as JavaScript."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wherry.build import tools
from wherry.build.bindings import write_changed
from wherry.build.crossing import declare, quoted
from wherry.build.javascript import componentize, declarations, entry, identity, requirements
from wherry.build.npm import check_installed
from wherry.build.running import run_tool

if TYPE_CHECKING:
    from wherry.build.crossing import Interfaces
    from wherry.build.languages import Job, Product

__all__ = ["build", "identity", "requirements"]

_CHECK = Path(__file__).with_name("check_types.mjs")
_FITS = """import * as source from {source};
import type {{ {type} }} from {module};
type Whole = ArrayBufferView | readonly unknown[] | ReadonlyMap<never, never>;
type Wanted = Later<{type}>;
// Every function may be one that gives a promise.
type Later<T> = T extends Whole ? T
  : T extends (...given: infer G) => infer R ? (...given: G) => Later<R> | Promise<Later<R>>
  : T extends object ? {{ [K in keyof T]: Later<T[K]> }} : T;
"""


def build(job: Job) -> Product:
    """Checks the types as ``tsconfig.json`` has it, and those of the interfaces, and builds."""
    check_installed(job.folder)
    interfaces = declare(job, declarations(job.target))
    source = entry(job.target, (".ts", ".mts"))
    compiler = tools.provide(tools.JAVASCRIPT, job.progress) / "node_modules" / "typescript"
    command = ["node", str(_CHECK), str(compiler), "pretty" if job.colour else "plain", str(source)]
    if interfaces is not None:
        command.append(str(_fits(job, source, interfaces)))
    run_tool(command, job.folder, job.progress, what=f"checking types of {job.target.name}")
    return componentize(job, source, interfaces)


def _fits(job: Job, source: Path, interfaces: Interfaces) -> Path:
    """A module that is right if the source fits its interfaces; errors are placed by its lines."""
    path = job.work / "fits.ts"
    module = source.with_suffix({".ts": ".js", ".mts": ".mjs"}.get(source.suffix, source.suffix))
    text = _FITS.format(source=quoted(module), type=interfaces.type, module=quoted(interfaces.module))
    for at, name in enumerate(interfaces.values.exports):
        text += f"export const /*{name}*/ fits{at}: Wanted[{quoted(name)}] = source[{quoted(name)}];\n"
    write_changed(path, text.encode())
    return path
