"""Each WIT type crosses both ways, through guest memory as well as through a host import."""

from __future__ import annotations

import array
import collections
import functools
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wherry
from tests.guests.echo import Encoding, echo, relay
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
from tests.runtime import wit_values
from tests.runtime.wit_values import INTEGERS, same, values

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

U8, U32, S64, F32, F64 = Prim("u8"), Prim("u32"), Prim("s64"), Prim("f32"), Prim("f64")
STRING = Prim("string")
POINT = Record((Field("x", U8), Field("label", STRING), Field("y", F64)))
# Cases of all core types at one place of the flat form, so that each coercion between them happens.
SHAPE = Variant(
    (
        Field("nothing", None),
        Field("byte", U8),
        Field("float", F32),
        Field("double", F64),
        Field("long", S64),
        Field("text", STRING),
        Field("both", Tuple((F32, S64))),
    )
)
# 26 flat values: over the 16 that are passed as parameters, so they go through memory.
WIDE = Record(tuple(Field(f"f{at}", (U8, STRING, F32, S64, F64)[at % 5]) for at in range(20)))

TYPES: dict[str, Wit] = {
    **{name: Prim(name) for name in ("bool", "f32", "f64", "char", "string", *INTEGERS)},
    "list<u8>": List(U8),
    "list<u16>": List(Prim("u16")),
    "list<f32>": List(F32),
    "list<bool>": List(Prim("bool")),
    "list<string>": List(STRING),
    "list<list<u8>>": List(List(U8)),
    "list<record>": List(POINT),
    "list<variant>": List(SHAPE),
    "list<option<u64>>": List(Option(Prim("u64"))),
    "record": POINT,
    "record of one": Record((Field("only", F32),)),
    "record over 16 flat values": WIDE,
    "option of a record over 16 flat values": Option(WIDE),
    "tuple": Tuple((U8, S64, U8, STRING)),
    "tuple of 16 flat values": Tuple((U32,) * 16),
    "tuple of 17 flat values": Tuple((U32,) * 17),
    "variant": SHAPE,
    "enum": Enum(("red", "green", "blue")),
    "enum of 257": Enum(tuple(f"e{at}" for at in range(257))),
    "variant of 257": Variant(tuple(Field(f"c{at}", U8 if at % 2 else STRING) for at in range(257))),
    "flags": Flags(("read", "write", "exec")),
    "flags of 9": Flags(tuple(f"b{at}" for at in range(9))),
    "flags of 32": Flags(tuple(f"b{at}" for at in range(32))),
    "option": Option(U32),
    "option<string>": Option(STRING),
    "option<option>": Option(Option(U8)),
    "option<option<option>>": Option(Option(Option(STRING))),
    "list<result>": List(Result(U8, STRING)),
    "list<result<_, u8>>": List(Result(None, U8)),
    "list<result<string>>": List(Result(STRING, None)),
    "list<result<_, _>>": List(Result(None, None)),
    "option<result>": Option(Result(None, Option(U8))),
    "map<string, u32>": Map(STRING, U32),
    "map<u8, record>": Map(U8, POINT),
}

RESULTS: dict[str, Result] = {
    "result<u8, string>": Result(U8, STRING),
    "result<string>": Result(STRING, None),
    "result<_, variant>": Result(None, SHAPE),
    "result": Result(None, None),
}

by_type = pytest.mark.parametrize("wit", TYPES.values(), ids=TYPES.keys())
by_result = pytest.mark.parametrize("wit", RESULTS.values(), ids=RESULTS.keys())
# One instance serves all examples of a test; compiling it is not what is measured.
examples = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.differing_executors])


@functools.cache
def echoing(wit: Wit, encoding: Encoding = "utf8") -> Callable[..., Any]:
    """The function of a guest that copies a value of this type in its memory."""
    instance = wherry.load(echo(wit, encoding).encode()).instantiate()
    return instance.echo  # type: ignore[no-any-return]  # exports have no types before the bindings do


@functools.cache
def relaying(wit: Wit) -> tuple[Callable[..., Any], list[object]]:
    """The function of a guest that asks the host, and what the host was handed in its last call."""
    seen: list[object] = []

    def host(x: object) -> object:
        seen[:] = [x]
        if isinstance(wit, Result):
            if isinstance(x, wherry.Err):
                raise wherry.ResultError(x.value)
            assert isinstance(x, wherry.Ok)
            return x.value
        return x

    instance = wherry.load(relay(wit).encode()).instantiate(imports={"host": host})
    return instance.relay, seen


class TestRoundTrip:
    """What goes in comes out, for values of all sorts."""

    @by_type
    @examples
    @given(data=st.data())
    def test_a_value_survives_guest_memory(self, wit: Wit, data: st.DataObject) -> None:
        """A guest that copies the value part by part, where the specification says they are, returns it."""
        value = data.draw(values(wit))
        returned = echoing(wit)(value)
        assert same(wit, value, returned), returned

    @by_type
    @examples
    @given(data=st.data())
    def test_a_value_survives_a_host_import(self, wit: Wit, data: st.DataObject) -> None:
        """A host function is handed what the guest was given, and what it returns arrives at the caller."""
        value = data.draw(values(wit))
        call, seen = relaying(wit)
        returned = call(value)
        assert same(wit, value, seen[0]), seen
        assert same(wit, value, returned), returned

    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def test_any_type_survives(self, data: st.DataObject) -> None:
        """The same holds for types made at random."""
        wit = data.draw(wit_values.types())
        if isinstance(wit, Result):
            wit = Option(wit)
        value = data.draw(values(wit))
        with wherry.load(echo(wit).encode()).instantiate() as instance:
            assert same(wit, value, instance.echo(value))
        with wherry.load(relay(wit).encode()).instantiate(imports={"host": lambda x: x}) as instance:
            assert same(wit, value, instance.relay(value))

    @pytest.mark.parametrize("encoding", ["utf16", "latin1+utf16"])
    @examples
    @given(value=st.text())
    def test_strings_cross_in_every_encoding(self, encoding: Encoding, value: str) -> None:
        """A guest may keep its strings in UTF-16, or in Latin-1 where that is enough."""
        assert echoing(STRING, encoding)(value) == value
        assert echoing(List(POINT), encoding)([{"x": 1, "label": value, "y": 0.5}])[0].label == value


class TestResult:
    """A result that is the whole result of a function is returned or raised."""

    @by_result
    @examples
    @given(data=st.data())
    def test_ok_is_returned_and_err_is_raised(self, wit: Result, data: st.DataObject) -> None:
        """The ok case is the return value; the error case is an exception that carries the typed value."""
        value = data.draw(values(wit))
        for call in (echoing(wit), relaying(wit)[0]):
            if isinstance(value, wherry.Ok):
                assert same(wit.ok, value.value, call(value))
            else:
                assert isinstance(value, wherry.Err)
                with pytest.raises(wherry.ResultError) as raised:
                    call(value)
                assert same(wit.err, value.value, raised.value.value)

    def test_a_host_function_hands_its_argument_on_typed(self) -> None:
        """A parameter of type result arrives as ``Ok`` or ``Err``, also where the result is raised."""
        call, seen = relaying(Result(U8, STRING))
        assert call(wherry.Ok(3)) == 3
        assert seen == [wherry.Ok(3)]
        with pytest.raises(wherry.ResultError, match="no such"):
            call(wherry.Err("no such"))
        assert seen == [wherry.Err("no such")]


@dataclass
class Point:
    """A record as a Python class."""

    x: int
    label: str
    y: float


class PointTuple(NamedTuple):
    """A record as a named tuple."""

    x: int
    label: str
    y: float


POINTS: dict[str, object] = {
    "dataclass": Point(1, "a", 2.5),
    "mapping": {"x": 1, "label": "a", "y": 2.5},
    "other mapping": collections.OrderedDict({"x": 1, "label": "a", "y": 2.5}),
    "attributes": types.SimpleNamespace(x=1, label="a", y=2.5, other="ignored"),
    "named tuple": PointTuple(1, "a", 2.5),
}


class TestForms:
    """The Python forms that one WIT type accepts."""

    @pytest.mark.parametrize("value", POINTS.values(), ids=POINTS.keys())
    def test_a_record_is_anything_with_its_fields(self, value: object) -> None:
        """Dataclass, mapping or object with attributes; it comes back as an object with attributes."""
        returned = echoing(POINT)(value)
        assert (returned.x, returned.label, returned.y) == (1, "a", 2.5)

    def test_a_returned_record_can_be_passed_again(self) -> None:
        """What a function returned is what another one takes."""
        call = echoing(POINT)
        returned = call(POINTS["mapping"])
        assert call(returned) == returned

    def test_kebab_case_becomes_snake_case(self) -> None:
        """Fields, as functions, have the names that Python can say."""
        wit = Record((Field("first-name", STRING), Field("is-new", Prim("bool"))))
        returned = echoing(wit)({"first_name": "Ada", "is_new": True})
        assert (returned.first_name, returned.is_new) == ("Ada", True)

    @pytest.mark.parametrize(
        "buffer",
        [
            b"abc",
            bytearray(b"abc"),
            memoryview(b"abc"),
            array.array("B", b"abc"),
            array.array("h", [0x6261]),
            memoryview(b"a-b-c")[::2],
        ],
        ids=["bytes", "bytearray", "memoryview", "array", "array of wider numbers", "strided view"],
    )
    def test_list_of_u8_takes_any_buffer(self, buffer: Buffer) -> None:
        """A byte list is bytes; what has a buffer is taken as ``bytes`` takes it."""
        assert echoing(List(U8))(buffer) == bytes(buffer)

    @pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 1 << 20])
    def test_list_of_u8_of_any_size(self, size: int) -> None:
        """Also beyond one page of guest memory, which has to grow for it."""
        value = bytes(at % 251 for at in range(size))
        assert echoing(List(U8))(value) == value
        assert relaying(List(U8))[0](value) == value

    @pytest.mark.parametrize("value", [[1, 2], (1, 2), range(1, 3), collections.deque([1, 2])])
    def test_a_list_takes_sequences(self, value: object) -> None:
        """Any sequence is a list; it comes back as one."""
        assert echoing(List(U32))(value) == [1, 2]

    @pytest.mark.parametrize("value", [{"read", "exec"}, frozenset({"read", "exec"}), ["exec", "read"]])
    def test_flags_take_collections_of_names(self, value: object) -> None:
        """Flags come back as a frozen set of names."""
        assert echoing(TYPES["flags"])(value) == frozenset({"read", "exec"})

    def test_floats_take_integers(self) -> None:
        """As everywhere in Python, an int is good where a float is expected."""
        assert echoing(F64)(3) == 3.0
        assert isinstance(echoing(F64)(3), float)

    @pytest.mark.parametrize("name", INTEGERS)
    def test_integers_at_their_bounds(self, name: str) -> None:
        """The least and the greatest integer of each width cross, and the next ones do not."""
        least, most = INTEGERS[name]
        call = echoing(Prim(name))
        assert (call(least), call(most)) == (least, most)
        for value in (least - 1, most + 1):
            with pytest.raises(wherry.WitTypeError, match=name):
                call(value)


# The type, a value that does not fit it, the path to what is wrong, and what the message says was expected.
WRONG: dict[str, tuple[Wit, object, str, str]] = {
    "bool from int": (Prim("bool"), 1, "x", "bool"),
    "integer from string": (U8, "1", "x", "u8"),
    "integer from float": (U8, 1.0, "x", "u8"),
    "integer from bool": (U8, True, "x", "u8"),
    "integer from none": (U8, None, "x", "u8"),
    "integer too large": (U8, 256, "x", "u8"),
    "integer too small": (Prim("s8"), -129, "x", "s8"),
    "integer of 100 digits": (S64, 10**100, "x", "s64"),
    "float from string": (F64, "1", "x", "f64"),
    "char of two": (Prim("char"), "ab", "x", "char"),
    "char of none": (Prim("char"), "", "x", "char"),
    "char surrogate": (Prim("char"), "\ud800", "x", "char"),
    "string from bytes": (STRING, b"a", "x", "str"),
    "string with a lone surrogate": (STRING, "a\ud800", "x", "surrogate"),
    "bytes from string": (List(U8), "abc", "x", "bytes"),
    "list from string": (List(STRING), "abc", "x", "list"),
    "list from number": (List(U32), 1, "x", "list"),
    "list element": (List(U32), [1, "2"], "x[1]", "u32"),
    "list element deep inside": (List(List(STRING)), [["a"], ["b", 1]], "x[1][1]", "str"),
    "tuple too short": (Tuple((U8, U8)), (1,), "x", "2"),
    "tuple element": (Tuple((U8, STRING)), (1, 2), "x[1]", "str"),
    "record field missing": (POINT, {"x": 1, "y": 2.0}, "x", "label"),
    "record field wrong": (POINT, {"x": 1, "label": 2, "y": 2.0}, "x.label", "str"),
    "record from number": (POINT, 1, "x", "record"),
    "record inside list": (List(POINT), [{"x": 1, "label": "a", "y": "b"}], "x[0].y", "f64"),
    "variant from string": (SHAPE, "byte", "x", "needs a value"),
    "variant without such case": (SHAPE, wherry.Variant("bite", 1), "x", "byte"),
    "variant payload": (SHAPE, wherry.Variant("byte", "1"), "x(byte)", "u8"),
    "variant payload missing": (SHAPE, wherry.Variant("byte"), "x", "byte"),
    "variant payload unwanted": (SHAPE, wherry.Variant("nothing", 1), "x", "nothing"),
    "enum without such case": (Enum(("red", "green")), "reed", "x", "red"),
    "enum from number": (Enum(("red", "green")), 0, "x", "red"),
    "flags without such name": (Flags(("read", "write")), {"raed"}, "x", "read"),
    "flags from number": (Flags(("read", "write")), 1, "x", "read"),
    "option payload": (Option(U8), "a", "x", "u8"),
    "nested option without Some": (Option(Option(U8)), 1, "x", "Some"),
    "result from plain value": (List(Result(U8, None)), [1], "x[0]", "Ok"),
    "result payload": (List(Result(U8, STRING)), [wherry.Err(1)], "x[0](err)", "str"),
    "map from list": (Map(STRING, U32), [("a", 1)], "x", "dict"),
    "map value": (Map(STRING, U32), {"a": "b"}, "x", "u32"),
    "map key": (Map(STRING, U32), {1: 1}, "x", "str"),
}
by_mistake = pytest.mark.parametrize(("wit", "value", "path", "expected"), WRONG.values(), ids=WRONG.keys())


class TestWrong:
    """A value that does not fit is refused with the path to it and what was expected."""

    @by_mistake
    def test_an_argument_that_does_not_fit(self, wit: Wit, value: object, path: str, expected: str) -> None:
        """The exception is both a WherryError and a TypeError, and the instance stays usable."""
        call = echoing(wit)
        with pytest.raises(wherry.WitTypeError) as raised:
            call(value)
        assert type(raised.value) is wherry.WitTypeError
        assert path in raised.value.message
        assert expected in str(raised.value)
        assert isinstance(raised.value, TypeError)

    @by_mistake
    def test_a_host_result_that_does_not_fit(self, wit: Wit, value: object, path: str, expected: str) -> None:
        """What a host function returns is held to the same rules; the guest ends, and the caller sees why."""
        wanted = _some_value(wit)
        with (
            wherry.load(relay(wit).encode()).instantiate(imports={"host": lambda _: value}) as instance,
            pytest.raises(wherry.WitTypeError) as raised,
        ):
            instance.relay(wanted)
        assert "the host function `host`" in raised.value.message
        assert path.replace("x", "result", 1) in raised.value.message
        assert expected in str(raised.value)

    def test_too_many_and_too_few_arguments(self) -> None:
        """The hint shows the form of the call."""
        with pytest.raises(wherry.WitTypeError, match=r"(?s)echo.*echo\(x\)"):
            echoing(U8)()
        with pytest.raises(wherry.WitTypeError, match=r"(?s)echo.*echo\(x\)"):
            echoing(U8)(1, 2)

    def test_an_instance_survives_a_wrong_value(self) -> None:
        """A refused argument leaves nothing behind in the guest."""
        call = echoing(List(STRING))
        for _ in range(3):
            with pytest.raises(wherry.WitTypeError):
                call(["a", 1])
            assert call(["a", "b"]) == ["a", "b"]

    def test_an_exception_in_a_property_is_kept(self) -> None:
        """When looking at a value runs the host's own code, its exception arrives as it is."""

        class Broken:
            x, y = 1, 2.0

            @property
            def label(self) -> str:
                raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine"):
            echoing(POINT)(Broken())

    def test_a_value_that_contains_itself(self) -> None:
        """The depth of a value is bounded by its type, so a list inside itself is only a wrong element."""
        value: list[object] = []
        value.append(value)
        with pytest.raises(wherry.WitTypeError, match=r"x\[0\]"):
            echoing(List(STRING))(value)


def _some_value(wit: Wit) -> object:
    """One value that fits; the same each time."""
    match wit:
        case Prim(name):
            return {"bool": False, "f32": 0.0, "f64": 0.0, "char": "a", "string": ""}.get(name, 0)
        case List(Prim("u8")):
            return b""
        case List():
            return []
        case Map():
            return {}
        case Record():
            return {field.name: _some_value(field.type) for field in wit.fields if field.type}
        case Tuple():
            return tuple(map(_some_value, wit.items))
        case Variant():
            return wherry.Variant("nothing")
        case Enum():
            return wit.names[0]
        case _:
            return frozenset() if isinstance(wit, Flags) else None
