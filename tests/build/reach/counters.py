"""The resource of the interface ``counters``: a module of its name holds its classes."""

from __future__ import annotations

from componentize_py_types import Err
from wit_world.exports import counters


class Counter(counters.Counter):
    alive = 0

    def __init__(self, start: int) -> None:
        self._value = start
        Counter.alive += 1

    def __del__(self) -> None:
        Counter.alive -= 1

    def add(self, by: int) -> int:
        self._value += by
        return self._value

    def value(self) -> int:
        return self._value

    @classmethod
    def sized(cls, text: str) -> Counter:
        if not text:
            raise Err("empty")
        return cls(len(text))

    @classmethod
    def merged(cls, first: Counter, second: Counter) -> Counter:
        return cls(first.value() + second.value())
