"""The one rule from names of WIT to names of Python."""

from __future__ import annotations

import keyword


def snake_case(name: str) -> str:
    """The name of a function, parameter or field: ``get-URL`` is ``get_url``, ``from`` is ``from_``.

    WIT does not allow two names that differ in capitals only, so that lower case loses nothing.
    """
    return _escaped(name.replace("-", "_").lower())


def pascal_case(name: str) -> str:
    """The name of a class, for a record, variant or resource: ``error-code`` is ``ErrorCode``."""
    return _escaped("".join(word[:1].upper() + word[1:] for word in name.split("-")))


def _escaped(name: str) -> str:
    """``name``, or with an underscore after it what Python keeps for itself (PEP 8)."""
    return f"{name}_" if keyword.iskeyword(name) else name
