"""Everything that a library can take and give."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import wit_world
from componentize_py_types import Err
from counters import Counter
from wit_world import exports
from wit_world.exports import shapes
from wit_world.exports.counters import Named
from wit_world.exports.words import Default
from wit_world.imports import host

if TYPE_CHECKING:
    from componentize_py_types import Result

T = TypeVar("T")


def same(_: object, value: T) -> T:
    return value


def returned(_: object, value: Result[T, object]) -> T:
    if isinstance(value, Err):
        raise value
    return value.value


class Numbers(exports.Numbers):
    calls = 0
    same_bool = same_char = same_bytes = same_rows = same_f32 = same_f64 = same
    same_u8 = same_u16 = same_u32 = same_u64 = same_s8 = same_s16 = same_s32 = same_s64 = same

    def twenty(self, *given: float | str) -> tuple[float, str]:
        texts = [one for one in given if isinstance(one, str)]
        return float(sum(one for one in given if not isinstance(one, str))), "".join(texts)

    def count(self) -> None:
        Numbers.calls += 1

    def counted(self) -> int:
        return Numbers.calls


class Texts(exports.Texts):
    same_string = same_strings = same

    def encoded(self, text: str) -> bytes:
        return text.encode()

    def joined(self, texts: list[str], separator: str) -> str:
        return separator.join(texts)


class Shapes(exports.Shapes):
    same_point = same_segment = same_shape = same_shapes = same_colour = same
    same_one = same_nine = same_most = same_pair = same_tuple = same

    def looks(self, shape: shapes.Shape) -> tuple[shapes.Colour, int] | None:
        match shape:
            case shapes.Shape_Dot():
                return shapes.Colour.RED, 1
            case shapes.Shape_At():
                return shapes.Colour.GREEN, 2
            case shapes.Shape_Many(points):
                return shapes.Colour.DARK_BLUE, len(points)
        return None

    def turned(self, point: shapes.Point, marks: shapes.Nine) -> tuple[shapes.Point, bool]:
        wanted = shapes.Nine.A | shapes.Nine.I
        return shapes.Point(round(point.y), float(point.x)), marks & wanted == wanted


class Maybes(exports.Maybes):
    same_option = same_text = same_twice = same_list = same_outcomes = same_results = same
    same_both = same_ok = same_err = same_neither = returned

    def parsed(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) < 1 << 16):
            raise Err(f"{text} is no number")
        return int(text)


class Counters(exports.Counters):
    def largest(self, counters: list[Counter]) -> int | None:
        return max((one.value() for one in counters), default=None)

    def several(self, count: int) -> list[Counter]:
        return [Counter(number) for number in range(count)]

    def renamed(self, named: Named) -> Named:
        return Named(f"{named.name}!", named.counter)

    def alive(self) -> int:
        return Counter.alive


class Client(exports.Client):
    same_event = same

    def classified(self, reading: host.Reading) -> host.Level:
        return host.classify(reading)

    def totals(self, rows: list[list[int]]) -> list[int]:
        return [host.total(row) for row in rows]

    def tell_all(self, texts: list[str]) -> None:
        for text in texts:
            host.tell(text)

    def logged(self, name: str, events: list[host.Event]) -> host.Log:
        log = host.Log(name)
        for event in events:
            log.add(event)
        return log

    def last_line(self, log: host.Log) -> str | None:
        lines = log.lines()
        return lines[-1] if lines else None

    def both(self, first: host.Log, second: host.Log) -> host.Log:
        return host.Log.merged(first, second)


class Words(exports.Words):
    same_struct = same_union = same

    def return_(self, *numbers: int) -> int:
        return sum(numbers)

    def delete(self, itself: Default) -> bool:
        return itself is Default.NIL


class WitWorld(wit_world.WitWorld):
    def greet(self, name: str) -> str:
        return wit_world.shout(f"{host.name()} greets {name}")
