"""Python values for a WIT type, for the property tests, and what they look like when they come back.

``values`` makes values as a caller would write them: records as mappings, everything else as the mapping
in the documentation has it. ``same`` compares what was sent with what the runtime returned. ``types``
makes WIT types at random.
"""

from __future__ import annotations

import math
import struct

from hypothesis import strategies as st

import wherry
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

__all__ = ["INTEGERS", "same", "types", "values"]

INTEGERS = {
    f"{sign}{bits}": (0 if sign == "u" else -(1 << (bits - 1)), (1 << (bits - (sign == "s"))) - 1)
    for sign in "us"
    for bits in (8, 16, 32, 64)
}

_SCALARS: dict[str, st.SearchStrategy[object]] = {
    "bool": st.booleans(),
    "f32": st.floats(width=32),
    "f64": st.floats(),
    "char": st.characters(),
    "string": st.text(),
    **{name: st.integers(least, most) for name, (least, most) in INTEGERS.items()},
}


def values(wit: Wit) -> st.SearchStrategy[object]:
    """Values of ``wit`` as a caller may write them."""
    match wit:
        case Prim():
            return _SCALARS[wit.name]
        case List(Prim("u8")):
            return st.binary(max_size=40)
        case List():
            return st.lists(values(wit.element), max_size=5)
        case Map():
            return st.dictionaries(values(wit.key), values(wit.value), max_size=5)
        case Record():
            return st.fixed_dictionaries({field.name: values(_type(field)) for field in wit.fields})
        case Tuple():
            return st.tuples(*map(values, wit.items))
        case Enum():
            return st.sampled_from(wit.names)
        case Flags():
            return st.frozensets(st.sampled_from(wit.names))
        case _:
            return _cases(wit)


def _cases(wit: Variant | Option | Result) -> st.SearchStrategy[object]:
    match wit:
        case Variant():
            return st.one_of(
                [st.builds(wherry.Variant, st.just(case.name), _optional(case.type)) for case in wit.cases]
            )
        case Option(Option()):
            return st.none() | st.builds(wherry.Some, values(wit.type))
        case Option():
            return st.none() | values(wit.type)
        case Result():
            return st.builds(wherry.Ok, _optional(wit.ok)) | st.builds(wherry.Err, _optional(wit.err))


def _optional(wit: Wit | None) -> st.SearchStrategy[object]:
    return st.none() if wit is None else values(wit)


def _type(field: Field) -> Wit:
    assert field.type is not None
    return field.type


def same(wit: Wit | None, sent: object, returned: object) -> bool:
    """Whether ``returned`` is what came of ``sent``; NaN is the same as NaN, and a record has attributes."""
    match wit:
        case None:
            return sent is None and returned is None
        case Prim("f32") | Prim("f64"):
            return _same_float(wit.name, sent, returned)
        case Prim():
            return type(sent) is type(returned) and sent == returned
        case List(Prim("u8")):
            return isinstance(returned, bytes) and returned == sent
        case Record():
            assert isinstance(sent, dict)
            return all(
                same(field.type, sent[field.name], getattr(returned, field.name)) for field in wit.fields
            )
        case List() | Tuple() | Map():
            return _same_collection(wit, sent, returned)
        case Enum() | Flags():
            return type(sent) is type(returned) and sent == returned
        case _:
            return _same_case(wit, sent, returned)


def _same_float(name: str, sent: object, returned: object) -> bool:
    if not isinstance(sent, float) or not isinstance(returned, float):
        return False
    if math.isnan(sent):
        return math.isnan(returned)
    width = "<f" if name == "f32" else "<d"
    return struct.pack(width, sent) == struct.pack(width, returned)


def _same_collection(wit: List | Tuple | Map, sent: object, returned: object) -> bool:
    match wit:
        case Map():
            assert isinstance(sent, dict)
            if not isinstance(returned, dict) or len(sent) != len(returned):
                return False
            return all(
                same(wit.key, key, other) and same(wit.value, sent[key], returned[other])
                for key, other in zip(sent, returned, strict=True)
            )
        case List():
            assert isinstance(sent, list)
            if not isinstance(returned, list) or len(sent) != len(returned):
                return False
            return all(same(wit.element, one, other) for one, other in zip(sent, returned, strict=True))
        case Tuple():
            assert isinstance(sent, tuple)
            if not isinstance(returned, tuple) or len(sent) != len(returned):
                return False
            return all(map(same, wit.items, sent, returned))


def _same_case(wit: Variant | Option | Result, sent: object, returned: object) -> bool:
    match wit:
        case Option():
            if sent is None or returned is None:
                return sent is returned
            if isinstance(wit.type, Option):
                assert isinstance(sent, wherry.Some)
                return isinstance(returned, wherry.Some) and same(wit.type, sent.value, returned.value)
            return same(wit.type, sent, returned)
        case Result():
            assert isinstance(sent, wherry.Ok | wherry.Err)
            if type(sent) is not type(returned):
                return False
            assert isinstance(returned, wherry.Ok | wherry.Err)
            return same(wit.ok if isinstance(sent, wherry.Ok) else wit.err, sent.value, returned.value)
        case Variant():
            assert isinstance(sent, wherry.Variant)
            if not isinstance(returned, wherry.Variant) or sent.tag != returned.tag:
                return False
            payload = next(case.type for case in wit.cases if case.name == sent.tag)
            return same(payload, sent.value, returned.value)


_LABELS = st.integers(1, 20).map(lambda count: tuple(f"n{at}" for at in range(count)))
_KEYS = st.sampled_from(["bool", "char", "string", *INTEGERS]).map(Prim)


def types() -> st.SearchStrategy[Wit]:
    """WIT types at random, up to some tens of parts, so that parameters spill to memory now and then."""
    leaves: st.SearchStrategy[Wit] = (
        st.sampled_from(sorted(_SCALARS)).map(Prim) | _LABELS.map(Enum) | _LABELS.map(Flags)
    )

    def deeper(inner: st.SearchStrategy[Wit]) -> st.SearchStrategy[Wit]:
        optional = st.none() | inner
        fields = st.lists(inner, min_size=1, max_size=6)
        return st.one_of(
            inner.map(List),
            inner.map(Option),
            st.builds(Map, _KEYS, inner),
            st.builds(Result, optional, optional),
            fields.map(lambda items: Tuple(tuple(items))),
            fields.map(lambda items: Record(tuple(Field(f"f{at}", item) for at, item in enumerate(items)))),
            st.lists(optional, min_size=1, max_size=5).map(
                lambda items: Variant(tuple(Field(f"c{at}", item) for at, item in enumerate(items)))
            ),
        )

    return st.recursive(leaves, deeper, max_leaves=12)
