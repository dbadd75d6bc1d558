"""Tests of a project, run against its components: what ``wherry test`` does.

A test is a session as one would type it, in ``tests/*.console``: after ``$`` a command of the package, after
``>`` a call of its library in WAVE or a request to its ``[http]``, and below each what is printed.
``[exit 2]`` as the last line says with which code it ends, if not 0, and ``[404 Not Found]`` with which
status, if not 200; ``...`` stands for anything. Text before the first of them says what it is about. The
package is granted what its ``[needs]`` ask for.
"""

from __future__ import annotations

import doctest
import functools
import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wherry.build.builder import build
from wherry.build.launch import launch_project
from wherry.build.project import read_project
from wherry.build.served import REQUEST, Served, read_fields
from wherry.errors import BuildError, UsageError
from wherry.store.local import LocalStore
from wherry.store.permissions import asked

if TYPE_CHECKING:
    import os
    import re
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from wherry.build.launch import Launch
    from wherry.build.project import Kind, Project
    from wherry.build.tools import Progress

__all__ = ["SUFFIX", "Outcome", "Step", "read_steps", "run_tests"]

SUFFIX = ".console"
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_TIMEOUT = "30s"
_SERVED = frozenset(
    {
        "--dir",
        "--env",
        "--allow-net",
        "--allow-http",
        "--allow-dns",
        "--config",
        "--secret",
        "--memory",
        "--timeout",
    }
)
"""The flags of ``run`` that ``serve`` has too."""


@dataclass(frozen=True)
class Step:
    """One command or call, and what it should print."""

    file: Path
    line: int
    call: bool
    text: str
    expected: str


@dataclass(frozen=True)
class Outcome:
    """A step that was taken: whether it printed what it should, and what it did print."""

    step: Step
    passed: bool
    printed: str


def run_tests(folder: str | os.PathLike[str], *, progress: Progress = lambda *_: None) -> Iterator[Outcome]:
    """Builds the project in a folder, and runs its tests one after the other.

    Raises:
        BuildError: It does not build, has no tests, or a test cannot be read.

    """
    build(folder, progress=progress)
    project = read_project(folder)
    files = sorted((project.folder / "tests").rglob(f"*{SUFFIX}"))
    if not files:
        raise BuildError(
            f"`{project.folder}` has no tests",
            hint=f"a test is a session in `tests/NAME{SUFFIX}`: `$ command`",
        )
    steps = [step for file in files for step in read_steps(file)]
    return _all_taken(project, steps)


def _all_taken(project: Project, steps: list[Step]) -> Iterator[Outcome]:
    flags = [word for flag in _named(project) if flag[0] in _SERVED for word in flag]
    # Each once: what a step writes into the project is a change, and no reason to build it for the next.
    launch = functools.cache(lambda command: _launch(project, command))
    with Served(project.folder, flags) as served:
        for step in steps:
            request = REQUEST.fullmatch(step.text) if step.call else None
            yield _taken(project, step, launch) if request is None else _asked(project, served, step, request)


def read_steps(file: Path) -> list[Step]:
    """What a file of tests does."""
    steps: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith(("$ ", "> ")):
            steps.append((number, line, []))
        elif steps:
            steps[-1][2].append(line)
    return [
        Step(file, number, line.startswith(">"), line[2:].strip(), "\n".join(expected).strip("\n"))
        for number, line, expected in steps
    ]


def _asked(project: Project, served: Served, step: Step, request: re.Match[str]) -> Outcome:
    """Sends one request."""
    where = f"{step.file}:{step.line}"
    if project.manifest.http is None:
        raise UsageError(f"{where}: the package has no `[http]`")
    words, source = _input(_split(request["rest"], where))
    body = (project.folder / source).read_bytes() if source is not None else b""
    printed = served.request(request["method"], request["target"], read_fields(words, where), body)
    return Outcome(step, _fits(step, printed), printed)


def _taken(project: Project, step: Step, launch: Callable[[str | None], Launch]) -> Outcome:
    """Takes one step, as a process of its own, which a user could start too."""
    words, source = _words(project, step, launch)
    stdin = subprocess.DEVNULL if source is None else (project.folder / source).open("rb")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "wherry", "run", "--quiet", "--timeout", _TIMEOUT, *words],
            check=False,
            cwd=project.folder,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    finally:
        if not isinstance(stdin, int):
            stdin.close()
    printed = done.stdout.decode("utf-8", "replace").strip("\n")
    if done.returncode:
        printed = f"{printed}\n[exit {done.returncode}]".lstrip("\n")
    return Outcome(step, _fits(step, printed), printed)


def _fits(step: Step, printed: str) -> bool:
    return doctest.OutputChecker().check_output(f"{step.expected}\n", f"{printed}\n", _FLAGS)


def _words(
    project: Project, step: Step, launch: Callable[[str | None], Launch]
) -> tuple[list[str], str | None]:
    """The words after ``wherry run``, and the file that is its standard input."""
    if step.call:
        if project.manifest.library is None:
            raise UsageError(f"{step.file}:{step.line}: the package has no library")
        found = launch(None)
        return ["--invoke", step.text, *_granted(project), *found.flags, str(found.component)], None
    words, source = _input(_split(step.text, f"{step.file}:{step.line}"))
    if words[0] in project.manifest.borrowed():
        # Another package: it has what somebody agreed to for it, and a test agrees to nothing.
        return [f".#{words[0]}", *words[1:]], source
    if words[0] not in project.manifest.command:
        raise UsageError(f"{step.file}:{step.line}: the package has no command {words[0]}")
    found = launch(words[0])
    flags = ["--name", found.name, *_granted(project), *found.flags]
    return [*flags, str(found.component), *found.args, *words[1:]], source


def _split(text: str, where: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{where}: {str(error).lower()}") from error


def _input(words: list[str]) -> tuple[list[str], str | None]:
    """The words without ``< FILE``, and the file."""
    if "<" not in words[:-1]:
        return words, None
    at = words.index("<")
    return [*words[:at], *words[at + 2 :]], words[at + 1]


def _launch(project: Project, command: str | None) -> Launch:
    """What is run for a command of the project, or for calls of its library."""
    folder = project.folder.absolute()
    place: Kind = "library" if command is None else "command"
    with LocalStore() as store:
        return launch_project(store, folder, command, lambda *_: None, place=place)


def _granted(project: Project) -> list[str]:
    """The flags for all that the package asks for and says itself."""
    return [word for flag in _named(project) for word in flag]


def _named(project: Project) -> list[tuple[str, ...]]:
    """The flags, each with its value."""
    return [one.flag for one in asked(project.manifest.needs) if not one.open]
