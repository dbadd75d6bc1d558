"""Reads ``wherry.toml`` and says all that is wrong with it: line, column, and what would be right.

``read_manifest`` reads a file and ``parse_manifest`` a text. The text is read by ``tomllib``, then
``_Check`` walks over what came out beside the types of ``manifest``, so that all errors come at once and
with their place; only what has none becomes a ``Manifest``. ``read_table`` does the same for any other file
of that kind.
"""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import inspect as types

from wherry.artifact import positions
from wherry.artifact.manifest import Manifest
from wherry.artifact.refusals import host_error, shown
from wherry.errors import ManifestError, NotFoundError, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from wherry.errors import Problem

__all__ = ["FILE_NAME", "MOST_BYTES", "check_name", "parse_manifest", "read_manifest", "read_table"]

FILE_NAME = "wherry.toml"
MOST_BYTES = 256 << 10
"""The most that a manifest may have: it travels as an annotation."""

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_Form = TypeVar("_Form")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PYTHON: dict[type[types.Type], type] = {
    types.StrType: str,
    types.BoolType: bool,
    types.StructType: dict,
    types.DictType: dict,
}
_KINDS = {
    dict: "a table",
    list: "a list",
    str: "a text in quotes",
    bool: "`true` or `false`",
    int: "a number",
    float: "a number with a fraction",
}


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """The manifest in a file, or in the ``wherry.toml`` of a folder.

    Raises:
        NotFoundError: There is no such file.
        HostIOError: It cannot be read.
        ManifestError: It is wrong; the message and ``problems`` say where and how.

    """
    file = Path(path)
    if file.is_dir():
        file /= FILE_NAME
    return parse_manifest(_contents(file, "`wherry new` makes a project with one"), str(file))


def read_table(path: str | os.PathLike[str], form: type[_Form]) -> _Form:
    """What is in a TOML file, as a record of that type.

    Raises:
        NotFoundError: There is no such file.
        HostIOError: It cannot be read.
        ManifestError: It is wrong; the message and ``problems`` say where and how.

    """
    file = Path(path)
    return _parse(_contents(file, "check the path"), str(file), form)


def _contents(file: Path, hint: str) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"`{file}`: no such file or directory", hint=hint) from error
    except OSError as error:
        raise host_error(file, error) from error


def check_name(name: str, version: str = "0.0.0") -> None:
    """Whether a package can be called so, where that is said and not read in a manifest.

    Raises:
        UsageError: It cannot; the hint says what would be right.

    """
    said = [text.encode("unicode_escape").decode().replace('"', '\\"') for text in (name, version)]
    try:
        parse_manifest('[package]\nname = "{}"\nversion = "{}"\n\n[library]\n'.format(*said))
    except ManifestError as error:
        _, _, key, _, right = error.problems[0]
        what = (
            f"`{version}` is no version" if key == "package.version" else f"`{name}` is no name of a package"
        )
        raise UsageError(what, hint=right) from error


def parse_manifest(data: bytes | str, name: str = FILE_NAME) -> Manifest:
    """The manifest in a text; ``name`` is for messages.

    Raises:
        ManifestError: It is wrong; the message and ``problems`` say where and how.

    """
    return _parse(data, name, Manifest)


def _parse(data: bytes | str, name: str, form: type[_Form]) -> _Form:
    text = _decoded(data, name)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _failed(name, [_syntax(text, error)]) from error
    except RecursionError as error:
        raise _failed(name, [(1, 1, "", "is nested too deep", "nothing here needs that")]) from error
    except ValueError as error:  # a number of thousands of digits
        raise _failed(
            name, [(1, 1, "", str(error).lower().partition(";")[0], "nothing here needs that")]
        ) from error
    try:
        problems = _Check(positions.Positions.of(text)).whole(table, form)
    except RecursionError as error:
        raise _failed(name, [(1, 1, "", "is nested too deep", "nothing here needs that")]) from error
    if problems:
        raise _failed(name, sorted(problems))
    return msgspec.convert(table, form)


def _decoded(data: bytes | str, name: str) -> str:
    """The text, with line ends as they are: offsets are counted in it."""
    if len(data) > MOST_BYTES:
        wrong = f"is over the bound of {MOST_BYTES:,} bytes"
        raise _failed(name, [(1, 1, "", wrong, "put what is large into a file of `[files]`")])
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = positions.line_and_column(data[: error.start].decode("utf-8", "replace"), error.start)
        raise _failed(name, [(line, max(column, 1), "", "is no UTF-8", "save the file in UTF-8")]) from error


def _syntax(text: str, error: tomllib.TOMLDecodeError) -> Problem:
    """What the reader said, with its place taken out of its words."""
    message = str(error)
    found = _AT.search(message)
    wrong = message[: found.start()] if found else message
    if found and found[1]:
        line, column = int(found[1]), int(found[2])
    else:
        line, column = positions.line_and_column(text, len(text.rstrip()))
    return line, column, "", f"no TOML: {wrong[:1].lower()}{wrong[1:]}", "the grammar stands on toml.io"


def _failed(name: str, problems: list[Problem]) -> ManifestError:
    """The error for what was found: what would be right is the hint, or stands behind each of several."""

    def said(problem: Problem) -> str:
        line, column, key, wrong, _ = problem
        return f"{name}:{line}:{column}: {f'`{key}`: ' if key else ''}{wrong}"

    if len(problems) == 1:
        error = ManifestError(said(problems[0]), hint=problems[0][4])
    else:
        lines = [f"{said(problem)}; {problem[4]}" for problem in problems]
        error = ManifestError("\n".join([f"`{name}` has {len(lines)} errors", *lines]))
    error.problems = tuple(problems)
    return error


_types_of = functools.cache(types.type_info)


class _Check:
    """One look at a table, beside the types that it should have."""

    def __init__(self, where: positions.Positions) -> None:
        self._where = where
        self._problems: list[Problem] = []

    def whole(self, table: dict[str, Any], form: type) -> list[Problem]:
        """All that is wrong."""
        self._check((), table, _types_of(form), {})
        if form is Manifest and not self._problems:
            self._manifest(table)
        return self._problems

    def _manifest(self, table: dict[str, Any]) -> None:
        """What only several sections together can be wrong about."""
        if not (table.get("command") or table.keys() & {"library", "http"}):
            right = "add `[command.NAME]` for a program, `[library]` for functions or `[http]` for a service"
            self._say(("package",), "the package offers nothing to run or call", right, at_key=True)
        for name, dependency in table.get("dependencies", {}).items():
            if isinstance(dependency, dict) and not dependency.keys() & {"version", "digest", "path"}:
                right = 'add `version = "…"`, `digest` or `path`'
                self._say(("dependencies", name), "does not say which one", right, at_key=True)
        self._borrowed(table)
        if "http" in table:
            self._http(table)

    def _borrowed(self, table: dict[str, Any]) -> None:
        """Commands and files of dependencies stand beside the package's own, and each name is there once."""
        commands = dict.fromkeys(table.get("command", {}), "a command of the package itself")
        places = {_place(path): "one of its own files" for path in table.get("files", {})}
        for name, dependency in table.get("dependencies", {}).items():
            if not isinstance(dependency, dict):
                continue
            for number, command in enumerate(dependency.get("commands", ())):
                if command in commands:
                    path = ("dependencies", name, "commands", number)
                    self._say(path, f'"{command}" is {commands[command]} already', "leave one of them out")
                commands.setdefault(command, f"a command of `{name}`")
            if "files" in dependency:
                place = _place(dependency["files"])
                if place in places:
                    wrong = f'"{dependency["files"]}" is the place of {places[place]} already'
                    self._say(("dependencies", name, "files"), wrong, "another place")
                places.setdefault(place, f"those of `{name}`")

    def _http(self, table: dict[str, Any]) -> None:
        """What answers requests is a program or a command, and its files are the package's own."""
        http = table["http"]
        command = http.get("command")
        if command is not None:
            beside = next((key for key in ("component", "source", "language") if key in http), None)
            if beside is not None:
                wrong = "a command answers, or a component of its own"
                self._say(("http", beside), wrong, f"leave out `command` or `{beside}`", at_key=True)
            borrowed = [
                name
                for one in table.get("dependencies", {}).values()
                if isinstance(one, dict)
                for name in one.get("commands", ())
            ]
            commands = [*table.get("command", {}), *borrowed]
            if command not in commands:
                self._say(
                    ("http", "command"),
                    f'there is no command "{command}"',
                    _meant(command, commands, "command"),
                )
        if "static" in http:
            wanted = f"{_place(http['static'])}/"
            places = [f"{_place(path)}/" for path in table.get("files", {})]
            if not any(
                one.startswith(wanted) or wanted.startswith(one) or "/" in {one, wanted} for one in places
            ):
                wrong = f'nothing of `[files]` stands at "{http["static"]}"'
                self._say(
                    ("http", "static"), wrong, f'`"{http["static"]}" = "FOLDER"` in `[files]` puts it there'
                )

    def _say(self, path: positions.Path, wrong: str, right: str, *, at_key: bool = False) -> None:
        line, column = self._where.of_key(path) if at_key else self._where.of_value(path)
        self._problems.append((line, column, _shown(path), wrong, right))

    def _check(self, path: positions.Path, value: object, form: types.Type, told: dict[str, Any]) -> None:
        """Looks at one value; ``told`` holds the words and the check that its type carries."""
        while isinstance(form, types.Metadata):
            told = (form.extra or {}) | told
            form = form.type
        match form:
            case types.StructType():
                self._section(path, value, form)
            case types.DictType():
                self._mapping(path, value, form)
            case types.VarTupleType():
                self._list(path, value, form)
            case types.UnionType():
                self._one_of(path, value, form, told)
            case _:
                self._leaf(path, value, form, told)

    def _section(self, path: positions.Path, value: object, form: types.StructType) -> None:
        if not isinstance(value, dict):
            keys = " and ".join(f"`{field.encode_name}`" for field in form.fields if field.required)
            self._say(
                path, f"expected a table, got {_kind(value)}", f"a table with {keys}" if keys else "a table"
            )
            return
        fields = {field.encode_name: field for field in form.fields}
        for key in value:
            if key not in fields:
                what = "key" if path else "section"
                self._say((*path, key), f"there is no such {what}", _meant(key, fields, what), at_key=True)
            else:
                self._check((*path, key), value[key], fields[key].type, {})
        for key, field in fields.items():
            if field.required and key not in value:
                section = f"[[{key}]]" if _is_of([], field.type) else f"[{key}]"
                right = f"add `{key} = …`" if path else f"add `{section}`"
                self._say(path, f"`{key}` is missing", right, at_key=True)

    def _mapping(self, path: positions.Path, value: object, form: types.DictType) -> None:
        if not isinstance(value, dict):
            self._say(path, f"expected a table, got {_kind(value)}", "a table of names")
            return
        for key, inner in value.items():
            before = len(self._problems)
            self._check((*path, key), key, form.key_type, {})
            if len(self._problems) == before:
                self._check((*path, key), inner, form.value_type, {})
            else:  # what is wrong is the key, not what stands under it
                line, column = self._where.of_key((*path, key))
                _, _, shown, wrong, right = self._problems[before]
                self._problems[before:] = [(line, column, shown, wrong, right)]

    def _list(self, path: positions.Path, value: object, form: types.VarTupleType) -> None:
        if not isinstance(value, list):
            self._say(path, f"expected a list, got {_kind(value)}", "put it in square brackets: `[…]`")
            return
        if form.max_length is not None and len(value) > form.max_length:
            self._say(path, f"there are {len(value)}", f"at most {form.max_length}")
        for place, inner in enumerate(value):
            self._check((*path, place), inner, form.item_type, {})

    def _one_of(
        self, path: positions.Path, value: object, form: types.UnionType, told: dict[str, Any]
    ) -> None:
        """The case that the value is of; where it is of none, the first one says so."""
        cases = [case for case in form.types if not isinstance(case, types.NoneType)]
        fitting = (case for case in cases if _is_of(value, case))
        self._check(path, value, next(fitting, cases[0]), told)

    def _leaf(self, path: positions.Path, value: object, form: types.Type, told: dict[str, Any]) -> None:
        what = told.get("what", _expected(form))
        right = told.get("right", _expected(form))
        if not _is_of(value, form):
            if isinstance(form, types.LiteralType) and isinstance(value, str):
                self._say(path, f'there is no "{value}"', _meant(value, form.values, "value"))
            else:
                self._say(path, f"expected {what}, got {_kind(value)}", right)
            return
        if isinstance(value, str) and isinstance(form, types.StrType):
            if (form.min_length or 0) > len(value):
                self._say(path, "is empty", right)
                return
            fits = form.max_length is None or len(value) <= form.max_length
            if not fits or (form.pattern and not re.search(form.pattern, value)) or value.endswith("\n"):
                self._say(path, f"{_quoted(value)} is not {what}", right)
                return
        if "check" in told and (wrong := told["check"](value)):
            self._say(path, f"{_quoted(value)} {wrong}", right)
        elif isinstance(form, types.IntType) and isinstance(value, int) and value < (least := form.ge or 0):
            self._say(path, f"{value} is too little", f"{least} or more")


def _place(path: str) -> str:
    """A path in the guest, however many slashes it is written with."""
    return "/".join(part for part in path.split("/") if part)


def _is_of(value: object, form: types.Type) -> bool:
    """Whether a value is of the kind that a type is of."""
    while isinstance(form, types.Metadata):
        form = form.type
    match form:
        case types.LiteralType():
            return isinstance(value, str) and value in form.values
        case types.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case types.AnyType():
            return True
        case types.UnionType():
            return any(_is_of(value, case) for case in form.types)
        case _:
            return isinstance(value, _PYTHON.get(type(form), list))


def _expected(form: types.Type) -> str:
    match form:
        case types.BoolType():
            return _KINDS[bool]
        case types.IntType():
            return _KINDS[int]
        case types.LiteralType():
            return " or ".join(f'"{value}"' for value in form.values)
        case _:
            return _KINDS[str]


def _kind(value: object) -> str:
    """What a value is, in the words of TOML."""
    if isinstance(value, bool | int | float):
        return f"`{str(value).lower()}`" if len(str(value)) < 40 else "a long number"  # noqa: PLR2004 - a line's worth
    return _KINDS.get(type(value), "a date or time")


def _quoted(value: object) -> str:
    return f'"{shown(str(value))}"'


def _meant(word: str, names: Iterator[str] | Any, what: str) -> str:
    """What was meant by a word, or all that it could have been."""
    import difflib

    known = [str(name) for name in names]
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"the {what}s are {', '.join(f'`{name}`' for name in known)}"


def _shown(path: positions.Path) -> str:
    """A path as people write it: ``needs.dir[0].why``, ``files."/data"``."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            quoted = (
                part if _PLAIN_KEY.fullmatch(part) else f'"{part}"' if part.isprintable() else ascii(part)
            )
            shown += f".{quoted}" if shown else quoted
    return shown
