"""A project becomes components: only what has changed, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import wherry
from tests.build.projects import make
from tests.guests.build import binary, text
from wherry import _native
from wherry.artifact.reading import FILE_NAME
from wherry.build import builder, fingerprint, tools
from wherry.build.builder import build
from wherry.build.locate import MANIFEST, find_project
from wherry.build.project import read_project


@pytest.fixture
def greeter(tmp_path: Path) -> Path:
    """A command in C."""
    return make(tmp_path, "c", "command")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library in C."""
    return make(tmp_path, "c", "library")


def edit(path: Path, old: str, new: str) -> None:
    """Change a file as an editor does; that nothing is changed is a mistake of the test."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("change", "fresh"),
    [
        pytest.param(lambda _: None, False, id="nothing"),
        pytest.param(lambda folder: os.utime(folder / "src" / "main.c"), False, id="times"),
        pytest.param(lambda folder: edit(folder / "src" / "main.c", "Hello", "Howdy"), True, id="source"),
        pytest.param(lambda folder: (folder / "src" / "other.h").write_text("\n"), True, id="new-file"),
        pytest.param(
            lambda folder: edit(folder / "wherry.toml", "[build]", '[build]\noptimise = "size"'),
            True,
            id="manifest",
        ),
        pytest.param(lambda folder: (folder / "build" / "greeter.wasm").write_bytes(b""), True, id="output"),
        pytest.param(lambda folder: (folder / "build" / "greeter.wasm").unlink(), True, id="no-output"),
        pytest.param(lambda folder: (folder / ".git").mkdir(), False, id="version-control"),
    ],
)
def test_only_what_has_changed_is_built(change: object, fresh: bool, greeter: Path) -> None:  # noqa: FBT001
    """Contents count: of sources, of ``wherry.toml`` and of what was built; times do not."""
    assert callable(change)
    assert [one.fresh for one in build(greeter)] == [True]
    change(greeter)
    assert [one.fresh for one in build(greeter)] == [fresh]
    assert [one.fresh for one in build(greeter)] == [False]
    assert [one.fresh for one in build(greeter, force=True)] == [True]


def test_a_change_within_the_same_tick_is_seen(greeter: Path) -> None:
    """A file with the same size and times but another text is built."""
    source = greeter / "src" / "main.c"
    build(greeter)
    before = source.stat()
    edit(source, "Hello", "Howdy")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [one.fresh for one in build(greeter)] == [True]


def test_what_is_known_by_its_times_is_not_read_again(greeter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources and components are read by the build after the one that made them, and by none after that."""
    build(greeter)
    monkeypatch.setattr(fingerprint, "_SETTLED", 0)
    assert [one.fresh for one in build(greeter)] == [False]
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("a file is read"))
    assert [one.fresh for one in build(greeter)] == [False]


def test_an_error_of_the_compiler_comes_as_it_is(greeter: Path) -> None:
    """The compiler's own words, with the file as the user calls it; what was built before stays and runs."""
    (before,) = build(greeter)
    data = before.path.read_bytes()
    edit(greeter / "src" / "main.c", "return 0;", "retrun 0;")
    with pytest.raises(wherry.BuildError, match="compiling greeter failed") as raised:
        build(greeter)
    assert raised.value.output.startswith("src/main.c:6:3: error: use of undeclared identifier 'retrun'\n")
    assert before.path.read_bytes() == data
    edit(greeter / "src" / "main.c", "retrun 0;", "return 0;")
    assert [one.fresh for one in build(greeter)] == [False]


def test_a_warning_does_not_stop_a_build(greeter: Path) -> None:
    """What the compiler says of a source that it accepts is handed on."""
    edit(greeter / "src" / "main.c", "return 0;", "int unused = 1;\n  return 0;")
    (built,) = build(greeter)
    assert "src/main.c:6:7: warning: unused variable 'unused'" in built.said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("-> string", "-> strnig", "name `strnig` does not exist\n     --> {folder}/wit/greeter.wit:8:39"),
        ("world greeter {", "world greeter", "expected"),
        ("export greet", "export greet, ", "/wit/greeter.wit:8:"),
    ],
)
def test_an_error_in_an_interface_points_at_its_line(old: str, new: str, said: str, library: Path) -> None:
    """What binding generation refuses is told with file, line and column of the interface."""
    edit(library / "wit" / "greeter.wit", old, new)
    with pytest.raises(wherry.InterfaceError) as raised:
        build(library)
    assert said.format(folder=library) in raised.value.message


def test_a_function_that_is_missing_is_named(library: Path) -> None:
    """A source that does not do what its interface says does not build, and the function is named."""
    edit(library / "wit" / "greeter.wit", "export greet:", "export part: func();\n  export greet:")
    with pytest.raises(wherry.BuildError) as raised:
        build(library)
    assert "exports_greeter_part" in raised.value.output


def test_a_header_outside_the_project_is_an_input(greeter: Path, tmp_path: Path) -> None:
    """A header that a source includes from elsewhere counts as the sources do."""
    (tmp_path / "shared.h").write_text('#define WORD "Hi"\n')
    edit(greeter / "src" / "main.c", "#include <stdio.h>", '#include "../../shared.h"\n#include <stdio.h>')
    edit(greeter / "src" / "main.c", '"Hello, %s!\\n"', 'WORD ", %s!\\n"')
    assert [one.fresh for one in build(greeter)] == [True]
    assert [one.fresh for one in build(greeter)] == [False]
    (tmp_path / "shared.h").write_text('#define WORD "Ho"\n')
    (built,) = build(greeter)
    assert built.fresh
    assert wherry.run(built.path, capture=True).stdout == b"Ho, World!\n"


def test_two_builds_at_once_are_one(greeter: Path) -> None:
    """Processes that build the same project wait for each other, and the second finds nothing to do."""
    command = [sys.executable, "-m", "wherry", "build", "--format", "json", str(greeter)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sum(b'"built":true' in one for one in said) == 1


def test_watching_builds_after_each_change(greeter: Path) -> None:
    """The first build, then one for each change, and errors between them."""
    watched = builder.watch(greeter)
    first = next(watched)
    assert isinstance(first, list)
    assert first[0].fresh
    edit(greeter / "src" / "main.c", "return 0;", "retrun 0;")
    assert isinstance(next(watched), wherry.BuildError)
    timer = threading.Timer(0.5, edit, (greeter / "src" / "main.c", "retrun 0;", "return 7;"))
    timer.start()
    second = next(watched)
    timer.join()
    assert isinstance(second, list)
    assert wherry.run(second[0].path, capture=True).returncode == 7


def test_names_of_what_is_built(tmp_path: Path) -> None:
    """Commands are named as they are, the library like the package, or as the library."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "x.c").write_text("")
    (tmp_path / "wit").mkdir()
    manifest = '[package]\nname = "acme/tool"\nversion = "1.0.0"\n[command.tool]\n[command.also]\n[library]\n'
    (tmp_path / "wherry.toml").write_text(manifest)
    project = read_project(tmp_path)
    assert [(one.name, one.places) for one in project.targets] == [
        ("tool", ("command.tool", "command.also")),
        ("tool.library", ("library",)),
    ]
    (tmp_path / "wherry.toml").write_text(manifest.replace("[command.tool]\n", ""))
    assert [one.name for one in read_project(tmp_path).targets] == ["also", "tool"]


def test_what_cannot_be_found_out_is_said(tmp_path: Path) -> None:
    """No source, no interface, no manifest: each says what is missing and where it is looked for."""
    with pytest.raises(wherry.NotFoundError, match=r"wherry\.toml"):
        build(tmp_path)
    (tmp_path / "wherry.toml").write_text('[package]\nname = "acme/tool"\nversion = "1.0.0"\n[library]\n')
    with pytest.raises(wherry.BuildError, match="no source of a language that Wherry knows"):
        build(tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "x.c").write_text("")
    with pytest.raises(wherry.BuildError, match="where the interfaces of the library should be"):
        build(tmp_path)


def test_a_project_is_found_from_below(greeter: Path) -> None:
    """As with other tools, one may stand in a folder below."""
    assert MANIFEST == FILE_NAME
    assert find_project(greeter / "src") == greeter
    assert find_project(greeter) == greeter
    assert find_project(greeter.parent) == greeter.parent


def test_tools_are_pinned_as_in_the_tests() -> None:
    """One version of each tool: that of ``requirements/programs.txt``, with the same digests."""
    text = (Path(__file__).parents[2] / "requirements" / "programs.txt").read_text()
    for tool in (tools.COMPONENTIZE_PY, tools.ZIGLANG):
        pins = (tools.PINS / f"{tool.name}.txt").read_text().split()
        assert f"{tool.name}=={tool.version}" == pins[0]
        assert set(pins) <= set(text.split())


def test_a_tool_that_cannot_be_fetched_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last words of what tried are in the message, and nothing half is left behind."""
    monkeypatch.setenv("WHERRY_TOOLS_DIR", str(tmp_path / "tools"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setattr(tools, "_in_environment", lambda _: None)
    with pytest.raises(wherry.ToolError, match=r"fetching ziglang 0\.17\.1 from PyPI failed"):
        tools.provide(tools.ZIGLANG, lambda *_: None)
    assert [path.name for path in (tmp_path / "tools").iterdir()] == ["ziglang.lock"]


def test_an_error_of_cargo_comes_without_its_messages_for_programs(tmp_path: Path) -> None:
    """What rustc says to people is shown, what cargo says to programs is not."""
    folder = make(tmp_path, "rust", "command")
    edit(folder / "src" / "main.rs", "nth(1)", "nht(1)")
    with pytest.raises(wherry.BuildError) as raised:
        build(folder)
    assert raised.value.output.startswith("error[E0599]: no method named `nht` found")
    assert "--> src/main.rs:2:" in raised.value.output
    assert '"reason"' not in raised.value.output
    edit(folder / "src" / "main.rs", "nht(1)", "nth(1)")
    (folder / "src" / "bin").mkdir()
    (folder / "src" / "bin" / "other.rs").write_text("fn main() {}\n")
    edit(folder / "wherry.toml", "[command.greeter]", "[command.third]")
    with pytest.raises(wherry.BuildError, match="the crate has no binary `third`") as missing:
        build(folder)
    assert missing.value.hint == "its binaries are: `greeter`, `other`"


def test_a_crate_elsewhere_is_an_input(tmp_path: Path) -> None:
    """A crate that is named by its path counts as the project's own files do."""
    folder = make(tmp_path, "rust", "command")
    other = tmp_path / "words"
    (other / "src").mkdir(parents=True)
    (other / "Cargo.toml").write_text('[package]\nname = "words"\nversion = "0.1.0"\nedition = "2024"\n')
    (other / "src" / "lib.rs").write_text('pub const WORD: &str = "Hi";\n')
    edit(
        folder / "Cargo.toml",
        'edition = "2024"\n',
        'edition = "2024"\n\n[dependencies]\nwords.path = "../words"\n',
    )
    edit(folder / "src" / "main.rs", '"Hello, {name}!"', '"{}, {name}!", words::WORD')
    assert [one.fresh for one in build(folder)] == [True]
    assert [one.fresh for one in build(folder)] == [False]
    edit(other / "src" / "lib.rs", "Hi", "Ho")
    (built,) = build(folder)
    assert wherry.run(built.path, capture=True).stdout == b"Ho, World!\n"


def test_errors_of_go_name_the_user_s_files(tmp_path: Path) -> None:
    """What is generated lies over the project, so that messages name the files that are in it."""
    folder = make(tmp_path, "go", "library")
    edit(folder / "export_wit_world" / "greeter.go", "name + ", "nmae + ")
    with pytest.raises(wherry.BuildError) as raised:
        build(folder)
    assert "export_wit_world/greeter.go:7:21: undefined: nmae" in raised.value.output
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".go") == []


def test_a_trap_names_the_functions_of_the_source(greeter: Path) -> None:
    """Debug information is left out of a component, and the names of functions are not."""
    code = "__attribute__((noinline)) static void inner(int count) {\n  if (count) __builtin_trap();\n}\n\n"
    main = "int main(int argc, char **argv) {\n  (void)argv;\n  inner(argc);\n  return 0;\n}\n"
    (greeter / "src" / "main.c").write_text(code + main)
    (built,) = build(greeter)
    with pytest.raises(wherry.Trap) as raised:
        wherry.run(built.path, capture=True)
    assert [frame[0] for frame in raised.value.frames][:2] == ["inner", "main"]
    assert b".debug_" not in built.path.read_bytes()


@pytest.mark.parametrize(
    ("files", "command", "language"),
    [
        pytest.param(["x.c", "x.js"], 'source = "x.c"', "c", id="file"),
        pytest.param(["package.json", "x.js", "tool/x.c"], 'source = "tool"', "c", id="folder"),
        pytest.param(["package.json", "tool/go.mod", "tool/x.go"], 'source = "tool"', "go", id="mark"),
        pytest.param(["asconfig.json", "x.ts"], 'source = "x.ts"', "assemblyscript", id="assemblyscript"),
        pytest.param(["tsconfig.json", "src/x.ts", "src/y.js"], 'source = "src"', "typescript", id="mixed"),
        pytest.param(["x.h"], 'source = "x.h"\nlanguage = "cpp"', "cpp", id="said"),
    ],
)
def test_a_source_has_the_language_that_it_is_written_in(
    files: list[str], command: str, language: str, tmp_path: Path
) -> None:
    """Each command of a package may be in a language of its own: found out from its source, or said."""
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    text = f'[package]\nname = "acme/x"\nversion = "1.0.0"\n\n[command.x]\n{command}\n'
    (tmp_path / FILE_NAME).write_text(text)
    assert [one.language for one in read_project(tmp_path).targets] == [language]


def test_the_language_of_a_command_comes_before_that_of_build(tmp_path: Path) -> None:
    """``language`` of ``[build]`` is that of all others, whatever their files are called."""
    for name in ("x.h", "y.h"):
        (tmp_path / name).write_text("")
    text = '[package]\nname = "acme/x"\nversion = "1.0.0"\n\n[build]\nlanguage = "c"\n\n'
    text += '[command.x]\nsource = "x.h"\n\n[command.y]\nsource = "y.h"\nlanguage = "cpp"\n'
    (tmp_path / FILE_NAME).write_text(text)
    found = {one.name: one.language for one in read_project(tmp_path).targets}
    assert found == {"x": "c", "y": "cpp"}


def test_a_module_that_starts_under_the_empty_name_becomes_a_component() -> None:
    """It starts once and is set up once; the adapter takes no empty name."""
    component = _native.componentize(binary(text("unnamed")).read_bytes())
    assert wherry.run(wherry.load(component), capture=True).returncode == 7
