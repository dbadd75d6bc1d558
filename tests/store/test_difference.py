"""What a package is beyond another, and what its version has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import binary
from wherry.artifact.blobs import MemoryBlobs
from wherry.artifact.pack import pack
from wherry.artifact.read import read_artifact
from wherry.store.difference import compare

if TYPE_CHECKING:
    from pathlib import Path

    from wherry.artifact.read import Artifact
    from wherry.store.difference import Difference, Verdict

CORE = '(core module $m (func (export "f") (param i32)) (func (export "g") (param i64)))'
ONE = f"""(component {CORE} (core instance $i (instantiate $m))
    (func (export "one") (param "a" u32) (canon lift (core func $i "f"))))"""
WIDER = ONE.replace("u32", "u64").replace('$i "f"', '$i "g"')
RENAMED = ONE.replace('"one"', '"other"')
TWO = ONE.removesuffix(")") + """ (func (export "two") (param "a" u32) (canon lift (core func $i "f"))))"""
IMPORTING = ONE.replace("(component", '(component (import "log" (func (param "line" u32)))', 1)
MANIFEST = """[package]
name = "acme/one"
version = "{version}"

[library]
component = "one.wasm"
{more}"""
FILES = '\n[files]\n"/data" = "data"\n'
NEEDS = '\n[needs]\nenv = [{ name = "HOME", why = "to look" }]\n'


@dataclass(frozen=True)
class Made:
    """What a package is made of; as it stands it is version 1.0.0 of one function."""

    component: str = ONE
    version: str = "1.0.0"
    more: str = ""
    text: str = "a"

    def packed(self, folder: Path) -> tuple[MemoryBlobs, Artifact]:
        """The package."""
        (folder / "data").mkdir(parents=True)
        (folder / "data/a.txt").write_text(self.text)
        (folder / "one.wasm").write_bytes(binary(self.component).read_bytes())
        (folder / "wherry.toml").write_text(MANIFEST.format(version=self.version, more=self.more))
        blobs = MemoryBlobs()
        return blobs, read_artifact(blobs, pack(folder, blobs))


def difference(folder: Path, before: Made, after: Made) -> Difference:
    """What one is beyond the other."""
    return compare(before.packed(folder / "before"), after.packed(folder / "after"))


@pytest.mark.parametrize(
    ("component", "verdict", "lines"),
    [
        pytest.param(ONE, "patch", [], id="as-before"),
        pytest.param(TWO, "minor", ["+ two: func(a: u32)"], id="more"),
        pytest.param(WIDER, "major", ["- one: func(a: u32)\n+ one: func(a: u64)"], id="other-type"),
        pytest.param(RENAMED, "major", ["- one: func(a: u32)", "+ other: func(a: u32)"], id="renamed"),
    ],
)
@pytest.mark.parametrize(
    ("version", "step"),
    [("1.0.1", "patch"), ("1.1.0", "minor"), ("2.0.0", "major")],
)
def test_what_callers_can_call(  # noqa: PLR0917 - each is one part of the case
    tmp_path: Path, component: str, verdict: Verdict, lines: list[str], version: str, step: Verdict
) -> None:
    """The verdict follows from the types, and the version has to say at least that."""
    found = difference(tmp_path, Made(), Made(component, version))
    assert sorted(map(str, found.exports)) == sorted(lines)
    assert (found.verdict, found.step) == (verdict, step)
    order = ["same", "patch", "minor", "major"]
    assert found.enough == (order.index(step) >= order.index(verdict))


def test_before_the_first_release(tmp_path: Path) -> None:
    """There the second number says that something broke."""
    found = difference(tmp_path, Made(version="0.1.0"), Made(WIDER, "0.2.0"))
    assert (found.verdict, found.step, found.enough) == ("major", "major", True)
    found = difference(tmp_path / "again", Made(version="0.1.0"), Made(WIDER, "0.1.1"))
    assert (found.step, found.enough) == ("minor", False)


def test_what_a_host_has_to_give(tmp_path: Path) -> None:
    """One more import is something that callers have to do."""
    found = difference(tmp_path, Made(), Made(IMPORTING, "1.1.0"))
    assert [str(change) for change in found.imports] == ["+ log: func(line: u32)"]
    assert (found.verdict, found.enough) == ("major", False)
    back = difference(tmp_path / "back", Made(IMPORTING), Made(version="1.0.1"))
    assert (back.verdict, back.enough) == ("patch", True)


def test_files_and_needs(tmp_path: Path) -> None:
    """By path and by flag; what is in a file counts, though its size is the same."""
    found = difference(tmp_path, Made(more=FILES), Made(more=FILES + NEEDS, text="b", version="1.0.1"))
    (changed,) = found.files
    assert changed.name == "data/a.txt"
    assert [str(change) for change in found.needs] == ["+ read the variable HOME"]
    assert (found.verdict, found.exports, found.imports) == ("patch", [], [])
    assert found.size[1] > found.size[0]


def test_the_same(tmp_path: Path) -> None:
    """Nothing is different."""
    found = difference(tmp_path, Made(more=FILES), Made(more=FILES))
    assert (found.verdict, found.files, found.needs, found.enough) == ("same", [], [], True)


def test_the_same_version_of_something_else(tmp_path: Path) -> None:
    """It says nothing where it would have to."""
    found = difference(tmp_path, Made(), Made(TWO))
    assert (found.verdict, found.step, found.enough) == ("minor", "same", False)
