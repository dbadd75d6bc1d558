"""A project becomes components: what ``wherry build`` does.

``build`` builds what has changed and leaves the rest; ``watch`` does so again after each change. A component
is written whole or not at all, so that one that was there stays as long as the new one does not build.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from wherry import _native
from wherry.build.fingerprint import Inputs, State, file_digest, read_state, write_atomically, write_state
from wherry.build.languages import LANGUAGES, Job, toolchain
from wherry.build.locate import OUTPUT
from wherry.errors import BuildError, HostIOError, InterfaceError, InvalidModuleError, ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wherry.artifact.manifest import Language
    from wherry.build.languages import Product, Toolchain
    from wherry.build.project import Project, Target
    from wherry.build.tools import Progress

__all__ = ["BINDINGS", "WORK", "Built", "build", "watch"]

WORK = ".wherry"
"""The folder below ``build`` that is Wherry's own."""

BINDINGS = "bindings"
"""The folder below ``build`` with what is generated from interfaces."""

_TARGETS = "targets.json"
_MODULE = b"\0asm\x01\0\0\0"
_LOOK_EVERY = 0.3


@dataclass(frozen=True)
class Built:
    """A component that is there: whether it was built now, and what the tools said then."""

    path: Path
    places: tuple[str, ...]
    size: int
    seconds: float
    fresh: bool
    said: str


def _silent(what: str, seconds: float | None) -> None:
    del what, seconds


def build(
    folder: str | os.PathLike[str],
    *,
    progress: Progress = _silent,
    force: bool = False,
    colour: bool = False,
) -> list[Built]:
    """Builds what has changed in the project in a folder: its components, in the order of ``wherry.toml``.

    With ``force`` all are built. ``progress`` is told what takes long.

    Raises:
        NotFoundError: There is no ``wherry.toml``.
        ManifestError: It is wrong.
        BuildError: A source is wrong; ``output`` holds what the compiler said.
        InterfaceError: An interface is wrong; the message points at the line.
        ToolError: A tool is missing.
        HostIOError: Something cannot be read or written.

    """
    known = None if force else _unchanged(Path(folder))
    if known is not None:
        return known
    # Loaded where something is built: most builds find nothing to do, and start-up time is a feature.
    from wherry.build.project import read_project

    project = read_project(folder)
    try:
        return _build(project, progress, force, colour)
    except InterfaceError as error:
        # With the user's names of files.
        error.message = error.message.replace(f"{project.folder.absolute()}{os.sep}", _prefix(project.folder))
        raise
    except OSError as error:
        if isinstance(error, HostIOError):
            raise
        raise HostIOError(f"`{error.filename}`: {(error.strerror or str(error)).lower()}") from error


def watch(
    folder: str | os.PathLike[str], *, progress: Progress = _silent, colour: bool = False
) -> Iterator[object]:
    """Builds after each change, for ever: what ``build`` gives, or the error that it raised."""
    last: object = None
    while True:
        try:
            found: object = build(folder, progress=progress, colour=colour)
            news = any(one.fresh for one in found) if isinstance(found, list) else True
        except (BuildError, OSError, ValueError) as error:
            # What is still wrong in the same way was said before.
            found, news = (
                error,
                str(error) != str(last) or getattr(error, "output", "") != getattr(last, "output", ""),
            )
        if news or (last is None) or isinstance(last, Exception) != isinstance(found, Exception):
            yield found
        last = found
        time.sleep(_LOOK_EVERY)


class _Known(msgspec.Struct):
    """A target as the last build knew it: what is needed to see that nothing has changed since."""

    name: str
    places: tuple[str, ...]
    language: str
    described: str


def _build(project: Project, progress: Progress, force: bool, colour: bool) -> list[Built]:  # noqa: FBT001 - named where it is public
    """Builds all targets, and notes them for ``_unchanged``."""
    built = [_target(project, target, progress, force, colour) for target in project.targets]
    folder = project.folder
    known = [_Known(one.name, one.places, one.language, _described(folder, one)) for one in project.targets]
    if known:
        write_atomically(folder / OUTPUT / WORK / _TARGETS, msgspec.json.encode(known))
    return built


def _unchanged(folder: Path) -> list[Built] | None:
    """What is there, if nothing has changed, to ``wherry.toml`` either: it is one of the inputs."""
    try:
        known = msgspec.json.decode((folder / OUTPUT / WORK / _TARGETS).read_bytes(), type=list[_Known])
        found = []
        for one in known:
            began = time.perf_counter()
            before = read_state(folder / OUTPUT / WORK / one.name / "state.json")
            language = cast("Language", one.language)
            inputs = Inputs(folder, LANGUAGES[language].ignored, before)
            facts = [_native.about()[0], toolchain(language).identity(), one.described]
            output = folder / OUTPUT / f"{one.name}.wasm"
            if inputs.digest(before.further, facts) != before.inputs or not _is(output, before.output):
                return None
            if before.seen != inputs.seen:
                before.seen = inputs.seen
                write_state(folder / OUTPUT / WORK / one.name / "state.json", before)
            seconds = time.perf_counter() - began
            found.append(Built(output, one.places, output.stat().st_size, seconds, fresh=False, said=""))
    except (OSError, KeyError, msgspec.MsgspecError):
        return None
    return found


def _target(project: Project, target: Target, progress: Progress, force: bool, colour: bool) -> Built:  # noqa: FBT001 - named where it is public
    """Builds one target unless nothing has changed."""
    began = time.perf_counter()
    tools = toolchain(target.language)
    output = project.output(target)
    work = project.folder / OUTPUT / WORK / target.name
    work.mkdir(parents=True, exist_ok=True)
    with _alone(work / "lock"):
        before = read_state(work / "state.json")
        inputs = Inputs(project.folder, LANGUAGES[target.language].ignored, before)
        facts = [_native.about()[0], tools.identity(), _described(project.folder, target)]
        digest = inputs.digest(before.further, facts)
        if not force and digest == before.inputs and _is(output, before.output):
            if before.seen != inputs.seen:
                before.seen = inputs.seen
                write_state(work / "state.json", before)
            seconds = time.perf_counter() - began
            return Built(output, target.places, output.stat().st_size, seconds, fresh=False, said="")
        folder = project.folder.absolute()
        bindings = folder / OUTPUT / BINDINGS / target.name
        job = Job(target, folder, work.absolute(), bindings, progress, colour)
        product, data = _make(job, tools)
        write_atomically(output, data)
        further = sorted({str(path) for path in product.inputs})
        inputs.take_in(LANGUAGES[target.language].written)
        state = State(inputs.digest(further, facts), file_digest(output), further, inputs.seen)
        write_state(work / "state.json", state)
    seconds = time.perf_counter() - began
    return Built(output, target.places, len(data), seconds, fresh=True, said=product.said)


def _make(job: Job, tools: Toolchain) -> tuple[Product, bytes]:
    """Runs the tools: what they made, and the component of it."""
    target = job.target
    for requirement in tools.requirements():
        if requirement.found is None:
            raise ToolError(
                f"`{requirement.name}` is missing, which {LANGUAGES[target.language].title} is built with",
                hint=requirement.hint,
            )
    product = tools.build(job)
    data = product.data
    if product.adapt and data.startswith(_MODULE):
        try:
            data = _native.componentize(data, target.wit if product.embed else None, target.world)
        except InvalidModuleError as error:
            what = f"no component can be made of `{target.name}`: {error.message}"
            raise BuildError(what, hint=product.hint or None) from error
    return product, data


def _described(folder: Path, target: Target) -> str:
    """A target without the place of its project, which counts for nothing."""
    return str(msgspec.to_builtins(target, enc_hook=lambda path: os.path.relpath(path, folder)))


def _prefix(folder: Path) -> str:
    """How names of files in a folder begin where the user stands."""
    return "" if folder == Path() else f"{folder}{os.sep}"


def _is(path: Path, digest: str) -> bool:
    """Whether a file is there and is the one with this digest."""
    try:
        return file_digest(path) == digest
    except OSError:
        return False


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else builds the same target meanwhile."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
