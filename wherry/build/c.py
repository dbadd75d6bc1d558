"""C, compiled by zig's clang against its own wasi-libc; bindings are those of ``wit-bindgen-c``.

Applications that answer HTTP have ``guest/http.h`` above them, which is compiled with their sources.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from wherry import _native
from wherry.build import tools
from wherry.build.bindings import write_bindings
from wherry.build.languages import Job, Product, Requirement
from wherry.build.running import run_tool
from wherry.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator


__all__ = ["build", "compile_clang", "identity", "requirements"]

FLAGS_FILE = "compile_flags.txt"
"""Flags of the user's, one on each line, which clangd reads too (clangd.llvm.org/design/compile-commands)."""

_GUEST = Path(__file__).with_name("guest")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]', re.MULTILINE)
_LEVELS = {"size": "-Os", "speed": "-O3"}


def requirements() -> list[Requirement]:
    """Zig, which is fetched."""
    return [Requirement("zig", tools.described(tools.ZIGLANG), "")]


def identity() -> str:
    """The version of zig."""
    return f"ziglang {tools.ZIGLANG.version}"


def build(job: Job) -> Product:
    """Compiles and links all sources at once; zig keeps what has not changed."""
    return compile_clang(job, "cc", (".c",), ["-std=gnu23"])


def compile_clang(job: Job, driver: str, suffixes: tuple[str, ...], flags: list[str]) -> Product:
    """What C and C++ have in common."""
    target = job.target
    sources = find_sources(target.source, suffixes)
    command: list[str] = [str(tools.provide(tools.ZIGLANG, job.progress) / "ziglang" / "zig"), driver]
    # With debug information, without which names of functions are left out; it goes when a component is made.
    command += ["-target", "wasm32-wasi", _LEVELS[target.optimise], "-g", "-Wall", *flags]
    command += ["-fcolor-diagnostics"] if job.colour else []
    generated: list[Path] = []
    if target.interfaces is not None:
        language = "c" if driver == "cc" else "cpp"
        files = _native.generate_bindings(target.interfaces, language, target.world)
        if target.kind == "http":
            files |= {name: (_GUEST / name).read_bytes() for name in ("http.c", "http.h")}
        own = sorted({path.parent for name in files for path in _headers(target.source, name)})
        # The class of a resource is the user's, with fields of their own; what is generated is a first form.
        files = {name: text for name, text in files.items() if not _headers(target.source, name)}
        generated = write_bindings(job, files)
        command += ["-mexec-model=reactor", f"-I{job.bindings.relative_to(job.folder)}"]
        command += [f"-I{path.relative_to(job.folder)}" for path in own]
    command += [
        flag for flag in user_flags(job.folder) if flag != f"-I{job.bindings.relative_to(job.folder)}"
    ]
    linked = [file for file in generated if file.suffix in {*suffixes, ".o"}]
    names = [str(path.relative_to(job.folder)) for path in [*sources, *linked]]
    made = job.work / "guest.wasm"
    cache = str(tools.cache_folder() / "zig")
    said = run_tool(
        [*command, "-o", str(made), *names],
        job.folder,
        job.progress,
        what=f"compiling {target.name}",
        environment={"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache},
    )
    outside = set(_included(sources, _include_folders(job.folder), job.folder))
    return Product(made.read_bytes(), said, inputs=sorted(outside))


def find_sources(source: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files to compile: one, or all below a folder."""
    if source.is_file():
        return [source]
    found = sorted(path for path in source.rglob("*") if path.suffix in suffixes and path.is_file())
    if not found:
        raise BuildError(f"`{source}` has no file that ends in {' or '.join(f'`{one}`' for one in suffixes)}")
    return found


def _headers(source: Path, name: str) -> list[Path]:
    """The user's headers that are called like the one that is generated for the class of a resource."""
    folder = source if source.is_dir() else source.parent
    return [*folder.rglob(name)] if name.startswith("exports-") else []


def user_flags(folder: Path) -> list[str]:
    """The flags of the project, for the compiler and for editors."""
    path = folder / FLAGS_FILE
    if not path.is_file():
        return []
    return [word for line in path.read_text().splitlines() for word in shlex.split(line, comments=True)]


def _include_folders(folder: Path) -> list[Path]:
    """Where the user's flags have the compiler look for headers."""
    return [folder / flag.removeprefix("-I") for flag in user_flags(folder) if flag.startswith("-I")]


def _included(files: list[Path], folders: list[Path], project: Path) -> Iterator[Path]:
    """Headers outside the project that files include; zig tells of one source only, so they are read."""
    waiting, seen = list(files), set(files)
    while waiting:
        file = waiting.pop()
        for name in _INCLUDE.findall(file.read_text(encoding="utf-8", errors="replace")):
            for within in (file.parent, *folders):
                path = Path(os.path.normpath(within / name))
                if path not in seen and path.is_file():
                    seen.add(path)
                    waiting.append(path)
                    if not path.is_relative_to(project):
                        yield path
