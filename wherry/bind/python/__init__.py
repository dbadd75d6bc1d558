"""Python: a package with dataclasses, enumerations, classes for resources, and functions with docstrings.

Each interface is a module (``interface``), the package itself has a class that opens the library
(``project``), and names are given out for all of it at once (``spelling``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wherry.bind.formatting import formatted
from wherry.bind.languages import Refusal
from wherry.bind.obstacles import obstacles, place_of, untyped
from wherry.bind.python.project import write_project, write_stubs
from wherry.build import tools
from wherry.build.running import run_tool
from wherry.errors import BuildError

if TYPE_CHECKING:
    from wherry.bind.languages import Files, Options
    from wherry.bind.library import Library
    from wherry.build.tools import Progress

__all__ = ["format", "generate", "refusals"]


def refusals(library: Library, options: Options) -> list[Refusal]:
    """What does not cross to Python, and resources of WASI, which no Python object stands for."""
    del options
    found = [Refusal(*one) for one in untyped(library)]
    for scope in library.scopes:
        for function in scope.functions:
            where = place_of(scope, function)
            reasons = obstacles(library, function, "{} does not cross to Python".format)
            found += [Refusal(where, reason) for reason in sorted(reasons)]
    return found


def generate(library: Library, options: Options) -> Files:
    """The files of a package that setuptools builds; with ``stubs``, those of ``wherry.packages``."""
    return write_stubs(library) if options.stubs else write_project(library, options)


def format(files: Files, progress: Progress) -> Files:  # noqa: A001 - the name of the step
    """The files as ruff has them."""
    ruff = tools.provide(tools.RUFF, progress) / "bin/ruff"
    if not ruff.exists():
        ruff = _beside_interpreter()
    words = ["format", "--isolated", "--no-cache", "--quiet", "--target-version", "py311", "."]

    def run(folder: Path) -> None:
        try:
            run_tool([ruff, *words], folder, progress, what="formatting")
        except BuildError as error:
            error.message = f"{error.message}: {error.output.strip()}"
            raise

    return formatted(files, [path for path in files if path.endswith((".py", ".pyi"))], run)


def _beside_interpreter() -> Path:
    """Ruff of the environment of this interpreter, which has it in the pinned version."""
    import sysconfig

    return Path(sysconfig.get_path("scripts")) / "ruff"
