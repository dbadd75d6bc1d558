"""The corpus of interfaces in Python: every type in every position, clashes of names, versions, resources."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest

import wherry
from tests.bind.corpus_guests import CORPUS, NAMES, component
from tests.bind.interfaces import CLASHES, component_of
from tests.bind.packages import bound, packaged
from tests.bind.values import Values
from tests.guests.build import cached
from wherry.bind.library import read_library
from wherry.bind.python.spelling import Spelling
from wherry.errors import ResultError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
SEED = 20260711


class Host:
    """Gives back what it is given; of a ``result`` the value, or it raises the error."""

    def __init__(self, package: Any, spelling: Spelling, change: Callable[[Any], Any]) -> None:
        self._module = package.host
        self._change = change
        self._errors = {
            module.functions[function.name]: getattr(package.host, module.errors[spelling.error_key(error)])
            for module in spelling.modules
            if module.name == "host"
            for function in module.scope.functions
            if (error := spelling.error(function)) is not None
        }

    def __getattr__(self, name: str) -> Any:
        error = self._errors.get(name)

        def same(*given: Any) -> Any:
            if not given:
                return None
            value = self._change(given[0] if len(given) == 1 else given)
            if error is None:
                return value
            if isinstance(value, wherry.Err):
                raise error(value.value)
            return value.value

        return same


def differences(package: Any, spelling: Spelling, change: Callable[[Any], Any], rounds: int) -> list[str]:
    """The functions that do not give back what their host was given and gave."""
    found = []
    values = Values(spelling, package, Random(SEED))  # noqa: S311 - by a seed
    module = next(one for one in spelling.modules if one.name == "calls")
    for function in module.scope.functions:
        name = module.functions[function.name]
        params, fallible = spelling.params(function), spelling.error(function) is not None
        with package.CorpusValues(host=Host(package, spelling, change)) as library:
            for _ in range(rounds):
                given = [values.value(used) for _, used in params]
                try:
                    if fallible:
                        same = outcome(library, name, given) == given[0]
                    else:
                        same = getattr(library.calls, name)(*given) == expected(given)
                except wherry.Trap:
                    same = False
                if not same:
                    found.append(function.name)
                    break
    return found


def expected(given: list[Any]) -> Any:
    """What a function without errors gives back."""
    return None if not given else given[0] if len(given) == 1 else tuple(given)


def outcome(library: Any, name: str, given: list[Any]) -> Any:
    """What a function with errors gives back, as the ``result`` that it was given."""
    try:
        return wherry.Ok(getattr(library.calls, name)(*given))
    except ResultError as error:
        return wherry.Err(error.value) if type(error) is not ResultError else error


@pytest.fixture(scope="module")
def values() -> tuple[bytes, Spelling]:
    """The component with every type, and its names."""
    data = component("values").read_bytes()
    return data, Spelling(read_library(data, "corpus_values"), "CorpusValues")


def test_round_trips_are_exact(
    values: tuple[bytes, Spelling], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random values of every type come through guest and host and back as they were."""
    package = bound(values[0], "corpus_values", tmp_path, monkeypatch)
    assert differences(package, values[1], lambda value: value, 10) == []


def test_a_value_that_changes_is_reported(
    values: tuple[bytes, Spelling], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison sees a host that changes what it is given, so that it can fail."""
    package = bound(values[0], "corpus_values", tmp_path, monkeypatch)

    def change(value: Any) -> Any:
        return value + 1 if type(value) is int and value < 100 else not value if value is True else value

    assert {"a-bool", "an-u8"} <= set(differences(package, values[1], change, 10))


FAULTS = {
    "a-string": "typeof x === 'string' ? `${x}!` : x",
    "some-numbers": "Array.isArray(x) ? x.slice(1) : x",
    "an-option": "x === null ? 7 : x",
    "a-point": "x && x.y !== undefined ? { ...x, x: x.y } : x",
    "an-access": "x && x.read !== undefined ? { ...x, read: !x.read } : x",
    "fails-with-enum": "x && x.tag === 'err' ? { tag: 'ok', val: 'fine' } : x",
}
"""One fault for each area: the function that shows it, and what the guest does to a value."""


def test_a_guest_with_faults_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite sees a wrong string, list, option, record, flag and result of a guest."""
    source = (CORPUS / "values.js").read_text()
    wrong = "".join(f"  (x) => {fault},\n" for fault in FAULTS.values())
    call = "(...given) => called(...given)"
    assert call in source
    source = f"const faults = [\n{wrong}];\n" + source.replace(
        call, "(...given) => called(...given.map((one) => faults.reduce((x, fault) => fault(x), one)))"
    )
    data = component("values", source).read_bytes()
    package = bound(data, "corpus_values", tmp_path, monkeypatch)
    spelling = Spelling(read_library(data, "corpus_values"), "CorpusValues")
    assert set(FAULTS) <= set(differences(package, spelling, lambda value: value, 10))


@pytest.mark.parametrize(
    "name", [name if name == "values" else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_bindings_pass_the_strict_tools(name: str, tmp_path: Path) -> None:
    """What is written for every file of the corpus passes ruff and mypy as strict as they are."""
    folder = packaged(component(name).read_bytes(), f"corpus_{name}", tmp_path)
    tools = Path(sys.executable).parent
    for words in (["ruff", "check"], ["ruff", "format", "--check"]):
        subprocess.run([tools / words[0], *words[1:], "--isolated", "--no-cache", folder], check=True)
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={tmp_path}/cache"]
    package = folder / f"corpus_{name}"
    subprocess.run([tools / "mypy", *options, package], check=True, cwd=tmp_path, env={"MYPYPATH": str(ROOT)})


@pytest.mark.parametrize("names", [["both"], pytest.param(NAMES, marks=pytest.mark.slow)], ids=["one", "all"])
def test_bindings_pass_pyright(names: list[str], tmp_path: Path) -> None:
    """What is written passes pyright as strict as it is; a wrong call does not."""
    folders = [packaged(component(name).read_bytes(), f"corpus_{name}", tmp_path) for name in names]
    (tmp_path / "wrong.py").write_text("import corpus_both\n\ncorpus_both.Item(1, corpus_both.Level.LOW)\n")
    settings: dict[str, object] = {
        "include": [folder.name for folder in folders],
        "extraPaths": [str(ROOT), *map(str, folders)],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
    }
    done = pyright(tmp_path, settings)
    assert done.returncode == 0, done.stdout
    wrong = pyright(tmp_path, {**settings, "include": ["wrong.py"]})
    assert "reportArgumentType" in wrong.stdout


def pyright(folder: Path, settings: dict[str, object]) -> subprocess.CompletedProcess[str]:
    """Runs the pyright that ``pyright/package-lock.json`` pins, which is fetched once."""
    pins = Path(__file__).with_name("pyright")

    def fetch(output: Path) -> None:
        shutil.copytree(pins, output)
        words = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
        subprocess.run(["npm", "ci", *words], cwd=output, check=True)

    tool = cached("pyright", fetch, (pins / "package-lock.json").read_bytes())
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    program, config = tool / "node_modules/pyright/index.js", folder / "pyrightconfig.json"
    return subprocess.run(["node", program, "-p", config], check=False, capture_output=True, text=True)


def test_docs_are_those_of_the_interface_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docstrings say what the author said, whatever characters that has."""
    package = bound(component("values").read_bytes(), "corpus_values", tmp_path, monkeypatch)
    assert package.types.Point.__doc__ == "A point.\n\n    Its second paragraph.\n    "
    said = 'Every type of WIT. Grüße, 世界, 🎉 and a "quote", a `tick`, a \\ and a """ in documentation.'
    assert package.types.__doc__.startswith(said)
    assert package.__doc__.startswith("Every type, in every position.")
    assert package.calls.Calls.fails_with_variant.__doc__.startswith("Fails with a variant.")
    assert "FailureError" in package.calls.Calls.fails_with_variant.__doc__


def test_names_that_clash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keywords and names that fall on one another are callable, each as what it is."""
    data = component("names").read_bytes()
    package = bound(data, "corpus_names", tmp_path, monkeypatch)
    spelling = Spelling(read_library(data, "corpus_names"), "CorpusNames")
    words = next(one for one in spelling.modules if one.name == "words")
    for at, function in enumerate(words.scope.functions):
        assert getattr(package.words, words.functions[function.name])(at) == at
    members = package.members
    holder = members.Holder(3)
    assert holder.from_(4) == 4
    assert holder.class_(x := 5) == x
    assert members.swap(members.GetUrl(1, 2)) == members.GetUrl(1, 2)
    given = (members.ShapeCircleCase(1), members.ShapeCircle(2), members.Members(3))
    assert members.both(*given) == given
    with pytest.raises(members.ErrorException) as caught:
        members.fail(3)
    assert caught.value.value == members.Error("odd: 3")
    with members.Image(7) as image:
        assert image.get() == 7
        image.close_()
        assert image.get() == 0
    values = Values(spelling, package, Random(SEED))  # noqa: S311 - by a seed
    module = next(one for one in spelling.modules if one.name == "members")
    for function in module.scope.functions:
        if function.name.startswith("echo-"):
            one = values.value(function.params[0].type)
            assert getattr(members, module.functions[function.name])(one) == one


def test_names_of_generated_code_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts called `self` and `limits`, functions called `super` and `list`: typed, and callable."""
    made = {one.stem: component_of(one).read_bytes() for one in CLASHES}
    folders = [packaged(data, f"clash_{name}", tmp_path / name) for name, data in made.items()]
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run([*mypy, *folders], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    hosts, shared = (bound(data, f"clash_{name}", tmp_path, monkeypatch) for name, data in made.items())
    named = [f"host_{name}" for name in ("self", "core", "policy", "limits")]
    library = hosts.ClashHosts(**dict.fromkeys([*named, "words"], MagicMock()))
    with library, pytest.raises(wherry.Trap):
        library.hosts_super.go()
    for function in (shared.super_, shared.kit.super_, shared.shared, shared.words, shared.kit.shared):
        with pytest.raises(wherry.Trap):
            function()
    with pytest.raises(wherry.Trap):
        shared.kit.Thing.make(3)


def test_an_interface_on_both_sides_has_one_class_for_each_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is imported and exported alike is typed once: a host takes and gives what a caller has."""
    package = bound(component("both").read_bytes(), "corpus_both", tmp_path, monkeypatch)
    seen = []

    class Thing:
        def find(self, item: Any) -> Any:
            seen.append(item)
            return package.FoundMany([item, item])

        def check(self, found: Any) -> Any:
            seen.append(found)
            raise package.host_thing.LevelError(package.Level.HIGH)

    item = package.Item("x", package.Level.LOW)
    with package.CorpusBoth(host_thing=Thing()) as library:
        assert library.thing.find(item) == package.FoundMany([item, item])
        with pytest.raises(package.thing.LevelError) as caught:
            library.thing.check(package.FoundOne(item))
    assert caught.value.value is package.Level.HIGH
    assert seen == [item, package.FoundOne(item)]


def test_versions_stand_beside_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interfaces of one name in several versions and packages are modules of their own."""
    package = bound(component("versions").read_bytes(), "corpus_versions", tmp_path, monkeypatch)
    written = []

    class Log:
        def write(self, line: object) -> int:
            written.append(line)
            return 0

    modules = sorted(name for name in package.__all__ if "codec" in name or "log" in name)
    first, second = (getattr(package, name) for name in modules if name.endswith(("log_v1", "log_v2")))
    with package.CorpusVersions(log_v1=Log(), log_v2=Log()) as library:
        assert library.codec_v2.swap(package.codec_v2.Frame(b"x")) == package.codec_v2.Frame(b"x")
    assert written == [first.Line("one"), second.Line("two", 2)]


def test_resources_live_in_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Constructors, methods, static functions; handles that are lent, given away, in lists and records."""
    package = bound(component("resources").read_bytes(), "corpus_resources", tmp_path, monkeypatch)

    class File:
        def __init__(self, name: str) -> None:
            self._name, self.data = name, b""

        def name(self) -> str:
            return self._name

        def append(self, data: bytes) -> int:
            if not data:
                raise package.host.HostError("nothing to append")
            self.data += data
            return len(self.data)

        def join(self, other: Any) -> Any:
            return File(f"{self._name}+{other._name}")

    class Files:
        def new_file(self, name: str) -> File:
            return File(name)

        def file_shared(self, name: str) -> File:
            return File(f"shared {name}")

        def open(self, names: list[str]) -> list[File]:
            return [File(name) for name in names]

        def weigh(self, file: File) -> int:
            return len(file.data)

    with package.CorpusResources(host=Files()) as library:
        store = library.store
        with store.new_file("a") as file:
            assert isinstance(file, package.store.File)
            assert (file.name(), file.append(b"xyz"), store.weigh(file)) == ("a", 3, 3)
            with pytest.raises(package.store.StoreError) as caught:
                file.append(b"")
            assert caught.value.value == "nothing to append"
            joined = file.join(store.file_shared("b"))
            assert joined.name() == "a+shared b"
        with pytest.raises(wherry.ClosedError):
            file.name()
        assert [one.name() for one in store.open(["x", "y"])] == ["x", "y"]
        assert [(one.name, one.file.name()) for one in store.entries(["x"])] == [("x", "x")]
        assert store.last([]) is None
        assert store.last(["x", "y"]).name() == "y"
        with pytest.raises(wherry.WitTypeError):
            store.weigh("no file")
    with pytest.raises(TypeError, match="of an open library"):
        package.store.File("x")


def test_a_resource_that_is_given_away_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes a resource has it from then on; using it afterwards is told."""
    counters = Path(__file__).parents[1] / "guests/wat/counter.wat"
    package = bound(counters.read_bytes(), "counting", tmp_path, monkeypatch)
    left, right = package.Counter(3), package.Counter(4)
    assert left.increment(1) == 4
    both = package.Counter.merge(left, right)
    assert both.value() == 8
    with pytest.raises(wherry.ClosedError, match="released or given away"):
        left.value()
    both.close()
    both.close()
    with package.Counting() as library, pytest.raises((wherry.WitTypeError, wherry.WherryError)):
        library.counters.counter_merge(package.Counter(1), package.Counter(2))


@pytest.mark.parametrize("calls", [500, pytest.param(100_000, marks=pytest.mark.slow)])
def test_calls_leave_memory_flat(calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strings, lists, resources, callbacks and errors of callbacks leave nothing behind."""
    package = bound(component("resources").read_bytes(), "corpus_resources", tmp_path, monkeypatch)

    class File:
        def name(self) -> str:
            return "name" * 10

        def append(self, data: bytes) -> int:
            raise package.host.HostError(f"no room for {len(data)}")

    class Files:
        def new_file(self, _name: str) -> File:
            return File()

        file_shared = new_file

        def open(self, names: list[str]) -> list[File]:
            return [File() for _ in names]

        def weigh(self, _file: File) -> int:
            return 0

    def work(store: Any, times: int) -> None:
        for _ in range(times):
            with store.new_file("x" * 100) as file:
                file.name()
                with pytest.raises(package.store.StoreError):
                    file.append(b"y" * 100)
            for one in store.open(["a", "b"]):
                one.close()

    with package.CorpusResources(host=Files(), limits=wherry.Limits(timeout=None)) as library:
        work(library.store, calls // 10)
        gc.collect()
        before, guest = len(gc.get_objects()), library._core.native().memory()
        resident = _resident()
        work(library.store, calls)
        gc.collect()
        assert len(gc.get_objects()) <= before + 50
        assert library._core.native().memory() <= guest + (4 << 20)
        assert _resident() <= resident + (16 << 20)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
