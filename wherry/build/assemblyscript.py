"""AssemblyScript, compiled by its own compiler for WASI 0.1, with its shim for ``process`` and ``console``.

A command stays a core module: the adapter to WASI 0.2 does not give arguments in the order in which the shim
asks for them.
"""

from __future__ import annotations

import os

from wherry.build import tools
from wherry.build.languages import LANGUAGES, Job, Product, Requirement, node
from wherry.build.running import run_tool
from wherry.errors import BuildError

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


def requirements() -> list[Requirement]:
    """Node, on which the compiler runs, and npm, which fetches it."""
    return [*node(), Requirement("assemblyscript", tools.described(tools.ASSEMBLYSCRIPT), "")]


def identity() -> str:
    """The pinned versions."""
    return (tools.PINS / tools.ASSEMBLYSCRIPT.name / "package.json").read_text()


def build(job: Job) -> Product:
    """Runs the compiler, on the settings of the project and of the shim."""
    target = job.target
    if target.kind != "command":
        raise BuildError(f"AssemblyScript has no libraries: {LANGUAGES['assemblyscript'].limits['library']}")
    modules = tools.provide(tools.ASSEMBLYSCRIPT, job.progress) / "node_modules"
    source = target.source
    if source.is_dir():
        names = [source / f"{name}.ts" for name in (target.name, *_ENTRIES)]
        source = next((path for path in names if path.is_file()), names[0])
    if not source.is_file():
        raise BuildError(f"`{source}`: no such file", hint="`source` in `wherry.toml` names the file")
    made = job.work / "guest.wasm"
    shim = os.path.relpath(modules / "@assemblyscript" / "wasi-shim" / "assembly", job.folder)
    command = [
        "node",
        str(modules / "assemblyscript" / "bin" / "asc.js"),
        str(source.relative_to(job.folder)),
    ]
    command += ["--lib", shim, "--exportStart", "_start", *(word for use in _USES for word in ("--use", use))]
    command += [*_LEVELS[target.optimise], "-o", os.path.relpath(made, job.folder)]
    command += [] if job.colour else ["--noColors"]
    said = run_tool(command, job.folder, job.progress, what=f"compiling {target.name}")
    return Product(made.read_bytes(), said, adapt=False)
