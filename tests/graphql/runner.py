"""The runner for Python, on the bindings that `suite.bound` makes: ``python runner.py SUITE ANSWERS``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from wherry_graphql import (
    Execution,
    ExecutionError,
    Graphql,
    Problem,
    ProblemError,
    Request,
    Schema,
)
from wherry_graphql.resolvers import (
    Answer,
    Call,
    Direction,
    Failure,
    ResolversError,
    Sources,
    SourcesKept,
    SourcesRoot,
)

import wherry


class Host:
    """The resolvers of one schema, by their rules; objects that may be asked for more are kept."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self.schemas = schemas
        self.given: dict[str, Any] = {}
        self.kept: list[Any] = []
        self.count = 0

    def resolve(self, _context: int, calls: list[Call]) -> list[Answer]:
        """Answers a batch of calls."""
        return [self.answer(call) for call in calls]

    def answer(self, call: Call) -> Answer:
        """Answers one call for all its sources."""
        rule = self.given["resolvers"].get(call.coordinate, {"value": None})
        arguments = json.loads(call.arguments)
        sources = self.sources(call.sources)
        values: list[Any] = [self.value(rule, source, arguments) for source in sources]
        failures = []
        if "fail" in rule:
            extensions = json.dumps(rule["extensions"]) if "extensions" in rule else None
            failures = [Failure(at, rule["fail"], extensions) for at in range(len(sources))]
        first = len(self.kept) if call.keep else None
        if call.keep:
            self.keep(values)
        return Answer(json.dumps(values), first, failures)

    def sources(self, sources: Sources) -> list[Any]:
        """The objects whose field is wanted."""
        match sources:
            case SourcesRoot():
                return [self.given["root"]]
            case SourcesKept(numbers):
                return [self.kept[number] for number in numbers]
        found: list[Any] = json.loads(sources.value)
        return found

    def keep(self, value: Any) -> None:
        """Keeps a value, or each item of a list."""
        if isinstance(value, list):
            for item in value:
                self.keep(item)
        else:
            self.kept.append(value)

    def value(self, rule: dict[str, Any], source: Any, arguments: dict[str, Any]) -> Any:
        """What a rule makes of one object."""
        match rule:
            case {"fail": _}:
                return None
            case {"value": value}:
                return value
            case {"arguments": True}:
                return arguments
            case {"next": True}:
                self.count += 1
                return self.count
            case {"table": table, "key": key}:
                return self.given["tables"][table].get(key)
            case {"table": table, "argument": name}:
                return self.given["tables"][table].get(_key(arguments.get(name)))
            case {"table": table, "get": name}:
                return self.given["tables"][table].get(_key(source.get(name)))
            case {"table": table}:
                return list(self.given["tables"][table].values())
        return source.get(rule["get"])

    def convert(self, scalar: str, direction: Direction, value: str) -> str:
        """Adds or takes away the prefix of a scalar."""
        prefix, text = self.given["resolvers"][scalar]["prefix"], json.loads(value)
        if direction is Direction.SERIALIZE:
            if not isinstance(text, str):
                raise ResolversError("Expected text.")
            return json.dumps(prefix + text)
        if isinstance(text, str) and text.startswith(prefix):
            return json.dumps(text.removeprefix(prefix))
        raise ResolversError(f"Expected {prefix}.")


def _key(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def run(given: dict[str, Any]) -> list[dict[str, Any]]:
    """What the library answers to the cases of a suite."""
    host = Host(given["schemas"])
    with Graphql(resolvers=host, limits=wherry.Limits(timeout="300s")) as library:
        execution = library.execution
        schemas = {
            name: execution.schema_build(one["definition"], list(one["resolvers"]))
            for name, one in given["schemas"].items()
        }
        return [_answer(execution, host, schemas, case) for case in given["cases"]]


def _answer(
    execution: Execution, host: Host, schemas: dict[str, Schema], case: dict[str, Any]
) -> dict[str, Any]:
    document = case["document"]
    try:
        match case["do"]:
            case "execute":
                host.given, host.kept, host.count = host.schemas[case["schema"]], [], 0
                variables = json.dumps(case["variables"]) if "variables" in case else None
                root = json.dumps(host.given["root"])
                request = Request(document, case.get("operation"), variables, root, 0)
                response = schemas[case["schema"]].execute(request)
                data = {} if response.data is None else {"data": json.loads(response.data)}
                return data | _errors(response.errors)
            case "validate":
                return _errors(schemas[case["schema"]].validate(document))
            case "parse":
                return {"tree": json.loads(execution.parse(document))}
            case "print":
                return {"text": execution.print(execution.parse(document))}
            case "build":
                return {"text": execution.schema_build(document, []).print()}
            case "introspect":
                return {"data": json.loads(execution.schema_build(document, []).introspect())}
        told = execution.schema_build(document, []).introspect()
        return {"text": execution.schema_build_from_introspection(told, []).print()}
    except ProblemError as error:
        return _errors([error.value])
    except ExecutionError as error:
        return _errors(error.value)


def _errors(problems: list[Problem]) -> dict[str, Any]:
    errors = []
    for problem in problems:
        error: dict[str, Any] = {"message": problem.message}
        if problem.locations:
            error["locations"] = [{"line": one.line, "column": one.column} for one in problem.locations]
        if problem.path:
            error["path"] = [step.value for step in problem.path]
        if problem.extensions is not None:
            error["extensions"] = json.loads(problem.extensions)
        errors.append(error)
    return {"errors": errors} if errors else {}


if __name__ == "__main__":
    file, answers = sys.argv[1:]
    Path(answers).write_text(json.dumps(run(json.loads(Path(file).read_text()))))
