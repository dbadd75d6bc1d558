"""Pieces of Python source: files with their imports, docstrings and signatures."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wherry.bind.names import Names

__all__ = ["File", "block", "docstring", "signature", "union"]

_WIDTH = 88
_CHECKED = frozenset({"collections.abc", "typing"})
"""Modules whose names are used in annotations alone."""

_AT_ONCE = frozenset({"Protocol"})


class File:
    """One file: what is declared in it, and what that needs from elsewhere."""

    def __init__(self, name: str, taken: Names, shadowed: Iterable[str] = ()) -> None:
        self.name = name
        self._taken = taken
        self._shadowed = frozenset(shadowed)
        self._imports: dict[tuple[str, str], str] = {}
        self._modules: set[str] = set()
        self._blocks: list[str] = []

    def add(self, text: str) -> None:
        """Write a declaration; two empty lines go between them."""
        self._blocks.append(text)

    def imported(self, module: str, name: str) -> str:
        """The name under which something of a module is in this file; it is imported if need be."""
        if module == "builtins":
            if name not in self._shadowed and name not in self._taken:
                return name
            self._modules.add("builtins")
            return f"builtins.{name}"
        if module == f".{self.name}":
            return name
        known = self._imports.get((module, name))
        if known is None:
            known = name if name not in self._taken else f"_{name}"
            while known in self._imports.values() or known in self._taken:
                known = f"{known}_"
            self._imports[module, name] = known
        return known

    def text(self, doc: str, *, quick: bool) -> bytes:
        """The whole file; one that is ``quick`` does not import what only type checkers need."""
        parts = [docstring(doc, ""), "from __future__ import annotations\n"]
        now: dict[str, list[str]] = {}
        checked: dict[str, list[str]] = {}
        for (module, name), known in sorted(self._imports.items()):
            place = checked if module in _CHECKED and name not in _AT_ONCE else now
            place.setdefault(module, []).append(name if name == known else f"{name} as {known}")
        if checked and not quick:
            now.setdefault("typing", []).append("TYPE_CHECKING")
        plain = "".join(f"import {name}\n" for name in sorted(self._modules))
        groups = [
            plain + _from(now, lambda one: one in _STANDARD),
            _from(now, lambda one: one.startswith("wherry")),
        ]
        groups.append(_from(now, lambda one: one.startswith(".")))
        parts += [group for group in groups if group]
        if checked:
            parts.append(
                ("TYPE_CHECKING = False\n" if quick else "")
                + "if TYPE_CHECKING:\n"
                + textwrap.indent(_from(checked, lambda _: True), "    ")
            )
        head = "\n".join(parts)
        return "\n\n".join([head, *self._blocks]).encode()


_STANDARD = frozenset({"collections.abc", "dataclasses", "enum", "typing"})


def _from(found: dict[str, list[str]], wanted: Callable[[str], bool]) -> str:
    lines = []
    for module in sorted(found):
        if wanted(module):
            # A name under another one has a line of its own, as formatters have it.
            plain = sorted((name for name in found[module] if " as " not in name), key=_order)
            renamed = [name for name in found[module] if " as " in name]
            module_name = "." if module == ".__init__" else module
            groups = [", ".join(plain), *renamed] if plain else renamed
            lines += [f"from {module_name} import {names}\n" for names in sorted(groups, key=_order)]
    return "".join(lines)


def _order(names: str) -> tuple[bool, bool, str]:
    """How imports are sorted: constants, classes, and then functions."""
    first = names.partition(",")[0].partition(" as ")[0]
    return not first.isupper(), first.islower(), first


def docstring(text: str, indent: str) -> str:
    """A docstring of these words, which may be anybody's."""
    text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"').expandtabs(4)
    text = "".join(char for char in text if char == "\n" or char.isprintable())
    lines = [line.rstrip() for line in text.strip().split("\n")]
    if len(lines) == 1 and not lines[0].endswith(('"', "\\")) and len(indent) + len(lines[0]) + 6 <= _WIDTH:
        return f'{indent}"""{lines[0]}"""\n'
    lines[0] = f'"""{lines[0]}'
    return "".join(f"{indent}{line}\n" if line else "\n" for line in lines) + f'{indent}"""\n'


def union(annotations: Iterable[str]) -> str:
    """One annotation for values of several, each alternative once."""
    found: dict[str, None] = {}
    for text in annotations:
        depth, begin = 0, 0
        for at, char in enumerate(f"{text}|"):
            depth += {"[": 1, "]": -1}.get(char, 0)
            if char == "|" and depth == 0:
                found[text[begin:at].strip()] = None
                begin = at + 1
    return " | ".join(found)


def signature(name: str, params: list[str], returned: str, indent: str, *, word: str = "def") -> str:
    """The head of a function."""
    return f"{indent}{word} {name}({', '.join(params)}) -> {returned}:\n"


def block(*lines: str, indent: str) -> str:
    """Lines of a body."""
    return "".join(f"{indent}{line}\n" for line in lines)
