"""GraphQL from C: the shared suite through generated bindings, and the command that is the example."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.ffi.conftest import PREFIX
from tests.graphql.suite import ANSWERS, LIBRARY, answered, bound_c, c, different, installed, jansson, suite

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bind.c_programs import Package

EXAMPLE = LIBRARY.parent / "c" / "library.c"


@pytest.fixture(scope="module")
def bindings() -> Package:
    """The bindings for C to `wherry/graphql`."""
    return bound_c(installed())


def test_c_answers_as_recorded(bindings: Package, tmp_path: Path) -> None:
    """Through the component, with resolvers in C."""
    expected = json.loads(ANSWERS.read_text())
    assert different(expected, answered(c(bindings), suite(tmp_path))) == []


@pytest.mark.parametrize(
    ("words", "printed", "said"),
    [
        (
            ["{ author(id: 2) { name books { title author { id } } } }"],
            {
                "author": {
                    "name": "Stanisław Lem",
                    "books": [
                        {"title": "Solaris", "author": {"id": "2"}},
                        {"title": "The Cyberiad", "author": {"id": "2"}},
                    ],
                }
            },
            "",
        ),
        (
            ["query ($id: ID!) { author(id: $id) { name } authors { books { title } } }", '{"id": 9}'],
            {
                "author": None,
                "authors": [
                    {"books": [{"title": "The Summer Book"}]},
                    {"books": [{"title": "Solaris"}, {"title": "The Cyberiad"}]},
                ],
            },
            "",
        ),
        (["{ nobody }"], None, 'error: Cannot query field "nobody" on type "Query". (line 1, column 3)\n'),
    ],
    ids=["nested", "variables", "error"],
)
def test_the_example_answers_queries(words: list[str], printed: object, said: str, bindings: Package) -> None:
    """A command of C with a schema, resolvers and no network."""
    (program,), _ = c(bindings, EXAMPLE)
    done = subprocess.run([program, *words], capture_output=True, check=False, text=True, timeout=60)
    assert (done.stderr, done.returncode) == (said, 1 if said else 0)
    assert (json.loads(done.stdout) if done.stdout else None) == printed


@pytest.mark.slow
def test_the_example_is_built_by_cmake(bindings: Package, tmp_path: Path) -> None:
    """With the bindings installed, as its CMakeLists.txt says."""
    (found,) = jansson().glob("usr/lib/*/pkgconfig")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(found), "PKG_CONFIG_SYSROOT_DIR": str(jansson())}
    installed_to = tmp_path / "installed"
    for source, built, *options in (
        (
            bindings.folder,
            "bindings",
            f"-DCMAKE_PREFIX_PATH={PREFIX}",
            f"-DCMAKE_INSTALL_PREFIX={installed_to}",
        ),
        (EXAMPLE.parent, "example", f"-DCMAKE_PREFIX_PATH={installed_to};{PREFIX}"),
    ):
        commands = [["cmake", "-S", str(source), "-B", built, *options], ["cmake", "--build", built]]
        commands += [["cmake", "--install", built]] if built == "bindings" else []
        for command in commands:
            done = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, check=False, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
    said = subprocess.run(
        [tmp_path / "example/library", "{ author(id: 1) { name } }"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(said.stdout) == {"author": {"name": "Tove Jansson"}}
