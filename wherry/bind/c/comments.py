"""What interface files say, as comments of C that compilers take without a word.

Authors write what they like: the end of a comment, characters that turn the direction of text, bytes of
control. ``comment`` makes all of that plain.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata

__all__ = ["comment", "plain"]

_WIDTH = 100
_OF_ITS_OWN = re.compile(r"\s|[-*#|>`]|\d+[.)]|$")
"""How a line begins that is not joined to the one before: lists, tables, code, what is empty."""


def plain(text: str) -> str:
    """Text without what would end a comment, begin one, or show another order than it has."""
    kept = "".join(
        one for one in text if one == "\n" or unicodedata.category(one) not in {"Cc", "Cf", "Cs", "Co"}
    )
    kept = kept.replace("*/", "* /").replace("/*", "/ *").replace("??/", "? ?/")
    return "\n".join(line.rstrip(" \t\\") for line in kept.split("\n")).strip()


def comment(*paragraphs: str | None) -> str:
    """A comment of one or several paragraphs, with its line break, or nothing."""
    parts = [plain(one) for one in paragraphs if one is not None and plain(one)]
    if not parts:
        return ""
    lines: list[str] = []
    for part in parts:
        if lines:
            lines.append("")
        for line in _joined(part):
            lines += textwrap.wrap(line, _WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
    if len(lines) == 1:
        return f"/* {lines[0]} */\n"
    body = "\n".join(f" * {line}".rstrip() for line in lines)
    return f"/*\n{body}\n */\n"


def _joined(text: str) -> list[str]:
    """Lines that are paragraphs, wherever the author broke them."""
    lines: list[str] = []
    for line in text.split("\n"):
        if lines and lines[-1] and not _OF_ITS_OWN.match(line):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return lines
