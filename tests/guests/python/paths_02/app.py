"""The guest ``paths`` in Python, on WASI 0.2: operations divided by ``--``, and how each of them ended."""

import contextlib
import os
import sys

from wit_world import exports

FLAGS = {
    "write": os.O_WRONLY | os.O_CREAT,
    "update": os.O_RDWR,
    "append": os.O_WRONLY | os.O_APPEND,
    "empty": os.O_WRONLY | os.O_TRUNC,
    "new": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    "read": os.O_RDONLY,
    "nofollow": os.O_RDONLY | os.O_NOFOLLOW,
}


def opened(kind: str, path: str, folder: int | None = None) -> None:
    file = os.open(path, FLAGS[kind], dir_fd=folder)
    try:
        if kind in ("read", "nofollow"):
            print(os.read(file, 65536).decode().strip())
        elif kind != "empty":
            os.write(file, b"guest")
    finally:
        os.close(file)


def below(kind: str, folder: str, path: str) -> None:
    start = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        opened(kind, path, start)
    finally:
        os.close(start)


def fill(path: str, total: str, piece: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    done = 0
    try:
        while done < int(total):
            done += os.write(file, bytes(min(int(piece), int(total) - done)))
    finally:
        print(done)
        os.close(file)


def size(path: str, length: str) -> None:
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.ftruncate(file, int(length))
    finally:
        os.close(file)


def hold(path: str, most: str) -> None:
    files = []
    try:
        for _ in range(int(most)):
            files.append(os.open(path, os.O_RDONLY))  # noqa: PERF401 - what is open is counted when one fails
    finally:
        count = len(files)
        for file in files:
            os.close(file)
        print(count)


def open_times(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.utime(file, (1000, 1000))
    finally:
        os.close(file)


def race(folder: str, other: str, times: str) -> None:
    """All that can be done in a folder, and between it and another one, again and again."""
    reads = changes = 0
    acts = (
        lambda: opened("write", f"{folder}/made"),
        lambda: os.link(f"{folder}/made", f"{folder}/linked"),
        lambda: os.rename(f"{folder}/made", f"{other}/moved"),  # noqa: PTH104 - as the C library does it
        lambda: os.rename(f"{other}/moved", f"{folder}/back"),  # noqa: PTH104
        lambda: os.mkdir(f"{folder}/deep"),  # noqa: PTH102
        lambda: os.symlink("file", f"{folder}/link"),  # noqa: PTH211
        lambda: os.truncate(f"{folder}/back", 3),
        lambda: os.rmdir(f"{folder}/deep"),  # noqa: PTH106
        lambda: os.unlink(f"{folder}/link"),  # noqa: PTH108
        lambda: os.unlink(f"{folder}/linked"),  # noqa: PTH108
        lambda: os.unlink(f"{folder}/back"),  # noqa: PTH108
    )
    for _ in range(int(times)):
        try:
            with open(f"{folder}/file", "rb", buffering=0) as file:  # noqa: PTH123
                found = file.read()
        except OSError:
            found = None
        if found is not None:
            reads += 1
            if found.startswith(b"outside"):
                raise OSError(25, "it read what was not granted")
        for act in acts:
            try:
                act()
                changes += 1
            except OSError:
                pass
        with contextlib.suppress(OSError):
            os.unlink(f"{other}/moved")  # noqa: PTH108
    print(reads, changes)


OPERATIONS = {
    "stat": os.stat,
    "list": lambda path: print(*os.listdir(path), sep="\n"),  # noqa: PTH208 - as it comes from the host
    "mkdir": os.mkdir,
    "rmdir": os.rmdir,
    "unlink": os.unlink,
    "rename": os.rename,
    "link": os.link,
    "symlink": os.symlink,
    "times": lambda path: os.utime(path, (1000, 1000)),
    "below": lambda folder, path: below("read", folder, path),
    "write-below": lambda folder, path: below("write", folder, path),
    "fill": fill,
    "size": size,
    "hold": hold,
    "open-times": open_times,
    "input": lambda: os.read(0, 64),
    "race": race,
}


class Run(exports.Run):
    def run(self) -> None:
        failed = False
        for words in " ".join(sys.argv[1:]).split(" -- "):
            name, *arguments = words.split()
            try:
                if name in OPERATIONS:
                    OPERATIONS[name](*arguments)
                else:
                    opened(name, *arguments)
            except OSError as error:
                failed = True
                print(f"{name}: {os.strerror(error.errno)}")
            else:
                print(f"{name}: ok")
        if failed:
            sys.exit(1)
