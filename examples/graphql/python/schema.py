"""GraphQL with functions of Python as resolvers, on the bindings that ``wherry bind`` wrote.

The bindings speak of JSON and of numbers for objects, as every language can. In Python a resolver takes an
object and gives one; that is all that this module adds::

    schema = Schema(SDL, {"Query.author": author, "Author.books": batched(books_of_authors)})
    schema.execute("{ author(id: 1) { name books { title } } }").data
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from wherry_graphql import ExecutionError, Graphql, Problem, Request
from wherry_graphql.resolvers import (
    Answer,
    Call,
    Direction,
    Failure,
    ResolversError,
    SourcesKept,
    SourcesRoot,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping

    import wherry

_Resolver = TypeVar("_Resolver", bound="Callable[..., Any]")
_PLAIN = (str, int, float, dict)

__all__ = ["Error", "Result", "Scalar", "Schema", "batched"]


class Error(Exception):
    """Raised by a resolver: the error of its field, with extensions."""

    def __init__(self, message: str, **extensions: object) -> None:
        super().__init__(message)
        self.extensions = extensions


@dataclass(frozen=True)
class Scalar:
    """How values of a custom scalar are written and read; ``ValueError`` says why one cannot be."""

    serialize: Callable[[Any], object]
    parse: Callable[[Any], object]


@dataclass(frozen=True)
class Result:
    """What came of a request: data, and errors as a response has them."""

    data: dict[str, Any] | None
    errors: list[dict[str, Any]]
    executed: bool

    def response(self) -> dict[str, Any]:
        """The response, without what it does not have."""
        data = {"data": self.data} if self.executed else {}
        return data | ({"errors": self.errors} if self.errors else {})


@dataclass(frozen=True)
class _Running:
    """A request that is executed: the caller's context, its root, and objects that may be asked for more."""

    context: object
    root: object
    kept: list[Any] = field(default_factory=list)


def batched(function: _Resolver) -> _Resolver:
    """Has a resolver take all objects at once; it gives a list of as many values."""
    function.__dict__["batched"] = True
    return function


class Schema:
    """A schema, built once. ``resolvers`` are by coordinates: fields, interfaces and unions, custom scalars.

    A resolver is called with the object, the context of the request, and the arguments of its field by their
    names. It may be a coroutine function: those of a level wait together. Fields without one are taken from
    what the object is in JSON: entries of a mapping, fields of a dataclass, or else attributes.
    """

    def __init__(
        self,
        definition: str,
        resolvers: Mapping[str, Callable[..., Any] | Scalar],
        *,
        limits: wherry.Limits | None = None,
    ) -> None:
        self._resolvers = resolvers
        self._running: dict[int, _Running] = {}
        self._numbers = itertools.count()
        self._library = Graphql(resolvers=self, limits=limits)
        try:
            self._schema = self._library.execution.schema_build(definition, list(resolvers))
        except ExecutionError as error:
            raise ValueError("\n".join(problem.message for problem in error.value)) from None

    def execute(
        self,
        document: str,
        variables: Mapping[str, object] | None = None,
        *,
        operation: str | None = None,
        root: object = None,
        context: object = None,
    ) -> Result:
        """What comes of a request."""
        request = self._request(document, variables, operation, _Running(context, root))
        try:
            response = self._schema.execute(request)
        finally:
            del self._running[request.context]
        return _result(response.data, response.errors)

    async def execute_async(
        self,
        document: str,
        variables: Mapping[str, object] | None = None,
        *,
        operation: str | None = None,
        root: object = None,
        context: object = None,
    ) -> Result:
        """What comes of a request; coroutines of resolvers run on this event loop."""
        request = self._request(document, variables, operation, _Running(context, root))
        try:
            response = await self._schema.execute_async(request)
        finally:
            del self._running[request.context]
        return _result(response.data, response.errors)

    def _request(
        self, document: str, variables: Mapping[str, object] | None, operation: str | None, running: _Running
    ) -> Request:
        number = next(self._numbers)
        self._running[number] = running
        root = None if running.root is None else _json(running.root)
        return Request(document, operation, None if variables is None else _json(variables), root, number)

    def resolve(self, context: int, calls: list[Call]) -> list[Answer] | Coroutine[Any, Any, list[Answer]]:
        """Answers a batch of calls: what the library imports."""
        running = self._running[context]
        found = [self._found(running, call) for call in calls]
        if any(_waits(values) or any(map(_waits, values)) for values in found):
            return _awaited(running, calls, found)
        return [_answer(running, call, values) for call, values in zip(calls, found, strict=True)]

    def _found(self, running: _Running, call: Call) -> Any:
        """A value, exception or coroutine for each object, or one coroutine for all of them."""
        match call.sources:
            case SourcesRoot():
                objects = [running.root]
            case SourcesKept(numbers):
                objects = [running.kept[number] for number in numbers]
            case sources:
                objects = msgspec.json.decode(sources.value)
        resolver = self._resolvers.get(call.coordinate)
        if not callable(resolver):
            name = call.coordinate.rpartition(".")[2]
            return [getattr(one, name, None) for one in objects]
        given = {} if call.arguments == "{}" else msgspec.json.decode(call.arguments)
        if "batched" in getattr(resolver, "__dict__", ()):
            together = _attempt(partial(resolver, objects, running.context, **given))
            if inspect.isawaitable(together):
                return _spread(together, len(objects))
            return [together] * len(objects) if isinstance(together, Exception) else together
        return [_attempt(partial(resolver, one, running.context, **given)) for one in objects]

    def convert(self, scalar: str, direction: Direction, value: str) -> str:
        """Writes or reads a value of a custom scalar: what the library imports."""
        rule = self._resolvers[scalar]
        if not isinstance(rule, Scalar):
            raise TypeError(f"`{scalar}` is a scalar, which wants a `Scalar`")
        convert = rule.serialize if direction is Direction.SERIALIZE else rule.parse
        try:
            return _json(convert(msgspec.json.decode(value)))
        except ValueError as error:
            raise ResolversError(str(error)) from error


def _waits(value: object) -> bool:
    return not isinstance(value, (list, dict, str)) and inspect.isawaitable(value)


async def _awaited(running: _Running, calls: list[Call], found: list[Any]) -> list[Answer]:
    async def each(values: Any) -> list[Any]:
        return await values if inspect.isawaitable(values) else await asyncio.gather(*map(_settled, values))

    waited = await asyncio.gather(*map(each, found))
    return [_answer(running, call, values) for call, values in zip(calls, waited, strict=True)]


async def _settled(value: Any) -> Any:
    try:
        return await value if inspect.isawaitable(value) else value
    except Exception as error:  # noqa: BLE001 - it becomes the error of a field
        return error


async def _spread(together: Awaitable[Any], count: int) -> Any:
    found = await _settled(together)
    return [found] * count if isinstance(found, Exception) else found


def _attempt(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - it becomes the error of a field
        return error


def _answer(running: _Running, call: Call, values: list[Any]) -> Answer:
    failures = [
        Failure(at, str(error), _json(error.extensions) if isinstance(error, Error) else None)
        for at, error in enumerate(values)
        if isinstance(error, Exception)
    ]
    if failures:
        values = [None if isinstance(value, Exception) else value for value in values]
    items = list(_items(values))
    # What has more than its JSON says can be asked for the rest.
    if not call.keep and all(item is None or isinstance(item, _PLAIN) for item in items):
        return Answer(_json(values), None, failures)
    first = len(running.kept)
    running.kept.extend(items)
    return Answer(_json(values), first, failures)


def _items(values: Iterable[Any]) -> Iterator[Any]:
    """What lists hold, through lists in them."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _items(value)
        else:
            yield value


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=lambda _: {}).decode()


def _result(data: str | None, problems: list[Problem]) -> Result:
    found = None if data is None else msgspec.json.decode(data)
    return Result(found, [_error(problem) for problem in problems], executed=data is not None)


def _error(problem: Problem) -> dict[str, Any]:
    error: dict[str, Any] = {"message": problem.message}
    if problem.locations:
        error["locations"] = [{"line": one.line, "column": one.column} for one in problem.locations]
    if problem.path:
        error["path"] = [step.value for step in problem.path]
    if problem.extensions is not None:
        error["extensions"] = msgspec.json.decode(problem.extensions)
    return error
