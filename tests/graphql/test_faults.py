"""Each check of the shared suite can fail, in each language: it reports a fault in an area of the library."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.graphql.suite import (
    ANSWERS,
    answered,
    bound,
    bound_c,
    bound_npm,
    c,
    cases,
    different,
    installed,
    jansson,
    python,
    suite,
    typescript,
)
from wherry.build.builder import build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _pytest.mark import ParameterSet

    from tests.graphql.suite import Command

FAULTS = {
    "parse": ("node_modules/graphql/language/lexer.mjs", "value: '\\u000a'", "value: '\\u000b'"),
    "validate": (
        "node_modules/graphql/validation/rules/ScalarLeafsRule.mjs",
        "if (isLeafType(getNamedType(type)))",
        "if (!isLeafType(getNamedType(type)))",
    ),
    "execute": (
        "node_modules/graphql/execution/collectFields.mjs",
        "skip.if) === true",
        "skip.if) === false",
    ),
    "introspect": (
        "node_modules/graphql/type/introspection.mjs",
        "resolve: (field) => field.deprecationReason != null",
        "resolve: (field) => field.deprecationReason == null",
    ),
    "print": (
        "node_modules/graphql/language/printer.mjs",
        "join(['@', name, wrap(",
        "join(['@@', name, wrap(",
    ),
    "resolvers": ("src/execution.ts", "arguments: JSON.stringify(args)", 'arguments: "{}"'),
    "errors": ("src/graphql.ts", "locations: [...locations]", "locations: []"),
}
"""By area: a file of the library or of graphql-js, and what is changed in it."""


PLACES = {"resolvers": "execute", "errors": "execute"}
"""Where cases of an area are, if not under its name."""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, to be changed."""
    folder = tmp_path_factory.mktemp("faulty") / "library"
    shutil.copytree(installed(), folder, ignore=shutil.ignore_patterns("build", "python"))
    return folder


def _bound(language: str, project: Path, folder: Path) -> Command:
    """The runner of a language, on bindings to what was built."""
    match language:
        case "typescript":
            return typescript(bound_npm(project, folder))
        case "c":
            return c(bound_c(project))
        case _:
            return python(bound(project))


def _cases() -> Iterator[ParameterSet]:
    """All areas in all languages, of which one is quick."""
    for language in ("python", "typescript", "c"):
        for area in FAULTS:
            quick = (language, area) == ("python", "errors")
            yield pytest.param(language, area, marks=[] if quick else [pytest.mark.slow])


@pytest.mark.parametrize(("language", "area"), [*_cases()])
def test_a_fault_in_each_area_is_reported(
    faulty: Path, language: str, area: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By cases of that area, and not by all cases, whatever language they come through."""
    name, sound, wrong = FAULTS[area]
    path = faulty / name
    text = path.read_text()
    assert text.count(sound) >= 1
    jansson()
    # What is compiled here nobody wants again.
    monkeypatch.setattr("tests.guests.build.CACHE", tmp_path / "cache")
    # The modules of npm are links of nobody: what is written here stays here.
    path.write_text(text.replace(sound, wrong, 1))
    try:
        build(faulty, force=True)  # modules of npm are known by their lock
        found = answered(_bound(language, faulty, tmp_path), suite(tmp_path))
    finally:
        path.write_text(text)
    reported = different(json.loads(ANSWERS.read_text()), found)
    assert 0 < len(reported) < len(cases())
    assert any(one.startswith(PLACES.get(area, area)) for one in reported), reported
