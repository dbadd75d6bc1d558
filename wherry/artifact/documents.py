"""Documents of JSON: written in one way, and read without trusting who wrote them.

What is written is canonical: keys in order, no white space, UTF-8. What is read is refused where two readers
could disagree about it (a key twice, a number that no integer holds), and where reading it would hurt. A
document is never written anew by who read it: its digest is that of its bytes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeVar

import msgspec

from wherry.artifact.bounds import BOUNDS, Bounds
from wherry.artifact.refusals import malformed, over

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["decode", "encode"]

_Record = TypeVar("_Record")

# RFC 8259, section 6: beyond 2^53 readers do not agree on a number any more.
_LARGEST = (1 << 53) - 1
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
# Half of a character beyond 16 bits, as its escape begins; two that belong together begin so as well.
_HALVES = re.compile(rb"\\u[dD][89a-fA-F]")


def encode(record: object) -> bytes:
    """The canonical bytes of a record: the same on every machine."""
    return msgspec.json.encode(record, order="sorted")


def decode(data: bytes, form: type[_Record], what: str, bounds: Bounds = BOUNDS) -> _Record:
    """The record in ``data``, which messages call ``what``. Members that ``form`` lacks are ignored.

    Raises:
        MalformedArtifactError: It is no JSON, has a key twice, or is not of the form.
        ArtifactLimitError: It is too long or nested too deep.

    """
    if len(data) > bounds.document:
        raise over(f"the size of {what}", bounds.document, "document-size")
    _check_depth(data, what, bounds)
    try:
        found = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_distinct,
            parse_int=_integer,
            parse_float=_no_fraction,
            parse_constant=_no_fraction,
        )
    except UnicodeDecodeError as error:
        raise malformed("not-json", f"{what} is no UTF-8") from error
    except _RefusedError as error:
        raise malformed(error.reason, f"{what} holds {error}") from error
    except ValueError as error:
        raise malformed("not-json", f"{what} is no JSON: {str(error).lower()}") from error
    if _HALVES.search(data) and not _is_text(found):
        raise malformed("not-unicode", f"{what} holds half a character")
    try:
        return msgspec.convert(found, form)
    except msgspec.ValidationError as error:
        raise malformed(
            "not-of-the-form", f"{what} is not of its form: {_in_our_words(str(error))}"
        ) from error


class _RefusedError(Exception):
    """Something in a document that its grammar allows and we do not."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RefusedError("duplicate-key", "a key twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > len(str(_LARGEST)) or abs(int(digits)) > _LARGEST:
        raise _RefusedError("huge-number", "a number that is too large")
    return int(digits)


def _no_fraction(_: str) -> object:
    raise _RefusedError("no-integer", "a number that is no integer")


def _is_text(found: object) -> bool:
    """Whether all texts in it can be written: JSON can say half a character, which no UTF-8 can."""
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_depth(data: bytes, what: str, bounds: Bounds) -> None:
    """Looks at brackets alone: a reader that recurses would be at its end before it could say so."""
    depth = 0
    for bracket in _brackets(data):
        depth += 1 if bracket in b"[{" else -1
        if depth > bounds.depth:
            raise over(f"the depth of {what}", bounds.depth, "document-depth")


def _brackets(data: bytes) -> Iterable[bytes]:
    return (found.group() for found in _BRACKETS.finditer(_STRINGS.sub(b"", data)))


def _in_our_words(message: str) -> str:
    """A message of msgspec in small letters, and with paths that do not begin with their root, ``$``."""
    return (message[:1].lower() + message[1:]).replace("`$.", "`").replace(" - at `$`", "")
