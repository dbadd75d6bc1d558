"""The prepared form of a component: fewer modules, the same behaviour."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Literal

import pytest

import wherry
from tests.guests.build import binary, http_application, python_command
from wherry import _native, errors

if TYPE_CHECKING:
    from pathlib import Path

# `use` lifts the function that ends every component here: it takes a number and gives one.
_LIFT = """
  (func $run (param "x" u32) (result u32) (canon lift (core func $f)))
  (export "run" (func $run))
"""


def _component(body: str, function: str = '(alias core export $last "f" (core func $f))') -> bytes:
    return binary(f"(component {body} {function} {_LIFT})").read_bytes()


def _answers(component: bytes) -> list[object]:
    """What it says to some numbers, one after another, or how it failed."""
    try:
        with wherry.load(component).instantiate() as instance:
            return [instance.run(x) for x in (0, 1, 2, 7)]
    except errors.WherryError as error:
        return [type(error).__name__]


def _modules(component: bytes) -> int:
    return sum(part.form == "module" for part in wherry.inspect(component).parts)


_FUNCTIONS = """
  (core module $A (func (export "g") (param i32) (result i32) (i32.add (local.get 0) (i32.const 5))))
  (core module $B (import "a" "g" (func $g (param i32) (result i32)))
    (func (export "f") (param i32) (result i32) (i32.mul (call $g (local.get 0)) (i32.const 3))))
  (core instance $a (instantiate $A))
  (core instance $last (instantiate $B (with "a" (instance $a))))
"""
_MEMORY = """
  (core module $A (memory (export "m") 1) (data (i32.const 8) "abcd")
    (func (export "put") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))
  (core module $B (import "a" "m" (memory 1)) (import "a" "put" (func $put (param i32 i32)))
    (data (i32.const 9) "XY") (data $late "pqr")
    (func (export "f") (param i32) (result i32)
      (call $put (i32.const 11) (local.get 0))
      (memory.init $late (i32.const 20) (i32.const 0) (i32.const 3))
      (i32.add (i32.load (i32.const 8)) (i32.load (i32.const 19)))))
  (core instance $a (instantiate $A))
  (core instance $last (instantiate $B (with "a" (instance $a))))
"""
_MEMORIES = """
  (core module $A (memory (export "m") 1) (data (i32.const 0) "\\01\\02\\03"))
  (core module $B (import "a" "m" (memory 1)) (memory $own 1) (data $d (memory 1)
    (i32.const 0) "\\10\\20\\30")
    (func (export "f") (param i32) (result i32)
      (memory.copy 0 1 (i32.const 1) (i32.const 1) (i32.const 1))
      (i32.add (i32.load8_u 0 (local.get 0)) (i32.load8_u 1 (local.get 0)))))
  (core instance $a (instantiate $A))
  (core instance $last (instantiate $B (with "a" (instance $a))))
"""
_LIBRARY = """
  (core module $A (memory (export "m") 1) (table (export "t") 8 funcref)
    (global (export "base") i32 (i32.const 3)) (global (export "got") (mut i32) (i32.const 64))
    (global (export "stack") (mut i32) (i32.const 1000))
    (data (i32.const 64) "\\07"))
  (core module $L (import "a" "t" (table 8 funcref)) (import "a" "base" (global $base i32))
    (import "a" "got" (global $got (mut i32))) (import "a" "stack" (global $stack (mut i32)))
    (import "a" "m" (memory 1))
    (type $sig (func (param i32) (result i32)))
    (elem (global.get $base) func $one $two) (elem $later func $three)
    (func $one (param i32) (result i32) (i32.add (local.get 0) (i32.load8_u (global.get $got))))
    (func $two (param i32) (result i32) (i32.mul (local.get 0) (global.get $base)))
    (func $three (param i32) (result i32) (i32.const 300))
    (func (export "f") (param i32) (result i32)
      (global.set $stack (i32.sub (global.get $stack) (i32.const 1)))
      (table.init $later (i32.const 5) (i32.const 0) (i32.const 1))
      (i32.add (global.get $stack) (call_indirect (type $sig) (local.get 0)
        (i32.add (global.get $base) (i32.rem_u (local.get 0) (i32.const 3)))))))
  (core instance $a (instantiate $A))
  (core instance $last (instantiate $L (with "a" (instance $a))))
"""
_REFERENCES = """
  (core module $A (func (export "g") (param i32) (result i32) (i32.add (local.get 0) (i32.const 9))))
  (core module $B (type $s (func (param i32) (result i32))) (import "a" "g" (func $g (type $s)))
    (table 2 funcref) (export "again" (func $g))
    (func (export "f") (param i32) (result i32)
      (table.set (i32.const 1) (ref.func $g))
      (call_indirect (type $s) (local.get 0) (i32.const 1))))
  (core instance $a (instantiate $A))
  (core instance $last (instantiate $B (with "a" (instance $a))))
"""
_STARTS = """
  (core module $A (global $n (export "n") (mut i32) (i32.const 1))
    (func $s (global.set $n (i32.add (global.get $n) (i32.const 10)))) (start $s))
  (core module $B (import "a" "n" (global $n (mut i32)))
    (func $s (global.set $n (i32.mul (global.get $n) (i32.const 3)))) (start $s)
    (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (global.get $n))))
  (core instance $a (instantiate $A))
  (core instance $last (instantiate $B (with "a" (instance $a))))
"""
# The first start function must not see what the second module writes.
_START_FIRST = """
  (core module $A (memory (export "m") 1) (global $n (export "n") (mut i32) (i32.const 1))
    (func $s (global.set $n (i32.load8_u (i32.const 4)))) (start $s))
  (core module $B (import "a" "m" (memory 1)) (import "a" "n" (global $n (mut i32)))
    (data (i32.const 4) "\\2a")
    (func (export "f") (param i32) (result i32)
      (i32.add (i32.load8_u (i32.const 4)) (i32.mul (i32.const 1000) (global.get $n)))))
  (core instance $a (instantiate $A))
  (core instance $last (instantiate $B (with "a" (instance $a))))
"""
_RENAMED = """
  (core module $A (func (export "x") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "y") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 7))))
  (core module $B (import "p" "n" (func $n (param i32) (result i32)))
    (import "q" "n" (func $o (param i32) (result i32)))
    (func (export "f") (param i32) (result i32) (i32.sub (call $n (local.get 0)) (call $o (local.get 0)))))
  (core instance $a (instantiate $A))
  (alias core export $a "x" (core func $x)) (alias core export $a "y" (core func $y))
  (core instance $p (export "n" (func $y))) (core instance $q (export "n" (func $x)))
  (core instance $last (instantiate $B (with "p" (instance $p)) (with "q" (instance $q))))
"""
# As wit-component links what needs a memory before there is one: through a table that is filled last.
_SHIM = """
  (core module $Shim (type $s (func (param i32) (result i32))) (table (export "t") 1 1 funcref)
    (func (export "0") (param i32) (result i32) (call_indirect (type $s) (local.get 0) (i32.const 0))))
  (core module $Main (import "h" "g" (func $g (param i32) (result i32))) (memory (export "m") 1)
    (func (export "f") (param i32) (result i32) (i32.add (call $g (local.get 0)) (i32.const 2))))
  (core module $Twice (import "m" "m" (memory 1)) (data (i32.const 4) "\\05")
    (func (export "t") (param i32) (result i32) (i32.mul (local.get 0) (i32.load8_u (i32.const 4)))))
  (core module $Fix (import "" "0" (func (param i32) (result i32))) (import "" "t" (table 1 1 funcref))
    (elem (i32.const 0) func 0))
  (core instance $shim (instantiate $Shim))
  (alias core export $shim "0" (core func $zero))
  (core instance $h (export "g" (func $zero)))
  (core instance $last (instantiate $Main (with "h" (instance $h))))
  (core instance $twice (instantiate $Twice (with "m" (instance $last))))
  (alias core export $twice "t" (core func $t)) (alias core export $shim "t" (core table $table))
  (core instance $args (export "0" (func $t)) (export "t" (table $table)))
  (core instance (instantiate $Fix (with "" (instance $args))))
"""
_TWICE_MADE = """
  (core module $A (global $n (mut i32) (i32.const 0))
    (func (export "g") (param i32) (result i32)
      (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n)))
  (core module $B (import "a" "g" (func $g (param i32) (result i32)))
    (import "b" "g" (func $o (param i32) (result i32)))
    (func (export "f") (param i32) (result i32) (i32.add (call $g (local.get 0)) (call $o (i32.const 1)))))
  (core instance $a (instantiate $A)) (core instance $b (instantiate $A))
  (core instance $last (instantiate $B (with "a" (instance $a)) (with "b" (instance $b))))
"""
_OUT_OF_BOUNDS = _MEMORY.replace("(i32.const 9)", "(i32.const 65535)")
_DEEPER = f"""
  (component $inner {_FUNCTIONS} (alias core export $last "f" (core func $f)) {_LIFT})
  (instance $i (instantiate $inner)) (alias export $i "run" (func $g))
  (core module $C (import "" "g" (func $g (param i32) (result i32)))
    (func (export "f") (param i32) (result i32) (call $g (call $g (local.get 0)))))
  (core func $lowered (canon lower (func $g)))
  (core instance $args (export "g" (func $lowered)))
  (core instance $last (instantiate $C (with "" (instance $args))))
"""


@pytest.mark.parametrize(
    ("body", "modules"),
    [
        pytest.param(_FUNCTIONS, 1, id="functions"),
        pytest.param(_MEMORY, 1, id="memory"),
        pytest.param(_MEMORIES, 1, id="several memories"),
        pytest.param(_LIBRARY, 1, id="table, globals, offsets"),
        pytest.param(_REFERENCES, 1, id="references"),
        pytest.param(_STARTS, 1, id="start functions"),
        pytest.param(_START_FIRST, 2, id="a start function before segments"),
        pytest.param(_RENAMED, 1, id="imports under other names"),
        pytest.param(_SHIM, 1, id="a table filled last"),
        pytest.param(_TWICE_MADE, 2, id="a module made twice"),
        pytest.param(_OUT_OF_BOUNDS, 1, id="a segment out of bounds"),
        pytest.param(_DEEPER, 2, id="a component within"),
    ],
)
def test_a_fused_component_answers_as_before(body: str, modules: int) -> None:
    """What can be one module is one, what cannot stays apart, and nobody can tell by the answers."""
    component = _component(body)
    fused = _native.fuse(component)
    assert fused == _native.fuse(component)
    assert _modules(fused) == modules
    assert _answers(fused) == _answers(component)


def _random_component(chance: random.Random) -> str:
    """Modules in a row, each linked to one before it by functions and globals, all by memory and table."""
    parts = [
        (
            '(core module $M0 (memory (export "m") 1) (table (export "t") 40 funcref)'
            ' (global (export "g0") (mut i32) (i32.const 4)) (global (export "c0") i32 (i32.const 3))'
            ' (func (export "f0") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))'
        ),
        "(core instance $i0 (instantiate $M0))",
    ]
    count = chance.randint(2, 6)
    for number in range(1, count):
        other = chance.randrange(number)
        base, value = chance.randrange(30), chance.randrange(256)
        writes = chance.choice(["", f"(global.set $g (i32.add (global.get $g) (i32.const {value})))"])
        start = chance.choice(["", "", f"(func $s {writes}) (start $s)"])
        segment = chance.choice(
            ["", f'(data (i32.const {base}) "\\{value:02x}") (elem (global.get $c) func $own)']
        )
        step, slot = chance.randrange(4), chance.randrange(12)
        parts += [
            (
                f'(core module $M{number} (import "z" "m" (memory 1)) (import "z" "t" (table 40 funcref))'
                f' (import "o" "f{other}" (func $o (param i32) (result i32)))'
                f' (import "o" "g{other}" (global $g (mut i32))) (import "o" "c{other}" (global $c i32))'
                f' (global (export "g{number}") (mut i32) (i32.const {value}))'
                f' (global (export "c{number}") i32 (i32.add (global.get $c) (i32.const {step})))'
                f" {start} {segment} (type $ty (func (param i32) (result i32)))"
                f" (func $own (param i32) (result i32) (i32.add (global.get $c) (global.get $g)))"
                f' (func (export "f{number}") (param i32) (result i32) {writes}'
                f" (i32.store8 (i32.const {chance.randrange(30)}) (local.get 0))"
                f" (i32.add (call $o (i32.add (local.get 0) (i32.load8_u (i32.const {base}))))"
                f" (if (result i32) (ref.is_null (table.get (i32.const {slot}))) (then (global.get $g))"
                " (else (call_indirect (type $ty) (local.get 0) (global.get $c)))))))"
            ),
            (
                f"(core instance $i{number} (instantiate $M{number}"
                f' (with "z" (instance $i0)) (with "o" (instance $i{other}))))'
            ),
        ]
    return "\n".join(parts) + f'(alias core export $i{count - 1} "f{count - 1}" (core func $f))'


@pytest.mark.parametrize("seed", range(40))
def test_any_modules_linked_in_a_row_answer_as_before(seed: int) -> None:
    """Whatever the modules share, and whatever is written while they are made."""
    component = _component(
        _random_component(random.Random(seed)),  # noqa: S311 - the same cases each time
        "",
    )
    fused = _native.fuse(component)
    assert _modules(fused) <= _modules(component)
    assert _answers(fused) == _answers(component)


def test_the_comparison_tells_components_apart() -> None:
    """The positive control: one number changed in one module shows in the answers."""
    changed = re.sub(r"i32\.const 5\)", "i32.const 6)", _FUNCTIONS)
    assert _answers(_component(changed)) != _answers(_component(_FUNCTIONS))


@pytest.mark.parametrize("host", ["lean", "full"])
def test_an_application_in_c_is_fused_but_for_what_comes_last(host: Literal["lean", "full"]) -> None:
    """Shim and main module become one; what fills the table of the shim needs the memory first, and stays."""
    component = http_application(host).read_bytes()
    fused = _native.fuse(component)
    assert _modules(fused) < _modules(component)
    assert _native.wit_text(fused, "fused") == _native.wit_text(component, "component")


def test_a_core_module_is_refused_with_a_reason() -> None:
    """Only components are prepared."""
    with pytest.raises(errors.WherryError, match="only components are prepared"):
        _native.fuse(binary("(module)").read_bytes())


@pytest.mark.slow
def test_cpython_with_its_libraries_becomes_one_module(tmp_path: Path) -> None:
    """All fourteen modules but the one that comes last, and the command does what it did."""
    component = python_command("command_02").read_bytes()
    fused = _native.fuse(component)
    assert (_modules(component), _modules(fused)) == (14, 2)
    path = tmp_path / "fused.wasm"
    path.write_bytes(fused)
    said = [
        wherry.run(program, "one", "two", stdin=b"three\n", capture=True)
        for program in (python_command("command_02"), path)
    ]
    assert said[0].stdout == said[1].stdout != b""


# What a component reads at an address, of its first memory and of its second.
_READING = """
  (core module $A (memory (export "m") 2) (data (i32.const 70000) "far") (data (i32.const 3) "abc")
    (data (i32.const 4) "X") (data $later "passive"))
  (core module $B (import "a" "m" (memory 2)) (memory $own 1) (data (memory $own) (i32.const 0) "own")
    {start}
    (func (export "f") (param i32) (result i32) (i32.load8_u 0 (local.get 0)))
    (func (export "o") (param i32) (result i32) (i32.load8_u $own (local.get 0))))
  (core instance $a (instantiate $A))
  (core instance $last (instantiate $B (with "a" (instance $a))))
  (alias core export $last "o" (core func $o))
  (func $other (param "x" u32) (result u32) (canon lift (core func $o)))
  (export "other" (func $other))
"""
_PLACES = (0, 2, 3, 4, 5, 6, 4095, 4096, 69_999, 70_000, 70_002, 70_003)


def _reading(start: str = "") -> bytes:
    return _component(_READING.replace("{start}", start))


def test_images_are_what_memories_hold_at_first() -> None:
    """Byte for byte, and the module itself writes nothing any more."""
    component = _reading()
    prepared, images = _native.prepare(component)
    assert (prepared, images) == _native.prepare(component)
    assert [(memory, pages) for memory, pages, _ in images] == [(0, 2), (1, 1)]
    assert all(len(data) % 4096 == 0 for _, _, data in images)
    first, second = (data.ljust(pages * 65536, b"\0") for _, pages, data in images)
    with wherry.load(component).instantiate() as before, wherry.load(prepared).instantiate() as after:
        assert [before.run(place) for place in _PLACES] == [first[place] for place in _PLACES]
        assert [before.other(place) for place in _PLACES[:8]] == [second[place] for place in _PLACES[:8]]
        assert not any(after.run(place) for place in _PLACES)
        assert not any(after.other(place) for place in _PLACES[:8])


def test_start_functions_run_after_the_image_is_in_place() -> None:
    """They stay in the component: what they write is not part of the image."""
    component = _reading("(func $s (i32.store8 0 (i32.const 3) (i32.const 9))) (start $s)")
    prepared, images = _native.prepare(component)
    assert images[0][2][3:6] == b"aXc"
    with wherry.load(prepared).instantiate() as after:
        assert after.run(3) == 9


def test_passive_segments_work_and_those_applied_are_dropped() -> None:
    """Segments keep their numbers: of one that was applied nothing can be copied, before and after."""
    wat = """
      (core module $A (memory 1) (data $gone (i32.const 8) "abcd") (data $later "pqr")
        (func (export "f") (param i32) (result i32)
          (memory.init $later (i32.const 20) (i32.const 0) (i32.const 3))
          (memory.init $gone (i32.const 30) (i32.const 0) (local.get 0))
          (i32.load8_u (i32.const 21))))
      (core instance $last (instantiate $A))
    """
    component = _component(wat)
    prepared, images = _native.prepare(component)
    assert images[0][2][8:12] == b"abcd"
    for each in (component, prepared):
        with wherry.load(each).instantiate() as instance:
            assert instance.run(0) == ord("q")
        with wherry.load(each).instantiate() as instance, pytest.raises(errors.WherryError):
            instance.run(1)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(_OUT_OF_BOUNDS, "outside of its memory", id="out of bounds"),
        pytest.param(
            _FUNCTIONS.replace(
                "(core module $A", '(core module $A (memory 60000) (data (i32.const 3900000000) "x")'
            ),
            "written to beyond 512 MiB",
            id="far",
        ),
        pytest.param(
            f'{_FUNCTIONS} (core module $E) (export "e" (core module $E))',
            "it exports a module",
            id="exported module",
        ),
    ],
)
def test_what_cannot_be_prepared_says_why(body: str, why: str) -> None:
    """It is served as it is, and the reason is there to be shown."""
    with pytest.raises(errors.WherryError, match=why):
        _native.prepare(_component(body))


@pytest.mark.slow
def test_cpython_has_one_image() -> None:
    """All that its libraries write is in it."""
    prepared, images = _native.prepare(python_command("command_02").read_bytes())
    ((memory, pages, data),) = images
    assert memory == 0
    assert len(data) <= pages * 65536
    assert b"<frozen importlib._bootstrap>" in data
    assert len(prepared) < len(data)


def test_broken_components_are_refused() -> None:
    """Whatever a byte is turned into, there is a valid form or a reason, and never a fault of ours."""
    component = http_application("full").read_bytes()
    chance = random.Random(7)  # noqa: S311 - the same cases each time
    refused = 0
    for _ in range(150):
        broken = bytearray(component)
        broken[chance.randrange(8, len(broken))] = chance.randrange(256)
        try:
            _native.prepare(bytes(broken))
        except errors.UnsupportedFeatureError:
            refused += 1
    assert refused > 10
