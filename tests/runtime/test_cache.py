"""Compiled code that is kept: looked after, and never trusted when it should not be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import wherry
from wherry.runtime import cache
from wherry.runtime.compile import modes, precompile, targets

if TYPE_CHECKING:
    from pathlib import Path

ADD = '(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, not made yet."""
    path = tmp_path / "cache"
    monkeypatch.setenv("WHERRY_CACHE_DIR", str(path))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A program."""
    path = tmp_path / "add.wat"
    path.write_text(ADD)
    return path


def test_looking_does_not_make_the_folder(folder: Path) -> None:
    """A cache that nobody used is empty, and stays away."""
    assert cache.path() == folder
    assert (cache.ls(), cache.verify(), cache.prune(), cache.clear()) == ([], [], *[cache.Cleared(0, 0)] * 2)
    assert not folder.exists()


def test_what_was_loaded_is_listed(folder: Path, source: Path) -> None:
    """An entry says what it was made from, and for what."""
    wherry.load(source)
    (entry,) = cache.ls()
    assert (entry.name, entry.form, entry.mode) == (str(source), "module", "interruptible")
    assert entry.source == wherry.load(source).digest
    assert entry.size == (folder / entry.file).stat().st_size


def test_damage_is_found_and_removed(folder: Path, source: Path) -> None:
    """One changed byte of the code is enough; loading compiles anew."""
    wherry.load(source)
    (entry,) = cache.ls()
    file = folder / entry.file
    code = bytearray(file.read_bytes())
    code[1000] ^= 1
    file.write_bytes(code)
    assert cache.verify() == [cache.Verdict(entry.file, "its contents were changed")]
    assert not file.exists()
    assert wherry.load(source).instantiate().add(2, 3) == 5


@pytest.mark.usefixtures("folder")
def test_pruning_to_nothing_leaves_nothing(source: Path) -> None:
    """A size given here comes before that of the settings."""
    wherry.load(source)
    assert cache.prune().files == 0
    assert cache.prune(0).files == 1
    assert cache.ls() == []


@pytest.mark.parametrize("mode", [0o770, 0o707], ids=oct)
def test_a_folder_of_everybody_is_not_used(folder: Path, source: Path, mode: int) -> None:
    """Others could put machine code there: loading goes on without it, and says so."""
    folder.mkdir()
    folder.chmod(mode)
    with pytest.warns(wherry.WherryWarning, match="other users may write"):
        wherry.load(source)
    with pytest.raises(wherry.HostIOError, match="other users may write"):
        cache.ls()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("target", [None, "pulley64"])
def test_compiled_ahead_it_runs_here(source: Path, target: str | None) -> None:
    """For this machine and for the portable interpreter, when the user says that the code is trusted."""
    code = precompile(source, target=target, mode="interruptible")
    assert code == source.with_suffix(".cwasm")
    assert wherry.load(code, precompiled=True).instantiate().add(2, 3) == 5
    with pytest.raises(wherry.PrecompiledError, match="outside the sandbox"):
        wherry.load(code)


def test_every_target_compiles(source: Path, tmp_path: Path) -> None:
    """Code for other machines is refused here with the reason, never run."""
    for target in targets():
        code = precompile(source, tmp_path / f"{target}.cwasm", target=target, mode="interruptible")
        try:
            wherry.load(code, precompiled=True)
        except wherry.PrecompiledError as error:
            assert "and this is" in error.message  # noqa: PT017 - some targets are this machine


def test_the_wrong_mode_is_refused_with_the_right_one(source: Path) -> None:
    """Code without interruption cannot be stopped in a shared process."""
    with pytest.raises(wherry.PrecompiledError, match=r"`plain`.*`interruptible`") as caught:
        wherry.load(precompile(source), precompiled=True)
    assert caught.value.hint == "compile it with `--mode interruptible`"
    assert set(modes()) == {"plain", "interruptible", "metered", "deterministic"}


def test_what_cannot_be_compiled_leaves_nothing(source: Path, tmp_path: Path) -> None:
    """A failure names the reason, and no half file appears."""
    with pytest.raises(wherry.TooLargeError, match="1 functions, the bound is 0"):
        precompile(source, limits=wherry.Limits(functions=0))
    with pytest.raises(wherry.UsageError, match="no mode"):
        precompile(source, mode="fast")
    with pytest.raises(wherry.NotFoundError, match="no such folder"):
        precompile(source, tmp_path / "missing" / "a.cwasm")
    assert sorted(tmp_path.iterdir()) == [source]
