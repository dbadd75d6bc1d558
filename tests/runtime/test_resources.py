"""Resources: those of a guest as Python objects, and Python objects as resources of a guest."""

from __future__ import annotations

import gc
import weakref
from typing import Any, ClassVar

import pytest

import wherry
from tests.guests.build import text

COUNTERS = "test:guests/counters"
BUCKETS = "test:guests/buckets"


@pytest.fixture
def counters() -> Any:
    """The interface of a fresh guest that implements the resource ``counter``."""
    with wherry.load(text("counter")).instantiate() as instance:
        yield instance[COUNTERS]


class TestOfTheGuest:
    """A resource that the guest implements is a Python object, released when the caller says so."""

    def test_constructor_methods_and_static(self, counters: Any) -> None:
        """All three kinds of function of a resource are where Python has them."""
        counter = counters.Counter(5)
        assert counter.increment(2) == 7
        assert counter.value() == 7
        merged = counters.Counter.merge(counter, counters.Counter(1))
        assert merged.value() == 8

    def test_release_is_deterministic(self, counters: Any) -> None:
        """The destructor in the guest runs at the end of the ``with`` block, or in ``close``."""
        with counters.Counter(1) as counter:
            assert counters.live() == 1
        assert counters.live() == 0
        counter = counters.Counter(1)
        counter.close()
        assert counters.live() == 0
        counter.close()
        assert counters.live() == 0

    def test_an_object_that_is_forgotten_is_released(self, counters: Any) -> None:
        """What is not closed by hand is released when Python collects it, before the next call."""
        counters.Counter(1)
        gc.collect()
        assert counters.live() == 0

    def test_use_after_release(self, counters: Any) -> None:
        """A released resource says so."""
        counter = counters.Counter(1)
        counter.close()
        with pytest.raises(wherry.ClosedError, match="released"):
            counter.value()
        with pytest.raises(wherry.ClosedError, match="released"):
            counters.peek(counter)
        assert counters.live() == 0

    def test_passing_an_owned_one_gives_it_away(self, counters: Any) -> None:
        """After the guest took ownership, the caller's object is no longer good."""
        left, right = counters.Counter(1), counters.Counter(2)
        merged = counters.Counter.merge(left, right)
        assert counters.live() == 1
        for given in (left, right):
            with pytest.raises(wherry.ClosedError):
                given.value()
        assert merged.value() == 3

    def test_the_same_one_twice(self, counters: Any) -> None:
        """Giving one away twice in a call is refused, and the other arguments stay the caller's."""
        counter = counters.Counter(1)
        with pytest.raises((wherry.ClosedError, wherry.WitTypeError)):
            counters.Counter.merge(counter, counter)
        assert counters.live() <= 1

    def test_borrowing_leaves_it_with_the_caller(self, counters: Any) -> None:
        """A function that borrows may be called again."""
        counter = counters.Counter(3)
        assert counters.peek(counter) == counters.peek(counter) == 3

    def test_owned_ones_inside_a_list(self, counters: Any) -> None:
        """Handles cross inside other values."""
        several = counters.several()
        assert [counter.value() for counter in several] == [0, 1, 2]
        assert counters.live() == 3
        del several
        gc.collect()
        assert counters.live() == 0

    @pytest.mark.parametrize("wrong", [None, 1, "counter", object()], ids=["None", "1", "str", "object"])
    def test_something_else_is_refused(self, counters: Any, wrong: object) -> None:
        """The message says that a resource was expected, and what there was instead."""
        with pytest.raises(wherry.WitTypeError, match=r"`it`.*resource"):
            counters.peek(wrong)

    def test_that_of_another_instance_is_refused(self, counters: Any) -> None:
        """A handle means something in its own instance only."""
        with wherry.load(text("counter")).instantiate() as other:
            foreign = other[COUNTERS].Counter(9)
            with pytest.raises(wherry.WitTypeError, match="`it`"):
                counters.peek(foreign)
            assert foreign.value() == 9

    def test_after_the_instance_is_closed(self) -> None:
        """The instance takes its resources along; releasing them afterwards is quiet."""
        with wherry.load(text("counter")).instantiate() as instance:
            counter = instance[COUNTERS].Counter(1)
        with pytest.raises(wherry.ClosedError):
            counter.value()
        counter.close()


class Bucket:
    """A resource of the host: what a guest gets to hold is this object."""

    alive: ClassVar[weakref.WeakSet[Bucket]] = weakref.WeakSet()

    def __init__(self, name: str) -> None:
        self.name = name
        self.amount = 0
        self.alive.add(self)

    def add(self, by: int) -> int:
        """Adds, and says how much there is."""
        self.amount += by
        return self.amount

    @staticmethod
    def shared() -> Bucket:
        """One that exists already."""
        return SHARED


SHARED = Bucket("shared")


class Buckets:
    """The interface ``buckets``, as an object."""

    Bucket = Bucket

    @staticmethod
    def total(of: Any) -> int:
        """How much there is in a bucket, with the length of its name as a sign that it is the same object."""
        assert isinstance(of, Bucket)
        return 100 * len(of.name) + of.amount


IMPLEMENTATIONS: dict[str, object] = {
    "object": Buckets(),
    "class": Buckets,
    "mapping": {"Bucket": Bucket, "total": Buckets.total},
}


class TestOfTheHost:
    """Any Python class may implement a resource that a guest imports."""

    @pytest.fixture(params=IMPLEMENTATIONS.values(), ids=list(IMPLEMENTATIONS))
    def guest(self, request: pytest.FixtureRequest) -> Any:
        """A guest that uses buckets."""
        component = wherry.load(text("buckets"))
        with component.instantiate(imports={BUCKETS: request.param}) as instance:
            yield instance

    def test_the_guest_constructs_uses_and_drops(self, guest: Any) -> None:
        """Constructor, methods and functions of the interface are called; the drop lets go of the object."""
        before = len(Bucket.alive)
        assert guest.use_own(6) == 100 * len("guest") + 7
        assert len(Bucket.alive) == before

    def test_a_static_function_gives_an_existing_object(self, guest: Any) -> None:
        """The guest works on the very object that the host returned."""
        before = SHARED.amount
        assert guest.use_shared() == before + 1
        assert SHARED.amount == before + 1

    def test_an_object_passed_to_the_guest_comes_back_as_itself(self, guest: Any) -> None:
        """Identity survives the way through the guest."""
        mine = Bucket("mine")
        assert guest.borrowed(mine) == 10
        assert guest.borrowed(mine) == 20
        assert guest.give_back(mine) is mine

    def test_an_exception_in_a_method_reaches_the_caller(self) -> None:
        """With its class, message and traceback."""

        class Broken(Bucket):
            def add(self, by: int) -> int:
                raise LookupError(f"no room for {by}")

        imports = {BUCKETS: {"Bucket": Broken, "total": Buckets.total}}
        with (
            wherry.load(text("buckets")).instantiate(imports=imports) as instance,
            pytest.raises(LookupError, match="no room for 1") as raised,
        ):
            instance.use_own(1)
        assert raised.traceback[-1].name == "add"

    def test_what_is_missing_is_listed(self) -> None:
        """An implementation with gaps is refused when the instance is made, not when they are called."""
        with pytest.raises(wherry.LinkError, match=r"total"):
            wherry.load(text("buckets")).instantiate(imports={BUCKETS: {"Bucket": Bucket}})
