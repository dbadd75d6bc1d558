"""A file that the kernel does not let go of holds up a thread of its own, and not who called the guest."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import wherry
from tests.guests.build import c_command, python_command
from tests.hostile import held
from tests.hostile.footprint import Footprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 30.0
GUESTS = {
    "0.1": lambda: c_command("paths"),
    "0.2": lambda: python_command("paths_02"),
    "0.3": lambda: python_command("paths_03"),
}
OPERATIONS = {
    "read f": ("openat2", "pread64", "preadv"),
    "stat f": ("openat2", "newfstatat", "statx"),
    "list .": ("getdents64",),
    "write f": ("pwrite64", "pwritev", "pwritev2"),
    "size f 3": ("ftruncate",),
    "mkdir m": ("mkdirat",),
    "rename f g": ("renameat", "renameat2"),
    "link f l": ("linkat",),
    "symlink f s": ("symlinkat",),
    "times f": ("utimensat",),
    "unlink f": ("unlinkat",),
}
"""What a guest does with files, and the system calls of which one is held."""


class Worker:
    """This module in a process of its own, whose system calls can be held: it does what it is told."""

    def __init__(self, process: subprocess.Popen[str], holder: held.Holder) -> None:
        self.process = process
        self.holder = holder

    def ask(self, *question: Any) -> Any:
        """Have it do something; gives what came of it."""
        self.begin(*question)
        return self.end()

    def begin(self, *question: Any) -> None:
        """Have it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()

    def end(self) -> Any:
        """What came of it."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@contextmanager
def worker() -> Iterator[Worker]:
    """A worker that is gone afterwards."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "tests.runtime.test_held_files", str(theirs.fileno())]
    with (
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[theirs.fileno()],
        ) as process,
        ours,
        theirs,
    ):
        try:
            with held.Holder(ours) as holder:
                yield Worker(process, holder)
        finally:
            process.kill()


@pytest.mark.parametrize("generation", GUESTS)
def test_whatever_a_file_is_asked_for_the_caller_gets_away(generation: str, tmp_path: Path) -> None:
    """By Ctrl-C here; the thread is counted until the kernel lets it go, and then all is as before."""
    guest, folder, file = str(GUESTS[generation]()), str(tmp_path), tmp_path / "f"
    with worker() as work:
        for operation in (*OPERATIONS, *OPERATIONS):
            furnish(file)
            # The control: nothing is held, and the guest does it.
            assert work.ask("run", guest, folder, operation)["ended"] == 0, operation
        before = work.ask("footprint")
        for operation, calls in OPERATIONS.items():
            furnish(file)
            work.holder.hold(calls)
            work.begin("run", guest, folder, operation)
            work.holder.wait(PATIENCE)
            work.process.send_signal(signal.SIGINT)
            assert work.end() == {"ended": "KeyboardInterrupt", "left": 1}, operation
            assert set(work.holder.release()) <= set(calls)
            assert work.ask("come back") == 0, operation
        after = work.ask("footprint")
        assert after["files"] <= before["files"]
        assert after["threads"] <= before["threads"] + 1


def furnish(file: Path) -> None:
    """A file, alone in its folder."""
    for other in file.parent.iterdir():
        if other.is_dir():
            other.rmdir()
        else:
            other.unlink()
    file.write_text("granted\n")


@pytest.mark.parametrize("generation", GUESTS)
def test_a_time_limit_ends_the_waiting(generation: str, tmp_path: Path) -> None:
    """The error is that of the time limit."""
    (tmp_path / "f").write_text("granted\n")
    with worker() as work:
        guest, folder = str(GUESTS[generation]()), str(tmp_path)
        assert work.ask("run", guest, folder, "read f")["ended"] == 0
        work.holder.hold(["pread64", "preadv"])
        assert work.ask("run", guest, folder, "read f", "1s") == {"ended": "TimeLimitError", "left": 1}
        assert work.holder.release()
        assert work.ask("come back") == 0


def test_a_task_that_is_cancelled_ends(tmp_path: Path) -> None:
    """Though there is no time limit at all."""
    (tmp_path / "f").touch()
    with worker() as work:
        work.holder.hold(["openat2"])
        work.begin("cancel", str(c_command("paths")), str(tmp_path), "read f")
        work.holder.wait(PATIENCE)
        work.begin("now")
        assert work.end() == {"ended": "CancelledError", "left": 1}
        assert work.holder.release() == ["openat2"]
        assert work.ask("come back") == 0


def test_a_folder_that_cannot_be_opened_in_time_is_as_a_file_in_it(tmp_path: Path) -> None:
    """The time limit holds from the first look at what was granted."""
    (tmp_path / "f").touch()
    with worker() as work:
        work.holder.hold(["statx"])
        told = work.ask("run", str(c_command("paths")), str(tmp_path), "read f", "500ms")
        assert told == {"ended": "TimeLimitError", "left": 1}
        assert work.holder.release()
        assert work.ask("come back") == 0


def test_a_guest_without_files_names_any_path_and_waits_for_none() -> None:
    """What is looked up so that a hint can be given holds its caller up for a moment, and once."""
    with worker() as work:
        guest = str(c_command("paths"))
        assert work.ask("run", guest, "", "read tmp/x") == {"ended": 1, "left": 0}
        work.holder.hold(["statx", "newfstatat"])
        assert work.ask("run", guest, "", "read tmp/x -- read tmp/y") == {"ended": 1, "left": 1}
        assert len(work.holder.release()) == 1
        assert work.ask("come back") == 0


def test_python_ends_with_a_thread_that_is_held(tmp_path: Path) -> None:
    """The program need not wait for the kernel."""
    (tmp_path / "f").touch()
    with worker() as work:
        work.holder.hold(["openat2"])
        assert work.ask("run", str(c_command("paths")), str(tmp_path), "read f", "500ms")["left"] == 1
        work.begin("end")
        assert work.process.wait(PATIENCE) == 0


def _run(guest: str, folder: str, operation: str, timeout: str = "60s") -> dict[str, Any]:
    """Run one operation of the guest with a time limit."""
    policy = wherry.Policy(dirs=[f"{folder}::."] if folder else [])
    limits = wherry.Limits(timeout=timeout)
    ended: object
    try:
        ended = wherry.run(
            Path(guest), *operation.split(), policy=policy, limits=limits, capture=True, check=False
        ).returncode
    except (wherry.WherryError, KeyboardInterrupt) as error:
        ended = type(error).__name__
    return {"ended": ended, "left": wherry.left_behind()}


def _cancel(guest: str, folder: str, operation: str) -> dict[str, Any]:
    """Cancel a task that runs it without a time limit, when told to."""

    async def work() -> str:
        policy, limits = wherry.Policy(dirs=[f"{folder}::."]), wherry.Limits(timeout=None)
        run = wherry.aio.run(Path(guest), *operation.split(), policy=policy, limits=limits, capture=True)
        task = asyncio.ensure_future(run)
        await asyncio.to_thread(sys.stdin.readline)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            return type(error).__name__
        return "nothing"

    return {"ended": asyncio.run(work()), "left": wherry.left_behind()}


def _come_back() -> int:
    """Wait until nobody is left behind."""
    deadline = time.monotonic() + PATIENCE
    while wherry.left_behind() and time.monotonic() < deadline:
        time.sleep(0.001)
    return wherry.left_behind()


def _serve() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        held.hand_over(channel)
    does: dict[str, Callable[..., object]] = {
        "run": _run,
        "cancel": _cancel,
        "come back": _come_back,
        "footprint": lambda: Footprint.now()._asdict(),
    }
    while line := sys.stdin.readline():
        name, *arguments = json.loads(line)
        if name == "end":
            break
        sys.stdout.write(json.dumps(does[name](*arguments)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
