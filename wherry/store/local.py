"""The packages on this machine with their bytes: put in, read, written out, taken away.

Bytes lie under their digests in an OCI layout, names in the ``Catalogue`` beside it. What is put in is there
whole before any name leads to it, and a process that is killed leaves at most bytes that nothing leads to.
Those are deleted under a lock that whoever puts bytes in holds as well, so that nothing is deleted on its way
in.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from wherry.artifact import oci
from wherry.artifact.blobs import check_blob, copy
from wherry.artifact.layout import LayoutFolder, open_layout, write_archive
from wherry.artifact.read import read_artifact
from wherry.artifact.read import verify as verify_artifact
from wherry.artifact.refusals import host_error
from wherry.artifact.unpack import holds_files, unpack_files
from wherry.errors import ArtifactError, HostIOError, ManifestError, NotFoundError, UsageError
from wherry.store.catalogue import Catalogue
from wherry.store.index import Row
from wherry.store.references import Reference, read_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wherry.artifact.blobs import Source
    from wherry.artifact.read import Artifact
    from wherry.store.catalogue import Package

__all__ = ["Freed", "LocalStore", "Problem"]


@dataclass(frozen=True)
class Freed:
    """What was deleted: packages by their digests, and how many bytes of the disk.

    ``kept`` are packages of which a name went that something else still leads to.
    """

    packages: tuple[str, ...]
    bytes: int
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with the package of a digest, or without one with the store itself."""

    digest: str | None
    reason: str
    message: str


class LocalStore(Catalogue):
    """The packages in one folder, which is made when the first one comes. Close it after use.

    Safe with any number of processes; one object is for one thread.
    """

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path)
        self.path = Path(self.folder)
        self._layout = LayoutFolder(self.path)

    def put(
        self, source: Source, descriptor: oci.Descriptor, references: Sequence[tuple[str, str]] = ()
    ) -> Package:
        """Takes a package with all that belongs to it out of ``source``, and checks every byte of it.

        Its own name and version lead to it from now on, and of ``references``, each a name and a label, those
        of its own name: somebody's file does not change what the name of another package leads to.

        Raises:
            ArtifactError: It is refused; nothing leads to it then.
            HostIOError: The store cannot be written.

        """
        return self._take(source, _checked(source, descriptor), references)

    def _take(self, source: Source, artifact: Artifact, references: Sequence[tuple[str, str]]) -> Package:
        """Takes in what was checked, and checks what it copies."""
        said = artifact.manifest.package if artifact.manifest is not None else None
        own = [(said.name, said.version, True)] if said is not None else []
        row = Row(
            artifact.digest,
            artifact.descriptor.size,
            said.name if said is not None else None,
            said.version if said is not None else None,
            said.description if said is not None else None,
            time.time(),
        )
        index = self.index(make=True)
        with self._holding(fcntl.LOCK_SH):
            for blob in artifact.blobs():
                if not self._has(blob):
                    copy(source, self._layout, blob)
            self._settle()
            self._mend_files(artifact)
            labels = [(name, label, False) for name, label in references if self._may_name(row, name)]
            index.add(row, artifact.blobs(), own + labels)
        return self.described([row])[0]

    def artifact(self, package: Package | str) -> Artifact:
        """A package, or the one of a digest, as its image manifest describes it.

        Raises:
            ArtifactError: Its bytes are damaged or gone.
            NotFoundError: Another process has taken it away.

        """
        digest = package if isinstance(package, str) else package.digest
        try:
            return read_artifact(self._layout, self._descriptor(digest))
        except ArtifactError as error:
            error.hint = error.hint or "`wherry verify-store` says what is damaged; load or pack it again"
            raise

    @property
    def source(self) -> Source:
        """Where the bytes of packages are read."""
        return self._layout

    def blob(self, digest: str) -> Path:
        """The file with the bytes of a digest."""
        return self.path / "blobs/sha256" / digest.removeprefix("sha256:")

    def files(self, artifact: Artifact) -> Path:
        """The folder with the files of a package, written when they are first wanted.

        Raises:
            ArtifactError: They are damaged.
            HostIOError: They cannot be written.

        """
        folder = self._files(artifact.digest)
        if not folder.is_dir():
            with self._holding(fcntl.LOCK_SH):
                try:
                    folder.parent.mkdir(exist_ok=True)
                    unpack_files(artifact, self._layout, folder)
                except HostIOError:
                    if not folder.is_dir():  # nobody else was faster
                        raise
                except OSError as error:
                    raise host_error(folder, error) from error
        return folder

    def tag(self, reference: Reference | str, name: str) -> Package:
        """Lets ``name``, such as ``acme/thumbs@nightly``, lead to a package.

        Raises:
            UsageError: It is no name with a label; versions are what packages say of themselves.

        """
        if "/" not in name and "@" not in name:
            said = f"`{self.find(reference).name}@{name}`"
            raise UsageError(f"`{name}` is no name with a label", hint=f"such as {said}")
        wanted = read_reference(name)
        if wanted.name is None or wanted.label is None or wanted.command is not None:
            raise UsageError(
                f"`{name}` is no name with a label",
                hint="such as `acme/thumbs@nightly`; a version is what `wherry.toml` says",
            )
        found = self.find(reference)
        self.index(make=True).refer(wanted.name, wanted.label, found.digest)
        return self.find(wanted)

    def remove(self, reference: Reference | str, *, force: bool = False) -> Freed:
        """Takes away what is named: one version or label, all of a name, or a package by its digest.

        With ``force`` also what other packages use.

        Raises:
            NotFoundError: There is none.
            UsageError: It is installed, or others use it and there is no other that fits.

        """
        if isinstance(reference, str):
            reference = read_reference(reference)
        index = self.index()
        if not force:
            self._refuse_used(reference)
        kept: set[str] = set()
        if reference.name is None or reference.digest is not None:
            gone = [self.row(reference).digest]
            installed = [command for _, command, _, digest in index.installed() if digest == gone[0]]
            if installed:
                raise UsageError(
                    f"`{reference}` is installed as `{installed[0]}`", hint="`wherry uninstall` comes first"
                )
            index.drop(gone[0])
        else:
            fitting = self.fitting(reference, reference.name)
            gone = index.forget((reference.name, label) for label, _ in fitting)
            kept = {row.digest for _, row in fitting} - {*gone}
        return Freed(tuple(gone), self._sweep(), tuple(sorted(kept)))

    def prune(self) -> Freed:
        """Deletes the packages that no name leads to any more, and bytes that belong to none.

        What another package uses by its digest stays.
        """
        from wherry.store.dependencies import kept_by_digest

        with self._holding(fcntl.LOCK_EX) as held:
            gone = self.index().drop_unnamed(kept_by_digest(self))
            return Freed(tuple(gone), self._delete_unused() if held else 0)

    def verify(self) -> list[Problem]:
        """Reads every byte and says what is wrong; an empty list is a whole store."""
        index = self.index()
        problems = []
        said = index.problem()
        if said is not None:
            problems.append(Problem(None, "index", said))
        for row in index.packages():
            problem = self._problem(row)
            # What another process took out meanwhile is gone, and not damaged.
            if problem is not None and index.with_digest(row.digest):
                problems.append(problem)
        return problems

    def _problem(self, row: Row) -> Problem | None:
        """What is wrong with the bytes of a package."""
        descriptor = oci.Descriptor(oci.IMAGE_MANIFEST, row.digest, row.size)
        try:
            artifact = read_artifact(self._layout, descriptor)
            folder = self._files(row.digest)
            if not folder.is_dir():
                verify_artifact(self._layout, artifact)
                return None
            if holds_files(artifact, self._layout, folder):  # which checks the package first
                return None
        except ArtifactError as error:
            return Problem(row.digest, error.reason, error.message)
        except ManifestError as error:  # of a version of Wherry that knew it otherwise
            return Problem(row.digest, "manifest", error.message)
        return Problem(row.digest, "wrong-files", f"the files in `{folder}` are not those of the package")

    def save(self, references: Sequence[Reference | str], path: Path) -> list[Package]:
        """Writes packages into one file, an OCI layout, under their names.

        Raises:
            NotFoundError: One is not there.
            ArtifactError: One is damaged.
            HostIOError: The file cannot be written.

        """
        found = [self.find(reference) for reference in references]
        write_archive(path, self._layout, [self._named(package) for package in found])
        return found

    def load(self, path: Path) -> list[Package]:
        """Takes in the packages of an OCI layout, in a folder or one file.

        Raises:
            ArtifactError: One is refused, and none is taken in.
            NotFoundError: There is no such file.

        """
        from wherry.artifact.reading import FILE_NAME

        if (path / FILE_NAME).is_file():
            hint = f"`wherry pack {path}` takes it into the store"
            raise UsageError(f"`{path}` is a project, and no packed package", hint=hint)
        with open_layout(path) as layout:
            found = layout.index()
            if not found:
                raise NotFoundError(f"`{path}` holds no packages")
            checked = [_checked(layout, one) for one in found]
            return [self._take(layout, one, _labels(one.descriptor)) for one in checked]

    @contextlib.contextmanager
    def _holding(self, kind: int) -> Iterator[bool]:
        """Holds the lock on the bytes, shared by those who put in: whether it was to be had."""
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            yield False  # there is no store yet
            return
        except OSError as error:
            raise host_error(self.path / "lock", error) from error
        try:
            fcntl.flock(lock, kind)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(lock)

    def _sweep(self) -> int:
        """Deletes bytes that belong to no package, unless somebody puts something in just now."""
        with self._holding(fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
            return self._delete_unused() if held else 0

    def _delete_unused(self) -> int:
        index = self.index()
        if not index.lasting:
            return 0  # somebody is about to make the store
        used = {digest.removeprefix("sha256:") for digest, _ in index.parts()}
        freed = 0
        try:
            for folder in (self.path / "files").glob("*"):
                if folder.name not in used:
                    freed += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
                    shutil.rmtree(folder)
            for found in os.scandir(self.path / "blobs/sha256"):
                if found.name not in used:
                    freed += found.stat(follow_symlinks=False).st_size
                    os.unlink(found.path)  # noqa: PTH108 - the path is a text
        except OSError as error:
            raise host_error(self.path, error) from error
        return freed

    def _files(self, digest: str) -> Path:
        return self.path / "files" / digest.removeprefix("sha256:")

    def _has(self, blob: oci.Descriptor) -> bool:
        """Whether the bytes are there, and none of them is damaged."""
        try:
            check_blob(self._layout, blob)
        except ArtifactError:
            return False
        return True

    def _mend_files(self, artifact: Artifact) -> None:
        """Takes files of a package away that are not as they were written; they are written when wanted."""
        folder = self._files(artifact.digest)
        if folder.is_dir() and not holds_files(artifact, self._layout, folder):
            shutil.rmtree(folder, ignore_errors=True)

    def _may_name(self, row: Row, name: str) -> bool:
        """Whether a label in a file may lead to a package: a name that others have stays theirs."""
        known = {known.name for _, _, known in self.index().named(name)}
        return name == row.name or (row.name is None and known <= {None})

    def _settle(self) -> None:
        """Brings the names of the files to the disk, which their bytes are on already."""
        folder = os.open(self.path / "blobs/sha256", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _refuse_used(self, reference: Reference) -> None:
        """Refuses to take away what a package that stays would miss."""
        from wherry.store.dependencies import users

        index = self.index()
        if reference.name is None or reference.digest is not None:
            going = {self.row(reference).digest}
            labels = [(name, label) for name, label, digest in index.references() if digest in going]
        else:
            fitting = self.fitting(reference, reference.name)
            labels = [(reference.name, label) for label, _ in fitting]
            kept = {digest for name, label, digest in index.references() if (name, label) not in labels}
            kept |= {digest for *_, digest in index.installed()}
            going = {row.digest for _, row in fitting} - kept
        used = users(self, going, labels)
        if used:
            raise UsageError(
                "\n".join(f"`{one.by.reference}` uses `{one.name}` {one.said}" for one in used if one.by),
                hint="nothing else that fits is here; `--force` removes it all the same",
            )

    def _descriptor(self, digest: str) -> oci.Descriptor:
        row = self.row(Reference(digest=digest))
        return oci.Descriptor(oci.IMAGE_MANIFEST, digest, row.size)

    def _named(self, package: Package) -> oci.Descriptor:
        """The descriptor of a package with its name, as other tools read it."""
        name, _, label = package.reference.partition("@")
        annotations = {oci.Annotation.REFERENCE: f"{name}:{label}"} if label else None
        return msgspec.structs.replace(self._descriptor(package.digest), annotations=annotations)


def _checked(source: Source, descriptor: oci.Descriptor) -> Artifact:
    """An artifact of which every byte was read."""
    artifact = read_artifact(source, descriptor)
    verify_artifact(source, artifact)
    return artifact


def _labels(descriptor: oci.Descriptor) -> list[tuple[str, str]]:
    """What a layout calls an artifact, where that is a name with a label, such as ``acme/thumbs:nightly``."""
    said = (descriptor.annotations or {}).get(oci.Annotation.REFERENCE, "")
    name, _, label = said.rpartition(":")
    try:
        reference = read_reference(f"{name}@{label}")
    except UsageError:
        return []
    return [(name, label)] if reference.label is not None else []
