"""The values in ``wherry.toml``: how each is written, and the words of its errors.

``what`` and ``right`` in ``extra`` are the words: what a value should have been, and how that is written;
``check`` is what it has to be beyond its form.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

from wherry.artifact import manifest_values as values

__all__ = [
    "CommandName",
    "ConfigName",
    "Count",
    "Digest",
    "Duration",
    "GuestPath",
    "HostAndPort",
    "Keyword",
    "Licence",
    "Line",
    "Method",
    "OwnAddress",
    "PackageName",
    "Positive",
    "ProjectPath",
    "RequestUrl",
    "Requirement",
    "Route",
    "Size",
    "Url",
    "VariableName",
    "Version",
]


def _told(what: str, right: str) -> Meta:
    """The words for a value that does not fit: what it should have been, and how that is written."""
    return Meta(extra={"what": what, "right": right})


PackageName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*$",
        max_length=128,
        description="The name, as `namespace/name`.",
        examples=["acme/thumbs"],
    ),
    _told(
        "a name of a package",
        "`namespace/name` of small letters, digits and single dashes, each part beginning with a letter, "
        "such as `acme/thumbs`",
    ),
]
Version: TypeAlias = Annotated[
    str,
    Meta(pattern=values.VERSION, max_length=128, description="The version (semver.org).", examples=["1.2.0"]),
    _told("a version", "three numbers and, if need be, a name, such as `1.2.0` or `2.0.0-beta.1`"),
]
Line: TypeAlias = Annotated[
    str,
    # Without what a terminal acts on: control characters, ends of lines, marks that turn text round.
    Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+$", max_length=300),
    _told("a line of text", "one line of at most 300 characters, none of which a terminal acts on"),
]
Licence: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        description="The licence, an SPDX expression.",
        examples=["Apache-2.0", "MIT OR Apache-2.0", "LicenseRef-proprietary"],
        extra={"check": values.licence},
    ),
    _told(
        "an SPDX licence",
        "an identifier of spdx.org/licenses such as `Apache-2.0`, or several with `OR` and `AND`",
    ),
]
Keyword: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9+-]*$", max_length=40),
    _told("a keyword", "a word of small letters, digits and dashes"),
]
ProjectPath: TypeAlias = Annotated[
    str,
    Meta(min_length=1, extra={"check": values.project_path}),
    _told(
        "a path in the project", "a path with `/` that begins at the folder of `wherry.toml` and stays in it"
    ),
]
Url: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=500),
    _told("a URL", "one that begins with `https://`"),
]
GuestPath: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^/", extra={"check": values.guest_path}),
    _told("a path in the guest", "an absolute path such as `/data`, without `.` and `..`"),
]
CommandName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9._+-]*$", max_length=64),
    _told("a name of a command", "small letters, digits, `-`, `.`, `_` and `+`, such as `thumbs`"),
]
VariableName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200),
    _told("a name of a variable", "letters, digits and `_`, such as `API_TOKEN`"),
]
ConfigName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[^\s=@]+$", max_length=200),
    _told("a name", "letters without spaces, `=` and `@`, such as `log-level`"),
]
HostAndPort: TypeAlias = Annotated[
    str,
    Meta(min_length=1, max_length=300, extra={"check": values.connection}),
    _told("a host and port", "`HOST:PORT`, such as `db.example.com:5432`"),
]
OwnAddress: TypeAlias = Annotated[
    str,
    Meta(min_length=1, max_length=300, extra={"check": values.listening}),
    _told("an address and port", "`ADDRESS:PORT`, such as `127.0.0.1:8080`"),
]
RequestUrl: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^https?://\S+$", max_length=500, extra={"check": values.request}),
    _told("a URL", "one that begins with `https://`, such as `https://api.example.com/v1`"),
]
Method: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Z]+$", max_length=20), _told("a method of HTTP", "capitals, such as `GET`")
]
Digest: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^sha256:[0-9a-f]{64}$"),
    _told("a digest", "`sha256:` and 64 hexadecimal digits in small letters"),
]
Requirement: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="Which versions fit: `1.2` is any 1.2, `^1.2` from 1.2 up to 2.0, also `>=1.2,<1.5`.",
        examples=["1.2", "^1.2", ">=1.2,<1.5"],
        extra={"check": values.requirement},
    ),
    _told("a requirement on versions", "`1.2` (any 1.2), `^1.2` (from 1.2 up to 2.0) or `>=1.2,<1.5`"),
]
Size: TypeAlias = Annotated[
    str | int,
    Meta(extra={"check": values.size}),
    _told("a size", "bytes, or with a unit as in `256MiB`"),
]
Duration: TypeAlias = Annotated[
    str,
    Meta(extra={"check": values.duration}),
    _told("a time", "seconds or minutes, such as `5s` or `1m30s`"),
]
Count: TypeAlias = Annotated[
    str | int,
    Meta(extra={"check": values.count}),
    _told("a number", "a whole number, such as `1000` or `10M`"),
]
Positive: TypeAlias = Annotated[
    int,
    Meta(ge=1, le=1_000_000, extra={"check": values.positive}),
    _told("a number", "a whole number from 1 to 1000000"),
]
Route: TypeAlias = Annotated[
    str,
    Meta(min_length=1, max_length=500, extra={"check": values.route}),
    _told(
        "a route",
        "a path, with a host before it if need be, such as `/api/:id` or `shop.example.com/*rest`",
    ),
]
