"""Host functions: what may implement an import, and what becomes of their exceptions."""

from __future__ import annotations

import traceback
import types
from typing import Any

import pytest

import wherry
from tests.guests.build import text
from tests.guests.echo import relay
from tests.guests.wit_types import Prim, Result


def plain(x: int) -> int:
    """A function."""
    return x + 1


async def asynchronous(x: int) -> int:
    """A coroutine function."""
    return x + 1


class Callable:
    """An object that can be called, with a method that can."""

    def __call__(self, x: int) -> int:
        """Called as a function."""
        return x + 1

    def method(self, x: int) -> int:
        """The same."""
        return x + 1


HOSTS: dict[str, Any] = {
    "function": plain,
    "lambda": lambda x: x + 1,
    "object": Callable(),
    "method": Callable().method,
    "built-in": (1).__add__,
    "coroutine function": asynchronous,
}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS.keys())
def test_any_callable_implements_a_function(host: Any) -> None:
    """Sync or async, function or object."""
    with wherry.load(text("callback")).instantiate(imports={"host": host}) as instance:
        assert instance.call(41) == 42


def test_an_exception_arrives_with_its_traceback() -> None:
    """It is the very object that was raised, and its traceback leads into the host function."""
    raised = LookupError("not here")

    def deeper() -> None:
        raise raised

    def host(x: int) -> int:
        deeper()
        return x

    with (
        wherry.load(text("callback")).instantiate(imports={"host": host}) as instance,
        pytest.raises(LookupError) as caught,
    ):
        instance.call(1)
    assert caught.value is raised
    names = [frame.name for frame in traceback.extract_tb(raised.__traceback__)]
    assert names[-2:] == ["host", "deeper"]
    assert names[0] == "test_an_exception_arrives_with_its_traceback"


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_exceptions_that_end_programs_arrive_too(exception: type[BaseException]) -> None:
    """They are not errors of the guest."""

    def host(_: int) -> int:
        raise exception

    with (
        wherry.load(text("callback")).instantiate(imports={"host": host}) as instance,
        pytest.raises(exception),
    ):
        instance.call(1)


def test_an_instance_ends_with_an_exception_of_its_host() -> None:
    """The guest was torn out of its call, so it cannot go on; a new instance can."""

    def host(x: int) -> int:
        return 1 // x

    component = wherry.load(text("callback"))
    with component.instantiate(imports={"host": host}) as instance:
        with pytest.raises(ZeroDivisionError):
            instance.call(0)
        with pytest.raises(wherry.ClosedError):
            instance.call(1)
    with component.instantiate(imports={"host": host}) as instance:
        assert instance.call(1) == 1


@pytest.mark.parametrize("returned", ["text", None, 1 << 40])
def test_an_instance_ends_with_a_wrong_result_of_its_host(returned: object) -> None:
    """It stands in the middle of its call, as after an exception; a wrong argument does not end it."""
    with wherry.load(text("callback")).instantiate(imports={"host": lambda _: returned}) as instance:
        with pytest.raises(wherry.WitTypeError):
            instance.call("text")
        with pytest.raises(wherry.WitTypeError, match="host"):
            instance.call(1)
        with pytest.raises(wherry.ClosedError):
            instance.call(1)


def test_the_error_case_is_raised_typed() -> None:
    """``ResultError`` in a host function is the error case of its result, and goes to the guest."""

    def host(x: object) -> int:
        raise wherry.ResultError(f"seen {x!r}")

    wit = Result(Prim("u8"), Prim("string"))
    with (
        wherry.load(relay(wit).encode()).instantiate(imports={"host": host}) as instance,
        pytest.raises(wherry.ResultError) as raised,
    ):
        instance.relay(wherry.Ok(3))
    assert raised.value.value == "seen Ok(3)"


def test_missing_imports_are_listed() -> None:
    """With the way to give them in the hint."""
    with pytest.raises(wherry.LinkError, match=r"host\(x\)") as raised:
        wherry.load(text("callback")).instantiate()
    assert "imports=" in (raised.value.hint or "")


def test_a_namespace_may_hold_more_than_is_imported() -> None:
    """A module is as good as a mapping."""
    module = types.ModuleType("host")
    imports = {"host": plain, "other": 1, "test:guests/unused": module}
    with wherry.load(text("callback")).instantiate(imports=imports) as instance:
        assert instance.call(1) == 2


def test_what_cannot_be_called_is_refused() -> None:
    """When the instance is made, not when the guest calls."""
    with pytest.raises(wherry.LinkError, match="host"):
        wherry.load(text("callback")).instantiate(imports={"host": 3})
