"""System calls of another process that do not come back until they are let go, like those of a dead server.

The process puts a filter in front of its own system calls (``seccomp``, which needs no privileges), and hands
the descriptor that hears of them to whoever holds them. Start reading at :func:`hand_over` and
:class:`Holder`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import select
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

__all__ = ["CALLS", "Holder", "hand_over"]

CALLS: Final = {
    "x86_64": {
        "openat2": 437, "pread64": 17, "preadv": 295, "pwrite64": 18, "pwritev": 296, "pwritev2": 328,
        "getdents64": 217, "newfstatat": 262, "statx": 332, "mkdirat": 258, "unlinkat": 263,
        "renameat": 264, "renameat2": 316, "linkat": 265, "symlinkat": 266, "readlinkat": 267,
        "utimensat": 280, "ftruncate": 77,
    },
    "aarch64": {
        "openat2": 437, "pread64": 67, "preadv": 69, "pwrite64": 68, "pwritev": 70, "pwritev2": 287,
        "getdents64": 61, "newfstatat": 79, "statx": 291, "mkdirat": 34, "unlinkat": 35,
        "renameat": 38, "renameat2": 276, "linkat": 37, "symlinkat": 36, "readlinkat": 78,
        "utimensat": 88, "ftruncate": 46,
    },
}[platform.machine()]  # fmt: skip
"""Numbers of system calls about files, none of which Python needs to start a thread or to write."""

_SECCOMP = {"x86_64": 317, "aarch64": 277}[platform.machine()]
_NO_NEW_PRIVILEGES = 38
_SET_FILTER, _NEW_LISTENER = 1, 8
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1


def hand_over(channel: socket.socket) -> None:
    """Filter the system calls of this process from now on, and send who hears of them through ``channel``."""
    numbers = list(CALLS.values())
    lines = [(_LOAD, 0, 0, 0)]
    lines += [(_IF_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    listener = libc.syscall(_SECCOMP, _SET_FILTER, _NEW_LISTENER, program)
    assert listener >= 0, os.strerror(ctypes.get_errno())
    socket.send_fds(channel, [b"filtered"], [listener])
    os.close(listener)


class Holder:
    """Hears of each call of a process that filters them, and lets it go on unless it is to be held.

    Those of the main thread always go on.
    """

    def __init__(self, channel: socket.socket) -> None:
        said, descriptors, _, _ = socket.recv_fds(channel, 64, 1)
        assert said == b"filtered"
        (self._listener,) = descriptors
        self._ended, self._end = os.pipe()
        self._lock = threading.Condition()
        self._wanted: frozenset[int] = frozenset()
        self._held: list[tuple[int, str]] = []
        self._thread = threading.Thread(target=self._hear)

    def hold(self, calls: Iterable[str] = CALLS) -> None:
        """Hold the calls of these names from now on."""
        with self._lock:
            self._wanted = frozenset(CALLS[call] for call in calls)

    def wait(self, patience: float) -> None:
        """Wait until a call is held."""
        with self._lock:
            assert self._lock.wait_for(lambda: self._held, patience)

    def release(self) -> list[str]:
        """Hold no more, and let those go that are held; gives their names."""
        with self._lock:
            self._wanted, held, self._held = frozenset(), self._held, []
        for identity, _ in held:
            self._go_on(identity)
        return [name for _, name in held]

    def __enter__(self) -> Holder:  # noqa: PYI034 - not to be inherited from
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._end)
        self._thread.join()
        self.release()
        os.close(self._ended)
        os.close(self._listener)

    def _hear(self) -> None:
        names = {number: name for name, number in CALLS.items()}
        while True:
            readable, _, _ = select.select([self._listener, self._ended], [], [])
            if self._ended in readable:
                return
            told = bytearray(80)
            try:
                fcntl.ioctl(self._listener, _RECEIVE, told)
            except FileNotFoundError:
                continue
            except OSError:  # the process is gone
                return
            identity, thread, _, number = struct.unpack_from("QIIi", told)
            with self._lock:
                holds = number in self._wanted and not _is_main(thread)
                if holds:
                    self._held.append((identity, names[number]))
                    self._lock.notify_all()
            if not holds:
                self._go_on(identity)

    def _go_on(self, identity: int) -> None:
        with suppress(FileNotFoundError):  # who made the call is gone
            fcntl.ioctl(self._listener, _SEND, struct.pack("QqiI", identity, 0, 0, _CONTINUE))


def _is_main(thread: int) -> bool:
    try:
        status = Path(f"/proc/{thread}/status").read_text()
    except OSError:
        return True
    return f"Tgid:\t{thread}\n" in status
