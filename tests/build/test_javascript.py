"""Guests in JavaScript and TypeScript: dependencies, the user's lines, types."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.build.projects import make
from wherry.build.builder import build
from wherry.build.npm import check_installed
from wherry.build.source_map import line_table

if TYPE_CHECKING:
    from pathlib import Path

_FAILS = """import { shout } from "./words.js";

function inner() {
  throw new Error(shout("oh no"));
}

inner();
"""


def test_dependencies_are_bundled_and_errors_name_the_user_s_lines(tmp_path: Path) -> None:
    """A package in ``node_modules`` goes in, and a stack names files and lines as the user has them."""
    folder = make(tmp_path, "javascript", "command")
    package = folder / "node_modules" / "loud"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "loud", "version": "1.0.0", "main": "loud.js"}')
    (package / "loud.js").write_text("exports.loud = (text) => text.toUpperCase();\n")
    words = 'import { loud } from "loud";\n\nexport const shout = (text) => `${loud(text)}!`;\n'
    (folder / "src" / "words.js").write_text(words)
    (folder / "src" / "greeter.js").write_text(_FAILS)
    (built,) = build(folder)
    done = wherry.run(built.path, capture=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"Error: OH NO!" in done.stderr
    assert b"at inner (src/greeter.js:4)" in done.stderr
    assert b"(src/greeter.js:7)" in done.stderr


@pytest.mark.slow
def test_a_trap_of_a_library_names_the_user_s_line(tmp_path: Path) -> None:
    """What the guest says as it traps has the file and line of the source, not of the bundle."""
    folder = make(tmp_path, "typescript", "library")
    source = (
        "// A comment.\nexport function greet(name: string): string {\n  throw new Error(`no ${name}`);\n}\n"
    )
    (folder / "src" / "greeter.ts").write_text(source)
    (built,) = build(folder)
    command = ["run", "--invoke", 'greet("Ada")', str(built.path)]
    done = subprocess.run(
        [sys.executable, "-m", "wherry", *command], check=False, capture_output=True, text=True
    )
    assert done.returncode == 134
    assert "no Ada" in done.stderr
    assert "src/greeter.ts:3" in done.stderr


@pytest.mark.slow
def test_types_are_checked(tmp_path: Path) -> None:
    """TypeScript that does not fit its types does not build, and the compiler's words name the line."""
    folder = make(tmp_path, "typescript", "command")
    source = folder / "src" / "greeter.ts"
    source.write_text(f"{source.read_text()}const wrong: number = name;\n")
    with pytest.raises(wherry.BuildError, match="checking types of greeter failed") as raised:
        build(folder)
    assert "src/greeter.ts(3,7): error TS2322" in raised.value.output


_SHAPES = """package acme:greeter;

interface host {
  /// What is left of it.
  left: func(of: u32) -> option<u32>;
}
interface shapes {
  record point { x: u32, long-name: string }
  resource pen { constructor(width: u32); draw: func(to: point) -> result<u32, string>; }
}
world greeter { import host; import aside: interface { hm: func() -> u64; } export shapes; }
"""
_PEN = """import { left } from "acme:greeter/host";
import type { Point, Shapes } from "acme:greeter/shapes";
import { hm } from "aside";

class Pen {
  constructor(private readonly width: number) {}
  draw(to: Point): number {
    return (left(to.x) ?? this.width) + to.longName.length + hm();
  }
}
export const shapes: Shapes = { Pen };
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("?? this.width", "?? null", "src/greeter.ts(8,12): error TS2531: Object is possibly 'null'"),
        (
            "left(to.x)",
            "left(to.y)",
            "src/greeter.ts(8,21): error TS2339: Property 'y' does not exist on type 'Point'",
        ),
        ("to: Point): number {", "to: Point): string {", "src/greeter.ts(8,5): error TS2322"),
        (
            "shapes: Shapes = { Pen }",
            "shapes = { pen: Pen }",
            "src/greeter.ts(11,14): error TS2741: Property 'Pen' is missing",
        ),
        ("export const", "const", "src/greeter.ts(1,1): error TS7053: `shapes` is not exported"),
        ("(private readonly width: number)", "(private readonly width: string)", "src/greeter.ts(8,"),
    ],
    ids=["result", "field", "return", "export", "missing", "constructor"],
)
def test_types_are_those_of_the_interfaces(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    """What does not fit an interface is an error at the user's line."""
    folder = make(tmp_path, "typescript", "library")
    (folder / "wit" / "greeter.wit").write_text(_SHAPES)
    assert right in _PEN
    (folder / "src" / "greeter.ts").write_text(_PEN.replace(right, wrong))
    with pytest.raises(wherry.BuildError) as raised:
        build(folder)
    assert message in raised.value.output


@pytest.mark.slow
def test_declarations_are_there_and_interfaces_work(tmp_path: Path) -> None:
    """The right source builds and runs, 32 bits are whole both ways, and packages have their own types."""
    folder = make(tmp_path, "typescript", "library")
    package = folder / "node_modules" / "loud"
    package.mkdir(parents=True)
    (package / "package.json").write_text(
        '{"name": "loud", "version": "1.0.0", "main": "loud.js", "types": "loud.d.ts"}'
    )
    (package / "loud.js").write_text("exports.loud = (n) => n;\n")
    (package / "loud.d.ts").write_text("export declare function loud(n: number): number;\n")
    (folder / "wit" / "greeter.wit").write_text(_SHAPES)
    source = f'import {{ loud }} from "loud";\n{_PEN.replace("left(to.x)", "left(loud(to.x))")}'
    (folder / "src" / "greeter.ts").write_text(source)
    (built,) = build(folder)
    declared = (folder / "build" / "bindings" / "greeter" / "greeter.d.ts").read_text()
    assert "/** What is left of it. */\n  export function left(of: number): number | null;" in declared
    seen: list[int] = []

    def left(of: int) -> int | None:
        seen.append(of)
        return of - 1 if of else None

    imports = {
        "acme:greeter/host": {"left": left},
        "aside": {"hm": lambda: 0},
    }
    with wherry.load(built.path).instantiate(imports=imports) as instance:
        pen = instance["acme:greeter/shapes"].Pen((1 << 32) - 2)
        assert pen.draw({"x": (1 << 32) - 1, "long_name": ""}) == (1 << 32) - 2
        assert pen.draw({"x": 0, "long_name": "a"}) == (1 << 32) - 1
    assert seen == [(1 << 32) - 1, 0]
    (folder / "src" / "greeter.ts").write_text(source.replace("loud(to.x)", "loud(to.longName)"))
    with pytest.raises(wherry.BuildError) as raised:
        build(folder)
    assert "src/greeter.ts(9,23): error TS2345" in raised.value.output


def test_numbers_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """A number beyond its type, or beyond what is exact, is an error, and never another number."""
    folder = make(tmp_path, "javascript", "library")
    wit = "export word: func(of: u64) -> u32; export long: func(of: u64) -> u64;"
    wit = f"package acme:greeter;\nworld greeter {{ {wit} }}\n"
    (folder / "wit" / "greeter.wit").write_text(wit)
    source = "export const word = (of) => of;\nexport function long(of) {\n  return of * 2;\n}\n"
    (folder / "src" / "greeter.js").write_text(source)
    (built,) = build(folder)
    component = wherry.load(built.path)
    with component.instantiate() as instance:
        assert (instance.word((1 << 32) - 1), instance.long(1 << 51)) == ((1 << 32) - 1, 1 << 52)
    for name, value in (
        ("word", 1 << 32),
        ("word", (1 << 53) + 1),
        ("word", (1 << 64) - 1),
        ("long", 1 << 52),
    ):
        with component.instantiate() as instance, pytest.raises(wherry.Trap):
            getattr(instance, name)(value)


def test_an_export_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A library without a function of its interface does not build."""
    folder = make(tmp_path, "javascript", "library")
    (folder / "src" / "greeter.js").write_text("export const greets = () => '';\n")
    with pytest.raises(wherry.BuildError) as raised:
        build(folder)
    assert "src/greeter.js has no `greet`" in raised.value.output


@pytest.mark.parametrize(
    ("wrong", "message"), [("strnig", "greeter.wit:8:39"), ("stream<u8>", "`stream` has no form")]
)
def test_wrong_interfaces_are_errors_with_their_line(tmp_path: Path, wrong: str, message: str) -> None:
    """The line of the interface is named, or what the language has no form for."""
    folder = make(tmp_path, "javascript", "library")
    wit = folder / "wit" / "greeter.wit"
    wit.write_text(wit.read_text().replace("-> string", f"-> {wrong}"))
    with pytest.raises(wherry.InterfaceError, match=message):
        build(folder)


@pytest.mark.parametrize(
    ("locked", "installed", "message"),
    [
        ("1.0.0", None, "`loud`, which `package.json` asks for, is not installed"),
        ("1.0.1", "1.0.0", "`package-lock.json` has `loud` 1.0.1, and `node_modules` 1.0.0"),
        ("1.0.0", "1.0.0", None),
    ],
)
def test_packages_are_those_of_the_lock_file(
    locked: str, installed: str | None, message: str | None, tmp_path: Path
) -> None:
    """A package that is missing or of another version is named, with the command that installs it."""
    (tmp_path / "package.json").write_text('{"dependencies": {"loud": "^1.0.0"}}')
    lock = '{"packages": {"": {}, "node_modules/loud": {"version": "%s"}, "node_modules/x": {"dev": true}}}'
    (tmp_path / "package-lock.json").write_text(lock % locked)
    if installed is not None:
        (tmp_path / "node_modules" / "loud").mkdir(parents=True)
        (tmp_path / "node_modules" / ".package-lock.json").write_text(lock % installed)
    if message is None:
        check_installed(tmp_path)
        return
    with pytest.raises(wherry.BuildError, match=re.escape(message)) as raised:
        check_installed(tmp_path)
    assert "`npm ci`" in str(raised.value.hint)


_CLOCK = """package acme:greeter;
world greeter {
  import wasi:random/random@0.2.12;
  import wasi:clocks/wall-clock@0.2.12;
  export greet: func(name: string) -> string;
}
"""
_TELLS = """import { getRandomBytes } from "wasi:random/random@0.2.12";
import { now } from "wasi:clocks/wall-clock";
export const greet = (name) => `${name} ${getRandomBytes(4n).length} ${now().seconds > 1e9}`;
"""


def test_libraries_import_the_wasi_that_is_here(tmp_path: Path) -> None:
    """WASI needs no copy in the project, and its modules have names with and without a version."""
    folder = make(tmp_path, "javascript", "library")
    (folder / "wit" / "greeter.wit").write_text(_CLOCK)
    (folder / "src" / "greeter.js").write_text(_TELLS)
    (built,) = build(folder)
    with wherry.load(built.path).instantiate() as instance:
        assert instance.greet("Ada") == "Ada 4 true"


@pytest.mark.slow
def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The bundler's own words, with the user's file."""
    folder = make(tmp_path, "javascript", "command")
    (folder / "src" / "greeter.js").write_text('import "no-such-module";\n')
    with pytest.raises(wherry.BuildError, match="bundling greeter failed") as raised:
        build(folder)
    assert 'Could not resolve "no-such-module"' in raised.value.output
    assert "src/greeter.js:1:7:" in raised.value.output


def test_chance_begins_with_the_run(tmp_path: Path) -> None:
    """Numbers by chance are others in each run, unless it is deterministic; they lie as they should."""
    folder = make(tmp_path, "javascript", "command")
    (folder / "src" / "greeter.js").write_text(
        "const all = Array.from({ length: 10000 }, () => Math.random());\n"
        "const mean = all.reduce((sum, one) => sum + one) / all.length;\n"
        "console.log(all.every((one) => one >= 0 && one < 1), new Set(all).size, Math.round(mean * 20));\n"
        "console.log(performance.now() >= 0, all[0]);\n"
    )
    (built,) = build(folder)
    said = [wherry.run(built.path, capture=True).stdout.decode().splitlines() for _ in range(3)]
    assert [one[0] for one in said] == ["true 10000 10"] * 3
    assert all(one[1].startswith("true 0.") for one in said)
    assert len({one[1] for one in said}) == 3
    policy = wherry.Policy(deterministic=True)
    same = {wherry.run(built.path, capture=True, policy=policy).stdout for _ in range(2)}
    assert len(same) == 1


@pytest.mark.slow
def test_text_is_utf_8(tmp_path: Path) -> None:
    """``TextEncoder`` and ``TextDecoder`` do what browsers' do, for what is no UTF-8 too."""
    folder = make(tmp_path, "javascript", "command")
    (folder / "src" / "greeter.js").write_text(
        'const text = "aé€😀";\n'
        "const bytes = new TextEncoder().encode(text);\n"
        "console.log(bytes.length, new TextDecoder().decode(bytes) === text);\n"
        "const wrong = new Uint8Array([0xff, 0x41, 0xc3, 0xe2, 0x82, 0xed, 0xa0, 0x80]);\n"
        "console.log(new TextDecoder().decode(wrong));\n"
    )
    (built,) = build(folder)
    lines = wherry.run(built.path, capture=True).stdout.decode().splitlines()
    assert lines[0] == "10 true"
    assert lines[1].startswith("\ufffdA\ufffd\ufffd")


def test_a_map_of_sources_is_read(tmp_path: Path) -> None:
    """Lines of the bundle are those of the user's files; what is ours is nobody's."""
    own, project = tmp_path / "own", tmp_path / "project"
    data = (
        b'{"version":3,"sources":["../own/base.js","../project/src/x.js"],"mappings":"AAAA;ACEA,IAAI;;AACA"}'
    )
    table = line_table(data, "\n", tmp_path / "work", project, own)
    assert table == [None, ("src/x.js", 3), None, ("src/x.js", 4)]
    # `  add() {` below `}`: esbuild counts the space before it for the line above.
    data = b'{"version":3,"sources":["../project/src/x.js"],"mappings":"AAAA;AAAA,EACA,IAAI"}'
    table = line_table(data, "}\n  add() {", tmp_path / "work", project, own)
    assert table == [("src/x.js", 1), ("src/x.js", 2)]


_LATER = """
const values = [];
const after = (value) => new Promise((done) => setImmediate(() => { values.push(value); done(value); }));

async function* counted() {
  yield await after(1);
  yield 2;
}

async function all() {
  const found = await Promise.all([after("a"), Promise.resolve("b"), "c", (async () => "d")()]);
  for await (const one of counted()) found.push(one);
  const settled = await Promise.allSettled([Promise.reject(new Error("no")), 1]);
  found.push(settled.map(({ status }) => status).join());
  found.push(await Promise.any([Promise.reject(1), after("any")]));
  found.push(await Promise.race([after("late"), after("later")]));
  const caught = Promise.reject(new Error("caught")).catch(({ message }) => found.push(message));
  await caught.finally(() => found.push("end"));
  return found.join(" ");
}

export function greet(name) {
  if (name === "all") return all();
  if (name === "order") {
    const seen = [];
    setImmediate(() => seen.push("last"));
    Promise.resolve().then(() => seen.push("third")).then(() => seen.push("fifth"));
    queueMicrotask(() => seen.push("fourth"));
    (async () => { seen.push("first"); await null; seen.push("sixth?"); })();
    seen.push("second");
    return new Promise((done) => setImmediate(() => done(seen.join(" "))));
  }
  if (name === "seen") return values.join(" ");
  if (name === "never") return new Promise(() => {});
  return Promise.reject(new Error(`no ${name}`));
}
"""


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> wherry.Component:
    """A library whose function gives promises."""
    folder = make(tmp_path_factory.mktemp("waiting"), "javascript", "library")
    (folder / "src" / "greeter.js").write_text(_LATER)
    (built,) = build(folder)
    return wherry.load(built.path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("all", "a b c d 1 2 rejected,fulfilled any late caught end"),
        ("order", "first second third fourth sixth? fifth last"),
    ],
)
def test_promises_of_a_library_are_waited_for(waiting: wherry.Component, name: str, expected: str) -> None:
    """What a function gives is the value of its promise, whose jobs run in the order of the language."""
    with waiting.instantiate() as library:
        assert library.greet(name) == expected


def test_a_library_ends_what_it_began_before_it_answers(waiting: wherry.Component) -> None:
    """What nobody waits for is done all the same, and nothing is left for the next call."""
    with waiting.instantiate() as library:
        assert library.greet("seen") == ""
        library.greet("all")
        assert library.greet("seen") == "a 1 any late later"


@pytest.mark.parametrize("name", ["never", "anything else"])
def test_a_promise_that_is_broken_or_never_settled_is_a_trap(waiting: wherry.Component, name: str) -> None:
    """As an error that is thrown."""
    with waiting.instantiate() as library, pytest.raises(wherry.Trap):
        library.greet(name)


_AWAITS = """
async function main() {
  console.log("one");
  await new Promise((done) => setImmediate(done));
  console.log("two");
  if (process.argv.includes("x")) throw new Error("in the end");
}
main();
"""


@pytest.mark.parametrize(("words", "code"), [((), 0), (("x",), 1)])
def test_a_command_ends_when_its_promises_do(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    """An `async` main function runs to its end; its error is told as any other."""
    folder = make(tmp_path, "javascript", "command")
    (folder / "src" / "greeter.js").write_text(_AWAITS)
    (built,) = build(folder)
    done = wherry.run(built.path, *words, capture=True)
    assert (done.returncode, done.stdout) == (code, b"one\ntwo\n")
    assert (b"Error: in the end" in done.stderr) == bool(words)
    assert (b"(src/greeter.js:6)" in done.stderr) == bool(words)
