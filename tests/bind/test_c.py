"""Generated C: strict compilers take it, values come back as they went, and mistakes are said."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests import debian
from tests.bind.c_programs import CHECKED, CLANG, GCC, Package, compiled, compiles, package
from tests.bind.c_values import encoded, program
from tests.bind.corpus_guests import component
from tests.bind.interfaces import CORPUS, component_of
from tests.ffi.conftest import PREFIX, ROOT
from tests.guests.build import GUESTS
from tests.guests.echo import relay
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
    Wit,
)
from wherry.bind import generate
from wherry.bind.c.comments import comment
from wherry.bind.c.reserved import WORDS
from wherry.bind.c.spelling import NUMBERS, prefix_of
from wherry.bind.library import read_library
from wherry.errors import UsageError

SEED = 20260711
SOURCES = Path(__file__).parent / "c"
INCLUDE = f"-I{PREFIX}/include"


@pytest.fixture(autouse=True)
def _prefix() -> None:
    for header in (ROOT / "sdk" / "c").glob("*.h"):
        installed = PREFIX / "include" / header.name
        if not installed.exists() or installed.read_bytes() != header.read_bytes():
            pytest.fail(f"`{installed}` is not that of the sources\n\nhint: make libwherry")


def guest(name: str) -> Package:
    """The package of a guest in the text form."""
    return package((GUESTS / "wat" / f"{name}.wat").read_bytes(), name)


def lifecycle() -> tuple[Path, Path]:
    """The program of ``c/lifecycle.c``, and a component that is none of its own."""
    packages = [guest(name) for name in ("buckets", "callback", "counter", "late")]
    source = (SOURCES / "lifecycle.c").read_text()
    return compiled(source, *packages), GUESTS / "wat" / "add.wat"


@pytest.mark.parametrize("compiler", [GCC, CLANG], ids=["gcc", "clang"])
@pytest.mark.parametrize("interface", CORPUS, ids=lambda path: path.stem)
def test_the_corpus_compiles_without_a_warning(
    interface: Path, compiler: tuple[str, ...], tmp_path: Path
) -> None:
    """Sources as C11 with all warnings as errors; the header alone as C11 and as C++17."""
    made = package(component_of(interface).read_bytes(), interface.stem)
    for source in made.sources:
        compiles(compiler, INCLUDE, *made.words, "-c", source, "-o", tmp_path / "out.o")
    header = f"{made.folder}/include/{made.prefix}.h"
    (tmp_path / "alone.c").write_text(f'#include "{header}"\nint main(void) {{ return 0; }}\n')
    compiles(compiler, INCLUDE, "-c", tmp_path / "alone.c", "-o", tmp_path / "out.o")
    plus = ("g++",) if compiler is GCC else (*CLANG[:3], "c++")
    compiles(
        (*plus, "-std=c++17"), INCLUDE, "-c", "-x", "c++", tmp_path / "alone.c", "-o", tmp_path / "out.o"
    )


def test_the_same_component_gives_the_same_bytes(tmp_path: Path) -> None:
    """Formatted, and current afterwards; a change is noticed."""
    library = read_library((GUESTS / "wat" / "counter.wat").read_bytes(), "counter")
    first, second = generate.generated(library, "c"), generate.generated(library, "c")
    assert first == second
    generate.bind(library, "c", tmp_path / "out")
    assert generate.check(library, "c", tmp_path / "out") == []
    (tmp_path / "out/include/counter.h").write_text("")
    assert [one.path for one in generate.check(library, "c", tmp_path / "out")] == ["include/counter.h"]


def test_what_a_program_gets_wrong_is_an_error_and_it_lives() -> None:
    """Use after close, other threads, failing callbacks, limits in them, another component: `lifecycle.c`."""
    program, other = lifecycle()
    done = subprocess.run([program, other], capture_output=True, check=False, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


OPENING = """#include <counter.h>
#include <stdio.h>
int main(void) {
  counter_instance *instance = NULL;
  wherry_error *error;
  if (counter_open(NULL, &instance, &error) != WHERRY_OK)
    printf("%d %s; %s\\n", wherry_error_status(error), wherry_error_message(error), wherry_error_hint(error));
  wherry_error_free(error);
  return counter_close(instance) != WHERRY_OK;
}
"""


def test_a_library_of_another_version_is_said(tmp_path: Path) -> None:
    """One whose interface is another than that of the header which the program was compiled with."""
    binary = compiled(OPENING, guest("counter"))
    (tmp_path / "other.c").write_text("unsigned wherry_abi_version(void) { return 2; }\n")
    compiles(GCC, "-shared", "-fPIC", "-o", tmp_path / "other.so", tmp_path / "other.c")
    for variables, said in (({}, ""), ({"LD_PRELOAD": str(tmp_path / "other.so")}, "another version of its")):
        done = subprocess.run(
            [binary], capture_output=True, check=True, text=True, timeout=60, env={**os.environ, **variables}
        )
        assert said in done.stdout
        assert bool(done.stdout) == bool(said)


def test_a_component_that_was_exchanged_is_said(tmp_path: Path) -> None:
    """The file beside the sources is not the one that they were written for."""
    made = guest("counter")
    shutil.copytree(made.folder, tmp_path / "counter")
    (tmp_path / "counter/src/counter.wasm").write_bytes((GUESTS / "wat" / "add.wat").read_bytes())
    binary = compiled(OPENING, replace(made, folder=tmp_path / "counter"))
    done = subprocess.run([binary], capture_output=True, check=True, text=True, timeout=60)
    assert f"these bindings are for `counter` with the digest {made.library.digest}" in done.stdout
    assert "`wherry bind` writes bindings for it" in done.stdout


@pytest.mark.parametrize(
    ("imported", "said"),
    [
        ('(func (param "from" error-context))', "`feed`: an `error-context` does not cross to C"),
        ("(func (result (list string 2)))", "`feed`: a list of fixed length"),
    ],
    ids=["error-context", "fixed length"],
)
def test_what_does_not_cross_is_refused_by_name(imported: str, said: str) -> None:
    """The function is named; nothing is generated."""
    text = f"""(component
      (import "feed" {imported})
      (core module $m (func (export "f")))
      (core instance $i (instantiate $m))
      (func (export "run") (canon lift (core func $i "f"))))"""
    with pytest.raises(UsageError, match=re.escape(said)):
        generate.generated(read_library(text.encode(), "feeding"), "c")


def test_an_async_function_is_a_call_that_waits() -> None:
    """What is `async` in the interface is called like any other, and waits for its result."""
    text = """(component
      (core module $m
        (import "" "return" (func $return (param i32)))
        (func (export "run") (param i32) (result i32)
          (call $return (i32.add (local.get 0) (i32.const 1))) (i32.const 0))
        (func (export "again") (param i32 i32 i32) (result i32) unreachable))
      (core func $return (canon task.return (result u32)))
      (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
      (func (export "run") async (param "x" u32) (result u32)
        (canon lift (core func $i "run") async (callback (func $i "again")))))"""
    made = package(text, "waiting")
    given = "run " + struct.pack("<BIBI", 0x14, 1, 0x07, 41).hex() + "\n"
    done = subprocess.run(
        [compiled(program(made), made)], input=given, capture_output=True, check=False, text=True, timeout=60
    )
    assert done.stdout == struct.pack("<BI", 0x07, 42).hex() + "\n"


def test_names_keep_clear_of_the_language_and_the_system() -> None:
    """Prefixes are none of the system's or libwherry's; no word of C or C++ is a name."""
    assert [prefix_of(name) for name in ("time", "wherry", "wherry-x", "2048", "acme/My.Lib", "é")] == [
        *("lib_time", "lib_wherry", "lib_wherry_x", "lib_2048", "acme_my_lib", "library"),
    ]
    assert {"class", "errno", "co_await", "static_assert", "uint8_t", "assert"} <= WORDS


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("ends */ here /* and", "/* ends * / here / * and */\n"),
        ("a line \\\nand ??/", "/* a line and ? ?/ */\n"),
        ("broken\nby hand:\n- one\n- two", "/*\n * broken by hand:\n * - one\n * - two\n */\n"),
        ("left\u202eright\x07", "/* leftright */\n"),
        ("  ", ""),
    ],
)
def test_comments_hold_what_authors_write(said: str, expected: str) -> None:
    """Nothing that documentation says ends the comment, goes on in the next line or turns around."""
    assert comment(said) == expected


def differences(made: Package, rounds: int, source: str | None = None, only: str | None = None) -> list[str]:
    """The functions of a library that do not give back what they were given, with what came instead."""
    random = Random(SEED)  # noqa: S311 - by a seed
    given = []
    for scope in made.library.exports:
        for function in scope.functions if only in {None, scope.interface} else ():
            for _ in range(rounds):
                values = [encoded(made.library, one.type, random) for one in function.params]
                arguments = struct.pack("<BI", 0x14, len(values)) + b"".join(values)
                back = arguments if len(values) > 1 else values[0] if values else b""
                given.append((function.name, arguments, back))
    text = "".join(f"{name} {arguments.hex()}\n" for name, arguments, _ in given)
    binary = compiled(source or program(made, only), made, compiler=CHECKED)
    done = subprocess.run([binary], input=text, capture_output=True, check=False, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.splitlines()
    assert len(answers) == len(given)
    return [
        f"{name}: {back.hex()} became {answer}"
        for (name, _, back), answer in zip(given, answers, strict=True)
        if answer != back.hex()
    ]


def test_every_type_crosses_both_ways() -> None:
    """Random values of every type of the corpus go through guest and host as structures, and are equal."""
    assert differences(package(component("values").read_bytes(), "corpus_values"), 10) == []


def test_functions_are_found_whatever_they_are_called() -> None:
    """Each word that some language keeps for itself is a function, which gives back its argument."""
    made = package(component("names").read_bytes(), "corpus_names")
    assert differences(made, 1, only="words") == []


def test_versions_of_an_interface_stand_beside_each_other() -> None:
    """Two of a codec, one of its name in another package, and two of what the host provides."""
    made = package(component("versions").read_bytes(), "corpus_versions")
    binary = compiled((SOURCES / "versions.c").read_text(), made)
    done = subprocess.run([binary], capture_output=True, check=False, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("one two data\n" * 2 + "one two text\n", "")


def test_a_value_that_changes_is_seen() -> None:
    """The comparison can fail: a host that gives back another number is found out."""
    made = package(relay(Prim("u16")), "changing")
    changed = program(made).replace("*out = x;", "*out = (uint16_t)(x + 1);", 1)
    assert [one.partition(":")[0] for one in differences(made, 1, changed)] == ["relay"]
    assert differences(made, 1) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_types_at_random_cross_both_ways(seed: int) -> None:
    """Types that nobody thought of: whole numbers of all sizes, maps, spilled parameters."""
    kind = random_type(Random(seed), 4)  # noqa: S311 - by a seed
    assert differences(package(relay(kind), f"random{seed}"), 20) == []


def random_type(random: Random, depth: int) -> Wit:
    """A type of some depth."""
    if depth == 0:
        leaves: list[Wit] = [*map(Prim, [*NUMBERS, "string"]), Enum(("a", "b")), Flags(("p", "q", "r"))]
        return random.choice(leaves)

    def inner() -> Wit:
        return random_type(random, random.randrange(depth))

    names = [f"f{at}" for at in range(random.randrange(1, 5))]
    optional = [inner() if random.random() < 0.7 else None for _ in names]
    deeper: list[Wit] = [
        List(inner()),
        Option(inner()),
        Map(Prim(random.choice(["u8", "string", "s64"])), inner()),
        Result(optional[0], optional[-1]),
        Tuple(tuple(inner() for _ in names)),
        Record(tuple(Field(name, inner()) for name in names)),
        Variant(tuple(Field(name, one) for name, one in zip(names, optional, strict=True))),
    ]
    return random.choice(deeper)


def test_a_length_without_data_is_an_error() -> None:
    """Of a list, of a text in one, and of what a callback brings; what is there passes in between."""
    made = package(relay(List(Prim("string"))), "corpus_text")
    done = subprocess.run(
        [compiled((SOURCES / "missing.c").read_text(), made, compiler=CHECKED)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    *usage, passed, failed = done.stdout.splitlines()
    assert usage == ["24 said", "24 said"], done.stderr
    assert passed == "0 "
    assert failed.endswith(" said")
    assert done.returncode == 0


@pytest.fixture(scope="module")
def leaking() -> Path:
    """The program of ``c/leaks.c``."""
    packages = [guest(name) for name in ("buckets", "counter")]
    texts = package(relay(List(Prim("string"))), "corpus_text")
    return compiled((SOURCES / "leaks.c").read_text(), *packages, texts)


def _grown(program: Path, calls: int, *losing: str) -> int:
    """Kilobytes by which a program grows in so many calls, after a tenth as many to begin with."""
    done = subprocess.run(
        [program, str(calls), *losing], capture_output=True, check=False, text=True, timeout=600
    )
    assert (done.stderr, done.returncode) == ("", 0)
    before, after = map(int, done.stdout.split())
    return after - before


def test_calls_leave_memory_flat(leaking: Path) -> None:
    """Text, lists, resources and callbacks; instances come and go, and callbacks fail half-way."""
    assert _grown(leaking, 10_000) < 1_000
    assert _grown(leaking, 10_000, "lose") > 4_000


@pytest.mark.slow
def test_a_hundred_thousand_calls_leave_memory_flat(leaking: Path) -> None:
    """The same, often: a hundred bytes lost by each call would be ten times what is allowed."""
    assert _grown(leaking, 100_000) < 1_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lifecycle", "leaks"])
def test_valgrind_finds_nothing(name: str, leaking: Path) -> None:
    """No invalid access and no lost block in generated code, with errors and callbacks that fail half-way."""
    words, environment = debian.command("valgrind", ["valgrind"])
    program, other = lifecycle()
    command = [program, other] if name == "lifecycle" else [leaking, "40"]
    suppressed = f"--suppressions={SOURCES / 'valgrind.supp'}"
    flags = [
        "--quiet",
        "--error-exitcode=9",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite",
        suppressed,
    ]
    done = subprocess.run(
        [*words, *flags, *map(str, command)],
        capture_output=True,
        check=False,
        text=True,
        env=environment,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-8000:]


@pytest.mark.slow
def test_valgrind_finds_what_is_lost(leaking: Path) -> None:
    """The check can fail: a program that loses memory itself is reported."""
    words, environment = debian.command("valgrind", ["valgrind"])
    flags = ["--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]
    command = [*words, *flags, str(leaking), "40", "lose"]
    done = subprocess.run(command, capture_output=True, check=False, env=environment, timeout=900)
    assert b"definitely lost" in done.stderr
    assert done.returncode == 9
