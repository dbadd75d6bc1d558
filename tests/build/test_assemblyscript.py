"""Libraries in AssemblyScript beyond what all languages are held to: ``test_libraries.py`` has that."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import wherry
from tests.build.expectations import gives_back, interface
from tests.build.interfaces import random_interface
from tests.build.projects import make
from wherry import _native
from wherry.build import tools
from wherry.build.builder import build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL = wherry.Limits(memory="2MiB")
"""Less than what the calls below move in all."""
CALLS = 100_000
EDGES = """package acme:greeter;
interface host {
  resource thing { constructor(); value: func() -> u32; drop: func() -> string; }
  take: func(thing: thing);
}
interface api {
  use host.{thing};
  record item { name: string, tags: list<string>, size: option<u32> }
  half: func() -> string;
  same: func(item: item) -> item;
  twice: func(thing: thing);
  kept: func(thing: borrow<thing>) -> u32;
  again: func() -> u32;
  wrong: func() -> u32;
  beyond: func(at: u32) -> u32;
}
world greeter { import host; export api; }
"""
EDGES_SOURCE = """import { Thing, take } from "../build/bindings/greeter/imports/host";
import { Item } from "../build/bindings/greeter/exports/api";
import { Result } from "../build/bindings/greeter/wit";

let last: Thing | null = null;

export namespace api {
  export function half(): string {
    return "a\\uD83Db\\uDE00";
  }
  export function same(item: Item): Item {
    return item;
  }
  export function twice(thing: Thing): void {
    take(thing);
    take(thing);
  }
  export function kept(thing: Thing): u32 {
    last = thing;
    return thing.value();
  }
  export function again(): u32 {
    return last!.value();
  }
  export function wrong(): u32 {
    return Result.err<u32, string>("no").value;
  }
  export function beyond(at: u32): u32 {
    return [1, 2, 3][at];
  }
}
"""


class Thing:
    """The resource of the host."""

    def value(self) -> int:
        """A number."""
        return 7

    def drop(self) -> str:
        """No destructor, though it is called so."""
        return ""


def library(folder: Path, wit: str, source: str) -> Path:
    """The component of a library with this interface and source."""
    project = make(folder, "assemblyscript", "library")
    (project / "wit" / "greeter.wit").write_text(wit)
    (project / "src" / "greeter.ts").write_text(source)
    (built,) = build(project)
    return built.path


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> wherry.Component:
    """A library that does what it should not."""
    return wherry.load(library(tmp_path_factory.mktemp("edges"), EDGES, EDGES_SOURCE))


def instance(component: wherry.Component, **settings: Any) -> Any:
    """An instance of the library, with its host."""
    return component.instantiate(
        imports={interface("host"): {"Thing": Thing, "take": lambda _: None}}, **settings
    )


def many(guest: Any) -> None:
    """Calls whose bytes in all are many times the limit."""
    same = guest[interface("api")].same
    item = {"name": "é" * 50, "tags": ["a", "b" * 30], "size": 7}
    for _ in range(CALLS):
        same(item)
    gives_back(same, item)


def test_texts_that_are_none_become_texts(edges: wherry.Component) -> None:
    """Half a pair of surrogates cannot be written in UTF-8: U+FFFD stands for it."""
    with instance(edges) as guest:
        assert guest[interface("api")].half() == "a\ufffdb\ufffd"


def test_memory_stays_small_over_many_calls(edges: wherry.Component) -> None:
    """What crosses is freed, and objects are collected."""
    with instance(edges, limits=SMALL) as guest:
        many(guest)


@pytest.mark.slow
def test_memory_runs_out_where_nothing_is_collected(tmp_path: Path) -> None:
    """The same calls strike the limit in the runtime of AssemblyScript that has no collector."""
    path = library(tmp_path, EDGES, EDGES_SOURCE)
    settings = tmp_path / "greeter" / "asconfig.json"
    settings.write_text(settings.read_text().replace("incremental", "stub"))
    build(tmp_path / "greeter")
    with instance(wherry.load(path), limits=SMALL) as guest, pytest.raises(wherry.WherryError):
        many(guest)


def test_resources_that_are_gone_are_not_used(edges: wherry.Component) -> None:
    """What was given away, or was lent to a call that is over, traps; the host sees no stale handle."""
    with instance(edges) as guest, pytest.raises(wherry.Trap):
        guest[interface("api")].twice(Thing())
    with instance(edges) as guest:
        assert guest[interface("api")].kept(Thing()) == 7
        with pytest.raises(wherry.Trap):
            guest[interface("api")].again()


@pytest.mark.parametrize(("name", "arguments"), [("wrong", ()), ("beyond", (3,))])
def test_what_the_language_throws_is_a_trap(
    edges: wherry.Component, name: str, arguments: tuple[int, ...]
) -> None:
    """A trap names the function; the same call within bounds is well."""
    with instance(edges) as guest:
        assert guest[interface("api")].beyond(2) == 3
        with pytest.raises(wherry.Trap) as raised:
            getattr(guest[interface("api")], name)(*arguments)
    assert raised.value.frames[-1][0] == f"acme:greeter/api#{name}"


def test_a_library_imports_no_more_than_its_interface(edges: wherry.Component) -> None:
    """Not WASI either."""
    assert {name.partition("#")[0] for name in edges.imports} == {interface("host")}


STDERR = """package acme:greeter;
world greeter { import wasi:cli/stderr@0.2.12; export fail: func(why: string); }
"""


@pytest.mark.slow
def test_a_library_with_an_error_output_says_why_it_ends(tmp_path: Path) -> None:
    """The message of `throw`, and the line of it."""
    source = "export function fail(why: string): void {\n  throw new Error(why);\n}\n"
    path = library(tmp_path, STDERR, source)
    command = [sys.executable, "-m", "wherry", "run", "--invoke", 'fail("no é")', str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "no é in src/greeter.ts(2,3)" in done.stderr
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("export f: async func();", "function `f` of `greeter` is `async`"),
        ("export f: func() -> future<u8>;", "is a `future`"),
        ("import f: func(a: list<stream<u8>>);", "is a `stream`"),
        ("export a: interface { type four = list<u8, 4>; f: func() -> four; }", "type `four` is a list"),
        ("import a: interface { f: func(a: error-context); }", "function `f` of `a` has an `error-context`"),
    ],
)
def test_what_has_no_form_is_refused_by_name(item: str, why: str, tmp_path: Path) -> None:
    """Generation ends with the name of what is in the way; a world without it has a form."""
    wit = tmp_path / "greeter.wit"
    wit.write_text(f"package acme:greeter;\nworld greeter {{ {item} }}\n")
    with pytest.raises(wherry.InterfaceError, match=re.escape(why)):
        _native.generate_bindings(wit, "assemblyscript")
    wit.write_text("package acme:greeter;\nworld greeter { export f: func(); }\n")
    assert "entry.ts" in _native.generate_bindings(wit, "assemblyscript")


def test_a_function_that_is_missing_is_named(tmp_path: Path) -> None:
    """The compiler says what the interface has and the source has not."""
    with pytest.raises(wherry.BuildError) as raised:
        library(tmp_path, STDERR, "export function other(): void {}\n")
    assert "has no exported member 'fail'" in raised.value.output


def test_what_has_no_host_in_a_library_is_said(tmp_path: Path) -> None:
    """The language has functions that a library can have by its interface alone."""
    source = "export function fail(why: string): void {\n  console.log(why);\n}\n"
    with pytest.raises(wherry.BuildError, match="env::console") as raised:
        library(tmp_path, STDERR, source)
    assert "`console`, `trace`" in (raised.value.hint or "")


WASI = """package acme:greeter;
world greeter { include wasi:cli/command@0.2.12; export variables: func() -> list<string>; }
"""
WASI_SOURCE = """import { getEnvironment } from "../build/bindings/greeter/imports/environment";
import { Result, Tuple2, Unit, unit } from "../build/bindings/greeter/wit";

export namespace run {
  export function run(): Result<Unit, Unit> {
    return Result.ok<Unit, Unit>(unit);
  }
}

function joined(variable: Tuple2<string, string>): string {
  return variable.item0 + "=" + variable.item1;
}

export function variables(): Array<string> {
  return getEnvironment().map<string>((one) => joined(one));
}
"""


@pytest.mark.slow
def test_editors_know_all_that_is_generated(tmp_path: Path) -> None:
    """TypeScript finds every type of a world with all of WASI, in what is generated and in the source."""
    policy = wherry.Policy(env={"NAME": "né"})
    with wherry.load(library(tmp_path, WASI, WASI_SOURCE)).instantiate(policy=policy) as guest:
        assert guest.variables() == ["NAME=né"]
    project = tmp_path / "greeter"
    compiler = (
        tools.provide(tools.JAVASCRIPT, lambda *_: None) / "node_modules" / "typescript" / "bin" / "tsc"
    )
    command = ["node", str(compiler), "--noEmit", "--project", str(project)]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    assert checked.stdout == ""
    source = project / "src" / "greeter.ts"
    source.write_text(source.read_text().replace("variable: Tuple2<string, string>", "variable: Missing"))
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "Cannot find name 'Missing'" in checked.stdout
    assert json.loads((project / "tsconfig.json").read_text())["include"] == ["src", "build/bindings"]


def passed(function: Callable[..., object], values: tuple[object, ...]) -> object:
    """What a function gives when it is given several values."""
    return function(*values)


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] if seed else []) for seed in range(9)]
)
def test_values_of_random_types_come_back(seed: int, tmp_path: Path) -> None:
    """Whatever the interface, what goes in through the guest and the host comes out as it was."""
    made = random_interface(seed)
    component = wherry.load(library(tmp_path, made.wit, made.source))
    names = {name for name, _ in made.calls}
    host = {name: lambda *arguments: arguments for name in names}
    with component.instantiate(imports={interface("host"): host}) as guest:
        for name, arguments in made.calls:
            function = getattr(guest[interface("api")], name)
            gives_back(partial(passed, function), tuple(arguments))
