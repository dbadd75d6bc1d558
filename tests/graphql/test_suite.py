"""Every language answers the shared suite of GraphQL as graphql-js does in Node."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.bind.npm_packages import STRICT, tsc
from tests.graphql.suite import (
    ANSWERS,
    answered,
    bound,
    bound_npm,
    cases,
    different,
    installed,
    native,
    python,
    suite,
    typescript,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.graphql.suite import Answer


@pytest.fixture(scope="module")
def expected() -> list[Answer]:
    """What was recorded, and read."""
    found: list[Answer] = json.loads(ANSWERS.read_text())
    return found


def test_the_suite_has_five_hundred_cases_with_names_of_their_own() -> None:
    """A case is found by its name."""
    names = [case["name"] for case in cases()]
    assert len(names) >= 500
    assert len(set(names)) == len(names)


def test_graphql_js_in_node_answers_as_recorded(expected: list[Answer], tmp_path: Path) -> None:
    """The record is of the pinned version."""
    assert different(expected, answered(native(), suite(tmp_path))) == []


def test_python_answers_as_recorded(expected: list[Answer], tmp_path: Path) -> None:
    """Through the component, with resolvers in Python."""
    assert different(expected, answered(python(bound(installed())), suite(tmp_path))) == []


def test_typescript_answers_as_recorded(expected: list[Answer], tmp_path: Path) -> None:
    """Through the component in JavaScript, with resolvers in TypeScript that keeps to the types."""
    command = typescript(bound_npm(installed(), tmp_path))
    words = ["--noEmit", "--target", "es2022", "--module", "nodenext", "--skipLibCheck"]
    index = (tmp_path / "graphql" / "src" / "index.ts").as_posix()
    paths = tmp_path / "tsconfig.json"
    options = {"paths": {"@wherry/graphql": [index]}, "lib": ["es2022", "dom", "esnext.disposable"]}
    paths.write_text(json.dumps({"compilerOptions": options, "files": ["runner.ts", "node.d.ts"]}))
    tsc(tmp_path, "--project", str(paths), *words, *STRICT)
    assert different(expected, answered(command, suite(tmp_path))) == []
