"""Packages of npm in a worker, where a call ends that computes for too long: in Node and in a browser."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.bind.npm_packages import STRICT, node, runnable, tsc
from tests.browser.chromium import said
from tests.guests.build import text
from tests.guests.echo import relay
from tests.guests.wit_types import Field, Prim, Result, Variant

if TYPE_CHECKING:
    from pathlib import Path

SPIN = """(component
  (core module $code
    (func (export "spin") (param i64) (result i64)
      (loop $on
        (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
        (br_if $on (i64.gt_s (local.get 0) (i64.const 0))))
      (local.get 0)))
  (core instance $core (instantiate $code))
  (func (export "spin") (param "times" s64) (result s64) (canon lift (core func $core "spin"))))"""
FALLIBLE = relay(Result(Prim("string"), Variant((Field("empty", None), Field("too-long", Prim("u64"))))))
ENDLESS = "2n ** 62n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with packages: `spin`, `fallible`, and `counter`, which has resources."""
    folder = tmp_path_factory.mktemp("packages")
    runnable(SPIN, "spin", folder)
    runnable(FALLIBLE, "fallible", folder)
    runnable(text("counter").read_text(), "counter", folder)
    return folder


_SPIN = f"""
    const {{ instantiate }} = await import("./spin/dist/worker.js");
    const shown = (error) => [error.name, error.message];
    const found = [];
    const spin = await instantiate({{ timeout: 1_000 }});
    found.push(String(await spin.spin(10n)), await spin.spin("ten").catch(shown));
    const [late, next] = await Promise.allSettled([spin.spin({ENDLESS}), spin.spin(1n)]);
    found.push(shown(late.reason), shown(next.reason));
    const ending = new AbortController();
    const other = await instantiate({{ signal: ending.signal }});
    const call = other.spin({ENDLESS}).catch((error) => error);
    ending.abort("enough");
    found.push(await call, await instantiate({{ timeout: 0 }}).catch((error) => error.name));
"""
_FOUND = [
    "0",
    [
        "TypeError",
        f'`spin`: parameter `times`: expected a bigint from {-(2**63)} to {2**63 - 1}, got "ten"',
    ],
    ["TimeoutError", "`spin` took longer than 1000 ms, and its worker was ended: make another"],
    ["TrapError", "its worker was ended: make another"],
    "enough",
    "RangeError",
]


def test_a_call_that_takes_too_long_ends_with_its_worker(made: Path) -> None:
    """By its deadline, and by a signal; what waits for it fails too, and a wrong value does not end it."""
    assert node(made, f"{_SPIN} console.log(JSON.stringify(found));") == _FOUND


def test_a_page_ends_a_call_that_takes_too_long(made: Path) -> None:
    """The same in a browser."""
    script = f"""try {{ {_SPIN}
        await done(found);
      }} catch (error) {{ await done(String(error)); }}"""
    done = 'const done = (found) => fetch("/done", { method: "POST", body: JSON.stringify(found) });'
    (made / "page.html").write_text(f'<!doctype html><script type="module">{done}{script}</script>')
    assert said(made, "page.html") == _FOUND


def test_imports_are_a_module_and_errors_are_of_their_classes(made: Path) -> None:
    """What the component calls is loaded in the worker; its errors come back with what they carry."""
    (made / "imports.mjs").write_text("""
        import { ResultError } from "./fallible/dist/index.js";
        export default {
          host() { throw new ResultError({ tag: "too-long", val: 3n }); },
        };
    """)
    script = """
        import { ResultError } from "./fallible/dist/index.js";
        import { instantiate } from "./fallible/dist/worker.js";
        const fallible = await instantiate({ imports: new URL("./imports.mjs", import.meta.url) });
        const call = () => fallible.relay({ tag: "ok", val: "" }).catch((error) => error);
        const error = await call();
        const found = [error instanceof ResultError, error.payload.tag, String(error.payload.val)];
        fallible[Symbol.dispose]();
        found.push((await call()).cause.message);
        const missing = new URL("./nothing.mjs", import.meta.url);
        found.push((await instantiate({ imports: missing }).catch((error) => error)).message.slice(0, 18));
        console.log(JSON.stringify(found));
    """
    expected = [True, "too-long", "3", "it was disposed of", "Cannot find module"]
    assert node(made, script) == expected


def test_imports_have_to_be_a_module(made: Path) -> None:
    """Functions, a path, nothing and a module without a default export are errors that say what it takes."""
    (made / "named.mjs").write_text("export const host = (value) => value;")
    script = """
        import { instantiate } from "./fallible/dist/worker.js";
        const host = (value) => value;
        const module = new URL("./named.mjs", import.meta.url);
        const wrong = [undefined, {}, { imports: { host } }, { imports: "./named.mjs" }, { imports: module }];
        const found = [];
        for (const one of wrong) {
          await instantiate(one).catch((error) => found.push([error.name, error.message]));
        }
        console.log(JSON.stringify(found));
    """
    *wrong, named = node(made, script)
    passed = '`{ imports: new URL("./imports.js", import.meta.url) }`'
    words = "`imports` has to be the URL of a module whose default export is what the component calls"
    assert wrong == [["TypeError", f"{words}: pass {passed}"]] * 4
    assert named[0] == "TypeError"
    assert named[1].endswith("/named.mjs has no default export, which has to be what the component calls")


def test_what_cannot_be_sent_is_named(made: Path) -> None:
    """A function as an argument is an error with the name of what was called; the next call works."""
    script = """
        import { instantiate } from "./spin/dist/worker.js";
        const spin = await instantiate();
        const found = [await spin.spin(() => 1).catch((error) => [error.name, error.message])];
        found.push(String(await spin.spin(1n)));
        console.log(JSON.stringify(found));
    """
    words = "`spin`: not all of it can be sent to a worker: () => 1 could not be cloned."
    assert node(made, script) == [["TypeError", words], "0"]


def test_functions_with_resources_stay_in_the_thread_that_made_them(made: Path) -> None:
    """The types say so, and the object that is there at run time."""
    script = """
        import { instantiate } from "./counter/dist/worker.js";
        const { counters } = await instantiate();
        console.log(JSON.stringify([Object.keys(counters), await counters.live()]));
    """
    assert node(made, script) == [["live"], 0]


def test_its_types_are_strict(made: Path) -> None:
    """What every package has for workers passes tsc, and a wrong use of it does not."""
    (made / "use.mts").write_text("""
        import { instantiate } from "./spin/src/worker.js";
        const spin = await instantiate({ timeout: 10 });
        const found: bigint = await spin.spin(1n);
        // @ts-expect-error a promise is no number
        const wrong: bigint = spin.spin(found);
        void wrong;
    """)
    words = ["--noEmit", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", *STRICT]
    tsc(made, *words, "--lib", "es2022,dom,esnext.disposable", "use.mts")


def test_an_idle_worker_does_not_keep_the_process(made: Path) -> None:
    """A program that forgets it ends all the same; one that waits for a call gets its answer."""
    (made / "forgets.mjs").write_text("""
        import { instantiate } from "./spin/dist/worker.js";
        const spin = await instantiate();
        void spin.spin(1_000_000n).then((left) => console.log(String(left)));
    """)
    done = subprocess.run(
        ["node", made / "forgets.mjs"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "0\n"
