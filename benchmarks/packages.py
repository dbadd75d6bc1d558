"""Packages and projects: running by name, listing a thousand, building what changed and what did not."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Command, Timing, output, processes
from tests.guests.build import binary, text
from wherry.artifact.blobs import MemoryBlobs
from wherry.artifact.pack import pack_file
from wherry.build.builder import build
from wherry.build.languages import LANGUAGES
from wherry.build.new import new_project
from wherry.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wherry.artifact.manifest import Language

__all__ = [
    "build_changed",
    "build_unchanged",
    "installed",
    "list_thousand",
    "named",
    "resolve_thousand",
]

WHERRY = Path(sys.executable).with_name("wherry")
PACKAGES = 1000
CHANGED: dict[Language, tuple[str, str]] = {
    "assemblyscript": ("src/greeter.ts", "// {}\n"),
    "c": ("src/main.c", "// {}\n"),
    "cpp": ("src/main.cpp", "// {}\n"),
    "go": ("main.go", "// {}\n"),
    "javascript": ("src/greeter.js", "// {}\n"),
    "python": ("src/greeter.py", "# {}\n"),
    "rust": ("src/main.rs", "// {}\n"),
    "typescript": ("src/greeter.ts", "// {}\n"),
}
"""For each language a source of a new project, and a line that changes it."""


def named() -> Timing:
    """``wherry run`` of a name, and of the file that it leads to."""
    with _store(1) as folder:
        return processes([WHERRY, "run", "acme/hello-0"], _run_hello(folder), rounds=31)


def installed() -> Timing:
    """A launcher, and ``wherry run`` of the file that it leads to."""
    with _store(1) as folder:
        output([WHERRY, "install", "acme/hello-0"])
        return processes([folder / "bin" / "hello-0"], _run_hello(folder), rounds=31)


def list_thousand() -> Timing:
    """``wherry list`` of a thousand packages, and a command that does nothing."""
    with _store(PACKAGES):
        return processes([WHERRY, "list"], _nothing())


def resolve_thousand() -> Timing:
    """A name among a thousand packages, run; and a command that does nothing."""
    with _store(PACKAGES):
        return processes([WHERRY, "run", f"acme/hello-{PACKAGES // 2}@1"], _nothing())


def build_unchanged() -> Timing:
    """``wherry build`` of what is built already, and a command that does nothing."""
    with _project("c") as project:
        return processes([WHERRY, "build", project], _nothing())


def build_changed(language: Language) -> Callable[[], Timing]:
    """``wherry build`` after a line has changed, and the tools that it calls, called by hand."""

    def measure() -> Timing:
        name, line = CHANGED[language]
        with _project(language) as project:
            numbers = iter(range(1000))

            def change() -> None:
                with (project / name).open("a") as source:
                    source.write(line.format(next(numbers)))

            change()
            with _recorded() as tools:
                build(project)
            times: tuple[list[float], ...] = ([], [])
            for _ in range(5):
                for found, commands in zip(times, ([_building(project)], tools), strict=True):
                    change()
                    begin = time.perf_counter()
                    for command in commands:
                        subprocess.run(**command, check=True, capture_output=True)
                    found.append(time.perf_counter() - begin)
            return Timing(*map(median, times))

    return measure


LANGUAGE_ROWS = {
    f"build-{language}": (LANGUAGES[language].title, build_changed(language)) for language in CHANGED
}
"""A row for each language, by its name: what it is called, and how it is measured."""


@contextlib.contextmanager
def _store(packages: int) -> Iterator[Path]:
    """A store with so many packages of one component, in a folder with that component."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        hello = folder / "hello.wasm"
        hello.write_bytes(binary(text("hello")).read_bytes())
        places = {"WHERRY_STORE": str(folder / "store"), "WHERRY_BIN": str(folder / "bin")}
        os.environ.update(places)
        try:
            with LocalStore() as store:
                for number in range(packages):
                    blobs = MemoryBlobs()
                    store.put(blobs, pack_file(hello, blobs, name=f"acme/hello-{number}", version="1.0.0"))
            yield folder
        finally:
            for variable in places:
                del os.environ[variable]


@contextlib.contextmanager
def _project(language: Language) -> Iterator[Path]:
    """A new project that was built."""
    with tempfile.TemporaryDirectory() as folder:
        project = new_project("acme/greeter", language, "command", Path(folder) / "greeter")
        build(project)
        yield project


@contextlib.contextmanager
def _recorded() -> Iterator[list[dict[str, Any]]]:
    """The compilers and other tools that are run meanwhile, each as ``subprocess.run`` takes it."""
    found: list[dict[str, Any]] = []
    start = subprocess.Popen

    class Recording(start):  # type: ignore[misc, valid-type]
        """A process that is noted; a question to a tool has its errors apart, and is none."""

        def __init__(self, command: Command, **how: Any) -> None:
            if how.get("stderr") == subprocess.STDOUT:
                found.append({"args": command, "cwd": how["cwd"], "env": how["env"]})
            super().__init__(command, **how)

    subprocess.Popen = Recording  # type: ignore[misc, assignment]
    try:
        yield found
    finally:
        subprocess.Popen = start  # type: ignore[misc]


def _building(project: Path) -> dict[str, Any]:
    return {"args": [WHERRY, "build", project]}


def _run_hello(folder: Path) -> Command:
    return [WHERRY, "run", folder / "hello.wasm"]


def _nothing() -> Command:
    return [WHERRY, "version"]
