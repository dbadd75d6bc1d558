"""Guests come out of a pool of places; what does not fit one is run all the same."""

from __future__ import annotations

import pytest

import wherry
from tests.guests.build import binary
from tests.guests.echo import echo
from tests.guests.wit_types import Prim

FUNCTION = '(func (export "f") (result i32) (i32.const 1))'
LARGE = {
    "a large table": f"(module (table 200000 funcref) {FUNCTION})",
    "many memories": f"(module {'(memory 1) ' * 12} {FUNCTION})",
    "a large memory from the start": f"(module (memory 4096) {FUNCTION})",
    "a memory of 64 bits": f"(module (memory i64 1) {FUNCTION})",
}


@pytest.mark.parametrize("wat", LARGE.values(), ids=LARGE.keys())
def test_what_does_not_fit_the_pool_runs(wat: str) -> None:
    """Loading and calling work, and again from the cache."""
    for _ in range(2):
        with wherry.load(binary(wat)).instantiate() as instance:
            assert instance.f() == 1


def test_more_instances_than_the_pool_has_places() -> None:
    """Those over the number of places come from the system."""
    component = wherry.load(echo(Prim("u32")).encode())
    alive = [component.instantiate() for _ in range(1_200)]
    assert all(instance.echo(place) == place for place, instance in enumerate(alive))


def test_fuel_is_another_engine() -> None:
    """Functions of a component are found in the code that was made for it."""
    with wherry.load(echo(Prim("u32")).encode()).instantiate(limits=wherry.Limits(fuel=10_000)) as instance:
        assert instance.echo(7) == 7
