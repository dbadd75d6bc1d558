"""What cannot be bound is refused by its name, before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.guests.echo import echo
from tests.guests.wit_types import Prim
from wherry.bind.generate import bind, find_library, generated
from wherry.bind.languages import LANGUAGES, Options
from wherry.bind.library import read_library
from wherry.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from wherry.bind.languages import Name


EXPORT = """(core module $m (func (export "go")))
  (core instance $m (instantiate $m))
  (func (export "go") (canon lift (core func $m "go"))))"""


def _importing(name: str, type_: str, kind: str = "") -> bytes:
    """A component with an export, which imports a function."""
    return f'(component (import "{name}" (func {kind} (param "x" {type_}))) {EXPORT}'.encode()


@pytest.mark.parametrize(
    ("language", "component", "words"),
    [
        ("typescript", _importing("feed", "(stream u8)"), ["`feed`: a `stream` would take JSPI"]),
        ("typescript", _importing("later", "(future u8)"), ["`later`: a `future` would take JSPI"]),
        (
            "typescript",
            _importing("wait", "u8", "async"),
            ["`wait`: functions that are `async` would take JSPI"],
        ),
        ("python", _importing("fail", "error-context"), ["`fail`: an `error-context` does not cross"]),
    ],
    ids=["stream", "future", "async import", "error-context"],
)
def test_what_a_language_cannot_express_is_named(
    language: Name, component: bytes, words: list[str], tmp_path: Path
) -> None:
    """The refusal says which function, and what about it."""
    with pytest.raises(UsageError) as caught:
        bind(read_library(component, "refused"), language, tmp_path / "out")
    for one in words:
        assert one in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_list_of_fixed_length_is_named(language: Name, tmp_path: Path) -> None:
    """No language has them, as they are of a proposal that is off; the refusal says what to write instead."""
    with pytest.raises(UsageError, match=r"`four`: a list of fixed length .* use a `tuple`"):
        bind(read_library(_importing("four", "(list u32 4)"), "refused"), language, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("component", "words"),
    [
        (b"(module)", "is a core module, whose functions have no types"),
        (b"(component)", "exports no functions: there is nothing to call"),
    ],
    ids=["module", "empty"],
)
def test_what_is_no_library_is_told(component: bytes, words: str) -> None:
    """A core module, or a component without exports, has nothing to bind."""
    with pytest.raises(UsageError, match=words):
        generated(read_library(component, "nothing"), "python")


@pytest.mark.parametrize(
    "name",
    ["url=<https://example.com/a>", "unlocked-dep=<a:b@{>=1.0.0}>", "integrity=<sha256-aaaa>"],
)
@pytest.mark.parametrize("kind", ["(func)", "(instance)"])
def test_a_name_that_is_anybody_s_text_is_refused(name: str, kind: str) -> None:
    """What a component calls its imports beyond WIT's names never becomes source."""
    component = f'(component (import "{name}" {kind}) {EXPORT}'.encode()
    with pytest.raises(UsageError, match="it is no name of WIT"):
        generated(read_library(component, "strange"), "python")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is told as one."""
    with pytest.raises(NotFoundError, match="does not exist"):
        find_library(tmp_path / "nothing.wasm")


def test_options_of_other_languages_are_refused() -> None:
    """An option that a language does not know means nothing for it."""
    library = read_library(echo(Prim("u8")).encode(), "options")
    with pytest.raises(UsageError, match="`--errors` means nothing for Python"):
        generated(library, "python", Options(errors="return"))
