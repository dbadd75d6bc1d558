"""From the name of a module to the folder with the bindings of a package: the hook that imports go through.

What a name led to is remembered in a file with the state of the store and of ``wherry.toml`` then: an import
that finds both unchanged looks at a few files and reads one. All else is the business of ``_resolving``,
which is imported when it is needed.
"""

import marshal
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from zlib import crc32

from wherry._native import about, store_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from wherry.packages._stored import Record

__all__ = ["FORM", "Finder", "cache_folder", "is_own", "project_file", "remember", "stamp"]

_PREFIX = "wherry.packages."

FORM = 2
"""Grows whenever other bindings are written for the same library: those in the cache are of no use then."""

_PROJECT = "wherry.toml"


class Finder:
    """Finds ``wherry.packages.NAMESPACE.NAME`` in the store."""

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> ModuleSpec | None:
        """The module of a package; of a namespace, one that has packages below it.

        Raises:
            ModuleNotFoundError: There is no such package; the message says what there is.
            GrantError: It asks for what nobody has agreed to.
            WherryError: It is refused for another reason.

        """
        del path
        if not fullname.startswith(_PREFIX):
            return None
        names = fullname.removeprefix(_PREFIX).split(".")
        if names[0].startswith("_") or len(names) > 2:  # noqa: PLR2004 - a namespace and a name
            return None
        if len(names) == 1:
            return ModuleSpec(fullname, _Namespace(), is_package=True)  # type: ignore[arg-type]  # it has what is asked of it
        record = _known(names[0], names[1])
        if record is None:
            from wherry.packages import _resolving

            record = _resolving.resolve(names[0], names[1])
        from wherry.packages import _stored

        _stored.RECORDS[record[0]] = record
        if target is not None:
            _forget(fullname)
        return PathFinder.find_spec(fullname, [record[1]])


class _Namespace:
    """Makes the module of a namespace, which is empty."""

    def create_module(self, spec: ModuleSpec) -> "ModuleType | None":
        """As Python makes modules."""

    def exec_module(self, module: "ModuleType") -> None:
        """There is nothing to run."""
        module.__doc__ = f"The packages of the namespace ``{module.__name__.rpartition('.')[2]}``."


def _forget(fullname: str) -> None:
    """Has the modules below one that is loaded again be loaded again too."""
    for name in [name for name in sys.modules if name.startswith(f"{fullname}.")]:
        del sys.modules[name]


def _known(namespace: str, name: str) -> "Record | None":
    """What the name led to last, if nothing has changed since and its files are there."""
    stamped = stamp()
    try:
        with open(_file(namespace, name, stamped), "rb") as file:  # noqa: PTH123 - `pathlib` takes longer
            before, record = marshal.load(file)  # noqa: S302 - the user's own, beside code that is run
    except (OSError, EOFError, ValueError, TypeError):
        return None
    there = before == stamped and is_own(record[1]) and os.path.isdir(record[1]) and os.path.isfile(record[2])  # noqa: PTH112, PTH113 - as above
    return record if there else None


def remember(namespace: str, name: str, stamped: tuple[object, ...], record: "Record") -> None:
    """Notes what a name led to."""
    target = _file(namespace, name, stamped)
    partial = f"{target}.{os.getpid()}"
    with open(partial, "wb") as file:  # noqa: PTH123 - as above
        marshal.dump((stamped, record), file)  # type: ignore[arg-type]  # texts and numbers
    os.replace(partial, target)  # noqa: PTH105 - as above


def stamp() -> tuple[object, ...]:
    """Wherry's version, and the states of the store and of the project here."""
    folder = store_folder()
    project = project_file()
    return (
        f"{about()[0]}.{FORM}",
        folder,
        _state(f"{folder}/index.db"),
        project,
        _state(project) if project else None,
    )


def project_file() -> str | None:
    """The ``wherry.toml`` of the current folder, or of the nearest above it."""
    folder = os.getcwd()  # noqa: PTH109 - as above
    while True:
        file = os.path.join(folder, _PROJECT)  # noqa: PTH118 - as above
        if os.path.isfile(file):  # noqa: PTH113 - as above
            return file
        above = os.path.dirname(folder)  # noqa: PTH120 - as above
        if above == folder:
            return None
        folder = above


def is_own(folder: str) -> bool:
    """Whether nobody but this user and root can write to a folder of the cache: what it has is run."""
    for one in (folder, os.path.dirname(folder)):  # noqa: PTH120 - as above
        try:
            found = os.stat(one)  # noqa: PTH116 - as above
        except OSError:
            return False
        if found.st_uid not in {0, os.geteuid()} or found.st_mode & 0o022:
            return False
    return True


def cache_folder() -> str:
    """Where bindings are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - as above
    return f"{base}/wherry/python"


def _file(namespace: str, name: str, stamped: tuple[object, ...]) -> str:
    """The file that remembers a name, for this store and this project."""
    which = crc32(f"{stamped[1]}\0{stamped[3]}".encode())
    return f"{cache_folder()}/{namespace}.{name}.{which:08x}"


def _state(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - as above
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
