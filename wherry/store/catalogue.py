"""What names lead to: the packages of a store as its index knows them, without their bytes.

Apart from ``LocalStore``, whose modules read and write artifacts, so that whoever only lists packages or
looks a name up pays for nothing else.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from wherry.artifact.refusals import host_error
from wherry.errors import NotFoundError, UsageError
from wherry.store.index import Index, Row
from wherry.store.location import store_folder
from wherry.store.references import Reference, newest, read_reference

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

__all__ = ["Catalogue", "Package"]

_SHOWN_DIGITS = 12


class Package(NamedTuple):
    """A package in the store.

    ``name`` and ``version`` are what it says of itself; other tools' packages have none. ``references`` are
    all names that lead to it, ``size`` is what its bytes take, ``added`` when it came, in seconds since 1970.
    """

    digest: str
    name: str | None
    version: str | None
    description: str | None
    references: tuple[str, ...]
    size: int
    added: float

    @property
    def reference(self) -> str:
        """The name that is shown: one that leads to it, or the beginning of its digest."""
        if not self.references:
            return self.digest[: len("sha256:") + _SHOWN_DIGITS]
        own = f"{self.name}@{self.version}"
        return own if own in self.references else self.references[0]


class Catalogue:
    """The index of the store in one folder, or of none. Close it after use."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        # Not a `Path`: its module takes longer to load than all packages take to be listed.
        self.folder = os.fspath(folder) if folder is not None else store_folder()
        self._opened: Index | None = None

    def close(self) -> None:
        """Lets go of the index."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def packages(self) -> list[Package]:
        """All packages, by name and the newest first."""
        return self.described(self.index().packages())

    def find(self, reference: Reference | str) -> Package:
        """The package that is meant: of several that fit, the one with the highest version.

        A version before a release (``2.0.0-rc.1``) is meant only where it is named or there is no other.

        Raises:
            NotFoundError: There is none; the message says what there is.
            UsageError: It is no reference, or the digits of a digest fit several.

        """
        if isinstance(reference, str):
            reference = read_reference(reference)
        return self.described([self.row(reference)])[0]

    def size(self) -> int:
        """How many bytes all packages take together; what two share counts once."""
        return self.index().size()

    def index(self, *, make: bool = False) -> Index:
        """The index; one that is empty where there is no store yet, unless something is put in."""
        file = f"{self.folder}/index.db"
        there = os.path.exists(file)  # noqa: PTH110 - see above
        if make and not there:
            self.close()
            try:
                # Whatever the umask is: where others can write, no agreement would count.
                os.makedirs(self.folder, mode=0o755, exist_ok=True)  # noqa: PTH103
                os.makedirs(f"{self.folder}/blobs/sha256", exist_ok=True)  # noqa: PTH103
            except OSError as error:
                raise host_error(self.folder, error) from error
            there = True
        if there and self._opened is not None and not self._opened.lasting:
            self.close()  # somebody else has made the store since
        if self._opened is None:
            self._opened = Index(file if there else None)
        return self._opened

    def row(self, reference: Reference) -> Row:
        """The one package that is meant."""
        if reference.digest is None:
            found = dict(self.fitting(reference, reference.name or ""))
            return found[newest(found)]
        rows = self.index().with_digest(reference.digest)
        if reference.name is not None:
            known = {row.digest for _, _, row in self.index().named(reference.name)}
            rows = [row for row in rows if row.digest in known or row.name == reference.name]
        if not rows:
            raise NotFoundError(
                f"there is no package `{reference}`", hint="`wherry list` shows what there is"
            )
        if len(rows) > 1:
            raise UsageError(
                f"`{reference}` is the beginning of {len(rows)} digests",
                hint="\n".join(f"`{row.digest}`" for row in rows),
            )
        return rows[0]

    def fitting(self, reference: Reference, name: str) -> list[tuple[str, Row]]:
        """The versions or the label under a name that are meant, each with its package; never none."""
        known = self.index().named(name)
        if reference.label is not None:
            found = [
                (label, row) for label, released, row in known if label == reference.label and not released
            ]
        else:
            found = [(label, row) for label, released, row in known if released and reference.fits(label)]
            if not found and reference.requirement is None and len(known) == 1:
                found = [(label, row) for label, _, row in known]
        if not found:
            raise self._unknown(reference, [label for label, _, _ in known])
        return found

    def _unknown(self, reference: Reference, labels: list[str]) -> NotFoundError:
        """There is no such package, or not in that version; the hint says what there is."""
        if labels:
            said = ", ".join(f"`{reference.name}@{label}`" for label in sorted(labels)[:10])
            return NotFoundError(f"there is no package `{reference}`", hint=f"there is {said}")
        import difflib

        names = self.index().names()
        close = difflib.get_close_matches(reference.name or "", names, n=1)
        hint = (
            f"did you mean `{close[0]}`?"
            if close
            else "`wherry list` shows what there is, and `wherry load FILE` brings packages in"
        )
        return NotFoundError(f"there is no package `{reference}` in the store", hint=hint)

    def described(self, rows: Iterable[Row]) -> list[Package]:
        """The packages of rows, with the names that lead to them and what they take."""
        rows = list(rows)
        index = self.index()
        only = rows[0].digest if len(rows) == 1 else None
        names: dict[str, list[str]] = {}
        for name, label, digest in index.references(only):
            names.setdefault(digest, []).append(f"{name}@{label}")
        sizes = index.sizes(only)
        return [
            Package(
                row.digest,
                row.name,
                row.version,
                row.description,
                tuple(names.get(row.digest, ())),
                sizes.get(row.digest, 0),
                row.added,
            )
            for row in rows
        ]
