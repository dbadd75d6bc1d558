"""Bindings for TypeScript, as users have them: compiled, in Node, with what may go wrong."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.bind.interfaces import component_of
from tests.bind.npm_packages import STRICT, node, npm_package, runnable, tsc
from tests.guests.build import text
from tests.guests.echo import relay
from tests.guests.wit_types import Field, List, Map, Option, Prim, Record, Result, Variant
from wherry.bind import generate
from wherry.bind.library import read_library
from wherry.bind.typescript import format  # noqa: A004 - the name of the step
from wherry.bind.typescript.project import AS_THEY_ARE, package_name
from wherry.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

FALLIBLE = relay(Result(Prim("string"), Variant((Field("empty", None), Field("too-long", Prim("u64"))))))


def library(name: str) -> str:
    """A guest in the text format."""
    return text(name).read_text()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with packages: `counter`, `buckets`, `callback`, `fallible` and `returning`."""
    folder = tmp_path_factory.mktemp("packages")
    for name in ("counter", "buckets", "callback"):
        runnable(library(name), name, folder)
    runnable(FALLIBLE, "fallible", folder)
    runnable(FALLIBLE, "returning", folder, errors="return")
    return folder


def test_resources_are_classes_of_their_instance(made: Path) -> None:
    """Constructors, methods and static functions work; `Symbol.dispose` releases at once, and once."""
    script = """
        import { DisposedError, instantiate } from "./counter/dist/index.js";
        const [one, two] = [await instantiate(), await instantiate()];
        const { Counter, live, peek, several } = one.counters;
        const counter = new Counter(5);
        const seen = [counter.increment(2), peek(counter), live(), two.counters.live()];
        seen.push(several().map((one) => one.value()), counter instanceof Counter);
        const [first, second] = several();
        first[Symbol.dispose]();
        seen.push(second.value());
        const sum = Counter.merge(counter, new Counter(1));
        seen.push(sum.value());
        const before = live();
        sum[Symbol.dispose]();
        sum[Symbol.dispose]();
        seen.push(before - live());
        for (const gone of [sum, counter]) {
          try { gone.value(); } catch (error) { seen.push([error instanceof DisposedError, error.message]); }
        }
        console.log(JSON.stringify(seen));
    """
    gone = [True, "`counters.Counter.value`: this `Counter` was disposed of, or handed over"]
    assert node(made, script) == [7, 7, 1, 0, [0, 1, 2], True, 1, 8, 1, gone, gone]


def test_classes_can_be_derived_from(made: Path) -> None:
    """An object of a derived class has its methods, those of the resource, and is released as any."""
    script = """
        import { instantiate } from "./counter/dist/index.js";
        const { Counter, live, peek } = (await instantiate()).counters;
        class Twice extends Counter { twice() { return 2 * this.value(); } }
        const twice = new Twice(4);
        const seen = [twice.twice(), peek(twice), twice instanceof Twice, twice instanceof Counter, live()];
        twice[Symbol.dispose]();
        console.log(JSON.stringify([...seen, live(), new Counter(1) instanceof Twice]));
    """
    assert node(made, script) == [8, 4, True, True, 1, 0, False]


def test_the_host_implements_resources(made: Path) -> None:
    """A class of the host's is made, called and released by the component, and comes back as itself."""
    script = """
        import { instantiate } from "./buckets/dist/index.js";
        const log = [];
        class Bucket {
          #total = 0;
          constructor(name) { this.name = name; }
          static shared() { return new Bucket("shared"); }
          add(by) { return (this.#total += by); }
          [Symbol.dispose]() { log.push(`${this.name} ${this.#total}`); }
        }
        const imports = { buckets: { Bucket, total: (of) => of.add(0) } };
        const buckets = await instantiate({ imports });
        log.push(buckets.useOwn(3), buckets.useShared());
        const mine = new Bucket("mine");
        log.push(buckets.borrowed(mine), buckets.giveBack(mine) === mine);
        console.log(JSON.stringify(log));
    """
    assert node(made, script) == ["guest 4", "shared 1", 4, 1, 10, True]


@pytest.mark.parametrize(
    ("package", "options", "expected"),
    [
        ("buckets", "", ("`Bucket`, `total` of `test:guests/buckets`", "buckets: { Bucket, total }")),
        ("buckets", "null", ("`Bucket`, `total` of `test:guests/buckets`", "buckets: { Bucket, total }")),
        ("buckets", "{}", ("`Bucket`, `total` of `test:guests/buckets`", "buckets: { Bucket, total }")),
        (
            "buckets",
            "{ imports: { buckets: { Bucket: class {}, total: 1 } } }",
            (
                "`Bucket.prototype.add`, `Bucket.shared`, `total` of `test:guests/buckets`",
                "buckets: { Bucket, total }",
            ),
        ),
        (
            "buckets",
            "{ imports: { buckets: { Bucket: class { add() {} static shared() {} } } } }",
            ("`total` of `test:guests/buckets`", "buckets: { total }"),
        ),
        ("callback", "", ("`host`", "host")),
        ("callback", "{ imports: { host: 1 } }", ("`host`", "host")),
    ],
    ids=["nothing", "null", "without", "class", "function", "world", "number"],
)
def test_imports_that_are_missing_are_named(
    package: str, options: str, expected: tuple[str, str], made: Path
) -> None:
    """The functions and their interface, and what to pass."""
    script = f"""
        import {{ instantiate }} from "./{package}/dist/index.js";
        const found = await instantiate({options}).catch((error) => [error.name, error.message]);
        console.log(JSON.stringify(found));
    """
    needed, passed = expected
    words = f"`instantiate` needs {needed}: pass `{{ imports: {{ {passed} }} }}`"
    assert node(made, script) == ["TypeError", words]


_CALLBACKS = """
    import { instantiate, ResultError, TrapError } from "./callback/dist/index.js";
    const log = [];
    const shown = (error) => [error.name, error.message, error.cause?.message ?? null];
    const attempt = (call) => { try { return call(); } catch (error) { return shown(error); } };
    async function instance(host, signal) { return instantiate({ imports: { host }, signal }); }
"""


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("() => { throw new Error('mine'); }", ["Error", "mine", None]),
        (
            "() => { throw 'three'; }",
            ["TypeError", '`imports.host` threw what its interface has no error for: "three"', None],
        ),
        (
            "() => { throw new ResultError(3n); }",
            [
                "TypeError",
                "`imports.host` threw what its interface has no error for: the call failed: 3n",
                "the call failed: 3n",
            ],
        ),
    ],
    ids=["error", "text", "result"],
)
def test_a_callback_that_throws_ends_its_instance(host: str, expected: list[object], made: Path) -> None:
    """What it throws comes out of the call; the instance cannot go on, another can."""
    script = f"""{_CALLBACKS}
        const one = await instance({host});
        log.push(attempt(() => one.call(1)), attempt(() => one.call(1))[1]);
        log.push((await instance((x) => x + 1)).call(1));
        console.log(JSON.stringify(log));
    """
    first, second, third = node(made, script)
    assert first == expected
    assert (second, third) == ("this instance ended with an earlier error: make another", 2)


def test_traps_calls_back_and_signals(made: Path) -> None:
    """A trap ends the instance; a callback cannot call again; a signal ends calls, and loading."""
    script = f"""{_CALLBACKS}
        const one = await instance((x) => x);
        log.push(one.call(7), attempt(() => one.callThenTrap(1)), attempt(() => one.call(1))[0]);
        const two = await instance(() => two.call(1));
        log.push(attempt(() => two.call(1)));
        const stop = new AbortController();
        const ending = (x) => {{ if (x === 2) stop.abort(new Error("enough")); return x; }};
        const three = await instance(ending, stop.signal);
        log.push(three.call(2), attempt(() => three.call(1)));
        await instance((x) => x, stop.signal).catch((error) => log.push(error.message));
        const late = new AbortController();
        const four = await instance((x) => x, late.signal);
        late.abort(new Error("late"));
        log.push(attempt(() => four.call(1))[1]);
        console.log(JSON.stringify(log));
    """
    trap = "the component ended: wasm trap: wasm `unreachable` instruction executed"
    assert node(made, script) == [
        7,
        ["TrapError", trap, trap.partition(": ")[2]],
        "TrapError",
        ["TrapError", "the component is in a call: what it calls cannot call it again", None],
        2,
        ["Error", "enough", None],
        "enough",
        "late",
    ]


def test_errors_of_results_are_thrown(made: Path) -> None:
    """Both sides throw a `ResultError` with the typed value."""
    script = """
        import { instantiate, ResultError } from "./fallible/dist/index.js";
        const host = (x) => { if (x.tag === "err") throw new ResultError(x.val); return x.val; };
        const { relay } = await instantiate({ imports: { host } });
        const log = [relay({ tag: "ok", val: "hé" })];
        for (const val of [{ tag: "empty" }, { tag: "too-long", val: 7n }]) {
          try { relay({ tag: "err", val }); }
          catch (error) {
            const { message, payload } = error;
            log.push([error instanceof ResultError, payload.tag, String(payload.val), message]);
          }
        }
        console.log(JSON.stringify(log));
    """
    assert node(made, script) == [
        "hé",
        [True, "empty", "undefined", 'the call failed: {"tag":"empty"}'],
        [True, "too-long", "7", 'the call failed: {"tag":"too-long","val":"7n"}'],
    ]


def test_errors_of_results_are_returned(made: Path) -> None:
    """With `errors="return"` both sides give them as values."""
    script = """
        import { instantiate } from "./returning/dist/index.js";
        const { relay } = await instantiate({ imports: { host: (x) => x } });
        const values = [{ tag: "ok", val: "a" }, { tag: "err", val: { tag: "empty" } }];
        console.log(JSON.stringify(values.map((one) => relay(one))));
    """
    assert node(made, script) == [
        {"tag": "ok", "val": "a"},
        {"tag": "err", "val": {"tag": "empty"}},
    ]


@pytest.mark.parametrize("errors", ["throw", "return"])
def test_a_constructor_throws_its_error(errors: Literal["throw", "return"], tmp_path: Path) -> None:
    """A `ResultError`, as `new` can return nothing else than its object, however errors are had."""
    runnable(library("evens"), "evens", tmp_path, errors=errors)
    script = """
        import { instantiate, ResultError } from "./evens/dist/index.js";
        const { Even } = (await instantiate()).evens;
        const found = [new Even(2).get()];
        try { new Even(3); } catch (error) { found.push(error instanceof ResultError, error.payload); }
        console.log(JSON.stringify(found));
    """
    assert node(tmp_path, script) == [2, True, "odd"]


def test_a_changed_file_is_not_run(tmp_path: Path) -> None:
    """A core module with another digest than the one in the package is refused before it is compiled."""
    target = runnable(library("counter"), "counter", tmp_path)
    script = """
        import { instantiate } from "./counter/dist/index.js";
        const found = await instantiate().then(() => "ran", (error) => [error.name, error.message]);
        console.log(JSON.stringify(found));
    """
    assert node(tmp_path, script) == "ran"
    core = target / "component/component.core.wasm"
    core.write_bytes(core.read_bytes() + b"\0\2\1x")
    name, message = node(tmp_path, script)
    assert name == "DigestError"
    assert message.endswith("is not the file that this package was made with: install it again")
    core.unlink()
    name, message = node(tmp_path, script)
    assert (name, message.partition(" of ")[2]) == ("Error", "this package cannot be read: install it again")


def test_an_engine_that_is_too_old_is_told_so(made: Path) -> None:
    """What it does not compile is no fault of the package: the error says what the engine lacks."""
    script = """
        import { instantiate } from "./counter/dist/index.js";
        const { compile } = WebAssembly;
        WebAssembly.compile = async () => { throw new WebAssembly.CompileError("no such opcode"); };
        const found = [await instantiate().catch((error) => error.message)];
        WebAssembly.compile = compile;
        found.push((await instantiate()).counters.live());
        console.log(JSON.stringify(found));
    """
    assert node(made, script) == [
        "this engine is too old for what the component is made of: no such opcode",
        0,
    ]


def test_a_signal_ends_the_wait_of_one(made: Path) -> None:
    """What is loaded is shared: one that gives up does not take it from others."""
    script = """
        import { createHash } from "node:crypto";
        import { compile } from "./counter/dist/runtime.js";
        const bytes = Buffer.from("0061736d01000000", "hex");
        const digest = createHash("sha256").update(bytes).digest("hex");
        const core = { url: new URL(`data:;base64,${bytes.toString("base64")}`), digest };
        const stop = new AbortController();
        const waits = [compile(core, stop.signal), compile(core, new AbortController().signal)];
        stop.abort(new Error("enough"));
        const [first, second] = await Promise.allSettled(waits);
        console.log(JSON.stringify([first.reason?.message, second.value instanceof WebAssembly.Module]));
    """
    assert node(made, script) == ["enough", True]


def test_the_component_is_inside_by_its_digest(tmp_path: Path) -> None:
    """The package holds the component itself, under the digest that it says."""
    target = npm_package(library("counter"), "counter", tmp_path)
    found = read_library(library("counter").encode(), "counter")
    assert (target / f"component/sha256-{found.digest}.wasm").read_bytes() == found.component
    assert found.digest in (target / "src/bindings.ts").read_text()


def test_the_same_input_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    """A check of what another run wrote finds nothing; a file that was changed it finds."""
    found = read_library(FALLIBLE.encode(), "fallible")
    assert generate.check(found, "typescript", made / "fallible") == []
    shutil.copytree(made / "fallible", tmp_path / "copy")
    (tmp_path / "copy/src/index.ts").write_text("")
    assert [one.path for one in generate.check(found, "typescript", tmp_path / "copy")] == ["src/index.ts"]


def test_what_is_the_same_everywhere_is_formatted() -> None:
    """The files that no run formats are as prettier has them."""
    files = {path: place.read_bytes() for path, place in AS_THEY_ARE.items()}
    renamed = {path.replace("src", "other"): data for path, data in files.items()}
    assert format(renamed, lambda *_: None) == renamed


def test_users_are_held_to_the_types(made: Path) -> None:
    """A program that keeps to the types compiles under the strict options; one that does not is refused."""
    (made / "package.json").write_text('{"type": "module"}')
    program = """
        import { instantiate, ResultError, type Imports } from "./fallible/src/index.js";
        const imports: Imports = {
          host(x) { if (x.tag === "err") throw new ResultError(x.val); return x.val; },
        };
        const library = await instantiate({ imports });
        export const text: string = library.relay(VALUE);
    """
    words = ["--noEmit", "--target", "es2022", "--module", "nodenext", *STRICT, "use.ts"]
    (made / "use.ts").write_text(
        program.replace("VALUE", '{ tag: "err", val: { tag: "too-long", val: 1n } }')
    )
    tsc(made, *words)
    (made / "use.ts").write_text(program.replace("VALUE", '{ tag: "err", val: { tag: "too-long", val: 1 } }'))
    with pytest.raises(AssertionError, match="not assignable to type 'bigint'"):
        tsc(made, *words)


def test_the_package_says_what_it_is() -> None:
    """Its name in npm is that of the library, with the namespace as scope, or what the user says."""
    found = read_library(library("counter").encode(), "acme/thumbs", "1.2.3", "Small pictures")
    made = generate.generated(found, "typescript")
    manifest = json.loads(made["package.json"])
    said = [manifest[key] for key in ("name", "version", "description")]
    assert said == ["@acme/thumbs", "1.2.3", "Small pictures"]
    assert "dependencies" not in manifest
    readme = made["README.md"].decode()
    assert "\nawait thumbs.counters.live();\n" in readme
    assert "\nthumbs.counters.peek(it);\n" in readme
    assert [package_name(found, name) for name in ("thumbs", "@me/thumbs.js")] == ["thumbs", "@me/thumbs.js"]


@pytest.mark.parametrize("said", ["Thumbs", "@a/b/c", "", "x" * 215])
def test_names_that_npm_has_not_are_refused(said: str) -> None:
    """A name with capitals or two scopes is an error that says what a name is."""
    found = read_library(library("counter").encode(), "counter")
    with pytest.raises(UsageError, match="no name for a package of npm"):
        package_name(found, said)


def test_names_that_fall_on_one_are_refused() -> None:
    """Where camel case makes one name of two, each is named and nothing is generated."""
    component = """(component
      (core module $m (func (export "f")))
      (core instance $i (instantiate $m))
      (func (export "a1-b") (canon lift (core func $i "f")))
      (func (export "a1-2") (canon lift (core func $i "f")))
      (func (export "a12") (canon lift (core func $i "f"))))"""
    with pytest.raises(UsageError, match="`a1-2` and `a12` are both `a12`"):
        generate.generated(read_library(component.encode(), "alike"), "typescript")


@pytest.mark.parametrize(
    ("world", "said"),
    [
        ("export then: func(a: u8) -> u8;", "`then`: `await` takes what has a `then` for a promise"),
        (
            "export kit: interface { resource thing { prototype: static func() -> u8; } }",
            r"`\[static\]thing.prototype` of `kit`: no static function",
        ),
    ],
    ids=["then", "prototype"],
)
def test_names_that_mean_something_to_the_language_are_refused(world: str, said: str, tmp_path: Path) -> None:
    """An instance that has a `then` could not be awaited, and no class has another prototype than its own."""
    interface = tmp_path / "refused.wit"
    interface.write_text(f"package a:refused; world refused {{ {world} }}")
    with pytest.raises(UsageError, match=said):
        generate.generated(read_library(component_of(interface).read_bytes(), "refused"), "typescript")


_NAMED = Map(Prim("string"), Option(Prim("u64")))


def test_maps_cross_exactly(tmp_path: Path) -> None:
    """As parameter, result, field and element, in one another, and with any keys; to the host and back."""
    nested = Map(Prim("s64"), Map(Prim("u8"), List(Prim("string"))))
    maybe = Option(Map(Prim("char"), Prim("bool")))
    fields = (Field("named", _NAMED), Field("many", List(nested)), Field("maybe", maybe))
    runnable(relay(Record(fields)), "maps", tmp_path)
    script = """
        import { isDeepStrictEqual as same } from "node:util";
        import { instantiate } from "./maps/dist/index.js";
        const value = {
          named: new Map([["a", undefined], ["", 2n ** 64n - 1n], ["Grüße 🎉", 0n]]),
          many: [new Map(), new Map([[-(2n ** 63n), new Map()], [1n, new Map([[1, ["x", "y"]], [2, []]])]])],
          maybe: new Map([["é", true], ["z", false]]),
        };
        let seen;
        const maps = await instantiate({ imports: { host: (given) => (seen = given) } });
        const found = [same(maps.relay(value), value), same(seen, value)];
        const without = { ...value, maybe: undefined };
        found.push(same(maps.relay(without), without), same(seen, value));
        console.log(JSON.stringify(found));
    """
    assert node(tmp_path, script) == [True, True, True, False]
