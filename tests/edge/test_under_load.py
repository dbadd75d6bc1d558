"""Under full load nothing is lost: not when what is served changes, and not when the server ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.edge.served import serving
from tests.guests.build import c_command, http_application
from tests.requesting import request
from tests.soak.talking import Client
from tests.soak.talking import request as sent

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = b"Hello, World!"
COMMAND = """#include <stdio.h>
int main(void) { printf("Content-Type: text/plain\\n\\nHello, World!"); }
"""
CLIENTS = 4
CHANGES = 12
SOON = 0.1
"""Seconds from when a program is saved until it answers, on a machine with time for it."""


def program(kind: str, folder: Path) -> bytes:
    """A program that says hello, as a guest of either host or as a command; or a file that does."""
    if kind == "files":
        return WORDS
    if kind == "command":
        (folder / "hello.c").write_text(COMMAND)
        return c_command("hello-http", source=folder / "hello.c").read_bytes()
    return http_application(kind).read_bytes()  # type: ignore[arg-type]


def changed(data: bytes, number: int) -> bytes:
    """The same with other words; a program that nobody has compiled before."""
    assert data.count(WORDS) == 1
    return data.replace(WORDS, f"Hello, W{os.getpid() % 100:02}{number:02}!".encode())


def save(path: Path, data: bytes) -> None:
    """In one step, as editors and compilers do that mean well."""
    fresh = path.with_suffix(".fresh")
    fresh.write_bytes(data)
    fresh.replace(path)


KINDS = ["lean", "full", "command", "files"]


def configured(folder: Path) -> tuple[Path, dict[str, Path]]:
    """All kinds of applications on one server; with the file of each."""
    lines, files = [], {}
    (folder / "public").mkdir()
    for kind in KINDS:
        files[kind] = folder / ("public/index.html" if kind == "files" else f"{kind}.wasm")
        files[kind].write_bytes(program(kind, folder))
        target = "public" if kind == "files" else files[kind].name
        lines += ["[[application]]", f'name = "{kind}"', f'target = "{target}"', f'routes = ["{kind}/*rest"]']
    (folder / "edge.toml").write_text("\n".join(lines))
    return folder / "edge.toml", files


class Load:
    """Clients that ask for all of it, as fast as they are answered, until they are refused a connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.said: dict[str, Counter[bytes]] = {kind: Counter() for kind in KINDS}
        self.lost: list[str] = []
        self.over = False

    async def run(self) -> None:
        """Until it is over."""
        await asyncio.gather(*(self._ask(kind) for kind in KINDS for _ in range(CLIENTS)))

    async def until(self, holds: Callable[[Counter[bytes]], bool]) -> None:
        """Wait until this holds of what each application said."""
        deadline = time.monotonic() + 60
        while not all(map(holds, self.said.values())) and time.monotonic() < deadline:  # noqa: ASYNC110 - as they go
            await asyncio.sleep(0.01)

    async def _ask(self, kind: str) -> None:
        client = Client(self.address)
        while not self.over:
            try:
                answer = await client.ask(sent(kind, "/"))
            except ConnectionRefusedError:
                break
            except (OSError, EOFError, TimeoutError) as error:
                self.lost.append(f"{kind}: {error!r}")
                continue
            if answer.status != 200:
                self.lost.append(f"{kind}: {answer.status}")
            self.said[kind][answer.body] += 1
        await client.close()


@pytest.mark.parametrize("how", ["SIGHUP", "watch"])
def test_changes_lose_no_request(how: str, tmp_path: Path) -> None:
    """Every request is answered by what was there before or after; in the end by the last."""
    configuration, files = configured(tmp_path)
    first = {kind: file.read_bytes() for kind, file in files.items()}

    async def changing(load: Load, process: int) -> None:
        asking = asyncio.create_task(load.run())
        for number in range(CHANGES):
            for kind, file in files.items():
                await asyncio.to_thread(save, file, changed(first[kind], number))
            if how == "SIGHUP":
                os.kill(process, signal.SIGHUP)
            await asyncio.sleep(0.1)
        # A signal that comes while the last one is followed may be one with it.
        await asyncio.sleep(1)
        if how == "SIGHUP":
            os.kill(process, signal.SIGHUP)
        await load.until(lambda said: said[changed(WORDS, CHANGES - 1)] > 0)
        load.over = True
        await asking

    with serving(configuration, *(["--watch"] if how == "watch" else [])) as server:
        load = Load(server.address)
        asyncio.run(changing(load, server.process))
        assert load.lost == []
        for said in load.said.values():
            assert said[changed(WORDS, CHANGES - 1)]
            assert set(said) <= {WORDS, *(changed(WORDS, number) for number in range(CHANGES))}
            assert len(said) > 1


def test_a_stop_loses_no_request(tmp_path: Path) -> None:
    """Whoever gets a connection gets an answer; after the last there are no connections."""
    configuration, _ = configured(tmp_path)

    async def stopping(load: Load, process: int) -> None:
        asking = asyncio.create_task(load.run())
        await load.until(lambda said: sum(said.values()) > 20)
        os.kill(process, signal.SIGTERM)
        await asyncio.wait_for(asking, 30)

    with serving(configuration) as server:
        load = Load(server.address)
        asyncio.run(stopping(load, server.process))
        deadline = time.monotonic() + 30
        # A second signal would not wait.
        while Path(f"/proc/{server.process}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert load.lost == []
    assert not load.over


def test_what_is_saved_is_served_soon(tmp_path: Path) -> None:
    """A compiled guest that nobody has seen answers within a tenth of a second.

    Where others wait for the processors too, each has a share of them, and it takes as much longer.
    """
    target = tmp_path / "app.wasm"
    first = http_application("lean").read_bytes()
    target.write_bytes(first)
    with serving(target, "--watch") as server:
        assert request(server.url).body == WORDS
        took = []
        for number in range(30):
            save(target, changed(first, number + 20))
            start = time.monotonic()
            while request(server.url).body != changed(WORDS, number + 20):
                assert time.monotonic() < start + 30
            shares = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
            took.append((time.monotonic() - start) / shares)
            if took[-1] < SOON:
                break
        assert min(took) < SOON, took
