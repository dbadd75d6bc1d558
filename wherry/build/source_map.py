"""Which line of the user's each line of a bundle is, by the bundler's map of sources (ECMA-426)."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

__all__ = ["line_table"]

_DIGITS = {
    letter: at for at, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
_MORE = 32


class _Map(msgspec.Struct):
    """A map of sources."""

    sources: list[str]
    mappings: str


def line_table(
    data: bytes, bundle: str, folder: Path, project: Path, own: Path
) -> list[tuple[str, int] | None]:
    """For each line of the bundle in ``folder`` the file, as seen from ``project``, and line that it is of.

    Lines of files in ``own`` are nobody's. What stands before the first letter of a line counts for the line
    before, from which it goes on.
    """
    lines = bundle.split("\n")
    found = msgspec.json.decode(data, type=_Map)
    names = []
    for listed in found.sources:
        path = Path(os.path.normpath(folder / listed))
        names.append(None if path.is_relative_to(own) else os.path.relpath(path, project))
    table: list[tuple[str, int] | None] = []
    source = line = 0
    for at, mapped in enumerate(found.mappings.split(";")):
        text = lines[at] if at < len(lines) else ""
        begins, column = len(text) - len(text.lstrip()), 0
        first: tuple[str, int] | None = None
        for segment in filter(None, mapped.split(",")):
            values = _numbers(segment)
            column += values[0]
            if len(values) > 1:
                source, line = source + values[1], line + values[2]
                name = names[source]
                if name is not None and (first is None or column <= begins):
                    first = (name, line + 1)
        table.append(first)
    return table


def _numbers(segment: str) -> list[int]:
    """The numbers of a segment, in base 64 of variable length."""
    numbers, value, shift = [], 0, 0
    for letter in segment:
        digit = _DIGITS[letter]
        value |= (digit & (_MORE - 1)) << shift
        shift += 5
        if not digit & _MORE:
            numbers.append(-(value >> 1) if value & 1 else value >> 1)
            value = shift = 0
    return numbers
