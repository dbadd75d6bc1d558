"""A nested query of a thousand fields: graphql-js in a sandbox, and ports and originals beside it.

The schema is built once, the document is read and validated before, and the resolvers are the same functions.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Command, Timing, calls
from tests.bind.npm_packages import runnable
from tests.graphql.suite import HERE, bound, installed

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["query_against_graphql_core", "query_in_node", "request_against_graphql_core"]

SDL = """
type Query { authors: [Author!]! }
type Author { id: ID! name: String! books: [Book!]! }
type Book { id: ID! title: String! pages: Int! reviews: [Review!]! }
type Review { stars: Int! text: String! }
"""
QUERY = "{ authors { id name books { id title pages reviews { stars text } } } }"
FIELDS = 991
AUTHORS = [{"id": f"{at}", "name": f"author {at}"} for at in range(10)]
BOOKS = {
    one["id"]: [{"id": f"{one['id']}-{at}", "title": f"title {at}", "pages": 100 + at} for at in range(12)]
    for one in AUTHORS
}
REVIEWS: dict[str, list[dict[str, object]]] = {
    str(book["id"]): [{"stars": stars, "text": f"it has {stars}"} for stars in (3, 4)]
    for books in BOOKS.values()
    for book in books
}


def authors(_root: object, _: object) -> list[dict[str, str]]:
    """All authors."""
    return AUTHORS


def books(author: dict[str, str], _: object) -> list[dict[str, object]]:
    """What an author wrote."""
    return BOOKS[author["id"]]


def reviews(book: dict[str, str], _: object) -> list[dict[str, object]]:
    """What is said of a book."""
    return REVIEWS[book["id"]]


RESOLVERS = {"Query.authors": authors, "Author.books": books, "Book.reviews": reviews}


def query_against_graphql_core() -> Timing:
    """Executing alone: both know the document."""
    import graphql

    ours, theirs = _schema(), _core(graphql)
    document = graphql.parse(QUERY)

    def execute() -> Any:
        return graphql.execute_sync(theirs, document).data

    def through() -> Any:
        return ours.execute(QUERY).data

    assert _fields(execute()) == FIELDS
    assert through() == execute()
    return calls(through, execute, rounds=21)


def request_against_graphql_core() -> Timing:
    """A request as servers get it: its text. Of ours it is known from before."""
    import graphql

    ours, theirs = _schema(), _core(graphql)
    return calls(lambda: ours.execute(QUERY), lambda: graphql.graphql_sync(theirs, QUERY), rounds=21)


def query_in_node() -> Timing:
    """The bindings for TypeScript, and graphql-js itself, in one process of Node."""
    library = installed()
    data = json.dumps({"sdl": SDL, "query": QUERY, "authors": AUTHORS, "books": BOOKS, "reviews": REVIEWS})
    with tempfile.TemporaryDirectory() as folder:
        component = (library / "build" / "graphql.wasm").read_bytes()
        bindings = runnable(component, "graphql", Path(folder)) / "dist" / "index.js"
        script = Path(__file__).with_name("graphql_node.mjs")
        command: Command = ["node", script, library / "node_modules", bindings]
        done = subprocess.run(command, input=data, capture_output=True, text=True, check=True)
    ours, theirs = json.loads(done.stdout)
    return Timing(ours, theirs)


def _schema() -> Any:
    """The schema of the example in Python, on bindings that are written here."""
    example = HERE.parents[1] / "examples" / "graphql" / "python"
    sys.path[:0] = [str(example), str(bound(installed()))]
    return importlib.import_module("schema").Schema(SDL, RESOLVERS)


def _core(graphql: ModuleType) -> Any:
    schema = graphql.build_schema(SDL)
    for coordinate, resolver in RESOLVERS.items():
        name, field = coordinate.split(".")
        schema.type_map[name].fields[field].resolve = resolver
    return schema


def _fields(value: Any) -> int:
    """How many fields a response has."""
    if isinstance(value, dict):
        return len(value) + sum(map(_fields, value.values()))
    return sum(map(_fields, value)) if isinstance(value, list) else 0
