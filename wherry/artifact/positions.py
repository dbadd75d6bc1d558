"""Where in a TOML document each key and value stands, as the reader of the standard library does not say it.

The text has been read by ``tomllib`` before, so it is known to be valid: this walks over it and remembers
offsets. A path is a tuple of keys and of places in arrays, such as ``("needs", "dir", 0, "why")``.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["Path", "Positions", "line_and_column"]

Path: TypeAlias = tuple[str | int, ...]
"""Keys, and places in arrays."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL = re.compile(r"'[^']*'")
_LONG_BASIC = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\r\n]*")


@dataclass
class Positions:
    """The offsets of keys and values in ``text``; ``Positions.of`` finds them."""

    text: str
    keys: dict[Path, int] = field(default_factory=dict)
    values: dict[Path, int] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> Positions:
        """Those of a valid document."""
        positions = cls(text)
        _Walk(positions).document()
        return positions

    def of_key(self, path: Path) -> tuple[int, int]:
        """Line and column, from 1, of the key at the end of ``path``, or of the nearest thing above it."""
        while path and path not in self.keys and path not in self.values:
            path = path[:-1]
        return line_and_column(self.text, self.keys.get(path, self.values.get(path, 0)))

    def of_value(self, path: Path) -> tuple[int, int]:
        """Line and column, from 1, of the value at ``path``, or of its key where it has several parts."""
        if path in self.values:
            return line_and_column(self.text, self.values[path])
        return self.of_key(path)


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """An offset as line and column, both from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


class _Walk:
    """One walk over a document."""

    def __init__(self, positions: Positions) -> None:
        self.positions = positions
        self.text = positions.text
        self.at = 0
        self.counts: dict[Path, int] = {}  # how often an array of tables was begun

    def document(self) -> None:
        above: Path = ()
        while self._skip(_BLANK) < len(self.text):
            if self.text.startswith("[", self.at):
                above = self._header()
            else:
                self._pair(above)

    def _header(self) -> Path:
        """``[a.b]`` or ``[[a.b]]``: the path of what stands below it."""
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        path: Path = ()
        names = self._key()
        for place, (name, offset) in enumerate(names):
            path = (*path, name)
            self.positions.keys.setdefault(path, offset)
            if brackets == 2 and place == len(names) - 1:  # noqa: PLR2004 - `[[`
                self.counts[path] = self.counts.get(path, 0) + 1
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
                self.positions.keys.setdefault(path, offset)
        self.at += brackets
        return path

    def _pair(self, above: Path) -> None:
        """``a.b = value``."""
        path = above
        for name, offset in self._key():
            path = (*path, name)
            self.positions.keys.setdefault(path, offset)
        self.at += 1  # the sign of equality
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[tuple[str, int]]:
        """Names between dots, with their offsets; ends at what follows them."""
        names: list[tuple[str, int]] = []
        while True:
            start = self._skip(_SPACE)
            quote = self.text[start]
            form = _BASIC if quote == '"' else _LITERAL if quote == "'" else _BARE
            self._skip(form)
            raw = self.text[start : self.at]
            names.append((raw if form is _BARE else tomllib.loads(f"key = {raw}")["key"], start))
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return names
            self.at += 1

    def _value(self, path: Path) -> None:
        self.positions.values[path] = self.at
        match self.text[self.at]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"':
                self._skip(_LONG_BASIC if self.text.startswith('"""', self.at) else _BASIC)
            case "'":
                self._skip(_LONG_LITERAL if self.text.startswith("'''", self.at) else _LITERAL)
            case _:
                self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self.at += 1
        place = 0
        while self.text[self._skip(_BLANK)] != "]":
            self._value((*path, place))
            place += 1
            self._comma()
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while self.text[self._skip(_BLANK)] != "}":
            self._pair(path)
            self._comma()
        self.at += 1

    def _comma(self) -> None:
        if self.text[self._skip(_BLANK)] == ",":
            self.at += 1

    def _skip(self, form: re.Pattern[str]) -> int:
        """Moves on behind what fits, and says where that is."""
        found = form.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at
