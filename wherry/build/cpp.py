"""C++, as C; without exceptions, which wasm has but the library of zig has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherry.build import c
from wherry.build.c import identity, requirements

if TYPE_CHECKING:
    from wherry.build.languages import Job, Product

__all__ = ["build", "identity", "requirements"]

_SUFFIXES = (".cpp", ".cc", ".cxx")


def build(job: Job) -> Product:
    """Compiles and links all sources at once; zig keeps what has not changed."""
    return c.compile_clang(job, "c++", _SUFFIXES, ["-std=c++23", "-fno-exceptions"])
