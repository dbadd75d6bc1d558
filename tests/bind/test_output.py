"""Folders of generated files: whole or not at all, and never at the cost of others' files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wherry.bind.output import NOTE, Change, changes, write
from wherry.errors import HostIOError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"pyproject.toml": b"[project]\n", "thumbs/__init__.py": b"x = 1\n"}


def test_what_was_written_is_current(tmp_path: Path) -> None:
    """A folder that was just written needs no change, and writing it again changes no file."""
    target = tmp_path / "out"
    assert {one.kind for one in write(target, FILES, overwrite=False)} == {"added"}
    assert changes(target, FILES) == []
    before = (target / "pyproject.toml").stat().st_mtime_ns
    assert write(target, FILES, overwrite=False) == []
    assert (target / "pyproject.toml").stat().st_mtime_ns == before


def test_own_files_are_replaced_and_taken_away(tmp_path: Path) -> None:
    """What an earlier run wrote is its own: it changes, and goes where it is no longer made."""
    write(tmp_path / "out", FILES, overwrite=False)
    later = {"pyproject.toml": b"[project]\nname = 'x'\n"}
    expected = [Change("pyproject.toml", "changed"), Change("thumbs/__init__.py", "removed")]
    assert write(tmp_path / "out", later, overwrite=False) == expected
    assert not (tmp_path / "out/thumbs/__init__.py").exists()


@pytest.mark.parametrize("known", [False, True], ids=["foreign", "edited"])
def test_files_of_others_are_not_overwritten(tmp_path: Path, *, known: bool) -> None:
    """A file that somebody else wrote, or changed since, stops the run before anything is written."""
    target = tmp_path / "out"
    if known:
        write(target, {"pyproject.toml": b"old\n"}, overwrite=False)
    target.mkdir(exist_ok=True)
    (target / "pyproject.toml").write_text("mine\n")
    with pytest.raises(UsageError, match=r"pyproject\.toml"):
        write(target, FILES, overwrite=False)
    assert (target / "pyproject.toml").read_text() == "mine\n"
    assert not (target / "thumbs").exists()
    write(target, FILES, overwrite=True)
    assert (target / "pyproject.toml").read_bytes() == FILES["pyproject.toml"]


def test_other_files_in_the_folder_stay(tmp_path: Path) -> None:
    """What is not generated is not touched, and does not make the folder outdated."""
    write(tmp_path, FILES, overwrite=False)
    (tmp_path / "notes.txt").write_text("mine")
    assert changes(tmp_path, FILES) == []
    write(tmp_path, {"a": b"1"}, overwrite=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_run_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """Where one file cannot be written, those before it are put back and nothing partial is left."""
    target = tmp_path / "out"
    write(target, {"a": b"1", "b": b"2"}, overwrite=False)
    (target / "c").write_text("in the way of a folder")
    with pytest.raises(HostIOError):
        write(target, {"a": b"new", "b": b"new", "c/d": b"new"}, overwrite=False)
    assert [(target / name).read_bytes() for name in ("a", "b")] == [b"1", b"2"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_note_does_not_reach_out_of_its_folder(tmp_path: Path) -> None:
    """A note that somebody made up does not have files outside taken away."""
    (tmp_path / "precious").write_text("x")
    target = tmp_path / "out"
    target.mkdir()
    (target / NOTE).write_text('{"files": {"../precious": "0", "/etc/passwd": "0"}}')
    write(target, FILES, overwrite=False)
    assert (tmp_path / "precious").read_text() == "x"
