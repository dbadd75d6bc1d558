"""What libraries in each language take and give is what the table in ``docs/build.md`` says.

All of them implement one interface, ``reach/library.wit``, and are held to one expectation.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import wherry
from tests.build.expectations import FEATURES, Host
from tests.build.projects import make
from wherry.build.builder import build

if TYPE_CHECKING:
    from wherry.artifact.manifest import Language

REACH = Path(__file__).parent / "reach"
SOURCES: dict[Language, dict[str, str]] = {
    "cpp": {"library_cpp": "src"},
    "go": {"library_go": "."},
    "c": {"library.c": "src/greeter.c"},
    "javascript": {"library.js": "src/greeter.js"},
    "python": {"library.py": "src/greeter.py", "counters.py": "src/counters.py"},
    "typescript": {"library.ts": "src/greeter.ts"},
    "assemblyscript": {"library.as.ts": "src/greeter.ts"},
    "rust": {"library.rs": "src/lib.rs"},
}
"""For each language the files or folders that implement the interface, and where they stand in a project."""

NAMES = {"python": ("delete: func(self: default)", "delete: func(it: default)")}
"""Names in the interface that are not possible in a language, and what is there in its tests."""

FAST = {"c", "javascript"}
"""Languages that compile within a second or two."""

_JAVASCRIPT = {
    "long numbers": "64 bits hold integers up to 2^53 - 1",
    "handles given away": "An object of a library's own class cannot be given back to it for good",
    "destructors": "a class does not hear that one is dropped",
    "imported resources lent": "nor can an object of the host be lent to it",
    "memory of resources": "nor can an object of the host be lent to it",
}
_PYTHON = {
    "destructors": "An object of an exported class is kept until the instance ends",
    "memory": "bytes that a function returns are never freed",
}
GAPS: dict[Language, dict[str, str]] = {
    "javascript": _JAVASCRIPT,
    "python": _PYTHON,
    "typescript": _JAVASCRIPT,
}
"""What a language cannot do, by the name of the feature, in the words of ``docs/build.md``."""


@pytest.fixture(scope="module")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> wherry.Component:
    """The library in the language of the test."""
    language: Language = request.param
    folder = make(tmp_path_factory.mktemp(language), language, "library")
    for name, place in SOURCES[language].items():
        if (REACH / name).is_dir():
            shutil.copytree(REACH / name, folder / place, dirs_exist_ok=True)
        else:
            shutil.copyfile(REACH / name, folder / place)
    interfaces = (REACH / "library.wit").read_text().replace(*NAMES.get(language, ("", "")))
    (folder / "wit" / "greeter.wit").write_text(interfaces)
    (made,) = build(folder)
    assert [line for line in made.said.splitlines() if not line.startswith("note: ")] == []
    return wherry.load(made.path)


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize(
    "built",
    [pytest.param(one, id=one, marks=[] if one in FAST else [pytest.mark.slow]) for one in SOURCES],
    indirect=True,
)
def test_libraries_take_and_give_every_sort_of_type(
    built: wherry.Component, feature: str, request: pytest.FixtureRequest
) -> None:
    """Each feature works in each language, or is a gap that the documentation names."""
    language: Language = request.node.callspec.params["built"]
    host = Host()
    with built.instantiate(imports=host.imports()) as library:
        if feature not in GAPS.get(language, {}):
            FEATURES[feature](library, host)
            return
        with pytest.raises((AssertionError, wherry.WherryError)):
            FEATURES[feature](library, host)


TRAPS: dict[Language, tuple[str, str]] = {
    "assemblyscript": (
        "src/greeter.ts",
        """function inner(letters: Array<string>, depth: i32): string {
  return depth == 0 ? letters[letters.length] : inner(letters, depth - 1) + "!";
}

export function greet(name: string): string {
  return inner(name.split(""), name.length);
}
""",
    ),
    "c": (
        "src/greeter.c",
        """#include "greeter.h"
[[gnu::noinline]] static void inner(size_t length) { if (length > 0) __builtin_trap(); }
void exports_greeter_greet(greeter_string_t *name, greeter_string_t *ret) { inner(name->len); *ret = *name; }
""",
    ),
    "cpp": (
        "src/greeter.cpp",
        """#include "greeter_cpp.h"
[[gnu::noinline]] static void inner(size_t length) { if (length > 0) __builtin_trap(); }
wit::string exports::greeter::Greet(wit::string name) { inner(name.size()); return name; }
""",
    ),
    "go": (
        "export_wit_world/greeter.go",
        """package export_wit_world

//go:noinline
func inner(letters []byte) byte { return letters[len(letters)] }

func Greet(name string) string { return string(inner([]byte(name))) }
""",
    ),
    "rust": (
        "src/lib.rs",
        """#[path = "../build/bindings/greeter/greeter.rs"]
mod bindings;

#[inline(never)]
fn inner(letters: &[u8]) -> u8 {
    letters[letters.len()]
}

struct Library;

impl bindings::Guest for Library {
    fn greet(name: String) -> String {
        inner(name.as_bytes()).to_string()
    }
}

bindings::export!(Library);
""",
    ),
}
"""For each language a library whose function `inner` traps, and where that stands in a project."""


@pytest.mark.parametrize(
    "language",
    [pytest.param(one, marks=[] if one in FAST else [pytest.mark.slow]) for one in TRAPS],
)
def test_a_trap_names_the_function_of_the_source(language: Language, tmp_path: Path) -> None:
    """Where compilers know the names of functions they stay in the component."""
    folder = make(tmp_path, language, "library")
    place, source = TRAPS[language]
    (folder / place).write_text(source)
    (built,) = build(folder)
    with wherry.load(built.path).instantiate() as library, pytest.raises(wherry.Trap) as raised:
        library.greet("Ada")
    names = [frame[0] or "" for frame in raised.value.frames]
    assert any("inner" in name for name in names), names
    assert "greet" in names[-1]


REFUSED = {
    "async func()": "function `f` of `greeter` is `async`",
    "func(x: stream<u8>)": "is a `stream`",
    "func() -> future": "is a `future`",
    "func(x: list<u8, 4>)": "is a list whose length is always 4",
    "func(x: map<u8, string>)": "is a `map`",
}
"""What libraries in C, C++, Go and Rust cannot have, and what is said of it; C and C++ have maps."""

_REFUSALS = (
    "What is `async`, futures, streams and lists of a fixed length are refused; maps too in Go and Rust",
    "Lists of resources of others that are lent are refused",
    "`async` functions, futures, streams and lists of a fixed length do not build",
    "Maps and lists of a fixed length do not build",
)
"""The same in the words of ``docs/build.md``, what C++ alone refuses, and the interpreters' own gaps."""


@pytest.mark.parametrize(
    ("language", "export"),
    [
        (language, export)
        for language in ("c", "cpp", "go", "rust")
        for export in REFUSED
        if "map" not in export or language in {"go", "rust"}
    ],
)
def test_what_no_bindings_have_is_refused_by_its_name(
    language: Language, export: str, tmp_path: Path
) -> None:
    """What the documentation says to be impossible is refused before a compiler sees what is generated."""
    folder = make(tmp_path, language, "library")
    (folder / "wit" / "greeter.wit").write_text(f"package a:b; world greeter {{ export f: {export}; }}")
    with pytest.raises(wherry.InterfaceError, match=REFUSED[export]):
        build(folder)


@pytest.mark.parametrize(
    ("language", "export", "message"),
    [
        ("javascript", "async func()", "is async"),
        ("javascript", "func(x: stream<u8>)", "`stream` has no form"),
        ("javascript", "func() -> future", "`future` has no form"),
        ("javascript", "func(x: list<u8, 4>)", "compiling greeter failed"),
        ("python", "func(x: list<u8, 4>)", "generating bindings failed"),
        ("python", "func(x: map<u8, string>)", "generating bindings failed"),
    ],
)
def test_what_an_interpreter_has_no_form_for_does_not_build(
    language: Language, export: str, message: str, tmp_path: Path
) -> None:
    """What the documentation says to be impossible in JavaScript and in Python, however it is told."""
    folder = make(tmp_path, language, "library")
    (folder / "wit" / "greeter.wit").write_text(f"package a:b; world greeter {{ export f: {export}; }}")
    if language == "javascript":
        (folder / "src" / "greeter.js").write_text("export function f(x) {}\n")
    with pytest.raises(wherry.BuildError, match=message):
        build(folder)


def test_lists_of_what_is_lent_are_refused_in_cpp(tmp_path: Path) -> None:
    """The bindings of C++ would take handles for addresses; alone a resource that is lent is one."""
    folder = make(tmp_path, "cpp", "library")
    world = "use i.{r}; export f: func(x: list<borrow<r>>);"
    interfaces = f"package a:b; interface i {{ resource r; }} world greeter {{ {world} }}"
    (folder / "wit" / "greeter.wit").write_text(interfaces)
    with pytest.raises(wherry.InterfaceError, match="lists of resources that are lent"):
        build(folder)


def test_the_documentation_names_every_gap() -> None:
    """``docs/build.md`` has the words of each gap."""
    documentation = " ".join((REACH.parents[2] / "docs" / "build.md").read_text().split())
    gaps = {*_REFUSALS, *(words for gaps in GAPS.values() for words in gaps.values())}
    missing = [words for words in gaps if words not in documentation]
    assert missing == []
