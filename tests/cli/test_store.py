"""Packages on this machine, as a user types it: put in, looked at, sent on, taken out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import binary, text

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal

SCRIPT = Path(__file__).parents[2] / "wherry.data/scripts/wherry"


@pytest.fixture
def packed(wherry: Terminal) -> str:
    """The digest of a package that was packed, and is in a file as well."""
    (wherry.folder / "hello.wasm").write_bytes(binary(text("hello")).read_bytes())
    packing = ("pack", "hello.wasm", "--name", "acme/hello", "--version", "1.0.0")
    name, digest = wherry(*packing).stdout.split()
    assert wherry(*packing, "-o", "hello.oci.tar").stdout == f"hello.oci.tar  {digest}\n"
    assert name == "acme/hello@1.0.0"
    return digest


def test_from_one_machine_to_another(wherry: Terminal, packed: str) -> None:
    """A package that is saved here and loaded there is the same."""
    there = {"WHERRY_STORE": str(wherry.folder / "there")}
    assert wherry("save", "acme/hello", "-o", "sent.tar").code == 0
    assert wherry("list", **there).stdout == ""
    assert wherry("load", "sent.tar", **there).stdout == f"acme/hello@1.0.0  {packed}\n"
    (listed,) = json.loads(wherry("list", "--format", "json", **there).stdout)
    assert (listed["digest"], listed["references"]) == (packed, ["acme/hello@1.0.0"])


def test_what_a_package_is(wherry: Terminal, packed: str) -> None:
    """By any of its names."""
    assert wherry("tag", "acme/hello", "acme/hello@stable").code == 0
    for name in ("acme/hello", "acme/hello@1", "acme/hello@stable", packed, packed[:20]):
        shown = wherry("show", name)
        assert packed in shown.stdout
        assert "names     acme/hello@1.0.0, acme/hello@stable\n" in shown.stdout
        assert "  command hello\n" in shown.stdout
    assert json.loads(wherry("show", packed, "--format", "json").stdout)["form"] == "wherry"


def test_what_a_package_says_gives_no_orders(wherry: Terminal, packed: str) -> None:
    """Where a text may hold more than a line does, what a terminal would act on is spelled out."""
    assert packed
    address = "https://example.com/\\u009B2J\\u202Etxt"
    (wherry.folder / "wherry.toml").write_text(
        f'[package]\nname = "acme/odd"\nversion = "1.0.0"\nrepository = "{address}"\n'
        '[command.odd]\ncomponent = "hello.wasm"\n'
    )
    assert wherry("pack").code == 0
    shown = wherry("show", "acme/odd").stdout
    assert r"  source    https://example.com/\x9b2J\u202etxt" in shown
    assert all(line.isprintable() for line in shown.splitlines())


def test_the_second_run_takes_the_short_way(wherry: Terminal, packed: str) -> None:
    """What a name led to is noted, and no module of the store is loaded; a newer package is meant at once."""
    assert packed
    command = [sys.executable, "-X", "importtime", str(SCRIPT), "run", "acme/hello"]
    environment = {**os.environ, "WHERRY_STORE": str(wherry.folder / "store")}

    def run() -> tuple[str, bool]:
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return done.stdout, "wherry.store.local" in done.stderr

    assert run() == ("hello\n", True)
    assert run() == ("hello\n", False)
    assert wherry("pack", "hello.wasm", "--name", "acme/hello", "--version", "1.1.0").code == 0
    assert run() == ("hello\n", True)
    assert wherry("remove", "acme/hello").code == 0
    with pytest.raises(subprocess.CalledProcessError):
        run()


def test_taking_out(wherry: Terminal, packed: str) -> None:
    """What is damaged is said, and what is removed is gone."""
    assert wherry("verify-store").stdout == "1 whole, 0 damaged\n"
    (wherry.folder / "store/blobs/sha256" / packed.removeprefix("sha256:")).write_bytes(b"{}")
    damaged = wherry("verify-store")
    assert (damaged.code, damaged.stdout.splitlines()[-1]) == (1, "0 whole, 1 damaged")
    assert "hint: `wherry verify-store` says what is damaged" in wherry("run", "acme/hello").stderr
    assert wherry("load", "hello.oci.tar").code == 0
    assert wherry("verify-store").code == 0
    removed = wherry("remove", "acme/hello")
    assert removed.stdout.startswith("acme/hello: removed 1 package, ")
    assert wherry("list").stdout == ""
    assert wherry("prune").stdout == "removed 0 packages, 0 bytes\n"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["show", "acme/helo"], "there is no package `acme/helo`", "did you mean `acme/hello`?"),
        (["remove", "acme/hello@2"], "there is no package `acme/hello@2`", "`acme/hello@1.0.0`"),
        (["save", "hello"], "`hello` names no package", "acme/hello"),
        (["tag", "acme/hello", "acme/hello@2.0.0"], "no name with a label", "acme/thumbs@nightly"),
        (["load", "hello.wasm"], "`hello.wasm` is WebAssembly", "`wherry pack hello.wasm` makes"),
        (["load", "nowhere.tar"], "no such file", ""),
    ],
)
def test_what_cannot_be(wherry: Terminal, packed: str, words: list[str], message: str, hint: str) -> None:
    """The error says what there is, or what to write."""
    assert packed
    typed = wherry(*words)
    assert typed.code in {1, 2}
    assert message in typed.stderr
    assert hint in typed.stderr


def test_what_is_in_a_file_before_it_is_loaded(wherry: Terminal, packed: str) -> None:
    """``show`` tells of a file what it tells of a package, and loads nothing; a project is no package yet."""
    there = {"WHERRY_STORE": str(wherry.folder / "there")}
    shown = wherry("show", "hello.oci.tar", **there)
    assert shown.stdout.startswith(f"acme/hello@1.0.0\n  digest    {packed}\n")
    assert "  command hello\n" in shown.stdout
    assert wherry("list", **there).stdout == ""
    assert "`wherry pack` takes a project into the store" in wherry("show", ".").stderr


def test_names_where_files_are_taken(wherry: Terminal, packed: str) -> None:
    """Whatever reads a program reads a package by its name."""
    assert packed
    assert wherry("inspect", "acme/hello").stdout.startswith("acme/hello: ")
    assert wherry("policy", "explain", "acme/hello").stdout.startswith("acme/hello asks for this:\n")
    assert wherry("compile", "acme/hello").stdout == "hello.cwasm\n"
    assert wherry("run", "--precompiled", "hello.cwasm").stdout == "hello\n"


def test_what_is_different(wherry: Terminal, packed: str) -> None:
    """Between packages in the store and in files."""
    assert packed
    (wherry.folder / "add.wasm").write_bytes(binary(text("add")).read_bytes())
    assert wherry("pack", "add.wasm", "--name", "acme/add", "-o", "add.tar").code == 0
    assert wherry("diff", "acme/hello", "hello.oci.tar").stdout == "No difference\n"
    different = wherry("diff", "acme/hello", "add.tar")
    assert different.code == 0
    assert "Exports:\n" in different.stdout
    assert different.stdout.endswith("The interfaces need a major version\n")
