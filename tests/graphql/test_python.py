"""The example in Python: resolvers that are functions, on the bindings that `wherry bind` wrote."""

from __future__ import annotations

import asyncio
import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.graphql.suite import bound, installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

EXAMPLE = Path(__file__).parents[2] / "examples" / "graphql" / "python"


@pytest.fixture(scope="module")
def schema() -> Iterator[ModuleType]:
    """The module of the example, with the bindings beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLE))
        patch.syspath_prepend(str(bound(installed())))
        yield importlib.import_module("schema")
    for name in [
        name for name in sys.modules if name.partition(".")[0] in {"schema", "app", "wherry_graphql"}
    ]:
        del sys.modules[name]


@dataclass
class Sailor:
    """Has a field in JSON, and more."""

    id: str

    @property
    def name(self) -> str:
        """Which is no field."""
        return f"sailor {self.id}"


class Ship:
    """Nothing of it is JSON."""

    name = "Anna"


def test_objects_that_are_no_json_are_asked_for_their_attributes(schema: ModuleType) -> None:
    """A dataclass, an object and a mapping are sources alike."""
    made = schema.Schema(
        "type Query { all: [Thing] one: Thing root: Int } type Thing { id: ID name: String self: Thing }",
        {
            "Query.all": lambda _, context: [Sailor("1"), Ship(), None, {"name": context}],
            "Query.one": lambda *_: Ship(),
            "Thing.self": lambda thing, _: thing,
        },
    )
    asked = "{ all { id name self { self { name } } } one { name } root }"
    result = made.execute(asked, root={"root": 4}, context="in a mapping")
    assert result.errors == []
    names = ["sailor 1", "Anna", None, "in a mapping"]
    ids = ["1", None, None, None]
    assert result.data == {
        "all": [
            name and {"id": one, "name": name, "self": {"self": {"name": name}}}
            for one, name in zip(ids, names, strict=True)
        ],
        "one": {"name": "Anna"},
        "root": 4,
    }


def test_a_level_of_fields_is_one_call_and_a_batched_resolver_gets_it_whole(schema: ModuleType) -> None:
    """However many objects there are."""
    seen: list[list[Any]] = []

    def times(numbers: list[dict[str, int]], _: None, by: int) -> list[int]:
        seen.append([one["n"] for one in numbers])
        return [one["n"] * by for one in numbers]

    numbers = [{"n": at} for at in range(50)]
    sdl = "type Query { numbers: [Number!]! } type Number { n: Int times(by: Int = 2): Int }"
    made = schema.Schema(sdl, {"Query.numbers": lambda *_: numbers, "Number.times": schema.batched(times)})
    result = made.execute("query ($by: Int) { numbers { times(by: $by) } }", {"by": 3})
    assert result.data == {"numbers": [{"times": 3 * at} for at in range(50)]}
    assert seen == [list(range(50))]


def test_coroutines_of_a_level_wait_together(schema: ModuleType) -> None:
    """Two fields, of which each waits for the other to have begun, come to an end."""
    begun = {name: asyncio.Event() for name in "ab"}

    async def a(*_: object) -> str:
        begun["a"].set()
        await begun["b"].wait()
        return "a"

    async def b(sources: list[None], _: None) -> list[str]:
        begun["b"].set()
        await begun["a"].wait()
        return ["b"] * len(sources)

    async def failing(*_: object) -> None:
        raise schema.Error("not now", retry=5)

    sdl = "type Query { a: String b: String c: String }"
    made = schema.Schema(sdl, {"Query.a": a, "Query.b": schema.batched(b), "Query.c": failing})
    result = asyncio.run(asyncio.wait_for(made.execute_async("{ a b c }"), 30))
    assert result.data == {"a": "a", "b": "b", "c": None}
    assert [(one["path"], one["extensions"]) for one in result.errors] == [(["c"], {"retry": 5})]


def test_an_error_of_a_batch_is_one_of_each_object(schema: ModuleType) -> None:
    """Whatever exception it was; the others of the list are not lost."""

    def broken(_objects: list[Any], _: None) -> list[Any]:
        raise KeyError("gone")

    sdl = "type Query { all: [Thing!]! } type Thing { id: ID broken: Int }"
    made = schema.Schema(
        sdl, {"Query.all": lambda *_: [{"id": 1}, {"id": 2}], "Thing.broken": schema.batched(broken)}
    )
    result = made.execute("{ all { id broken } }")
    assert result.data == {"all": [{"id": "1", "broken": None}, {"id": "2", "broken": None}]}
    assert [one["path"] for one in result.errors] == [["all", 0, "broken"], ["all", 1, "broken"]]


def test_scalars_are_written_and_read_by_functions(schema: ModuleType) -> None:
    """And say why they refuse a value."""
    upper = schema.Scalar(serialize=lambda text: text.upper(), parse=lambda text: text.lower() or _refuse())
    sdl = "scalar Text type Query { say(text: Text): Text }"
    made = schema.Schema(sdl, {"Text": upper, "Query.say": lambda _, __, text: f"{text}!"})
    assert made.execute('{ say(text: "HO") }').data == {"say": "HO!"}
    refused = made.execute('{ say(text: "") }')
    assert not refused.executed
    assert "it is empty" in refused.errors[0]["message"]


def _refuse() -> str:
    raise ValueError("it is empty")


@pytest.mark.parametrize(
    ("sdl", "resolvers", "message"),
    [
        ("type Query { a: Whale }", [], 'Unknown type "Whale".'),
        ("type Query {", [], "Syntax Error: Expected Name, found <EOF>."),
        ("type Query { a: Int }", ["Query.b"], 'There is nothing to resolve at "Query.b".'),
    ],
)
def test_what_is_wrong_with_a_schema_is_said(
    schema: ModuleType, sdl: str, resolvers: list[str], message: str
) -> None:
    """As a ``ValueError``."""
    with pytest.raises(ValueError, match="^" + message.replace(".", r"\.").replace("?", r"\?") + "$"):
        schema.Schema(sdl, dict.fromkeys(resolvers, print))


def test_the_service_answers_over_http(schema: ModuleType) -> None:
    """A query, a mutation that fails, and a request that is not valid."""
    app = importlib.import_module("app")
    assert app.Schema is schema.Schema

    async def answers(*requests: dict[str, object]) -> list[Any]:
        transport = httpx.ASGITransport(app.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [(await client.post("/graphql", json=request)).json() for request in requests]

    asked = "query ($id: ID!) { author(id: $id) { name books { title author { id } } } }"
    added = 'mutation { addBook(author: "9", title: "x") { title } }'
    found, failed, invalid = asyncio.run(
        answers({"query": asked, "variables": {"id": "2"}}, {"query": added}, {"query": "{ nope }"})
    )
    books = [{"title": title, "author": {"id": "2"}} for title in ("Solaris", "The Cyberiad")]
    assert found == {"data": {"author": {"name": "Stanisław Lem", "books": books}}}
    assert failed["data"] == {"addBook": None}
    assert failed["errors"][0]["extensions"] == {"code": "NOT_FOUND"}
    assert list(invalid) == ["errors"]
