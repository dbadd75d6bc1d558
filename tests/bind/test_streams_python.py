"""Streams, futures and ``async`` imports in generated Python: typed, and what the runtime API has."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

import wherry
from tests.bind.packages import bound, packaged
from tests.bind.test_corpus_python import pyright
from tests.guests.build import streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ROOT = Path(__file__).parents[2]
USER = """
import asyncio
from collections.abc import AsyncIterator, Iterator

import wherry
from flows import Flows, Point
from flows.host import Host


class Mine:
    async def fetch(self, name: str, /) -> str:
        return name

    async def check(self, value: int, /) -> int:
        return value

    async def lines(self, name: str, /) -> Iterator[str]:
        return iter([name])

    async def store(self, name: str, body: wherry.Stream[bytes], /) -> int:
        return sum([len(piece) async for piece in body])

    async def answer(self, question: Point, /) -> "asyncio.Future[Point]":
        return asyncio.ensure_future(asyncio.sleep(0, question))

    def quick(self, stream: wherry.Stream[bytes], /) -> int:
        return 7


async def numbers() -> AsyncIterator[int]:
    yield 1


async def main() -> int:
    mine: Host = Mine()
    with Flows(host=mine) as library:
        async for piece in await library.flows.bytes(1, 2):
            piece.hex()
        words: wherry.Stream[str] = await library.flows.words(2)
        word: str = await anext(words)
        later: wherry.Future[str] = await library.flows.later(word)
        total: int = await library.flows.sum(numbers())
        return total + len(await later)
"""


class Host:
    """What the library imports."""

    def __init__(self, package: Any) -> None:
        self._package = package

    async def fetch(self, name: str) -> str:
        """A coroutine function."""
        await asyncio.sleep(0)
        return f"fetched {name}"

    async def check(self, value: int) -> int:
        """One that may fail."""
        if value > 3:
            raise self._package.host.HostError("too much")
        return value

    async def lines(self, name: str) -> list[str]:
        """A stream that is there."""
        return [name, name]

    async def store(self, _name: str, body: wherry.Stream[bytes]) -> int:
        """Reads a stream."""
        return sum([len(piece) async for piece in body])

    async def answer(self, question: Any) -> Any:
        """Gives a future."""
        return asyncio.ensure_future(asyncio.sleep(0, question))

    def quick(self, stream: wherry.Stream[bytes]) -> int:
        """Leaves a stream unread."""
        stream.close()
        return 7


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package, imported."""
    return bound(streams().read_bytes(), "flows", tmp_path, monkeypatch)


def test_functions_take_and_give_streams(package: Any) -> None:
    """Classes of the package are what comes and goes in them, resources too."""
    point = package.Point(1, 2.5, "here")

    async def points() -> AsyncIterator[Any]:
        yield point

    async def called() -> None:
        with package.Flows(host=Host(package)) as library:
            flows = library.flows
            assert [one async for one in await flows.echo_points(points())] == [point]
            assert [one async for one in await flows.echo_moods([package.Mood.WILD])] == [package.Mood.WILD]
            events = [package.EventStarted(), package.EventMoved(point), package.EventFailed("oh")]
            assert [one async for one in await flows.echo_events(events)] == events
            assert await (await flows.echo_future(asyncio.sleep(0, point))) == point
            counters = [one async for one in await flows.counters(2)]
            assert [counter.next() for counter in counters] == [0, 1]
            async with await counters[0].all() as numbers:
                assert await anext(numbers) == 1
            told = await flows.tell("title", b"body")
            assert b"".join([piece async for piece in told.body]) == b"body"
            assert await told.done == wherry.Ok(4)

    asyncio.run(called())


def test_imports_are_coroutine_functions(package: Any) -> None:
    """Their errors are those of the package, and streams go both ways."""

    async def called() -> None:
        with package.Flows(host=Host(package)) as library:
            guest = library.guest
            assert await guest.fetched(["a", "b"]) == ["fetched a", "fetched b"]
            assert await guest.checked(3) == 3
            with pytest.raises(package.guest.GuestError) as caught:
                await guest.checked(4)
            assert caught.value.value == "too much"
            assert [line async for line in await guest.lines("x")] == ["x", "x"]
            assert await guest.store("name", b"x" * 100_000) == 100_000
            assert await guest.answer(package.Point(1, 2, "z")) == package.Point(1, 2, "z")
            assert await guest.quick(b"abc") == 7

    asyncio.run(called())


VALUES: dict[str, Callable[[Random], Any]] = {
    "numbers": lambda rng: rng.randint(-(2**63), 2**63 - 1),
    "flags": lambda rng: rng.random() < 0.5,
    "words": lambda rng: "".join(rng.choices("aé\U0001f600\0", k=rng.randrange(9))),
    "lists": lambda rng: [rng.choice([None, rng.randrange(1 << 16)]) for _ in range(rng.randrange(4))],
    "results": lambda rng: rng.choice([wherry.Ok("good"), wherry.Err(rng.randrange(256))]),
}


def test_random_values_come_back(package: Any) -> None:
    """Each type both ways, from lists and from generators."""

    async def called() -> None:
        with package.Flows(host=Host(package)) as library:
            for kind, value in VALUES.items():
                rng = Random(kind)  # noqa: S311 - by a seed
                values = [value(rng) for _ in range(300)]
                for given in (values, iter(values)):
                    echoed = await getattr(library.flows, f"echo_{kind}")(given)
                    assert [one async for one in echoed] == values

    asyncio.run(called())


def test_what_is_written_passes_the_strict_tools(tmp_path: Path) -> None:
    """Ruff, mypy and pyright as strict as they are, with a program that uses it; a wrong one fails."""
    folder = packaged(streams().read_bytes(), "flows", tmp_path)
    (folder / "user.py").write_text(USER)
    tools = Path(sys.executable).parent
    for words in (["ruff", "check"], ["ruff", "format", "--check"]):
        subprocess.run(
            [tools / words[0], *words[1:], "--isolated", "--no-cache", folder / "flows"], check=True
        )
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={tmp_path}/cache"]
    environment = {"MYPYPATH": f"{ROOT}:{folder}"}
    checked = [folder / "flows", folder / "user.py"]
    subprocess.run([tools / "mypy", *options, *checked], check=True, cwd=tmp_path, env=environment)
    settings: dict[str, object] = {
        "include": [folder.name],
        "extraPaths": [str(ROOT), str(folder)],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
    }
    done = pyright(tmp_path, settings)
    assert done.returncode == 0, done.stdout
    (folder / "user.py").write_text(USER.replace("sum(numbers())", "joined(numbers())"))
    assert "reportArgumentType" in pyright(tmp_path, settings).stdout
