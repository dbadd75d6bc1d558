"""Guests in JavaScript and TypeScript: dependencies, the user's lines, types."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.build.projects import make
from wherry.build.builder import build
from wherry.build.source_map import line_table

if TYPE_CHECKING:
    from pathlib import Path

_FAILS = """import { shout } from "./words.js";

function inner() {
  throw new Error(shout("oh no"));
}

inner();
"""


def test_dependencies_are_bundled_and_errors_name_the_user_s_lines(tmp_path: Path) -> None:
    """A package in ``node_modules`` goes in, and a stack names files and lines as the user has them."""
    folder = make(tmp_path, "javascript", "command")
    package = folder / "node_modules" / "loud"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "loud", "version": "1.0.0", "main": "loud.js"}')
    (package / "loud.js").write_text("exports.loud = (text) => text.toUpperCase();\n")
    words = 'import { loud } from "loud";\n\nexport const shout = (text) => `${loud(text)}!`;\n'
    (folder / "src" / "words.js").write_text(words)
    (folder / "src" / "greeter.js").write_text(_FAILS)
    (built,) = build(folder)
    done = wherry.run(built.path, capture=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"Error: OH NO!" in done.stderr
    assert b"at inner (src/greeter.js:4)" in done.stderr
    assert b"(src/greeter.js:7)" in done.stderr


@pytest.mark.slow
def test_a_trap_of_a_library_names_the_user_s_line(tmp_path: Path) -> None:
    """What the guest says as it traps has the file and line of the source, not of the bundle."""
    folder = make(tmp_path, "typescript", "library")
    source = (
        "// A comment.\nexport function greet(name: string): string {\n  throw new Error(`no ${name}`);\n}\n"
    )
    (folder / "src" / "greeter.ts").write_text(source)
    (built,) = build(folder)
    command = ["run", "--invoke", 'greet("Ada")', str(built.path)]
    done = subprocess.run(
        [sys.executable, "-m", "wherry", *command], check=False, capture_output=True, text=True
    )
    assert done.returncode == 134
    assert "no Ada" in done.stderr
    assert "src/greeter.ts:3" in done.stderr


@pytest.mark.slow
def test_types_are_checked(tmp_path: Path) -> None:
    """TypeScript that does not fit its types does not build, and the compiler's words name the line."""
    folder = make(tmp_path, "typescript", "command")
    source = folder / "src" / "greeter.ts"
    source.write_text(f"{source.read_text()}const wrong: number = name;\n")
    with pytest.raises(wherry.BuildError, match="checking types of greeter failed") as raised:
        build(folder)
    assert "src/greeter.ts(3,7): error TS2322" in raised.value.output


@pytest.mark.slow
def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The bundler's own words, with the user's file."""
    folder = make(tmp_path, "javascript", "command")
    (folder / "src" / "greeter.js").write_text('import "no-such-module";\n')
    with pytest.raises(wherry.BuildError, match="bundling greeter failed") as raised:
        build(folder)
    assert 'Could not resolve "no-such-module"' in raised.value.output
    assert "src/greeter.js:1:7:" in raised.value.output


@pytest.mark.slow
def test_text_is_utf_8(tmp_path: Path) -> None:
    """``TextEncoder`` and ``TextDecoder`` do what browsers' do, for what is no UTF-8 too."""
    folder = make(tmp_path, "javascript", "command")
    (folder / "src" / "greeter.js").write_text(
        'const text = "aé€😀";\n'
        "const bytes = new TextEncoder().encode(text);\n"
        "console.log(bytes.length, new TextDecoder().decode(bytes) === text);\n"
        "const wrong = new Uint8Array([0xff, 0x41, 0xc3, 0xe2, 0x82, 0xed, 0xa0, 0x80]);\n"
        "console.log(new TextDecoder().decode(wrong));\n"
    )
    (built,) = build(folder)
    lines = wherry.run(built.path, capture=True).stdout.decode().splitlines()
    assert lines[0] == "10 true"
    assert lines[1].startswith("\ufffdA\ufffd\ufffd")


def test_a_map_of_sources_is_read(tmp_path: Path) -> None:
    """Lines of the bundle are those of the user's files; what is ours is nobody's."""
    own, project = tmp_path / "own", tmp_path / "project"
    data = (
        b'{"version":3,"sources":["../own/base.js","../project/src/x.js"],"mappings":"AAAA;ACEA,IAAI;;AACA"}'
    )
    table = line_table(data, tmp_path / "work", project, own)
    assert table == [None, ("src/x.js", 3), None, ("src/x.js", 4)]
