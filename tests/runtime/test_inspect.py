"""``wherry.inspect`` on files of all kinds, real ones and hostile ones."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import msgspec
import pytest

from tests.guests.build import text
from wherry import errors
from wherry.runtime.inspect import Inspection, inspect, wit_text

LIBRARY = b"""
(component
  (import "acme:tools/log@1.0.0" (instance (export "write" (func (param "line" string)))))
  (import "wasi:clocks/wall-clock@0.2.6" (instance (export "now" (func (result u64)))))
  (core module $m (func (export "f") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (func $f (result u32) (canon lift (core func $i "f")))
  (instance $out (export "count-all" (func $f)))
  (export "acme:tools/counter" (instance $out)))
"""


@pytest.fixture(scope="session")
def codec() -> Path:
    """A component that people use: zlib for numcodecs."""
    spec = importlib.util.find_spec("numcodecs_wasm_zlib")
    assert spec is not None, "pip install -r requirements/programs.txt"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "codec.wasm"


def fitting(inspection: Inspection) -> list[str]:
    """The places that fit."""
    return [place.name for place in inspection.places if place.fits]


def test_a_real_component_is_described_whole(codec: Path) -> None:
    """Form, digest, places, typed exports, makers and sizes of a component from a package index."""
    found = inspect(codec)
    assert (found.form, found.kind) == ("component", "library")
    assert found.digest == "sha256:" + hashlib.sha256(codec.read_bytes()).hexdigest()
    assert found.fits("library")
    assert not found.fits("command")
    entries = [entry for group in found.exports for entry in group.entries]
    signatures = {entry.name: (entry.kind, entry.signature, entry.python) for entry in entries}
    assert signatures["codec-id"] == ("function", "codec-id: func() -> string", "codec_id() -> str")
    assert signatures["[method]codec.encode"] == (
        "method",
        "codec.encode: func(data: any-array) -> result<any-array, error>",
        "Codec.encode(data: AnyArray) -> AnyArray",
    )
    assert any(made.field == "language" and made.name == "Rust" for made in found.producers)
    assert found.size == codec.stat().st_size == sum(section.size for section in found.sections)
    assert found.sections[0].name == "code"


def test_a_module_that_starts_under_the_empty_name_is_a_command() -> None:
    """It fits as one, whatever else it exports, and the name is shown where it can be seen."""
    found = inspect(text("unnamed"))
    assert (found.form, found.kind) == ("module", "command")
    (place,) = [place for place in found.places if place.name == "command"]
    assert (place.fits, place.why) == (True, "it exports its start function under the empty name")
    assert [one.signature for one in found.exports[0].entries if one.name == ""] == ['"": func()']


def test_the_wit_of_a_real_component_names_its_world(codec: Path) -> None:
    """``--wit`` prints what tools for WIT read."""
    printed = wit_text(codec)
    assert printed.startswith("package root:component;")
    assert "export " in printed


def test_imports_are_said_in_plain_words() -> None:
    """What is WASI has words and flags; what is not must be provided by whoever loads it."""
    found = inspect(LIBRARY)
    assert {need.id: need.words for need in found.needs} == {
        "clock": "reads the clock",
        "host": "calls host functions that you must provide",
    }
    assert found.wasi == ("0.2",)
    assert found.text
    assert fitting(found) == ["library"]
    (export,) = found.exports
    assert export.entries[0].signature == "count-all: func() -> u32"
    assert export.entries[0].python == "count_all() -> int"


def test_a_program_fits_where_programs_run() -> None:
    """A WASI 0.1 command that only prints is a command, runs in a page and is a step."""
    found = inspect(b'(module (import "wasi_snapshot_preview1" "fd_write" (func)) (func (export "_start")))')
    assert (found.form, found.kind, found.wasi) == ("module", "command", ("0.1",))
    assert fitting(found) == ["command", "browser", "step"]


def test_a_module_for_another_host_is_described_and_fits_nowhere() -> None:
    """The obstacle says which host; the imports are there to see."""
    found = inspect(b'(module (import "wbg" "__wbindgen_throw" (func)) (func (export "f")))')
    assert found.obstacle is not None
    assert "wasm-bindgen" in found.obstacle.message
    assert fitting(found) == []
    assert found.imports[0].name == "wbg"


def test_the_json_form_is_the_record(codec: Path) -> None:
    """What ``--format json`` prints reads back as the same record."""
    found = inspect(codec)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Inspection) == found


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", errors.NotWebAssemblyError),
        (b"\x7fELF\x02\x01\x01\x00", errors.NotWebAssemblyError),
        (b"\0asm", errors.InvalidModuleError),
        (b"\0asm\x01\0\0\0\x01\xff", errors.InvalidModuleError),
        (b"(module (func", errors.InvalidModuleError),
    ],
    ids=["empty", "elf", "header", "section", "text"],
)
def test_what_cannot_be_read_is_a_typed_error(data: bytes, kind: type[errors.WherryError]) -> None:
    """Each refusal is an error that says what the bytes look like."""
    with pytest.raises(kind):
        inspect(data)


def test_a_file_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    """The error is also Python's own."""
    with pytest.raises(FileNotFoundError) as caught:
        inspect(tmp_path / "none.wasm")
    assert isinstance(caught.value, errors.NotFoundError)


def test_every_truncation_of_a_real_component_is_read_or_refused(codec: Path) -> None:
    """Cut anywhere, a file is described or refused with an error of loading, never anything else."""
    data = codec.read_bytes()
    step = max(1, len(data) // 300)
    for end in [*range(200), *range(200, len(data), step)]:
        try:
            inspect(data[:end])
        except errors.LoadError:
            continue
        except errors.WherryError as error:
            pytest.fail(f"cut at {end}: {error!r}")
