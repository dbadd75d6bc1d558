"""Values of a wrong type in generated TypeScript: an error names the function, the parameter and the part."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.bind.corpus_guests import component
from tests.bind.npm_packages import node, runnable
from tests.guests.build import text

if TYPE_CHECKING:
    from pathlib import Path

U8 = "an integer from 0 to 255"
S32 = "an integer from -2147483648 to 2147483647"
U64 = "a bigint from 0 to 18446744073709551615"
S64 = "a bigint from -9223372036854775808 to 9223372036854775807"
F32 = "a number up to ±3.4028235e38"
COLOUR = 'one of "red", "dark-green", "blue"'
SHAPE = 'one of "nothing", "circle", "corners", "named", "maybe"'
WHOLE = "a string without lone surrogates"

WRONG = {
    "bool-number": ("aBool", "1", "x", "a boolean", "1"),
    "bool-missing": ("aBool", "", "x", "a boolean", "undefined"),
    "u8-above": ("anU8", "256", "x", U8, "256"),
    "u8-below": ("anU8", "-1", "x", U8, "-1"),
    "u8-text": ("anU8", '"1"', "x", U8, '"1"'),
    "u8-nan": ("anU8", "NaN", "x", U8, "NaN"),
    "u8-bigint": ("anU8", "1n", "x", U8, "1n"),
    "u8-boolean": ("anU8", "true", "x", U8, "true"),
    "s8-above": ("anS8", "128", "x", "an integer from -128 to 127", "128"),
    "s8-below": ("anS8", "-129", "x", "an integer from -128 to 127", "-129"),
    "u16-above": ("anU16", "65536", "x", "an integer from 0 to 65535", "65536"),
    "s16-below": ("anS16", "-32769", "x", "an integer from -32768 to 32767", "-32769"),
    "u32-fraction": ("anU32", "1.5", "x", "an integer from 0 to 4294967295", "1.5"),
    "u32-above": ("anU32", "2 ** 32", "x", "an integer from 0 to 4294967295", "4294967296"),
    "s32-infinite": ("anS32", "Infinity", "x", S32, "Infinity"),
    "s32-below": ("anS32", "-(2 ** 31) - 1", "x", S32, "-2147483649"),
    "u64-number": ("anU64", "1", "x", U64, "1"),
    "u64-text": ("anU64", '"3"', "x", U64, '"3"'),
    "u64-above": ("anU64", "2n ** 64n", "x", U64, "18446744073709551616n"),
    "u64-below": ("anU64", "-1n", "x", U64, "-1n"),
    "s64-above": ("anS64", "2n ** 63n", "x", S64, "9223372036854775808n"),
    "s64-below": ("anS64", "-(2n ** 63n) - 1n", "x", S64, "-9223372036854775809n"),
    "f32-text": ("anF32", '"1"', "x", F32, '"1"'),
    "f32-above": ("anF32", "1e39", "x", F32, "1e+39"),
    "f64-missing": ("anF64", "", "x", "a number", "undefined"),
    "f64-null": ("anF64", "null", "x", "a number", "null"),
    "char-two": ("aChar", '"ab"', "x", "a string of one character", '"ab"'),
    "char-none": ("aChar", '""', "x", "a string of one character", '""'),
    "char-lone": ("aChar", '"\\ud800"', "x", "a string of one character", '"\\ud800"'),
    "string-number": ("aString", "1", "x", "a string", "1"),
    "string-object": ("aString", 'new String("s")', "x", "a string", 'String "s"'),
    "string-function": ("aString", "() => 1", "x", "a string", "a function"),
    "string-lone": ("aString", '"a\\ud800b"', "x", WHOLE, '"a\\ud800b"'),
    "string-long": ("aString", '["x".repeat(99)]', "x", "a string", f'["{"x" * 58}…'),
    "record-null": ("aPoint", "null", "x", "an object (`Point`)", "null"),
    "record-field": ("aPoint", "{ x: 1 }", "x.y", S32, "undefined"),
    "enum": ("aColour", '"pink"', "x", COLOUR, '"pink"'),
    "enum-number": ("aColour", "0", "x", COLOUR, "0"),
    "flags-text": ("anAccess", '"read"', "x", "an object (`Access`)", '"read"'),
    "flags-number": ("anAccess", "{ read: 1 }", "x.read", "a boolean", "1"),
    "flags-unknown": ("anAccess", "{ raed: true }", "x", 'flags out of "read", "write", "execute"', '"raed"'),
    "variant-text": ("aShape", '"nothing"', "x", "an object (`Shape`)", '"nothing"'),
    "variant-tag": ("aShape", '{ tag: "oval" }', "x.tag", SHAPE, '"oval"'),
    "variant-payload": ("aShape", '{ tag: "circle" }', "x.val", "a number", "undefined"),
    "variant-nothing": ("aShape", '{ tag: "nothing", val: 3 }', "x.val", "nothing", "3"),
    "variant-deep": (
        "aShape",
        '{ tag: "corners", val: [{ x: 1, y: 1 }, { x: 1 }] }',
        "x.val[1].y",
        S32,
        "undefined",
    ),
    "list-text": ("somePoints", '"ab"', "x", "an array", '"ab"'),
    "list-set": ("somePoints", "new Set()", "x", "an array", "Set {}"),
    "list-hole": ("somePoints", "new Array(1)", "x[0]", "an object (`Point`)", "undefined"),
    "bytes-text": ("someBytes", '"abc"', "x", "a Uint8Array", '"abc"'),
    "bytes-other": ("someBytes", "new Uint16Array(1)", "x", "a Uint8Array", 'Uint16Array {"0":0}'),
    "bytes-array": ("someBytes", "[1, 256]", "x[1]", U8, "256"),
    "bigints": ("someNumbers", "[1n, 1]", "x[1]", U64, "1"),
    "tuple-short": ("aTuple", '[1, "a"]', "x", "an array of 4", '[1,"a"]'),
    "tuple-part": ("aTuple", '[1, "a", { x: 1, y: "1" }, { x: 1, y: 1 }]', "x[2].y", S32, '"1"'),
    "option": ("anOption", '"x"', "x", "an integer from 0 to 4294967295", '"x"'),
    "option-twice": ("anOptionTwice", "3", "x", "an object (`Option`)", "3"),
    "option-twice-tag": ("anOptionTwice", '{ tag: "ok" }', "x.tag", 'one of "some", "none"', '"ok"'),
    "result": ("someResults", '[{ tag: "ok", val: "1" }]', "x[0].val", U8, '"1"'),
    "result-tag": ("someResults", '[{ tag: "x" }]', "x[0].tag", 'one of "ok", "err"', '"x"'),
    "second-parameter": ("many", "1", "b", "a string", "undefined"),
}
"""Function, arguments, the part of the parameter, what is expected of it, and how what was given is shown."""

RIGHT = {
    "minus-zero": ("anU32", "-0", "0"),
    "u8-most": ("anU8", "255", "255"),
    "s8-least": ("anS8", "-128", "-128"),
    "char-wide": ("aChar", '"🎉"', '"🎉"'),
    "char-line": ("aChar", '"\\n"', '"\\n"'),
    "string-wide": ("aString", '"a🎉"', '"a🎉"'),
    "f32-infinite": ("anF32", "Infinity", "Infinity"),
    "f32-rounded": ("anF32", "0.1", "Math.fround(0.1)"),
    "f64-nan": ("anF64", "NaN", "NaN"),
    "no-flags": ("anAccess", "{ read: undefined }", "{ read: false, write: false, execute: false }"),
    "option-null": ("anOption", "null", "undefined"),
    "option-left-out": ("anOption", "", "undefined"),
    "array-of-bytes": ("someBytes", "[1, 255]", "new Uint8Array([1, 255])"),
    "buffer": ("someBytes", 'Buffer.from("a")', "new Uint8Array([97])"),
    "another-realm": (
        "someBytes",
        'vm.runInNewContext("new Uint8Array([1])")',
        "new Uint8Array([1])",
    ),
    "more-fields": ("aPoint", "{ x: 1, y: 2, z: 3 }", "{ x: 1, y: 2 }"),
    "more-arguments": ("anU8", "1, 2", "1"),
}
"""Function, arguments, and what comes back."""

RETURNED = {
    "number": ("anU8", "1", "300", "its `result`", U8, "300"),
    "nothing": ("aString", '"s"', "undefined", "its `result`", "a string", "undefined"),
    "boolean": ("aBool", "true", "1", "its `result`", "a boolean", "1"),
    "part": ("aPoint", "{ x: 1, y: 1 }", "{ x: 1 }", "its `result.y`", S32, "undefined"),
    "of-a-result": (
        "failsWithVariant",
        '{ tag: "ok", val: 1 }',
        "1.5",
        "its `result`",
        "an integer from 0 to 4294967295",
        "1.5",
    ),
    "promise": (
        "aString",
        '"s"',
        'Promise.resolve("s")',
        "its `result`",
        "a string",
        "a promise, which nobody can wait for",
    ),
    "promise-of-nothing": (
        "failsWithString",
        '{ tag: "ok" }',
        "Promise.resolve()",
        "its `result`",
        "an answer at once",
        "a promise, which nobody can wait for",
    ),
    "thrown": (
        "failsWithVariant",
        '{ tag: "ok", val: 1 }',
        'raise({ tag: "at", val: { x: 1 } })',
        "its error's `payload.val.y`",
        S32,
        "undefined",
    ),
}
"""Function, arguments, what the host gives back, where it is wrong, what is expected, and how it is shown."""

_HEAD = """
    import vm from "node:vm";
    import { isDeepStrictEqual as same } from "node:util";
    import { instantiate, ResultError } from "./corpus_values/dist/index.js";
    const raise = (payload) => { throw new ResultError(payload); };
    const shown = (error) => [error.name, error.message];
    const attempt = (call) => { try { return call(); } catch (error) { return shown(error); } };
    const made = (host) =>
      instantiate({ imports: { host: new Proxy({}, { get: () => host }) } }).then(({ calls }) => calls);
    const found = {};
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with packages: `corpus_values`, `corpus_resources`, `counter`, and `returning` errors."""
    folder = tmp_path_factory.mktemp("packages")
    for name in ("values", "resources"):
        runnable(component(name).read_bytes(), f"corpus_{name}", folder)
    runnable(text("counter").read_text(), "counter", folder)
    runnable(component("values").read_bytes(), "returning", folder, errors="return")
    return folder


@pytest.fixture(scope="module")
def found(made: Path) -> dict[str, Any]:
    """What all the calls of the tables come to, from one run."""
    lines = [
        f"found[{json.dumps(key)}] = attempt(() => calls.{function}({arguments}));"
        for key, (function, arguments, *_) in WRONG.items()
    ]
    lines += [
        f"found[{json.dumps(key)}] = attempt(() => same(calls.{function}({arguments}), {expected}));"
        for key, (function, arguments, expected) in RIGHT.items()
    ]
    for key, (function, arguments, given, *_) in RETURNED.items():
        lines.append(f"{{ const calls = await made(() => ({given}));")
        lines.append(f"const once = () => attempt(() => calls.{function}({arguments}));")
        lines.append(f"found[{json.dumps(f'host {key}')}] = [once(), once()]; }}")
    script = f"{_HEAD} const calls = await made((x) => x); {' '.join(lines)}"
    result: dict[str, Any] = node(made, f"{script} console.log(JSON.stringify(found));")
    return result


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_value_is_named(key: str, found: dict[str, Any]) -> None:
    """The error says which parameter of which function it is about, what was expected, and what was given."""
    function, _, part, expected, got = WRONG[key]
    words = f"`calls.{function}`: parameter `{part}`: expected {expected}, got {got}"
    assert found[key] == ["TypeError", words]


@pytest.mark.parametrize("key", RIGHT)
def test_a_right_value_passes(key: str, found: dict[str, Any]) -> None:
    """Values at the border of their types, and other forms of them; wrong ones before them ended nothing."""
    assert found[key] is True


@pytest.mark.parametrize("key", RETURNED)
def test_what_a_host_function_returns_is_named(key: str, found: dict[str, Any]) -> None:
    """The error says which function gave it; the call ends with it, and so does the instance."""
    function, *_, where, expected, got = RETURNED[key]
    error, after = found[f"host {key}"]
    assert error == ["TypeError", f"`imports.host.{function}`: {where}: expected {expected}, got {got}"]
    assert after[0] == "TrapError"


def test_errors_that_are_returned_are_checked(made: Path) -> None:
    """Where errors are values, a host function has to give one back; wrong arguments are thrown."""
    script = """
        import { instantiate } from "./returning/dist/index.js";
        const attempt = (call) => { try { return call(); } catch (error) { return error.message; } };
        const host = new Proxy({}, { get: () => () => 3 });
        const { calls } = await instantiate({ imports: { host } });
        const found = ["x", { tag: "ok", val: 1 }].map((one) => attempt(() => calls.failsWithVariant(one)));
        console.log(JSON.stringify(found));
    """
    assert node(made, script) == [
        '`calls.failsWithVariant`: parameter `x`: expected an object (`Result`), got "x"',
        "`imports.host.failsWithVariant`: its `result`: expected an object (`Result`), got 3",
    ]


def test_objects_of_other_classes_and_instances_are_refused(made: Path) -> None:
    """A handle is a number, which another instance has for another object: it is not taken for that."""
    script = """
        import { instantiate } from "./counter/dist/index.js";
        const [one, two] = [await instantiate(), await instantiate()];
        const [counter, other] = [new one.counters.Counter(5), new two.counters.Counter(7)];
        const { increment } = counter;
        const calls = [
          () => one.counters.peek(other),
          () => one.counters.peek({}),
          () => one.counters.peek(),
          () => increment(1),
          () => increment.call(other, 1),
          () => new one.counters.Counter("1"),
          () => one.counters.Counter.merge(counter, 3),
          () => counter.increment(),
          () => one.counters.peek(counter),
        ];
        const attempt = (call) => {
          try { return call(); } catch (error) { return [error.name, error.message]; }
        };
        console.log(JSON.stringify(calls.map(attempt)));
    """
    *wrong, right = node(made, script)
    assert right == 5
    own = "expected an object of this instance's `counters.Counter`, got"
    u32 = "expected an integer from 0 to 4294967295, got"
    assert wrong == [
        ["TypeError", f"`counters.peek`: parameter `it`: {own} Counter {{}}"],
        ["TypeError", f"`counters.peek`: parameter `it`: {own} {{}}"],
        ["TypeError", f"`counters.peek`: parameter `it`: {own} undefined"],
        ["TypeError", f"`counters.Counter.increment`: parameter `this`: {own} undefined"],
        ["TypeError", f"`counters.Counter.increment`: parameter `this`: {own} Counter {{}}"],
        ["TypeError", f'`new counters.Counter`: parameter `start`: {u32} "1"'],
        ["TypeError", f"`counters.Counter.merge`: parameter `right`: {own} 3"],
        ["TypeError", f"`counters.Counter.increment`: parameter `by`: {u32} undefined"],
    ]


def test_objects_that_the_host_gives_are_of_its_class(made: Path) -> None:
    """One that only looks like an object of the class is refused where it is given."""
    script = """
        import { instantiate } from "./corpus_resources/dist/index.js";
        const found = [];
        for (const open of [() => [{ name: () => "x" }], () => 3]) {
          class File { static shared() {} name() {} append() {} join() {} }
          const host = { File, open, weigh: () => 0n };
          const { store } = await instantiate({ imports: { host } });
          try { store.open(["a"]); } catch (error) { found.push([error.name, error.message]); }
        }
        console.log(JSON.stringify(found));
        process.exit(0);
    """
    file = "an object of this instance's `imports.host.File`"
    assert node(made, script) == [
        ["TypeError", f"`imports.host.open`: its `result[0]`: expected {file}, got {{}}"],
        ["TypeError", "`imports.host.open`: its `result`: expected an array, got 3"],
    ]
