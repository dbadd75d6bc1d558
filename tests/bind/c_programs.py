"""Generated packages of C for tests, and programs that use them, compiled under strict flags."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.ffi.conftest import PREFIX, WARNINGS
from tests.guests.build import CACHE, cached
from wherry.bind import c, generate
from wherry.bind.languages import Options
from wherry.bind.library import read_library

if TYPE_CHECKING:
    from pathlib import Path

    from wherry.bind.library import Library

__all__ = ["CHECKED", "CLANG", "GCC", "Package", "compiled", "compiles", "package"]

GCC = ("gcc", "-std=c11")
CHECKED = (*GCC, "-fsanitize=undefined", "-fno-sanitize-recover")
"""The same, with a check of each operation that C leaves undefined."""

CLANG = (sys.executable, "-m", "ziglang", "cc", "-std=c11")
_ZIG = {"ZIG_GLOBAL_CACHE_DIR": str(CACHE / "zig"), "ZIG_LOCAL_CACHE_DIR": str(CACHE / "zig")}


@dataclass(frozen=True)
class Package:
    """A generated package: what its names begin with, where it is, what it was made of."""

    prefix: str
    folder: Path
    library: Library

    @property
    def words(self) -> list[str]:
        """What a compiler is told to find it."""
        component = f"{self.folder}/src/{self.prefix}.wasm"
        return [
            f"-I{self.folder}/include",
            f"-I{self.folder}/src",
            f'-D{self.prefix.upper()}_COMPONENT="{component}"',
        ]

    @property
    def sources(self) -> list[str]:
        """Its sources."""
        return [str(path) for path in sorted(self.folder.glob("src/*.c"))]


def package(component: bytes | str, name: str, *, formatted: bool = False) -> Package:
    """The package that is generated for a component, which may be in the text form."""
    data = component.encode() if isinstance(component, str) else component
    library = read_library(data, name)
    assert c.refusals(library, Options()) == []
    files = generate.generated(library, "c") if formatted else c.generate(library, Options())

    def build(output: Path) -> None:
        for path, content in files.items():
            (output / path).parent.mkdir(parents=True, exist_ok=True)
            (output / path).write_bytes(content)

    (header,) = (path for path in files if path.startswith("include/"))
    prefix = header.removeprefix("include/").removesuffix(".h")
    parts = [part for path, content in sorted(files.items()) for part in (path, content)]
    return Package(prefix, cached(f"{name}-c", build, *parts), library)


def compiles(words: tuple[str, ...], *arguments: str | Path) -> None:
    """Runs a compiler, which has to be content: no error, no warning."""
    command = [*words, *WARNINGS, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False, text=True, env={**os.environ, **_ZIG})
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr


def compiled(
    source: str,
    *packages: Package,
    compiler: tuple[str, ...] = GCC,
    headers: Path | None = None,
    archives: tuple[Path, ...] = (),
) -> Path:
    """The program that a source and generated packages make, with another library where that is named."""
    words = ["-g", "-O1", "-pthread", "-x", "c", "-D_POSIX_C_SOURCE=200809L", f"-I{PREFIX}/include"]
    sources = []
    for one in packages:
        words += one.words
        sources += one.sources
    words += [] if headers is None else [f"-isystem{headers}"]
    library = PREFIX / "lib" / "libwherry.so"
    after = ["-x", "none", *map(str, archives), str(library), f"-Wl,-rpath,{library.parent}"]

    def build(output: Path) -> None:
        main = output.parent / "main.c"
        main.write_text(source)
        compiles(compiler, *words, main, *sources, *after, "-o", output)

    installed = [path.read_bytes() for path in sorted((PREFIX / "include").glob("*.h"))]
    return cached("program", build, source, repr([compiler, *words, *after]), *installed)
