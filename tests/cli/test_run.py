"""``wherry run``: grants, limits, exit codes, ``--invoke``, ``--profile`` and ``--coredump``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import binary, c_command, python_command, text
from tests.guests.echo import echo
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
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Terminal
    from tests.guests.wit_types import Wit

U32, STRING = Prim("u32"), Prim("string")


class TestEntry:
    """Where a core module starts."""

    @pytest.mark.parametrize(
        ("flags", "code"),
        [pytest.param((), 7, id="empty-name"), pytest.param(("--entry", "other"), 8, id="said")],
    )
    def test_a_module_starts_where_it_says(self, wherry: Terminal, flags: tuple[str, ...], code: int) -> None:
        """Under the empty name where there is no `_start`, or where ``--entry`` says."""
        assert wherry("run", *flags, text("unnamed")).code == code

    @pytest.mark.parametrize("entry", ["taking", "nothing", "memory"])
    def test_what_cannot_be_a_start_is_refused(self, wherry: Terminal, entry: str) -> None:
        """A function that takes something, one that is not there, and what is no function."""
        typed = wherry("run", "--entry", entry, text("unnamed"))
        assert (typed.code, typed.stdout) == (126, "")
        assert f"cannot start with `{entry}`" in typed.stderr
        assert "`wherry inspect " in typed.stderr

    def test_a_component_says_itself_where_it_starts(self, wherry: Terminal) -> None:
        """What is for core modules is refused for components."""
        typed = wherry("run", "--entry", "run", text("add"))
        assert typed.code == 126
        assert "is a component, which says itself where it starts" in typed.stderr


class TestExitCode:
    """The guest's exit code is Wherry's."""

    def test_all_codes_pass_through(self, wherry: Terminal) -> None:
        """All of 0 to 255, and nothing is added to what the guest wrote."""
        guest = c_command("exit")
        with ThreadPoolExecutor(4) as pool:
            typed = list(pool.map(lambda code: wherry("run", guest, str(code)), range(256)))
        assert [one.code for one in typed] == list(range(256))
        assert {(one.stdout, one.stderr) for one in typed} == {("out\n", "err\n")}

    def test_what_is_over_a_byte_is_cut_as_a_shell_does(self, wherry: Terminal) -> None:
        """256 is 0, and -1 is 255."""
        guest = c_command("exit")
        assert [wherry("run", guest, code).code for code in ("256", "-1")] == [0, 255]

    @pytest.mark.parametrize(
        ("guest", "words", "code"),
        [
            pytest.param("exit", (), 131, id="proc-exit"),
            pytest.param("hello", (), 0, id="start-returns"),
            pytest.param("unstable", (), 0, id="wasi-unstable"),
        ],
    )
    def test_core_module(self, wherry: Terminal, guest: str, words: tuple[str, ...], code: int) -> None:
        """A module in the text format runs as it is."""
        assert wherry("run", text(guest), *words).code == code

    @pytest.mark.parametrize("name", ["command_02", "command_03"])
    def test_component(self, wherry: Terminal, name: str) -> None:
        """Commands of both generations of WASI get arguments, variables and an empty stdin."""
        typed = wherry("run", "--env", "GREETING=hi", python_command(name), "a", "b c")
        assert typed.code == 0, typed
        assert typed.stdout == "arguments: a b c\nGREETING: hi\n"

    def test_component_that_fails(self, wherry: Terminal) -> None:
        """``exit`` in a component is no error of ours."""
        typed = wherry("run", python_command("command_02"), "fail")
        assert (typed.code, typed.stderr) == (1, "")

    @pytest.mark.parametrize(("result", "code"), [("0", 0), ("1", 1)], ids=["ok", "err"])
    @pytest.mark.parametrize("version", ["0.2.0", "0.2.3", "0.2.12"])
    def test_result_of_run(self, wherry: Terminal, version: str, result: str, code: int) -> None:
        """``run`` of any patch version: its error case is exit code 1, and there is no message."""
        guest = f"""
            (component
              (core module $main (func (export "run") (result i32) (i32.const {result})))
              (core instance $main (instantiate $main))
              (func $run (result (result)) (canon lift (core func $main "run")))
              (instance $api (export "run" (func $run)))
              (export "wasi:cli/run@{version}" (instance $api)))
        """
        (wherry.folder / "guest.wat").write_text(guest)
        typed = wherry("guest.wat")
        assert (typed.code, typed.stdout, typed.stderr) == (code, "", "")


class TestGrants:
    """What the guest may reach: nothing that was not named."""

    def test_arguments_and_variables(self, wherry: Terminal) -> None:
        """argv[0] is the file's name; all after FILE is the guest's; only named variables are there."""
        (wherry.folder / "some.env").write_text("# mine\nFROM_FILE='a b'\nCOPIED\n")
        words = ["--env", "SET=1", "--env", "COPIED", "--env-file", "some.env"]
        typed = wherry("run", *words, c_command("environment"), "--env", "X=1", "", "ü", COPIED="here")
        argv, _, variables = typed.stdout.partition("\n\n\n")
        assert typed.code == 0, typed
        lines = typed.stdout.split("\n")
        assert lines[:5] == ["environment.wasm", "--env", "X=1", "", "ü"], argv
        assert sorted(lines[6:-1]) == ["COPIED=here", "FROM_FILE=a b", "SET=1"], variables

    @pytest.mark.parametrize(
        ("flags", "path", "code", "stdout"),
        [
            pytest.param([], "data/file", 1, "", id="nothing-is-granted"),
            pytest.param(["--dir", "data"], "data/file", 0, "text", id="under-its-own-name"),
            pytest.param(["--dir", "data::/in"], "/in/file", 0, "text", id="under-another-name"),
            pytest.param(["--dir", "data::/in:ro"], "/in/file", 0, "text", id="read-only"),
            pytest.param(["--dir", "data::/"], "/file", 0, "text", id="as-the-root"),
            pytest.param(["--dir", "data::/in"], "/in/../secret", 1, "", id="not-beyond-it"),
            pytest.param(["--dir", "data::/in"], "/in/link", 1, "", id="not-by-a-link"),
            pytest.param(["--dir", "data::/in", "--workdir", "/in"], "file", 0, "text", id="workdir"),
            pytest.param(
                ["--dir", ".::/in", "--workdir", "/in/data/"], "file", 0, "text", id="workdir-inside"
            ),
            pytest.param(["--dir", ".", "--workdir", "./data"], "./file", 0, "text", id="workdir-relative"),
            pytest.param(
                ["--dir", "data::/in", "--workdir", "/out"], "file", 125, "", id="workdir-not-granted"
            ),
            pytest.param(
                ["--dir", "data::/in", "--workdir", "/in/up"], "file", 125, "", id="workdir-by-a-link"
            ),
        ],
    )
    def test_folder(self, wherry: Terminal, flags: list[str], path: str, code: int, stdout: str) -> None:
        """A folder is seen under the name that was given, and nothing outside of it."""
        (wherry.folder / "data").mkdir()
        (wherry.folder / "data" / "file").write_text("text")
        (wherry.folder / "secret").write_text("secret")
        (wherry.folder / "data" / "link").symlink_to("../secret")
        (wherry.folder / "data" / "up").symlink_to("..")
        typed = wherry("run", *flags, c_command("files"), "read", path)
        assert (typed.code, typed.stdout) == (code, stdout), typed

    @pytest.mark.parametrize(("suffix", "code"), [("", 0), (":ro", 1)], ids=["read-write", "read-only"])
    def test_writing(self, wherry: Terminal, suffix: str, code: int) -> None:
        """A folder can be written unless ``:ro`` follows it."""
        typed = wherry("run", "--dir", f".::/out{suffix}", c_command("files"), "write", "/out/new", "hello")
        assert typed.code == code, typed
        assert (wherry.folder / "new").exists() == (code == 0)


class TestLimits:
    """A limit that strikes ends the guest, names itself and has an exit code of its own."""

    @pytest.mark.parametrize(
        ("flags", "command", "code", "says"),
        [
            pytest.param(["--timeout", "200ms"], "spin", 124, "time limit", id="computing"),
            pytest.param(["--timeout", "200ms"], "sleep 60000", 124, "time limit", id="waiting"),
            pytest.param(["--fuel", "1M"], "spin", 152, "fuel", id="fuel"),
            pytest.param(["--max-output", "100"], "flood 101", 153, "100 bytes", id="output"),
            pytest.param([], "recurse", 134, "stack", id="stack"),
            pytest.param(["--memory", "32MiB"], "greedy", 137, "memory", id="memory"),
            pytest.param(["--memory", "64KiB"], "hello", 137, "at its start", id="memory-at-start"),
        ],
    )
    def test_struck(self, wherry: Terminal, flags: list[str], command: str, code: int, says: str) -> None:
        """The message says which limit, and the hint the flag that raises it."""
        guest, *words = command.split()
        typed = wherry("run", *flags, c_command(guest), *words)
        assert typed.code == code, typed
        assert typed.stderr.startswith("error: ")
        assert says in typed.stderr
        assert "\n\nhint: raise it with `--" in typed.stderr

    @pytest.mark.parametrize(
        ("flags", "guest", "words"),
        [
            pytest.param(["--timeout", "60s"], "sleep", ["1"], id="time"),
            pytest.param(["--fuel", "100M"], "hello", [], id="fuel"),
            pytest.param(["--max-output", "100"], "flood", ["100"], id="output"),
            pytest.param(["--memory", "32MiB"], "greedy", ["handle"], id="memory-refused-and-handled"),
        ],
    )
    def test_not_struck(self, wherry: Terminal, flags: list[str], guest: str, words: list[str]) -> None:
        """What stays at or below a limit does not notice it."""
        typed = wherry("run", *flags, c_command(guest), *words)
        assert (typed.code, typed.stderr) == (0, ""), typed

    def test_output_up_to_the_limit_arrives(self, wherry: Terminal) -> None:
        """Exactly as many bytes as the limit says, and not one more."""
        assert len(wherry("run", "--max-output", "100", c_command("flood"), "0").stdout) == 100

    @pytest.mark.parametrize("name", ["command_02", "command_03"])
    def test_output_of_components(self, wherry: Terminal, name: str) -> None:
        """The limit strikes in both generations of WASI, whatever the guest makes of the failed write."""
        typed = wherry("run", "--max-output", "5", python_command(name), "a")
        assert (typed.code, typed.stdout) == (153, "argum"), typed
        assert "wrote more output than the limit of 5 bytes" in typed.stderr

    def test_a_deeper_stack_can_be_given(self, wherry: Terminal) -> None:
        """A recursion that needs more than the usual stack runs with ``--stack``."""
        deep = """
            (module
              (func $down (param i64) (result i64)
                (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 0))
                  (else (i64.add (i64.const 1) (call $down (i64.sub (local.get 0) (i64.const 1)))))))
              (func (export "down") (param i64) (result i64) (call $down (local.get 0))))
        """
        (wherry.folder / "deep.wat").write_text(deep)
        words = ["--invoke", "down(300000)", "deep.wat"]
        assert wherry("run", *words).code == 134
        typed = wherry("run", "--stack", "64MiB", *words)
        assert (typed.code, typed.stdout) == (0, "300000\n"), typed

    def test_trap(self, wherry: Terminal) -> None:
        """A trap shows the guest's stack with functions, files and lines, after all it wrote."""
        typed = wherry("run", c_command("trap", "-g"))
        assert (typed.code, typed.stdout) == (134, "giving up: 1\n")
        assert "error: the guest trapped: " in typed.stderr
        assert "at give_up (" in typed.stderr
        assert "trap.c:" in typed.stderr


# A value as WAVE and as JSON, of a type. `echo` gives it back.
VALUES: dict[str, tuple[Wit, str, str]] = {
    "u64": (Prim("u64"), "18446744073709551615", "18446744073709551615"),
    "s8": (Prim("s8"), "-128", "-128"),
    "f64": (Prim("f64"), "0.1", "0.1"),
    "nan": (Prim("f64"), "nan", '"NaN"'),
    "infinity": (Prim("f32"), "-inf", '"-Infinity"'),
    "bool": (Prim("bool"), "true", "true"),
    "char": (Prim("char"), "'ü'", '"ü"'),
    "string": (STRING, r'"a \"b\"\n"', r'"a \"b\"\n"'),
    "bytes": (List(Prim("u8")), "[0, 255]", "[0, 255]"),
    "list": (List(STRING), '["a", "b"]', '["a", "b"]'),
    "tuple": (Tuple((U32, STRING)), '(1, "a")', '[1, "a"]'),
    "record": (Record((Field("x", U32), Field("y", Option(U32)))), "{x: 1, y: some(2)}", '{"x": 1, "y": 2}'),
    "enum": (Enum(("red", "green")), "green", '"green"'),
    "flags": (Flags(("read", "write")), "{read, write}", '["read", "write"]'),
    "variant": (Variant((Field("none", None), Field("some", U32))), "%some(1)", '{"some": 1}'),
    "option": (Option(U32), "none", "null"),
    "option-of-option": (Option(Option(U32)), "some(none)", '{"some": null}'),
    "map": (Map(STRING, U32), '[("a", 1)]', '{"a": 1}'),
    "map-of-numbers": (Map(U32, STRING), '[(1, "a")]', '[[1, "a"]]'),
    "result": (List(Result(U32, STRING)), '[ok(1), err("a")]', '[{"ok": 1}, {"err": "a"}]'),
}


class TestInvoke:
    """``--invoke 'name(args)'`` calls any exported function."""

    @pytest.mark.parametrize(("wit", "wave", "as_json"), VALUES.values(), ids=VALUES)
    def test_every_type_of_wit(self, wherry: Terminal, wit: Wit, wave: str, as_json: str) -> None:
        """A value goes in as WAVE, and comes out as WAVE and as JSON."""
        (wherry.folder / "echo.wat").write_text(echo(wit))
        words = ["--invoke", f"echo({wave})", "echo.wat"]
        typed = wherry("run", *words)
        assert (typed.code, typed.stdout) == (0, f"{wave}\n"), typed
        typed = wherry("run", "--format", "json", *words)
        assert typed.stdout == f"{as_json}\n"
        json.loads(typed.stdout)

    @pytest.mark.parametrize(
        ("guest", "call", "printed"),
        [
            pytest.param("add", "add(2, 3)", "5\n", id="component"),
            pytest.param("add", " add ( 4294967295,1 ) ", "0\n", id="spaces"),
            pytest.param("numbers", "add(2, -3)", "-1\n", id="core-integers"),
            pytest.param("numbers", "half(3)", "1.5\n", id="core-floats"),
            pytest.param("numbers", "both()", "(1, 2)\n", id="core-several-results"),
            pytest.param("numbers", "both", "(1, 2)\n", id="without-parentheses"),
            pytest.param("hello", "_start()", "hello\n", id="no-result-prints-nothing"),
        ],
    )
    def test_call(self, wherry: Terminal, guest: str, call: str, printed: str) -> None:
        """The result is one line on stdout."""
        typed = wherry("run", "--invoke", call, text(guest))
        assert (typed.code, typed.stdout, typed.stderr) == (0, printed, "")

    def test_reactor_is_initialised_first(self, wherry: Terminal) -> None:
        """``_initialize`` of a core module runs before the function."""
        source = wherry.folder / "reactor.c"
        source.write_text(
            "static int ready;\n"
            "__attribute__((constructor)) static void prepare(void) { ready = 42; }\n"
            '__attribute__((export_name("ready"))) int is_ready(void) { return ready; }\n'
        )
        guest = c_command("reactor", "-s", "-mexec-model=reactor", source=source)
        typed = wherry("run", "--invoke", "ready()", guest)
        assert (typed.code, typed.stdout) == (0, "42\n"), typed

    def test_error_case_is_printed_and_fails(self, wherry: Terminal) -> None:
        """The error case of a whole result is data on stdout, and the exit code is 1."""
        (wherry.folder / "echo.wat").write_text(echo(Result(U32, STRING)))
        for value, code in (("ok(1)", 0), ('err("no")', 1)):
            typed = wherry("run", "--invoke", f"echo({value})", "echo.wat")
            assert (typed.code, typed.stdout, typed.stderr) == (code, f"{value}\n", "")

    INTERFACES = """
        (component
          (core module $main (func (export "one") (result i32) i32.const 1)
                             (func (export "two") (result i32) i32.const 2))
          (core instance $main (instantiate $main))
          (func $one (result u32) (canon lift (core func $main "one")))
          (func $two (result u32) (canon lift (core func $main "two")))
          (instance $left (export "get" (func $one)) (export "own" (func $one)))
          (instance $right (export "get" (func $two)))
          (export "acme:numbers/left@1.0.0" (instance $left))
          (export "acme:numbers/right" (instance $right)))
    """

    @pytest.mark.parametrize(
        ("call", "code", "says"),
        [
            pytest.param("own()", 0, "1", id="unique"),
            pytest.param("acme:numbers/right#get()", 0, "2", id="named"),
            pytest.param("acme:numbers/left@1.0.0#get()", 0, "1", id="named-with-version"),
            pytest.param("acme:numbers/left#get()", 0, "1", id="named-without-version"),
            pytest.param("get()", 126, "say which: `acme:numbers/left@1.0.0#get` or", id="ambiguous"),
        ],
    )
    def test_function_in_an_interface(self, wherry: Terminal, call: str, code: int, says: str) -> None:
        """A function is found by its name alone when there is one such, else by its interface."""
        (wherry.folder / "guest.wat").write_text(self.INTERFACES)
        typed = wherry("run", "--invoke", call, "guest.wat")
        assert typed.code == code, typed
        assert says in typed.stdout + typed.stderr

    @pytest.mark.parametrize(
        ("guest", "call", "message", "hint"),
        [
            pytest.param(
                "add",
                "ad(1, 2)",
                "`<guest>` exports no function `ad`",
                "did you mean `add(a: u32, b: u32) -> u32`, such as `add(1, 2)`?",
                id="misspelt",
            ),
            pytest.param(
                "add",
                "subtract(1)",
                "`<guest>` exports no function `subtract`",
                "it exports `add(a: u32, b: u32) -> u32`; call one with `wherry run --invoke 'add(1, 2)'",
                id="unknown",
            ),
            pytest.param("add", "add(1)", "`add` takes 2 arguments, and here are 1", "the form is", id="few"),
            pytest.param(
                "add",
                "add(1, -2)",
                "argument `b` of `add`: -2 is out of range for u32, which is 0 to 4294967295",
                "the form is `add(a: u32, b: u32) -> u32`, such as `add(1, 2)`",
                id="out-of-range",
            ),
            pytest.param(
                "add", "add(one, 2)", "argument `a` of `add`: expected u32, got `one`", "the form", id="type"
            ),
            pytest.param(
                "add", "add(1, 2", "cannot be read: the parentheses are not closed", "the form is", id="open"
            ),
            pytest.param(
                "add", "add(1, ?)", "cannot be read: invalid token at `?`", "the form", id="no-wave"
            ),
            pytest.param("numbers", "add(1.5, 2)", "argument 1 of `add`: expected", "(i32, i32)", id="core"),
            pytest.param("counter", "nothing()", "exports no function", "", id="resources"),
        ],
    )
    def test_refused(self, wherry: Terminal, guest: str, call: str, message: str, hint: str) -> None:
        """A wrong name or value says what exists, and shows the right form."""
        typed = wherry("run", "--invoke", call, text(guest))
        said, _, advice = typed.stderr.replace(str(text(guest)), "<guest>").partition("\n\nhint: ")
        assert typed.code == 126, typed
        assert message in said
        assert hint in advice

    @pytest.mark.parametrize(
        ("wit", "call", "message"),
        [
            pytest.param(
                Record((Field("x", Record((Field("y", List(Prim("u8"))),))),)),
                "echo({x: {y: [1, 256]}})",
                "argument `x.x.y[1]` of `echo`: 256 is out of range for u8, which is 0 to 255",
                id="deep-inside",
            ),
            pytest.param(
                Record((Field("x", U32), Field("y", U32))),
                "echo({x: 1})",
                "`x.y` of `echo`:",
                id="field-missing",
            ),
            pytest.param(
                Record((Field("x", U32),)),
                "echo({x: 1, z: 2})",
                "there is no field `z`, but `x`",
                id="field-unknown",
            ),
            pytest.param(
                Enum(("red", "green")),
                "echo(blue)",
                "there is no case `blue`, but `red` or `green`",
                id="case",
            ),
            pytest.param(
                Flags(("read",)), "echo({write})", "there is no flag `write`, but `read`", id="flag"
            ),
        ],
    )
    def test_wrong_value_is_pointed_at(self, wherry: Terminal, wit: Wit, call: str, message: str) -> None:
        """The path to what does not fit, and what would."""
        (wherry.folder / "echo.wat").write_text(echo(wit))
        typed = wherry("run", "--invoke", call, "echo.wat")
        assert typed.code == 126
        assert message in typed.stderr
        assert "hint: the form is `echo(x: " in typed.stderr


class TestNothingToRun:
    """What is no command says what it is, and what can be done with it."""

    @pytest.mark.parametrize(
        ("guest", "message", "hint"),
        [
            pytest.param(
                text("add"),
                "is a library and has nothing to run",
                "it exports `add(a: u32, b: u32) -> u32`; call one with `wherry run --invoke 'add(1, 2)'",
                id="component",
            ),
            pytest.param(
                text("numbers"), "is a library and has nothing to run", "`add(i32, i32) -> i32`", id="module"
            ),
            pytest.param(
                text("callback"), "imports what nothing provides: `host`", "in Python", id="imports"
            ),
            pytest.param(
                text("buckets"),
                "imports what nothing provides: `test:guests/buckets`",
                "Python",
                id="interface",
            ),
        ],
    )
    def test_refused(self, wherry: Terminal, guest: Path, message: str, hint: str) -> None:
        """Exit code 126, a message and a hint."""
        typed = wherry("run", guest)
        said, _, advice = typed.stderr.partition("\n\nhint: ")
        assert typed.code == 126, typed
        assert message in said
        assert hint in advice

    def test_reactor(self, wherry: Terminal) -> None:
        """A reactor is told as one."""
        (wherry.folder / "r.wat").write_text('(module (func (export "_initialize")) (func (export "go")))')
        typed = wherry("run", "r.wat")
        assert typed.code == 126
        assert "error: `r.wat` is a reactor and has nothing to run" in typed.stderr
        assert "--invoke 'go()' r.wat" in typed.stderr

    def test_http(self, wherry: Terminal) -> None:
        """What answers HTTP requests is told as that."""
        guest = '(component (instance $api) (export "wasi:http/incoming-handler@0.2.3" (instance $api)))'
        (wherry.folder / "h.wat").write_text(guest)
        assert wherry("run", "h.wat").code == 126


class TestRecords:
    """``--profile`` and ``--coredump`` write files that other programs open."""

    def test_profile_names_functions(self, wherry: Terminal) -> None:
        """A profile is JSON of the Firefox profiler, with the guest's functions by name."""
        guest = """
            (module
              (func $inner (param i32) (result i32)
                (loop $next (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $next (local.get 0)))
                (local.get 0))
              (func $outer (export "_start") (drop (call $inner (i32.const 100000000)))))
        """
        (wherry.folder / "busy.wat").write_text(guest)
        typed = wherry("run", "--profile", "out.json", "busy.wat")
        assert typed.code == 0, typed
        profile = json.loads((wherry.folder / "out.json").read_text())
        (thread,) = profile["threads"]
        assert {"inner", "outer"} <= set(thread["stringArray"])
        assert thread["samples"]["length"] > 0

    def test_profile_of_a_guest_that_never_ends(self, wherry: Terminal) -> None:
        """A time limit ends the guest, and the profile is written nevertheless."""
        typed = wherry("run", "--profile", "out.json", "--timeout", "200ms", c_command("spin"))
        assert typed.code == 124, typed
        assert json.loads((wherry.folder / "out.json").read_text())["threads"]

    def test_profile_that_cannot_be_written(self, wherry: Terminal) -> None:
        """The guest does not even start."""
        typed = wherry("run", "--profile", "missing/out.json", c_command("hello"))
        assert (typed.code, typed.stdout) == (126, "")
        assert "the profile cannot be written: `missing/out.json`: no such file" in typed.stderr

    def test_profile_and_fuel_exclude_each_other(self, wherry: Terminal) -> None:
        """Both want an engine mode of their own."""
        typed = wherry("run", "--profile", "out.json", "--fuel", "1M", c_command("hello"))
        assert typed.code == 125
        assert "`--profile` and `--fuel` exclude each other" in typed.stderr

    def test_coredump_of_a_trap(self, wherry: Terminal) -> None:
        """A core dump is a Wasm file with the sections of the tool conventions, named in the hint."""
        typed = wherry("run", "--coredump", "core.wasm", c_command("trap"))
        assert typed.code == 134
        assert "hint: `core.wasm` holds a core dump of the guest" in typed.stderr
        dump = (wherry.folder / "core.wasm").read_bytes()
        assert dump.startswith(b"\0asm")
        assert all(section in dump for section in (b"core", b"corestack", b"coremodules", b"coreinstances"))
        assert b"giving up" in dump, "the guest's memory"

    @pytest.mark.parametrize("words", [("hello",), ("exit", "3")], ids=["returns", "exits"])
    def test_no_coredump_without_a_trap(self, wherry: Terminal, words: tuple[str, ...]) -> None:
        """Neither the end of a program nor its exit is a trap."""
        guest, *arguments = words
        wherry("run", "--coredump", "core.wasm", c_command(guest), *arguments)
        assert not (wherry.folder / "core.wasm").exists()

    def test_coredump_that_cannot_be_written(self, wherry: Terminal) -> None:
        """The trap is told, and that there is no core dump."""
        typed = wherry("run", "--coredump", "missing/core.wasm", c_command("trap"))
        assert typed.code == 134
        assert "hint: no core dump was written: `missing/core.wasm`" in typed.stderr


class TestCompiling:
    """The cache, compiled code and other targets, as ``run`` uses them."""

    def test_cache_is_filled_once(self, wherry: Terminal) -> None:
        """A second run takes compiled code from the folder that the flag names."""
        guest = binary(text("hello"))
        for _ in range(2):
            typed = wherry("run", "--cache-dir", "cache", guest)
            assert (typed.code, typed.stdout, typed.stderr) == (0, "hello\n", "")
        assert len(list((wherry.folder / "cache").rglob("*.cwasm"))) == 1

    def test_no_cache(self, wherry: Terminal) -> None:
        """Nothing is kept."""
        typed = wherry("run", "--no-cache", "--cache-dir", "cache", binary(text("hello")))
        assert (typed.code, typed.stdout) == (0, "hello\n")
        assert not (wherry.folder / "cache").exists()

    def test_cache_that_cannot_be_used(self, wherry: Terminal) -> None:
        """Everything works without it, with a warning; ``--quiet`` leaves that out."""
        (wherry.folder / "cache").write_text("a file")
        typed = wherry("run", "--cache-dir", "cache", binary(text("hello")))
        assert (typed.code, typed.stdout) == (0, "hello\n")
        assert typed.stderr.startswith("warning: ")
        typed = wherry("run", "--quiet", "--cache-dir", "cache", binary(text("hello")))
        assert typed.stderr == ""

    def test_portable_interpreter(self, wherry: Terminal) -> None:
        """``--target pulley64`` runs the same program without machine code."""
        typed = wherry("run", "--target", "pulley64", c_command("exit"), "7")
        assert (typed.code, typed.stdout) == (7, "out\n"), typed


def test_descriptors_of_the_shell_are_not_the_guest_s(wherry: Terminal) -> None:
    """An open file of the parent process is not inherited by the guest under its number."""
    (wherry.folder / "secret").write_text("secret")
    reader = os.open(wherry.folder / "secret", os.O_RDONLY)
    os.set_inheritable(reader, True)  # noqa: FBT003 - the signature of the standard library
    try:
        done = subprocess.run(
            [sys.executable, "-m", "wherry", "run", c_command("files"), "read", f"/dev/fd/{reader}"],
            check=False,
            capture_output=True,
            close_fds=False,
            text=True,
        )
    finally:
        os.close(reader)
    assert (done.returncode, done.stdout) == (1, "")
