"""libwherry as ``make libwherry`` lays it out, and programs in C that use it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import CACHE, GUESTS, cached

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = GUESTS.parent.parent
SOURCES = Path(__file__).parent / "c"
PREFIX = ROOT / "build" / "libwherry"
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
COMPILERS = {
    "gcc-c11": ("gcc", "-std=c11"),
    "gcc-c++17": ("g++", "-std=c++17", "-x", "c++"),
    "clang-c11": (sys.executable, "-m", "ziglang", "cc", "-std=c11"),
    "clang-c++17": (sys.executable, "-m", "ziglang", "c++", "-std=c++17", "-x", "c++"),
}


@pytest.fixture(scope="session")
def prefix() -> Path:
    """The install prefix, whose library is that of the sources here."""
    library = PREFIX / "lib" / "libwherry.so"
    if not library.exists():
        pytest.fail(f"there is no `{library}`\n\nhint: make libwherry")
    header = PREFIX / "include" / "wherry.h"
    if header.read_bytes() != (ROOT / "crates/wherry-ffi/include/wherry.h").read_bytes():
        pytest.fail(f"`{header}` is not that of the sources\n\nhint: make libwherry")
    return PREFIX


def compiled(prefix: Path, name: str, language: str = "gcc-c11", *flags: str) -> Path:
    """The program made of ``c/<name>.c``, found by pkg-config as a user's would be."""
    source = SOURCES / f"{name}.c"
    settings = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    found = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "wherry"],
        capture_output=True,
        check=True,
        env=settings,
        text=True,
    )
    words = [*COMPILERS[language], "-g", *WARNINGS, *flags, str(source), "-x", "none"]

    def build(output: Path) -> None:
        zig = {"ZIG_GLOBAL_CACHE_DIR": str(CACHE / "zig"), "ZIG_LOCAL_CACHE_DIR": str(CACHE / "zig")}
        command = [*words, "-o", str(output), *found.stdout.split(), "-pthread"]
        done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, **zig}, text=True)
        assert done.returncode == 0, done.stderr
        assert not done.stderr, done.stderr

    headers = [path.read_bytes() for path in (prefix / "include" / "wherry.h", *sorted(SOURCES.glob("*.h")))]
    return cached(name, build, source.read_bytes(), repr(words), found.stdout, *headers)


@pytest.fixture(scope="session")
def program(prefix: Path) -> Callable[..., Path]:
    """Compiles a program in C: its name, and the compiler and flags where others are wanted."""
    if shutil.which("pkg-config") is None:
        pytest.fail("`pkg-config` is missing\n\nhint: apt-get install pkg-config")
    return lambda name, *options: compiled(prefix, name, *options)


def run(
    program: Path | str, *words: str | Path, timeout: float = 60, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end."""
    command = [str(program), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, check=False, env=environment, text=True, timeout=timeout
    )
