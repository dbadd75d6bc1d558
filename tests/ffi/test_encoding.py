"""Encoded values: the vectors, any value of any type both ways, and bytes that are no value."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ffi.conftest import ROOT, run
from tests.ffi.driven import Driver, RefusedError
from tests.ffi.encoded import arguments, encode, parsed
from tests.guests.build import binary
from tests.guests.echo import echo, relay
from tests.guests.wit_types import (
    Enum,
    Field,
    Flags,
    List,
    Map,
    Option,
    Prim,
    Record,
    Result,
    Tuple,
    Variant,
    Wit,
)
from tests.runtime.wit_values import INTEGERS, types

if TYPE_CHECKING:
    from collections.abc import Callable

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())
FORM = re.compile(r"(\w+)<([\w, ]+)>")
HANDLE = re.compile(r"\b(own|borrow|stream|future)\b")
HANDING = """
(component
  (type $stream (stream u8))
  (type $future (future string))
  (type $kept (resource (rep i32)))
  (core func $stream (canon stream.new $stream))
  (core func $future (canon future.new $future))
  (core func $kept (canon resource.new $kept))
  (core module $main
    (import "new" "stream" (func $stream (result i64)))
    (import "new" "future" (func $future (result i64)))
    (import "new" "kept" (func $kept (param i32) (result i32)))
    (func (export "stream") (result i32) (i32.wrap_i64 (call $stream)))
    (func (export "future") (result i32) (i32.wrap_i64 (call $future)))
    (func (export "kept") (result i32) (call $kept (i32.const 7)))
    (func (export "same") (param i32) (result i32) (local.get 0)))
  (core instance $main (instantiate $main (with "new" (instance
    (export "stream" (func $stream)) (export "future" (func $future)) (export "kept" (func $kept))))))
  (export $r "r" (type $kept))
  (func (export "new-stream") (result $stream) (canon lift (core func $main "stream")))
  (func (export "new-future") (result $future) (canon lift (core func $main "future")))
  (func (export "new-own") (result (own $r)) (canon lift (core func $main "kept")))
  (func (export "stream") (param "x" $stream) (result $stream) (canon lift (core func $main "same")))
  (func (export "future") (param "x" $future) (result $future) (canon lift (core func $main "same")))
  (func (export "own") (param "x" (own $r)) (result (own $r)) (canon lift (core func $main "same")))
  (func (export "borrow") (param "x" (borrow $r)) (result u32) (canon lift (core func $main "same"))))
"""
WRONG_VALUE = 12
EVERYTHING = parsed(
    "record {b: bool, c: char, s: string, l: list<u16>, n: list<list<string>>, f: list<char>,"
    " o: option<option<u8>>, v: variant {none, one(s8), two(tuple<f64, string>)}, e: enum {x, y, z},"
    " g: flags {p, q, r}, r: result<_, u64>, m: map<u8, string>}"
)
VALUE = {
    "b": True,
    "c": "€",
    "s": "text",
    "l": [1, 2, 3],
    "n": [["a", "b"], []],
    "f": ["a"],
    "o": {"some": {"some": 7}},
    "v": {"two": [0.5, "deep"]},
    "e": "z",
    "g": ["p", "r"],
    "r": {"err": 9},
    "m": [[1, "one"], [2, "two"]],
}


@pytest.fixture(scope="module")
def drivers(program: Callable[..., Path]) -> Any:
    """Drivers by component, ended together."""
    opened: list[Driver] = []

    @functools.cache
    def driver(component: str) -> Driver:
        opened.append(Driver(program("driver"), binary(component)))
        return opened[-1]

    yield driver
    for each in opened:
        each.__exit__()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['type']}-{vector['value']}")
def test_vectors_are_what_the_specification_says(vector: dict[str, Any]) -> None:
    """The bytes of each vector follow from its type and value by the page alone."""
    assert encode(parsed(vector["type"]), vector["value"]) == bytes.fromhex(vector["bytes"])


def test_each_line_of_the_page_has_a_vector() -> None:
    """Each tag has one, and each form of a type with parts that the page names."""
    page = (ROOT / "docs" / "encoding.md").read_text()
    rows = re.findall(r"^\| `(\w\w)`(?: to `(\w\w)`)? \| (.*?) \|", page, re.MULTILINE)
    tags = {tag for first, last, _ in rows for tag in range(int(first, 16), int(last or first, 16) + 1)}
    assert tags == {bytes.fromhex(vector["bytes"])[0] for vector in VECTORS}
    forms = {(name, parts.count(",")) for name, parts in FORM.findall(str(VECTORS))}
    named = {(name, parts.count(",")) for *_, kind in rows for name, parts in FORM.findall(kind)}
    assert named <= forms


@pytest.mark.parametrize("kind", ["own<r>", "borrow<r>", "stream<u8>", "future<string>"])
def test_handles_cross_in_the_form_of_their_vectors(kind: str, drivers: Callable[[str], Driver]) -> None:
    """A number that nobody can make up: the library writes its own as the vector has it, and reads it so."""
    name, _, _ = kind.partition("<")
    (tag,) = {bytes.fromhex(vector["bytes"])[:1] for vector in VECTORS if vector["type"] == kind}
    driver = drivers(HANDING)
    made = driver.call("new-own" if name == "borrow" else f"new-{name}", arguments())
    handle = encode(parsed(kind), int.from_bytes(made[1:], "little"))
    answer = driver.call(name, arguments(handle))
    if name == "borrow":
        assert answer == encode(parsed("u32"), 7)
    else:
        assert made == handle
        assert (answer[:1], len(answer)) == (tag, len(handle))


@pytest.mark.parametrize(
    "kind",
    dict.fromkeys(vector["type"] for vector in VECTORS if not HANDLE.search(vector["type"])),
)
def test_vectors_cross_as_they_are(kind: str, drivers: Callable[[str], Driver]) -> None:
    """The library reads each vector and writes the same bytes; the guest copies the value between."""
    driver = drivers(echo(parsed(kind)))
    for vector in VECTORS:
        if vector["type"] == kind:
            data = bytes.fromhex(vector["bytes"])
            assert driver.call("echo", arguments(data)) == data


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_value_of_any_type_crosses_both_ways(data: st.DataObject, program: Callable[..., Path]) -> None:
    """Through a function and through a callback, types and values at random."""
    crosses_both_ways(data, program("driver"))


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_many_values_cross_both_ways(data: st.DataObject, program: Callable[..., Path]) -> None:
    """The same for longer."""
    crosses_both_ways(data, program("driver"))


def crosses_both_ways(data: st.DataObject, driver: Path) -> None:
    """A value of a type, both at random, comes back from a guest and from a callback as it was."""
    wit = data.draw(types())
    value = encode(wit, data.draw(values(wit)))
    for name, guest in (("echo", echo(wit)), ("relay", relay(wit))):
        with Driver(driver, binary(guest)) as opened:
            assert opened.call(name, arguments(value)) == value


# The guest may change the bits of a NaN.
FLOATS = st.floats(width=32, allow_nan=False)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "string": st.text(),
    "char": st.characters(exclude_categories=["Cs"]),
    "f32": FLOATS,
    "f64": FLOATS,
    **{name: st.integers(*bounds) for name, bounds in INTEGERS.items()},
}


def values(wit: Wit) -> st.SearchStrategy[Any]:
    """Values in the form of the vectors."""
    match wit:
        case Prim():
            return SCALARS[wit.name]
        case List():
            return st.lists(values(wit.element), max_size=4)
        case Map():
            return st.lists(st.tuples(values(wit.key), values(wit.value)), max_size=4)
        case Record():
            return st.fixed_dictionaries({field.name: values(of(field)) for field in wit.fields})
        case Tuple():
            return st.tuples(*map(values, wit.items))
        case Enum():
            return st.sampled_from(wit.names)
        case Flags():
            return st.lists(st.sampled_from(wit.names), unique=True)
        case _:
            return cases(wit)


def cases(wit: Option | Variant | Result) -> st.SearchStrategy[Any]:
    """Values of a type that is one of several."""
    match wit:
        case Option():
            return st.none() | payload("some", wit.type)
        case Variant():
            return st.one_of([payload(case.name, case.type) for case in wit.cases])
        case Result():
            return payload("ok", wit.ok) | payload("err", wit.err)


def payload(name: str, wit: Wit | None) -> st.SearchStrategy[Any]:
    """Values of one case."""
    inner = st.none() if wit is None else values(wit)
    return inner.map(lambda value: {name: value})


def of(field: Field) -> Wit:
    """The type of a field."""
    assert field.type is not None
    return field.type


REFUSED = {
    "cut in a number": ("u32", "1401000000 07 0100", "ends too early"),
    "nothing at all": ("u32", "", "ends too early"),
    "no tuple": ("u32", "07 01000000", "expected tuple, got u32"),
    "too few arguments": ("u32", "1400000000", "expected a tuple of 1 elements, got 0"),
    "too many arguments": (
        "u32",
        "1402000000 07 01000000 07 01000000",
        "expected a tuple of 1 elements, got 2",
    ),
    "left over": ("u32", "1401000000 07 01000000 00", "1 bytes are left over"),
    "another number": ("u32", "1401000000 06 01000000", "expected u32, got s32"),
    "another type": ("string", "1401000000 43 00000000", "expected string, got list<u8>"),
    "no tag": ("u32", "1401000000 ff 01000000", "no type at all"),
    "bool of two": ("bool", "1401000000 01 02", "is no bool"),
    "surrogate": ("char", "1401000000 0c 00d80000", "no Unicode scalar value"),
    "past Unicode": ("char", "1401000000 0c 00001100", "no Unicode scalar value"),
    "surrogate in a list": ("list<char>", "1401000000 4c 01000000 00d80000", "no Unicode scalar value"),
    "bool in a list": ("list<bool>", "1401000000 41 01000000 02", "is no bool"),
    "not UTF-8": ("string", "1401000000 10 02000000 c328", "not UTF-8"),
    "long string": ("string", "1401000000 10 ffffffff 61", "ends too early"),
    "long list of numbers": ("list<u64>", "1401000000 49 ffffffff 00", "ends too early"),
    "long list": ("list<string>", "1401000000 11 ffffffff 19", "4294967295 parts follow"),
    "long map": ("map<u8, u8>", "1401000000 12 ffffffff 03 01 03 01", "4294967295 parts follow"),
    "list of the wrong form": ("list<u8>", "1401000000 11 01000000 03 01", "expected list<u8>, got list"),
    "packed strings": ("list<string>", "1401000000 43 00000000", "expected list, got list<u8>"),
    "case that is none": ("variant {a, b(u8)}", "1401000000 15 02000000", "there is no case 2"),
    "case without its payload": ("variant {a, b(u8)}", "1401000000 15 01000000", "needs a value"),
    "case with a payload too many": ("variant {a, b(u8)}", "1401000000 16 00000000 03 01", "takes no value"),
    "enum that is none": ("enum {a, b}", "1401000000 17 02000000", "there is no case 2"),
    "flag that is none": ("flags {a, b}", "1401000000 18 04000000", "none of the 2 flags"),
    "record of other fields": (
        "record {a: u8}",
        "1401000000 13 02000000 03 01 03 01",
        "a record of 1 fields, got 2",
    ),
    "result without its payload": ("result<u8, u8>", "1401000000 1b", "needs a value"),
    "result with a payload too many": ("result<_, u8>", "1401000000 1c 03 01", "takes no value"),
    "deep nesting": ("option<u8>", "1401000000" + "1a" * 100_000 + "19", "expected u8, got option"),
}


@pytest.mark.parametrize(("kind", "data", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bytes_that_are_no_value_are_refused(
    kind: str, data: str, message: str, drivers: Callable[[str], Driver]
) -> None:
    """With an error that says what is wrong, after which the instance still works."""
    driver = drivers(echo(parsed(kind)))
    with pytest.raises(RefusedError) as refused:
        driver.call("echo", bytes.fromhex(data))
    assert refused.value.status == WRONG_VALUE
    assert message in refused.value.message
    vectors = [vector for vector in VECTORS if vector["type"] == kind]
    for vector in vectors:
        assert driver.call("echo", arguments(bytes.fromhex(vector["bytes"])))


def test_what_is_cut_anywhere_is_refused(drivers: Callable[[str], Driver]) -> None:
    """A value of every type, one byte less each time; the whole of it crosses."""
    driver = drivers(echo(EVERYTHING))
    data = arguments(encode(EVERYTHING, VALUE))
    assert driver.call("echo", data) == data[5:]
    for length in range(len(data)):
        with pytest.raises(RefusedError) as refused:
            driver.call("echo", data[:length])
        assert refused.value.status == WRONG_VALUE


def test_the_part_that_does_not_fit_is_named(drivers: Callable[[str], Driver]) -> None:
    """By the function, the parameter and the path."""
    driver = drivers(echo(parsed("list<record {name: string}>")))
    with pytest.raises(RefusedError, match=r"echo\(\): `x\[1\]\.name`: expected string, got u8"):
        driver.call("echo", bytes.fromhex("1401000000 11 02000000 13 01000000 10 00000000 13 01000000 03 01"))


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [(20, 20_000), pytest.param(60, 10**9, marks=[pytest.mark.slow, pytest.mark.timeout(300)])],
)
def test_changed_at_random_a_value_is_another_one_or_refused(
    seconds: int, calls: int, program: Callable[..., Path], tmp_path: Path
) -> None:
    """With a seed: what is accepted comes back byte for byte, and nothing else happens."""
    whole = tmp_path / "arguments"
    whole.write_bytes(arguments(encode(EVERYTHING, VALUE)))
    component = binary(echo(EVERYTHING))
    done = run(program("fuzz"), component, whole, str(seconds), str(calls), "1", timeout=250)
    assert (done.returncode, done.stderr) == (0, "")
    accepted, refused = (int(word) for word in done.stdout.split() if word.isdigit())
    assert accepted > calls // 1000 or seconds > 20
    assert refused > accepted > 0
