"""What a library that implements ``reach/library.wit`` does, whatever language it is written in.

One function for each feature of libraries: it is given an instance and the host that it was linked with, and
calls what is exported with values at the edges. ``FEATURES`` names them all; each is a row of the tests.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

import pytest

import wherry
from wherry import Err, Ok, ResultError, Some, Variant

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FEATURES", "Host", "interface"]

LONG = 10_000
MEBIBYTE = 1 << 20
INTEGERS = {
    f"{sign}{bits}": (0 if sign == "u" else -(1 << (bits - 1)), (1 << (bits - (sign == "s"))) - 1)
    for sign in "us"
    for bits in (8, 16, 32, 64)
}
EXACT = {
    name: (max(least, 1 - (1 << 53)), min(most, (1 << 53) - 1)) for name, (least, most) in INTEGERS.items()
}
"""The same, without what is rounded where all numbers are floats of 64 bits."""
ORDER = ["u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64"]
FLOATS = [0.0, -0.0, 1.5, -1e-30, math.inf, -math.inf, math.nan]
MOST = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
"""The largest number that an f32 can be."""
CHARS = ["\0", "a", "é", "\u2028", "\ud7ff", "\ue000", "\uffff", "😀", "\U0010ffff"]
TEXTS = ["", "Ada", "Ægir", "日本語", "a\0b", "e\u0301", "😀\U0010ffff", '"\\\n\t', "long " * LONG]
POINTS = [{"x": 0, "y": -0.0}, {"x": -(1 << 31), "y": math.nan}, {"x": (1 << 31) - 1, "y": 1e308}]
SEGMENTS = [
    {"start": POINTS[0], "end": POINTS[1], "label": None},
    {"start": POINTS[2], "end": POINTS[0], "label": ""},
    {"start": POINTS[1], "end": POINTS[2], "label": "ñandú"},
]
ROWS = ["bools", *(f"{name}s" for name in ORDER), "f32s", "f64s", "chars", "nested"]
EMPTY_ROWS: dict[str, Any] = {name: b"" if name == "u8s" else [] for name in ROWS}
SHAPES = [
    Variant("dot"),
    *(Variant("at", point) for point in POINTS),
    *(Variant("line", segment) for segment in SEGMENTS),
    Variant("many", []),
    Variant("many", POINTS * 100),
    Variant("called", "ñandú"),
    Variant("called", ""),
    Variant("sized", 255),
]


def interface(name: str) -> str:
    """The whole name of an interface of the library."""
    return f"acme:greeter/{name}"


class Log:
    """The resource of the host."""

    def __init__(self, name: str) -> None:
        self.written = [name]

    def add(self, event: Variant) -> int:
        """Write an event down: how many lines there are."""
        self.written.append(f"{event.tag} {plain(event.value)}")
        return len(self.written)

    def add_all(self, events: list[Variant]) -> None:
        """Write several events down."""
        for event in events:
            self.add(event)

    def lines(self) -> list[str]:
        """All that was written."""
        return self.written

    @staticmethod
    def merged(first: Log, second: Log) -> Log:
        """A log with the lines of both."""
        log = Log("merged")
        log.written += first.written + second.written
        return log


class Host:
    """What a library imports; ``told`` is what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def imports(self) -> dict[str, object]:
        """The imports of the world."""
        return {
            interface("host"): {
                "log": Log,
                "name": lambda: "Gréta",
                "classify": self.classify,
                "total": sum,
                "tell": self.told.append,
            },
            "shout": str.upper,
        }

    @staticmethod
    def classify(reading: Any) -> str:
        """The level of a reading, or why it has none."""
        if math.isnan(reading.value):
            raise ResultError(f"{reading.label} is no number")
        return "high" if reading.value > 1 else "low"


def plain(value: object) -> object:
    """A value in which all that is equal looks the same: records as mappings, flags in order."""
    match value:
        case wherry.Record() | dict():
            return {name: plain(inner) for name, inner in dict(value).items()}
        case list() | tuple():
            return type(value)(plain(inner) for inner in value)
        case frozenset() | set():
            return sorted(value)
        case Variant(tag, inner):
            return Variant(tag, plain(inner))
        case Ok(inner) | Err(inner) | Some(inner):
            return type(value)(plain(inner))
    return value


def gives_back(function: Callable[[Any], object], *values: object) -> None:
    """Each value comes back as it went in; 0 and -0, 1 and True, 1 and 1.0 are not the same."""
    for value in values:
        assert repr(plain(function(value))) == repr(plain(value))


def outcome(function: Callable[..., object]) -> Callable[..., Ok[object] | Err[object]]:
    """A function whose whole result is a ``result``, of which a failure is raised, as one that returns it."""

    def call(*arguments: object) -> Ok[object] | Err[object]:
        try:
            return Ok(function(*arguments))
        except ResultError as error:
            return Err(error.value)

    return call


def numbers(library: Any, _: Host) -> None:
    """Truth values, all sizes of integers, and both of floats; 64 bits as far as floats are exact."""
    same = library[interface("numbers")]
    gives_back(same.same_bool, *(False, True))
    for name, (least, most) in EXACT.items():
        gives_back(getattr(same, f"same_{name}"), 0, 1, least, most, most // 3, least // 2)
    gives_back(same.same_f32, 0.0, -0.0, 1.5, MOST, -MOST, 2**-149, math.inf, -math.inf, math.nan)
    gives_back(same.same_f64, *FLOATS, 5e-324, 1.7976931348623157e308, math.pi)


def long_numbers(library: Any, _: Host) -> None:
    """All of 64 bits, alone, in lists, in variants, and of the host."""
    same = library[interface("numbers")]
    for name in ("u64", "s64"):
        least, most = INTEGERS[name]
        gives_back(getattr(same, f"same_{name}"), least, most, most // 3, least // 2)
        rows = {**EMPTY_ROWS, f"{name}s": [least, most, 1]}
        gives_back(same.same_rows, rows)
    gives_back(library[interface("words")].same_union, Variant("long", (1 << 64) - 1))
    assert library[interface("client")].totals([[1 << 63, (1 << 63) - 1]]) == [(1 << 64) - 1]


def characters(library: Any, _: Host) -> None:
    """Characters to the end of Unicode, on both sides of the surrogates."""
    gives_back(library[interface("numbers")].same_char, *CHARS)


def byte_lists(library: Any, _: Host) -> None:
    """Bytes: none, each of them, and many."""
    gives_back(library[interface("numbers")].same_bytes, b"", b"\0", bytes(range(256)), b"\xff" * LONG)


def number_lists(library: Any, _: Host) -> None:
    """Lists of each number, empty and long, and lists of lists, in a record."""
    integers = {f"{name}s": bytes((0, 255)) if name == "u8" else [*EXACT[name], 1] for name in ORDER}
    rows: dict[str, Any] = {"bools": [True, False], **integers}
    rows |= {"f32s": [-0.0, math.nan, MOST], "f64s": FLOATS, "chars": CHARS, "nested": [[], [1], [0, 65535]]}
    empty = {name: values[:0] for name, values in rows.items()}
    gives_back(library[interface("numbers")].same_rows, rows, empty, {n: v * LONG for n, v in rows.items()})


def many_parameters(library: Any, _: Host) -> None:
    """More parameters than a core function takes, of sizes that differ."""
    twenty = library[interface("numbers")].twenty
    first = (255, 65535, 2**32 - 1, 2**40, -128, -32768, -(2**31), -(2**50), 0.5, -0.25, True, "né")
    total = 255 + 65535 + 2**32 - 1 + 2**40 - 128 - 32768 - 2**31 - 2**50 + 0.25 + 1
    assert twenty(*first, 1, 2, 3, 4, -5, -6, "", "😀") == (total + 10 - 11, "né😀")


def no_result(library: Any, _: Host) -> None:
    """A function that returns nothing, and state that stays between calls."""
    counting = library[interface("numbers")]
    assert [counting.count() for _ in range(3)] == [None, None, None]
    assert counting.counted() == 3


def texts(library: Any, _: Host) -> None:
    """Texts, alone and in lists, whatever is in them."""
    same = library[interface("texts")]
    gives_back(same.same_string, *TEXTS)
    gives_back(same.same_strings, [], [""], TEXTS, [str(number) for number in range(LONG)])
    assert [same.encoded(text) for text in TEXTS] == [text.encode() for text in TEXTS]
    assert same.joined(TEXTS, "→") == "→".join(TEXTS)
    assert (same.joined([], "-"), same.joined([""], "-"), same.joined(["a", "b"], "")) == ("", "", "ab")


def records(library: Any, _: Host) -> None:
    """Records, alone and in one another, and what a guest makes of one."""
    shapes = library[interface("shapes")]
    gives_back(shapes.same_point, *POINTS)
    gives_back(shapes.same_segment, *SEGMENTS)
    turned, marked = shapes.turned({"x": -3, "y": 2.4}, {"a", "i", "c"})
    assert (turned.x, turned.y, marked) == (2, -3.0, True)
    assert shapes.turned(POINTS[0], {"a", "b"})[1] is False


def variants(library: Any, _: Host) -> None:
    """Variants with payloads of each size and without, alone and in long lists."""
    shapes = library[interface("shapes")]
    gives_back(shapes.same_shape, *SHAPES)
    gives_back(shapes.same_shapes, [], SHAPES, [Variant("dot"), Variant("sized", 1)] * LONG)
    looks = [shapes.looks(shape) for shape in (SHAPES[0], SHAPES[1], SHAPES[7], SHAPES[8], SHAPES[9])]
    assert looks == [("red", 1), ("green", 2), ("dark-blue", 0), ("dark-blue", 300), None]


def enums(library: Any, _: Host) -> None:
    """Every case of an enum."""
    gives_back(library[interface("shapes")].same_colour, "red", "green", "dark-blue")


def flags(library: Any, _: Host) -> None:
    """Flags in one byte, in two, and in all of the 32 bits that there may be."""
    shapes = library[interface("shapes")]
    gives_back(shapes.same_one, frozenset(), frozenset({"only"}))
    nine = frozenset("abcdefghi")
    gives_back(shapes.same_nine, frozenset(), nine, *(frozenset(one) for one in nine))
    most = [f"f{number}" for number in range(32)]
    gives_back(shapes.same_most, frozenset(), frozenset(most), frozenset(most[::3]), frozenset(most[31:]))


def tuples(library: Any, _: Host) -> None:
    """Tuples, in one another and under a name of their own."""
    shapes = library[interface("shapes")]
    gives_back(shapes.same_pair, *((text, point) for text in TEXTS for point in POINTS))
    gives_back(shapes.same_tuple, (0, ("", "a"), []), (255, ("né", "😀"), ["dark-blue", "red"] * LONG))


def options(library: Any, _: Host) -> None:
    """Values that may not be there, also twice, and in lists."""
    maybes = library[interface("maybes")]
    gives_back(maybes.same_option, None, 0, (1 << 32) - 1)
    gives_back(maybes.same_text, None, *TEXTS)
    gives_back(maybes.same_twice, None, Some(None), Some(0), Some(255))
    gives_back(maybes.same_list, [], [None], [*POINTS, None], [None, POINTS[2]] * LONG)


def results(library: Any, _: Host) -> None:
    """All four forms of a result as what a function returns."""
    maybes = library[interface("maybes")]
    gives_back(outcome(maybes.same_both), Ok(0), Ok((1 << 32) - 1), Err(""), Err("né"))
    gives_back(outcome(maybes.same_ok), Err(), *map(Ok, POINTS))
    gives_back(outcome(maybes.same_err), Ok(), *map(Err, TEXTS))
    gives_back(outcome(maybes.same_neither), Ok(), Err())
    parsed = [outcome(maybes.parsed)(text) for text in ("0", "65535", "65536", "", "x", "12a")]
    assert parsed[:2] == [Ok(0), Ok(65535)]
    assert all(isinstance(one, Err) and isinstance(one.value, str) and one.value for one in parsed[2:])


def results_inside(library: Any, _: Host) -> None:
    """Results in records and lists."""
    maybes = library[interface("maybes")]
    good = {"both": Ok(7), "ok": Ok(POINTS[1]), "err": Ok(), "neither": Ok()}
    bad = {"both": Err("né"), "ok": Err(), "err": Err(""), "neither": Err()}
    gives_back(maybes.same_outcomes, good, bad)
    gives_back(maybes.same_results, [], [Ok(""), Err(0)], [Ok("né"), Err(255)] * LONG)


def resources(library: Any, _: Host) -> None:
    """Constructors, methods and static functions of an exported resource."""
    counters = library[interface("counters")]
    with counters.Counter(5) as counter, counters.Counter((1 << 32) - 8) as other:
        assert (counter.add(3), counter.add(4), counter.value()) == (8, 12, 12)
        assert (other.value(), other.add(7)) == ((1 << 32) - 8, (1 << 32) - 1)
    assert counters.Counter.sized("four").value() == 4
    with pytest.raises(ResultError, match="empty"):
        counters.Counter.sized("")


def handles(library: Any, _: Host) -> None:
    """Resources lent, and given out: in lists of each."""
    counters = library[interface("counters")]
    assert counters.largest([counters.Counter(2), counters.Counter(3)]) == 3
    assert counters.largest([]) is None
    assert [one.value() for one in counters.several(4)] == [0, 1, 2, 3]
    assert counters.several(0) == []


def handles_given_away(library: Any, _: Host) -> None:
    """Resources that the library gets back: alone and in records."""
    counters = library[interface("counters")]
    first, second = counters.Counter(2), counters.Counter(3)
    merged = counters.Counter.merged(first, second)
    assert (merged.value(), second.value()) == (5, 3)
    with pytest.raises(wherry.ClosedError):
        first.value()
    renamed = counters.renamed({"name": "né", "counter": merged})
    assert (renamed.name, renamed.counter.value()) == ("né!", 5)


def destructors(library: Any, _: Host) -> None:
    """A guest hears when a resource of its own is dropped, by the caller or by itself."""
    counters = library[interface("counters")]
    with counters.Counter(1) as counter:
        counter.add(1)
        assert counters.alive() == 1
    assert counters.alive() == 0
    for one in counters.several(10):
        one.close()
    assert counters.alive() == 0
    first, second = counters.Counter(2), counters.Counter(3)
    merged = counters.Counter.merged(first, second)
    assert counters.alive() == 2
    renamed = counters.renamed({"name": "", "counter": merged})
    assert counters.alive() == 2
    renamed.counter.close()
    second.close()
    assert counters.alive() == 0


def imported_functions(library: Any, host: Host) -> None:
    """Functions of the world and of an imported interface, with and without results."""
    client = library[interface("client")]
    assert library.greet("Ada") == "GRÉTA GREETS ADA"
    assert client.totals([[], [1, 2], [1 << 52, (1 << 52) - 1], [1] * LONG]) == [0, 3, (1 << 53) - 1, LONG]
    client.tell_all(TEXTS)
    assert host.told == TEXTS


def imported_types(library: Any, _: Host) -> None:
    """Types of an imported interface in exported functions, and results that are passed on."""
    client = library[interface("client")]
    gives_back(client.same_event, Variant("started"), Variant("said", "né"))
    gives_back(client.same_event, *(Variant("measured", {"label": "a", "value": value}) for value in FLOATS))
    classified = outcome(client.classified)
    assert classified({"label": "né", "value": 2.0}) == Ok("high")
    assert classified({"label": "né", "value": -0.0}) == Ok("low")
    assert classified({"label": "né", "value": math.nan}) == Err("né is no number")


def imported_resources(library: Any, _: Host) -> None:
    """Resources of the host: made, called, and given away."""
    client = library[interface("client")]
    log = client.logged("né", [Variant("started"), Variant("said", "ho"), Variant("said", "hi")])
    assert isinstance(log, Log)
    assert log.lines() == ["né", "started None", "said ho", "said hi"]


def imported_resources_lent(library: Any, _: Host) -> None:
    """Resources of the host, lent to the library; one of two is given away."""
    client, log = library[interface("client")], Log("né")
    assert client.last_line(log) == "né"
    log.written.clear()
    assert client.last_line(log) is None
    log.written += ["a"]
    assert client.both(log, Log("b")).lines() == ["merged", "a", "b"]


def memory(library: Any, host: Host) -> None:
    """What is given and returned is freed: calls that each move a mebibyte can go on for ever."""
    text, rows = "x" * MEBIBYTE, ["x" * 1024] * 1024
    numbers, texts, shapes, maybes, client = (
        library[interface(name)] for name in ("numbers", "texts", "shapes", "maybes", "client")
    )
    calls: list[Callable[[], object]] = [
        lambda: numbers.same_bytes(text.encode()),
        lambda: texts.same_strings(rows),
        lambda: shapes.same_shapes([Variant("called", row) for row in rows]),
        lambda: shapes.looks(Variant("called", text)),
        lambda: outcome(maybes.same_both)(Err(text)),
        lambda: maybes.same_results([Ok(row) for row in rows]),
        lambda: library.greet(text),
        lambda: client.tell_all(rows),
        lambda: client.same_event(Variant("measured", {"label": text, "value": 1.0})),
        host.told.clear,
    ]
    stays_small(library, calls)


def memory_of_resources(library: Any, _: Host) -> None:
    """The same of what comes with resources."""
    counters, client, text = library[interface("counters")], library[interface("client")], "x" * MEBIBYTE
    calls: list[Callable[[], object]] = [
        lambda: counters.renamed({"name": text, "counter": counters.Counter(1)}).name,
        lambda: client.last_line(Log(text)),
    ]
    stays_small(library, calls)


def stays_small(library: Any, calls: list[Callable[[], object]]) -> None:
    """However often it is called, a library uses no more memory."""
    before = library.memory
    for call in calls * 100:
        call()
    assert library.memory < before + 64 * MEBIBYTE


def names(library: Any, _: Host) -> None:
    """Names that are words of the language itself."""
    words = library[interface("words")]
    struct = {"int": 1, "class_": 2, "fn": 3, "def_": 4, "range": "né", "type": "nil", "this": True}
    gives_back(words.same_struct, struct)
    gives_back(words.same_union, Variant("null"), Variant("long", (1 << 53) - 1), Variant("string", "né"))
    assert words.return_(1, 2, 4, 8, 16, 32, 64) == 127
    assert [words.delete(one) for one in ("new", "none", "true", "class", "fn", "nil")] == [False] * 5 + [
        True
    ]


FEATURES: dict[str, Callable[[Any, Host], None]] = {
    check.__name__.replace("_", " "): check
    for check in (
        numbers,
        long_numbers,
        characters,
        byte_lists,
        number_lists,
        many_parameters,
        no_result,
        texts,
        records,
        variants,
        enums,
        flags,
        tuples,
        options,
        results,
        results_inside,
        resources,
        handles,
        handles_given_away,
        destructors,
        imported_functions,
        imported_types,
        imported_resources,
        memory,
        memory_of_resources,
        imported_resources_lent,
        names,
    )
}
"""Each feature by its name."""
