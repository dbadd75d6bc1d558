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
    known = [_known(project, target) for target in project.targets]
    if known:
        write_atomically(project.folder / OUTPUT / WORK / _TARGETS, msgspec.json.encode(known))
    return built


def _unchanged(folder: Path) -> list[Built] | None:
    """What is there, if nothing has changed, to ``wherry.toml`` either: it is one of the inputs."""
    try:
        known = msgspec.json.decode((folder / OUTPUT / WORK / _TARGETS).read_bytes(), type=list[_Known])
        found = []
        for one in known:
            kept = _Look(folder, one).kept()
            if kept is None:
                return None
            found.append(kept)
    except (OSError, KeyError, msgspec.MsgspecError):
        return None
    return found


class _Look:
    """A look at a target: what it was built of, and what is there now."""

    def __init__(self, folder: Path, target: _Known) -> None:
        self._began = time.perf_counter()
        self._target = target
        language = cast("Language", target.language)
        self.output = folder / OUTPUT / f"{target.name}.wasm"
        self.state = folder / OUTPUT / WORK / target.name / "state.json"
        self._before = read_state(self.state)
        self.inputs = Inputs(folder, LANGUAGES[language].ignored, self._before)
        self.facts = [_native.about()[0], toolchain(language).identity(), target.described]
        # Now, also where it is built in any case: what changes from here on is a change since.
        self._same = self.inputs.digest(self._before.further, self.facts) == self._before.inputs

    def kept(self) -> Built | None:
        """The component that is there, if nothing has changed."""
        before = self._before
        if not self._same or not self.inputs.beside(self.output, before.output):
            return None
        if before.seen != self.inputs.seen:
            before.seen = self.inputs.seen
            write_state(self.state, before)
        size = self.output.stat().st_size
        seconds = time.perf_counter() - self._began
        return Built(self.output, self._target.places, size, seconds, fresh=False, said="")


def _target(project: Project, target: Target, progress: Progress, force: bool, colour: bool) -> Built:  # noqa: FBT001 - named where it is public
    """Builds one target unless nothing has changed."""
    began = time.perf_counter()
    work = project.folder / OUTPUT / WORK / target.name
    work.mkdir(parents=True, exist_ok=True)
    with _alone(work / "lock"):
        look = _Look(project.folder, _known(project, target))
        kept = None if force else look.kept()
        if kept is not None:
            return kept
        folder = project.folder.absolute()
        bindings = folder / OUTPUT / BINDINGS / target.name
        job = Job(target, folder, work.absolute(), bindings, progress, colour)
        product, data = _make(job, toolchain(target.language))
        write_atomically(look.output, data)
        further = sorted({str(path) for path in product.inputs})
        inputs = look.inputs
        inputs.take_in(LANGUAGES[target.language].written)
        state = State(inputs.digest(further, look.facts), file_digest(look.output), further, inputs.seen)
        write_state(look.state, state)
    seconds = time.perf_counter() - began
    return Built(look.output, target.places, len(data), seconds, fresh=True, said=product.said)


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
            data = _native.componentize(data, target.interfaces if product.embed else None, target.world)
        except InvalidModuleError as error:
            what = f"no component can be made of `{target.name}`: {error.message}"
            raise BuildError(what, hint=product.hint or None) from error
    if target.interfaces is not None and not data.startswith(_MODULE):
        # What the author says of them, for bindings.
        data = _native.with_docs(data, target.interfaces, target.world)
    return product, data


def _known(project: Project, target: Target) -> _Known:
    """A target without the place of its project, which counts for nothing."""
    folder = project.folder
    described = msgspec.to_builtins(target, enc_hook=lambda path: os.path.relpath(path, folder))
    return _Known(target.name, target.places, target.language, str(described))


def _prefix(folder: Path) -> str:
    """How names of files in a folder begin where the user stands."""
    return "" if folder == Path() else f"{folder}{os.sep}"


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else builds the same target meanwhile."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
