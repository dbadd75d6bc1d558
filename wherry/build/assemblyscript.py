"""AssemblyScript by its own compiler: commands for WASI 0.1, with its shim for ``process``, and libraries.

A command stays a core module: the adapter to WASI 0.2 does not give arguments in the order in which the shim
asks for them. A library has no WASI but what its interfaces import; what is compiled is generated from those.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from wherry import _native
from wherry.build import tools
from wherry.build.bindings import write_bindings
from wherry.build.languages import Job, Product, Requirement, node
from wherry.build.running import run_tool
from wherry.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from wherry.build.project import Target

__all__ = ["build", "identity", "requirements"]

_LEVELS = {"size": ["-O3", "--shrinkLevel", "2"], "speed": ["-O3"]}
_USES = (
    "ASC_WASI=1",
    "abort=wasi_abort",
    "trace=wasi_trace",
    "seed=wasi_seed",
    "console=wasi_console",
    "crypto=wasi_crypto",
    "performance=wasi_performance",
    "process=wasi_process",
    "Date=wasi_Date",
)
"""What of the language is the shim's, as its own settings have it: those are found from the project alone."""
_ENTRIES = ("index", "main")
_HINT = (
    "`console`, `trace`, `Date.now` and `Math.random` have no host in a library: "
    "import what it needs in its interface, such as `wasi:random/random@0.2.12`"
)


def requirements() -> list[Requirement]:
    """Node, on which the compiler runs, and npm, which fetches it."""
    return [*node(), Requirement("assemblyscript", tools.described(tools.ASSEMBLYSCRIPT), "")]


def identity() -> str:
    """The pinned versions."""
    return (tools.PINS / tools.ASSEMBLYSCRIPT.name / "package.json").read_text()


def build(job: Job) -> Product:
    """Runs the compiler, on the settings of the project."""
    modules = tools.provide(tools.ASSEMBLYSCRIPT, job.progress) / "node_modules"
    source = _entry(job.target)
    if job.target.kind == "library":
        return _library(job, modules, source)
    shim = os.path.relpath(modules / "@assemblyscript" / "wasi-shim" / "assembly", job.folder)
    options = ["--lib", shim, "--exportStart", "_start", *(word for use in _USES for word in ("--use", use))]
    data, said = _compile(job, modules, source, options)
    return Product(data, said, adapt=False)


def _entry(target: Target) -> Path:
    """The file that is the program, or that has the functions."""
    source = target.source
    if source.is_dir():
        names = [source / f"{name}.ts" for name in (target.name.partition(".")[0], *_ENTRIES)]
        source = next((path for path in names if path.is_file()), names[0])
    if not source.is_file():
        raise BuildError(f"`{source}`: no such file", hint="`source` in `wherry.toml` names the file")
    return source


def _library(job: Job, modules: Path, source: Path) -> Product:
    """Compiles what is generated from the interfaces, which calls the functions in ``source``."""
    target = job.target
    assert target.wit is not None  # noqa: S101 - as of each library
    files = _native.generate_bindings(target.wit, "assemblyscript", target.world)
    user = os.path.relpath(source.with_suffix(""), job.bindings)
    files["user.ts"] = f'export * from "{user}";\n'.encode()
    settings = {"extends": str(modules / "assemblyscript" / "std" / "assembly.json")}
    files["tsconfig.json"] = msgspec.json.encode(settings)
    write_bindings(job, files)
    entry = job.bindings / "entry.ts"
    abort = (job.bindings / "trap" / "trap").relative_to(job.folder)
    options = ["--exportStart", "_initialize", "--use", f"abort={abort}", "--debug"]
    data, said = _compile(job, modules, entry, options)
    return Product(data, said, embed=True, hint=_HINT)


def _compile(job: Job, modules: Path, entry: Path, options: list[str]) -> tuple[bytes, str]:
    """Runs the compiler on a file: the module, and what was said."""
    target = job.target
    made = job.work / "guest.wasm"
    program = str(modules / "assemblyscript" / "bin" / "asc.js")
    command = ["node", program, str(entry.relative_to(job.folder)), *options, *_LEVELS[target.optimise]]
    command += ["-o", os.path.relpath(made, job.folder), *([] if job.colour else ["--noColors"])]
    said = run_tool(command, job.folder, job.progress, what=f"compiling {target.name}")
    return made.read_bytes(), said
