"""A project with ``[http]``: what its tests ask it, and what the commands say of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.build.test_launch import wherry
from tests.guests.build import http_application

if TYPE_CHECKING:
    from pathlib import Path

_MANIFEST = """[package]
name = "acme/shop"
version = "1.0.0"

[http]
component = "app.wasm"
"""
_TESTS = """The answers of an application that stands there built.

> GET /
Hello, World!

> POST /echo < said.txt
What was said

> PUT /tell x-one:1 'x-two: and 2' < said.txt
3 /tell 127.0.0.1:...
...
x-one: 1
x-two: and 2
...

> GET /trap
...
[500 Internal Server Error]

> GET /
Hello, Bob!
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A package of one application."""
    shutil.copy(http_application("full"), tmp_path / "app.wasm")
    (tmp_path / "wherry.toml").write_text(_MANIFEST)
    (tmp_path / "said.txt").write_text("What was said")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "shop.console").write_text(_TESTS)
    return tmp_path


def test_tests_of_an_application_send_requests(project: Path) -> None:
    """Body and status of each answer are compared; fields and a body go with a request."""
    code, out, said = wherry(project, "test")
    assert (code, out) == (1, "4 passed, 1 failed\n"), said
    assert "tests/shop.console:20: `GET /` did not print what is expected" in said
    assert "  expected:\n    Hello, Bob!\n  printed:\n    Hello, World!\n" in said


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("> GET / word", "`word` is no field"),
        ("> GET / 'word", "no closing quotation"),
        ("> answer()", "the package has no library"),
    ],
)
def test_a_test_that_cannot_be_read_is_refused(project: Path, step: str, message: str) -> None:
    """The message says where it stands."""
    (project / "tests" / "shop.console").write_text(f"A test.\n\n{step}\n")
    code, out, said = wherry(project, "test")
    assert (code, out) == (2, "")
    assert f"tests/shop.console:3: {message}" in said


def test_an_application_is_not_run(project: Path) -> None:
    """``run`` names the command that serves it; ``inspect`` looks at its component."""
    code, _, said = wherry(project, "run", ".")
    assert code == 125
    assert "`.` answers HTTP requests: there is nothing to run" in said
    assert "`wherry serve .` serves it" in said
    assert "wasi:http/incoming-handler" in wherry(project, "inspect", ".")[1]


def test_a_package_without_http_is_not_served(project: Path) -> None:
    """A command is served only where it is named."""
    manifest = project / "wherry.toml"
    manifest.write_text(manifest.read_text().replace("[http]", "[command.shop]"))
    code, out, said = wherry(project, "serve", ".", "--addr", "127.0.0.1:0")
    assert (code, out) == (2, "")
    assert "`.` has no `[http]`, and so answers no requests" in said
    assert "`wherry serve .#shop` asks that command, as CGI" in said


def test_what_is_not_built_yet_is_said(project: Path) -> None:
    """A language without HTTP names those that have it."""
    manifest = project / "wherry.toml"
    manifest.write_text(manifest.read_text().replace('component = "app.wasm"', 'language = "assemblyscript"'))
    code, _, said = wherry(project, "build")
    assert code == 1
    assert "`[http]` is not built from AssemblyScript yet" in said
