"""Generated packages of Python, used as their users would: types, errors, resources, hosts, threads."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import wherry
from tests.bind.packages import bound, packaged
from tests.guests.echo import echo, relay
from tests.guests.wit_types import Enum, Field, Flags, List, Option, Prim, Record, Result, Tuple, Variant

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
GUESTS = Path(__file__).parents[1] / "guests" / "wat"

INNER = Record((Field("x", Prim("u32")), Field("from", Prim("string")), Field("items", List(Prim("u8")))))
SHAPE = Variant(
    (Field("none", None), Field("circle", Prim("f64")), Field("both", Tuple((Prim("u8"), INNER))))
)
WHOLE = Record(
    (
        Field("a-b", INNER),
        Field("shape", SHAPE),
        Field("colour", Enum(("red", "dark-green"))),
        Field("access", Flags(("read", "write"))),
        Field("nested", Option(Option(Prim("string")))),
        Field("outcome", Result(Prim("u8"), None)),
        Field("list", List(INNER)),
    )
)

Bound = "Callable[[bytes | str, str], Any]"


@pytest.fixture
def bind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes | str, str], Any]:
    """Binds a component and imports the package."""
    return lambda component, name: bound(component, name, tmp_path, monkeypatch)


def _whole(types: Any) -> Any:
    inner = types.Record0(3, "x", b"abc")
    return types.Record4(
        inner,
        types.Variant1Both((7, inner)),
        types.Enum2.DARK_GREEN,
        types.Flags3.READ | types.Flags3.WRITE,
        wherry.Some(None),
        wherry.Err(None),
        [inner, inner],
    )


def test_values_come_back_as_the_classes_that_were_generated(bind: Callable[..., Any]) -> None:
    """Dataclasses, enumerations, flags, cases and nested options cross both ways, and are equal after it."""
    package = bind(echo(WHOLE), "whole_echo")
    given = _whole(package)
    got = package.echo(given)
    assert got == given
    assert type(got.shape) is package.Variant1Both
    assert isinstance(got.shape, package.Variant1)
    assert isinstance(got.colour, enum.Enum)
    assert isinstance(got.access, enum.Flag)
    assert dataclasses.asdict(got.a_b) == {"x": 3, "from_": "x", "items": b"abc"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        got.a_b.x = 4
    assert hash(got.a_b) == hash(given.a_b)


def test_a_host_gets_and_gives_the_same_classes(bind: Callable[..., Any]) -> None:
    """What an import is given is typed as what an export returns."""
    package = bind(relay(WHOLE), "whole_relay")
    seen = []

    class Host:
        def host(self, x: object) -> object:
            seen.append(x)
            return x

    given = _whole(package)
    with package.WholeRelay(host=Host()) as library:
        assert library.relay(given) == given
    assert seen == [given]
    assert type(seen[0]) is package.Record4


def test_functions_are_awaited(bind: Callable[..., Any]) -> None:
    """Each function has a form that is awaited, with the same result."""
    package = bind(echo(WHOLE), "awaited_echo")
    given = _whole(package)
    assert asyncio.run(package.echo_async(given)) == given


def test_a_function_that_wit_has_as_async_is_awaited_alone(bind: Callable[..., Any]) -> None:
    """Its one form is a coroutine function."""
    package = bind(
        """(component
          (core module $m (func (export "go") (param i32) (result i32)
            (i32.add (local.get 0) (i32.const 1))))
          (core instance $m (instantiate $m))
          (func (export "go") async (param "x" u32) (result u32) (canon lift (core func $m "go"))))""",
        "asynchronous",
    )
    assert asyncio.run(package.go(2)) == 3
    assert package.__all__ == ["Asynchronous", "go"]


def test_a_value_that_does_not_fit_is_named(bind: Callable[..., Any]) -> None:
    """The error says which part of which parameter is wrong."""
    package = bind(echo(WHOLE), "wrong_echo")
    given = _whole(package)
    wrong = dataclasses.replace(given, a_b=dataclasses.replace(given.a_b, x="three"))
    with pytest.raises(wherry.WitTypeError, match=r"`x\.a-b\.x`: expected u32"):
        package.echo(wrong)


def test_threads_take_turns(bind: Callable[..., Any]) -> None:
    """Functions of a module may be called from any number of threads."""
    package = bind(echo(List(Prim("u32"))), "busy_echo")
    numbers = list(range(20_000))
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                assert package.echo(numbers) == numbers
        except BaseException as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_host_that_calls_back_into_its_library_is_told(bind: Callable[..., Any]) -> None:
    """A call from within a call is refused at once, where waiting would be for ever."""
    package = bind(relay(Prim("u32")), "inner_relay")

    class Host:
        library: Any = None

        def host(self, x: int) -> int:
            return int(self.library.relay(x))

    host = Host()
    with package.InnerRelay(host=host) as library:
        host.library = library
        with pytest.raises(wherry.BusyError, match="running a call already"):
            library.relay(1)


def test_an_exception_of_a_host_comes_through(bind: Callable[..., Any]) -> None:
    """What a callback raises is what the caller sees; the process lives."""
    package = bind(relay(Prim("u32")), "raising_relay")

    class Host:
        def host(self, x: int) -> int:
            raise KeyError(x)

    with package.RaisingRelay(host=Host()) as library, pytest.raises(KeyError, match="1"):
        library.relay(1)


def test_a_host_without_a_function_is_named(bind: Callable[..., Any]) -> None:
    """What is missing is told by its name before anything runs."""
    package = bind(relay(Prim("u32")), "lacking_relay")
    with pytest.raises(wherry.LinkError, match=r"host\(x\)"):
        package.LackingRelay(host=object()).relay(1)


def test_another_component_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A component under another digest than that of the bindings is never run; that which fits is."""
    package = bound(echo(Prim("u32")), "swapped_echo", tmp_path, monkeypatch)
    assert package.echo(1) == 1
    other = bound(echo(Prim("u32")), "swapped_other", tmp_path, monkeypatch)
    component = Path(other.__file__).with_name("component.wasm")
    component.write_text(echo(Prim("u64")))
    with pytest.raises(
        wherry.errors.DigestError, match="is not the component that `swapped_other` was made for"
    ):
        other.echo(1)
    component.unlink()
    with pytest.raises(wherry.NotFoundError, match="is missing"):
        other.echo(1)


def test_a_closed_library_says_so(bind: Callable[..., Any]) -> None:
    """After its block a library is closed, whether it was used or not; the hint is what to type."""
    package = bind(echo(Prim("u32")), "closed_echo")
    for used in (True, False):
        with package.ClosedEcho() as library:
            if used:
                assert library.echo(1) == 1
        for call in (library.echo, lambda x, used=library: asyncio.run(used.echo_async(x))):
            with pytest.raises(wherry.ClosedError) as raised:
                call(1)
            assert str(raised.value) == "`closed_echo` was closed\n\nhint: make another one: `ClosedEcho()`"


class Host:
    """Does what a test says."""

    def __init__(self, host: Callable[[int], object]) -> None:
        """``host`` is the function that the guest calls."""
        self.host = host


def test_a_library_that_ended_says_how_to_make_another(bind: Callable[..., Any]) -> None:
    """After an error of the host the hint names the class and what it takes, not what is below it."""
    package = bind(relay(Prim("u32")), "ended_relay")
    library = package.EndedRelay(host=Host(lambda x: 1 // x))
    with pytest.raises(ZeroDivisionError):
        library.relay(0)
    for _ in range(2):
        with pytest.raises(wherry.ClosedError) as raised:
            library.relay(1)
        assert raised.value.message == "`ended_relay` ended in an earlier call and cannot be used any more"
        assert raised.value.hint == "make another one: `EndedRelay(host=...)`"


def test_an_error_of_another_library_stays_what_it_is(bind: Callable[..., Any]) -> None:
    """A host function that uses a closed library raises of that one, and so does the call."""
    other = bind(echo(Prim("u32")), "other_echo")
    with other.OtherEcho() as closed:
        closed.echo(1)
    package = bind(relay(Prim("u32")), "asking_relay")
    library = package.AskingRelay(host=Host(closed.echo))
    with pytest.raises(wherry.ClosedError, match="`other_echo` was closed"):
        library.relay(1)
    with pytest.raises(wherry.ClosedError, match="`asking_relay` ended"):
        library.relay(1)


def test_a_host_that_lacks_a_function_is_told_where_it_goes(bind: Callable[..., Any]) -> None:
    """The function is named, and the class whose object it is missing in."""
    package = bind(relay(Prim("u32")), "lacking_relay")
    library = package.LackingRelay(host=object())
    with pytest.raises(wherry.LinkError) as raised:
        library.relay(1)
    assert "host(x)" in raised.value.message
    assert raised.value.hint == "give these functions to the objects that `LackingRelay(host=...)` takes"


def test_what_no_object_can_provide_is_told_without_one(bind: Callable[..., Any]) -> None:
    """An interface of WASI that is not here is no parameter of the class, and the hint does not say so."""
    package = bind(
        """(component (import "wasi:nn/graph@0.2.0" (instance $nn (export "f" (func (result u32)))))
          (alias export $nn "f" (func $f))
          (core func $lowered (canon lower (func $f)))
          (core module $m (import "nn" "f" (func $f (result i32)))
            (func (export "go") (result i32) (call $f)))
          (core instance $m (instantiate $m (with "nn" (instance (export "f" (func $lowered))))))
          (func (export "go") (result u32) (canon lift (core func $m "go"))))""",
        "learning",
    )
    with pytest.raises(wherry.LinkError) as raised:
        package.go()
    assert "wasi:nn/graph@0.2.0" in raised.value.message
    assert raised.value.hint is not None
    assert "imports=" not in raised.value.hint
    assert "build the library" in raised.value.hint


def test_limits_and_cancelling_are_those_of_the_library(bind: Callable[..., Any]) -> None:
    """A time limit ends a call; so does cancelling its task. Another library of the package lives on."""
    package = bind((GUESTS / "spinner.wat").read_text(), "spinning")
    name = next(name for name in ("spin", "run", "forever") if hasattr(package, name))
    with (
        package.Spinning(limits=wherry.Limits(timeout="100ms")) as library,
        pytest.raises(wherry.TimeLimitError),
    ):
        getattr(library, name)()

    async def cancelled(library: Any) -> None:
        async with asyncio.timeout(0.2):
            await getattr(library, f"{name}_async")()

    with package.Spinning() as library, pytest.raises(TimeoutError):
        asyncio.run(cancelled(library))


def test_a_limit_strikes_inside_a_callback(bind: Callable[..., Any]) -> None:
    """A host function that takes too long is left; the caller is told, and the process lives."""
    package = bind(relay(Prim("u32")), "slow_relay")
    ended = threading.Event()

    class Host:
        def host(self, x: int) -> int:
            ended.wait(30)
            return x

    with package.SlowRelay(host=Host(), limits=wherry.Limits(timeout="300ms")) as library:
        with pytest.raises(wherry.TimeLimitError):
            library.relay(1)
        ended.set()
    with package.SlowRelay(host=Host()) as library:
        assert library.relay(2) == 2


def test_a_call_from_another_thread_of_a_callback_ends(bind: Callable[..., Any]) -> None:
    """A callback that waits for a thread which waits for its library: the limit ends both."""
    package = bind(relay(Prim("u32")), "thread_relay")
    told: list[BaseException] = []

    class Host:
        library: Any = None

        def host(self, x: int) -> int:
            thread = threading.Thread(target=self.ask)
            thread.start()
            thread.join()
            return x

        def ask(self) -> None:
            try:
                self.library.relay(1)
            except wherry.WherryError as error:
                told.append(error)

    host = Host()
    with package.ThreadRelay(host=host, limits=wherry.Limits(timeout="500ms")) as library:
        host.library = library
        with pytest.raises(wherry.TimeLimitError):
            library.relay(1)
        deadline = time.monotonic() + 10
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(told) == 1
    assert isinstance(told[0], wherry.ClosedError | wherry.TimeLimitError)


def test_functions_of_a_module_outlive_a_call_that_failed(bind: Callable[..., Any]) -> None:
    """After a trap or a limit the next call has another sandbox; a library of one's own stays closed."""
    trapping = """(component
      (core module $m
        (global $count (mut i32) (i32.const 0))
        (func (export "trap") (unreachable))
        (func (export "count") (result i32)
          (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.get $count)))
      (core instance $m (instantiate $m))
      (func (export "trap") (canon lift (core func $m "trap")))
      (func (export "count") (result u32) (canon lift (core func $m "count"))))"""
    package = bind(trapping, "trapping")
    for _ in range(2):  # at first when nothing else was called before
        with pytest.raises(wherry.Trap):
            package.trap()
        assert [package.count(), package.count()] == [1, 2]
    with package.Trapping() as library:
        with pytest.raises(wherry.Trap):
            library.trap()
        with pytest.raises(wherry.ClosedError, match=r"hint: make another one: `Trapping\(\)`"):
            library.count()


def test_functions_of_a_module_work_in_a_process_that_forked(tmp_path: Path) -> None:
    """A child has a sandbox of its own; what was opened before the fork says so."""
    folder = packaged(echo(Prim("u32")).encode(), "forking", tmp_path)
    program = """if True:
        import os, forking, wherry
        own = forking.Forking()
        assert (forking.echo(1), own.echo(1)) == (1, 1)
        if os.fork() == 0:
            assert forking.echo(2) == 2
            try:
                own.echo(2)
            except wherry.ForkedError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
        assert forking.echo(3) == 3
    """
    environment = {**_environment(), "PYTHONPATH": f"{folder}:{ROOT}"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """Two runs in two processes, with other hash seeds, write the same files."""
    source = tmp_path / "whole.wat"
    source.write_text(relay(WHOLE))
    command = [sys.executable, "-m", "wherry", "bind", str(source), "--lang", "python", "-o"]
    trees = []
    for seed in "12":
        target = tmp_path / seed
        subprocess.run([*command, target], check=True, env={**_environment(), "PYTHONHASHSEED": seed})
        trees.append({str(one.relative_to(target)): one.read_bytes() for one in _files(target)})
    assert trees[0] == trees[1]
    done = subprocess.run([*command, target, "--check"], check=False, env=_environment())
    assert done.returncode == 0
    (target / "README.md").write_text("changed")
    done = subprocess.run([*command, target, "--check"], check=False, capture_output=True, env=_environment())
    assert (done.returncode, done.stdout) == (1, f"changed {target}/README.md\n".encode())


def test_generated_code_is_formatted_and_typed(tmp_path: Path) -> None:
    """What is written passes ruff and mypy as strict as they are."""
    folders = [packaged(relay(WHOLE).encode(), "strict_relay", tmp_path)]
    folders.append(packaged((GUESTS / "counter.wat").read_bytes(), "strict_counter", tmp_path))
    folders.append(packaged((GUESTS / "buckets.wat").read_bytes(), "strict_buckets", tmp_path))
    tools = Path(sys.executable).parent
    for words in (["ruff", "check"], ["ruff", "format", "--check"]):
        subprocess.run([tools / words[0], *words[1:], "--isolated", "--no-cache", *folders], check=True)
    packages = [folder / folder.name.removesuffix("-python") for folder in folders]
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={tmp_path}/cache"]
    subprocess.run([tools / "mypy", *options, *packages], check=True, cwd=tmp_path, env=_environment())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _environment() -> dict[str, str]:
    import os

    return {
        **os.environ,
        "MYPYPATH": str(Path(__file__).parents[2]),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
