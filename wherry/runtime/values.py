"""The small classes that stand for WIT values which Python has no type for.

The whole mapping is one table, in :mod:`wherry.wit`. The compiled core makes these objects and looks into
them.
"""

from __future__ import annotations

from wherry._native import Record, Resource, make_record

__all__ = ["Err", "Ok", "Record", "Resource", "Some", "Variant"]


TYPE_CHECKING = False  # not from `typing`, which takes longer to import than the rest of this
if TYPE_CHECKING:
    from typing import Generic, TypeVar

    Value = TypeVar("Value")
else:
    Value = object

    class Generic:
        """What stands for ``typing.Generic`` where nobody checks types: ``Some[int]`` is ``Some``."""

        __slots__ = ()

        def __class_getitem__(cls, item: object) -> type:
            return cls


class _Wrapper(Generic[Value]):
    """One value under a name; equal to its like with an equal value."""

    __slots__ = ("value",)
    __match_args__ = ("value",)
    value: Value

    def __init__(self, value: Value = None) -> None:  # type: ignore[assignment]  # `Ok()` is `Ok(None)`
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and bool(other.value == self.value)

    def __hash__(self) -> int:
        return hash((type(self), self.value))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class Some(_Wrapper[Value]):
    """A value that is there, where a bare one would leave that open.

    ``option<option<u32>>`` has three values: ``None``, ``Some(None)`` and ``Some(5)``.
    """

    __slots__ = ()


class Ok(_Wrapper[Value]):
    """The good case of a ``result`` that is not the whole result of a function."""

    __slots__ = ()


class Err(_Wrapper[Value]):
    """The error case of a ``result`` that is not the whole result of a function."""

    __slots__ = ()


class Variant:
    """One case of a ``variant``: its name in WIT, and its value if the case has one.

    Works in ``match``: ``case Variant("circle", radius): ...``. A case without a value may be given as its
    name alone.
    """

    __slots__ = ("tag", "value")
    __match_args__ = ("tag", "value")
    tag: str
    value: object

    def __init__(self, tag: str, value: object = None) -> None:
        self.tag = tag
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Variant) and (other.tag, other.value) == (self.tag, self.value)

    def __hash__(self) -> int:
        return hash((self.tag, self.value))

    def __repr__(self) -> str:
        return f"Variant({self.tag!r})" if self.value is None else f"Variant({self.tag!r}, {self.value!r})"


def unpickle_record(type_name: str, names: list[str], values: dict[str, object]) -> Record:
    """Make a record again that was pickled."""
    return make_record(type_name, names, values)
