"""TypeScript: checked by its compiler, then as JavaScript."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.build import tools
from wherry.build.bindings import write_bindings
from wherry.build.javascript import _GUEST, bundle_and_componentize, identity, requirements
from wherry.build.running import run_tool

if TYPE_CHECKING:
    from wherry.build.languages import Job, Product

__all__ = ["build", "identity", "requirements"]


def build(job: Job) -> Product:
    """Checks the types as ``tsconfig.json`` has it, and builds."""
    write_bindings(job, {"wherry.d.ts": (_GUEST / "wherry.d.ts").read_bytes()})
    compiler = tools.provide(tools.JAVASCRIPT, job.progress) / "node_modules" / "typescript" / "bin" / "tsc"
    command = ["node", str(compiler), "--noEmit", "--pretty", str(job.colour).lower()]
    run_tool(command, job.folder, job.progress, what=f"checking types of {job.target.name}")
    return bundle_and_componentize(job, (".ts", ".mts"))
