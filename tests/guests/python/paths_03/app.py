"""The guest ``paths`` in Python, on the descriptors and streams of WASI 0.3."""

import contextlib

import wit_world
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import environment, exit, preopens, stdin, stdout, system_clock  # noqa: A004
from wit_world.imports import wasi_filesystem_types as fs

NO_FLAGS = fs.OpenFlags(0)
FLAGS = {
    "write": (fs.OpenFlags.CREATE, fs.DescriptorFlags.WRITE),
    "update": (NO_FLAGS, fs.DescriptorFlags.READ | fs.DescriptorFlags.WRITE),
    "append": (NO_FLAGS, fs.DescriptorFlags.WRITE),
    "empty": (fs.OpenFlags.TRUNCATE, fs.DescriptorFlags.WRITE),
    "new": (fs.OpenFlags.CREATE | fs.OpenFlags.EXCLUSIVE, fs.DescriptorFlags.WRITE),
    "read": (NO_FLAGS, fs.DescriptorFlags.READ),
    "nofollow": (NO_FLAGS, fs.DescriptorFlags.READ),
    "folder": (fs.OpenFlags.DIRECTORY, fs.DescriptorFlags.READ),
}
FOLLOW, STAY = fs.PathFlags.SYMLINK_FOLLOW, fs.PathFlags(0)


class Paths:
    """What the C library does for others: a path starts in the folder with the longest name that fits."""

    def __init__(self) -> None:
        self.folders = {name.removeprefix("/"): folder for folder, name in preopens.get_directories()}

    def split(self, path: str) -> tuple[fs.Descriptor, str]:
        plain = path.removeprefix("/").removeprefix("./")
        fitting = [name for name in self.folders if name in ("", ".", plain) or plain.startswith(f"{name}/")]
        name = max(fitting, key=lambda name: 0 if name == "." else len(name))
        rest = plain if name in ("", ".") else plain[len(name) :].lstrip("/")
        return self.folders[name], rest or "."

    async def open(self, kind: str, path: str) -> fs.Descriptor:
        folder, rest = self.split(path)
        return await folder.open_at(STAY if kind == "nofollow" else FOLLOW, rest, *FLAGS[kind])


async def ended(future: object) -> None:
    result = await future.read()
    if isinstance(result, Err):
        raise result


async def put(file: fs.Descriptor, data: bytes, place: int | None) -> None:
    writer, reader = wit_world.byte_stream()
    future = file.append_via_stream(reader) if place is None else file.write_via_stream(reader, place)
    with writer:
        await writer.write_all(data)
    await ended(future)


class Run(exports.Run):
    async def run(self) -> None:
        self.paths = Paths()
        writer, reader = wit_world.byte_stream()
        written = stdout.write_via_stream(reader)
        failed = False
        with writer:
            self.out = writer
            for words in " ".join(environment.get_arguments()[1:]).split(" -- "):
                name, *arguments = words.split()
                try:
                    await getattr(self, name.replace("-", "_"), self.opened(name))(*arguments)
                except Err as error:
                    failed = True
                    await self.say(f"{name}: {type(error.value).__name__.removeprefix('ErrorCode_')}")
                else:
                    await self.say(f"{name}: ok")
        await written.read()
        if failed:
            exit.exit(Err(None))

    async def say(self, line: object) -> None:
        await self.out.write_all(f"{line}\n".encode())

    def opened(self, kind: str) -> object:
        async def run(path: str) -> None:
            await self.use(kind, await self.paths.open(kind, path))

        return run

    async def use(self, kind: str, file: fs.Descriptor) -> None:
        with file:
            if kind in ("read", "nofollow"):
                stream, _ = file.read_via_stream(0)
                with stream:
                    await self.say((await stream.read(65536)).decode().strip())
            elif kind != "empty":
                await put(file, b"guest", None if kind == "append" else 0)

    async def between(self, kind: str, folder: str, path: str) -> None:
        with await self.paths.open("folder", folder) as start:
            await self.use(kind, await start.open_at(FOLLOW, path, *FLAGS[kind]))

    async def below(self, folder: str, path: str) -> None:
        await self.between("read", folder, path)

    async def write_below(self, folder: str, path: str) -> None:
        await self.between("write", folder, path)

    async def stat(self, path: str) -> None:
        folder, rest = self.paths.split(path)
        await folder.stat_at(FOLLOW, rest)

    async def list(self, path: str) -> None:
        with await self.paths.open("folder", path) as folder:
            stream, future = folder.read_directory()
            with stream:
                while not stream.writer_dropped:
                    for entry in await stream.read(16):
                        await self.say(entry.name)
            await ended(future)

    async def mkdir(self, path: str) -> None:
        folder, rest = self.paths.split(path)
        await folder.create_directory_at(rest)

    async def rmdir(self, path: str) -> None:
        folder, rest = self.paths.split(path)
        await folder.remove_directory_at(rest)

    async def unlink(self, path: str) -> None:
        folder, rest = self.paths.split(path)
        await folder.unlink_file_at(rest)

    async def rename(self, old: str, new: str) -> None:
        (folder, name), (other, new_name) = self.paths.split(old), self.paths.split(new)
        await folder.rename_at(name, other, new_name)

    async def link(self, old: str, new: str) -> None:
        (folder, name), (other, new_name) = self.paths.split(old), self.paths.split(new)
        await folder.link_at(STAY, name, other, new_name)

    async def symlink(self, target: str, path: str) -> None:
        folder, rest = self.paths.split(path)
        await folder.symlink_at(target, rest)

    async def open_times(self, path: str) -> None:
        with await self.paths.open("read", path) as file:
            time = fs.NewTimestamp_Timestamp(system_clock.Instant(1000, 0))
            await file.set_times(time, time)

    async def input(self) -> None:
        stream, _ = stdin.read_via_stream()
        with stream:
            await stream.read(64)

    async def truncate(self, path: str, length: int) -> None:
        with await self.paths.open("update", path) as file:
            await file.set_size(length)

    async def race(self, folder: str, other: str, times: str) -> None:
        """All that can be done in a folder, and between it and another one, again and again."""
        reads = changes = 0
        for _ in range(int(times)):
            try:
                with await self.paths.open("read", f"{folder}/file") as file:
                    stream, _ = file.read_via_stream(0)
                    with stream:
                        found = await stream.read(64)
                reads += 1
            except Err:
                found = b""
            if found.startswith(b"outside"):
                raise Err(fs.ErrorCode_Io())
            for act in (
                lambda: self.opened("write")(f"{folder}/made"),
                lambda: self.link(f"{folder}/made", f"{folder}/linked"),
                lambda: self.rename(f"{folder}/made", f"{other}/moved"),
                lambda: self.rename(f"{other}/moved", f"{folder}/back"),
                lambda: self.mkdir(f"{folder}/deep"),
                lambda: self.symlink("file", f"{folder}/link"),
                lambda: self.truncate(f"{folder}/back", 3),
                lambda: self.rmdir(f"{folder}/deep"),
                lambda: self.unlink(f"{folder}/link"),
                lambda: self.unlink(f"{folder}/linked"),
                lambda: self.unlink(f"{folder}/back"),
            ):
                try:
                    await act()
                    changes += 1
                except Err:
                    pass
            with contextlib.suppress(Err):
                await self.unlink(f"{other}/moved")
        await self.say(f"{reads} {changes}")

    async def times(self, path: str) -> None:
        folder, rest = self.paths.split(path)
        await folder.set_times_at(FOLLOW, rest, fs.NewTimestamp_Now(), fs.NewTimestamp_Now())

    async def fill(self, path: str, total: str, piece: str) -> None:
        folder, rest = self.paths.split(path)
        flags = fs.OpenFlags.CREATE | fs.OpenFlags.TRUNCATE
        with await folder.open_at(FOLLOW, rest, flags, fs.DescriptorFlags.WRITE) as file:
            done = 0
            try:
                while done < int(total):
                    more = min(int(piece), int(total) - done)
                    await put(file, bytes(more), done)
                    done += more
            finally:
                await self.say((await file.stat()).size)

    async def size(self, path: str, length: str) -> None:
        folder, rest = self.paths.split(path)
        with await folder.open_at(FOLLOW, rest, fs.OpenFlags.CREATE, fs.DescriptorFlags.WRITE) as file:
            await file.set_size(int(length))

    async def hold(self, path: str, most: str) -> None:
        files = []
        try:
            for _ in range(int(most)):
                files.append(await self.paths.open("read", path))  # noqa: PERF401 - counted when one fails
        finally:
            await self.say(len(files))
            for file in files:
                file.__exit__(None, None, None)
