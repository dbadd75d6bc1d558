"""C: a project of CMake with one header, whose functions give back a status and put results in their place.

Names are given out for all of a library at once (``spelling``), types become structures (``types``), values
go to and from the encoding of libwherry (``values``), and ``functions`` has calls and callbacks. What they
lean on at run time are the headers in ``sdk/c``, which are installed with libwherry.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from wherry.bind.c.project import write_project
from wherry.bind.languages import Refusal
from wherry.bind.obstacles import obstacles, place_of, untyped
from wherry.build import tools
from wherry.errors import ToolError
from wherry.wit import model

if TYPE_CHECKING:
    from wherry.bind.languages import Files, Options
    from wherry.bind.library import Library
    from wherry.build.tools import Progress

__all__ = ["format", "generate", "refusals"]

_STYLE = "{BasedOnStyle: LLVM, ColumnLimit: 110, SortIncludes: Never, ReflowComments: Never}"
_MOST_FLAGS = 32


def refusals(library: Library, options: Options) -> list[Refusal]:
    """What libwherry has no form for, and resources of WASI, which nobody outside can hold."""
    del options
    found = [Refusal(*one) for one in untyped(library)]
    for scope in (*library.imports, *library.exports):
        for function in scope.functions:
            where = place_of(scope, function)
            reasons = obstacles(library, function, "{} does not cross to C".format, _without_form)
            found += [Refusal(where, reason) for reason in sorted(reasons)]
    return found


def _without_form(definition: model.TypeDef) -> list[str]:
    if isinstance(definition, model.Flags) and len(definition.flags) > _MOST_FLAGS:
        return [f"`{definition.name}` has more than {_MOST_FLAGS} flags"]
    return []


def generate(library: Library, options: Options) -> Files:
    """The files of a project of CMake."""
    return write_project(library, options)


def format(files: Files, progress: Progress) -> Files:  # noqa: A001 - the name of the step
    """The files as clang-format has them."""
    program = tools.provide(tools.CLANG_FORMAT, progress) / "clang_format/data/bin/clang-format"
    done = {}
    for path, data in files.items():
        done[path] = _formatted(str(program), path, data) if path.endswith((".c", ".h")) else data
    return done


def _formatted(program: str, path: str, data: bytes) -> bytes:
    words = [program, f"--style={_STYLE}", f"--assume-filename={path}"]
    ran = subprocess.run(words, input=data, capture_output=True, check=False)
    if ran.returncode != 0:
        raise ToolError(f"clang-format failed on `{path}`: {ran.stderr.decode(errors='replace').strip()}")
    return ran.stdout
