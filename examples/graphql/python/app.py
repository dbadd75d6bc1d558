"""A GraphQL service over HTTP: ``python -m granian --interface asgi app:app``, or any server of ASGI.

It answers ``POST /graphql`` with a body such as ``{"query": "{ authors { name } }", "variables": {}}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schema import Error, Schema, batched
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from typing import Any

    from starlette.requests import Request

SDL = """
type Query {
  authors: [Author!]!
  author(id: ID!): Author
}

type Mutation {
  addBook(author: ID!, title: String!): Book
}

type Author {
  id: ID!
  name: String!
  books: [Book!]!
}

type Book {
  title: String!
  author: Author!
}
"""
AUTHORS = {"1": {"id": "1", "name": "Tove Jansson"}, "2": {"id": "2", "name": "Stanisław Lem"}}
BOOKS = [
    {"title": "The Summer Book", "by": "1"},
    {"title": "Solaris", "by": "2"},
    {"title": "The Cyberiad", "by": "2"},
]


def authors(_root: None, _request: Request) -> list[dict[str, Any]]:
    """All of them."""
    return list(AUTHORS.values())


def author(_root: None, _request: Request, id: str) -> dict[str, Any] | None:  # noqa: A002 - the argument's name
    """One of them."""
    return AUTHORS.get(id)


@batched
async def books(authors: list[dict[str, Any]], _request: Request) -> list[list[dict[str, Any]]]:
    """The books of many authors: one question to a database, where there is one."""
    return [[book for book in BOOKS if book["by"] == one["id"]] for one in authors]


def author_of(book: dict[str, Any], _request: Request) -> dict[str, Any]:
    """Who wrote a book."""
    return AUTHORS[book["by"]]


def add_book(_root: None, _request: Request, author: str, title: str) -> dict[str, Any]:
    """Adds a book; the author has to be there."""
    if author not in AUTHORS:
        raise Error(f"there is no author {author}", code="NOT_FOUND")
    BOOKS.append({"title": title, "by": author})
    return BOOKS[-1]


SCHEMA = Schema(
    SDL,
    {
        "Query.authors": authors,
        "Query.author": author,
        "Mutation.addBook": add_book,
        "Author.books": books,
        "Book.author": author_of,
    },
)


async def graphql(request: Request) -> JSONResponse:
    """One request of GraphQL."""
    asked = await request.json()
    result = await SCHEMA.execute_async(
        asked["query"], asked.get("variables"), operation=asked.get("operationName"), context=request
    )
    return JSONResponse(result.response())


app = Starlette(routes=[Route("/graphql", graphql, methods=["POST"])])
