"""Folders of generated files: written whole or not at all, compared, and never at the cost of others' files.

``NOTE`` in the folder lists what the last run wrote, each file with its digest. By it the next run knows
which files are its own: those it replaces, and takes away where they are no longer made. All else belongs to
somebody else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from wherry.errors import HostIOError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wherry.bind.languages import Files

__all__ = ["NOTE", "Change", "changes", "write"]

NOTE = ".wherry-bind.json"
"""The list of what was generated, in its folder."""

_MOST_NAMED = 5


@dataclass(frozen=True)
class Change:
    """A file that is not there yet, has other bytes, or is no longer made; ``path`` has ``/``."""

    path: str
    kind: Literal["added", "changed", "removed"]


class _Note(msgspec.Struct):
    """What the last run wrote: the SHA-256 of each file by its path."""

    files: dict[str, str]


def changes(folder: Path, files: Files) -> list[Change]:
    """What writing ``files`` would change in ``folder``; it does not matter there who wrote what."""
    with _reported(folder):
        found = []
        for path, data in files.items():
            before = _bytes(folder / path)
            if before is None:
                found.append(Change(path, "added"))
            elif before != data:
                found.append(Change(path, "changed"))
        stale = [path for path in _known(folder) if path not in files and (folder / path).is_file()]
    return sorted([*found, *(Change(path, "removed") for path in stale)], key=lambda one: one.path)


def write(folder: Path, files: Files, *, overwrite: bool) -> list[Change]:
    """Writes ``files`` into ``folder``, and takes away what an earlier run wrote beside them: what changed.

    Raises:
        UsageError: A file of somebody else's is in the way; nothing was written then.
        HostIOError: It cannot be written; what was there before is there still.

    """
    wanted = changes(folder, files)
    if not overwrite:
        _refuse_others(folder, wanted)
    note = msgspec.json.format(
        msgspec.json.encode(_Note({path: _digest(data) for path, data in files.items()}))
    )
    with _reported(folder):
        if not wanted and _bytes(folder / NOTE) == note:
            return wanted
        target = folder.absolute()
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")
        try:
            for path, data in {**files, NOTE: note}.items():
                (partial / path).parent.mkdir(parents=True, exist_ok=True)
                (partial / path).write_bytes(data)
            _replace(target, partial, [*wanted, Change(NOTE, "changed")])
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return wanted


def _replace(target: Path, partial: Path, wanted: list[Change]) -> None:
    """Puts what was written into its place: the whole folder, if nothing is there."""
    if not target.exists():
        partial.rename(target)
        return
    before = {one.path: _bytes(target / one.path) for one in wanted}
    try:
        for one in wanted:
            place = target / one.path
            if one.kind == "removed":
                place.unlink()
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                (partial / one.path).replace(place)
    except OSError:
        for path, data in before.items():
            with contextlib.suppress(OSError):
                (target / path).unlink(missing_ok=True) if data is None else (target / path).write_bytes(data)
        raise


def _refuse_others(folder: Path, wanted: list[Change]) -> None:
    """Raises where a file that would change is not as an earlier run wrote it."""
    known = _known(folder)
    others = []
    for one in wanted:
        before = _bytes(folder / one.path)
        if before is not None and known.get(one.path) != _digest(before):
            others.append(one.path)
    if not others:
        return
    lines = "".join(f"\n  {path}" for path in others[:_MOST_NAMED])
    lines += f"\n  and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    raise UsageError(
        f"`{folder}` has files that `wherry bind` did not write, or that were changed since:{lines}",
        hint="`-o` names another folder; `--force` replaces them",
    )


def _known(folder: Path) -> dict[str, str]:
    """What the last run wrote there; a note that is none counts for nothing, and so do paths out of it."""
    try:
        note = msgspec.json.decode((folder / NOTE).read_bytes(), type=_Note)
    except (OSError, msgspec.MsgspecError):
        return {}
    return {path: digest for path, digest in note.files.items() if not _leads_out(path)}


def _leads_out(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextlib.contextmanager
def _reported(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(folder)
        raise HostIOError(f"`{name}`: {(error.strerror or str(error)).lower()}") from error
