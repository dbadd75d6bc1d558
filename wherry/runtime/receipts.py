"""Receipts of deterministic runs: what ``wherry verify-run`` does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from wherry import _native

if TYPE_CHECKING:
    from collections.abc import Iterable

    Path = str | os.PathLike[str]

__all__ = ["Difference", "verify_run"]


class Difference(NamedTuple):
    """A field in which a receipt says something else than a run of the same.

    ``causes`` are the fields that a run takes as the receipt has them, such as ``given.random``: where the
    field itself is as it was, one of them was altered.
    """

    field: str
    receipt: str
    run: str
    causes: tuple[str, ...] = ()


def verify_run(
    receipt: Path,
    *,
    file: Path | None = None,
    dirs: Iterable[str] = (),
    env: Iterable[str] = (),
    config: Iterable[str] = (),
    secrets: Iterable[str] = (),
    timeout: str | None = None,
) -> list[Difference]:
    """Do the run of a receipt again, and return where the two differ: nothing when the receipt holds.

    The program and the folders are where they were unless ``file`` says otherwise, and ``dirs`` in the form
    ``HOST::GUEST``; folders that the guest may write are copied, and never changed. Standard input is that of
    this process. Values that a receipt does not hold are given as ``NAME=VALUE`` in ``env`` and ``config``,
    and as ``NAME`` or ``NAME@FILE`` in ``secrets``; variables are else taken from this process.

    Raises :class:`~wherry.errors.UsageError` where something is missing, and what a run raises that cannot be
    held against a receipt.
    """
    differences = _native.verify_run(
        os.fspath(receipt),
        file=file,
        dirs=list(dirs),
        env=list(env),
        config=list(config),
        secrets=list(secrets),
        timeout=timeout,
    )
    return [Difference(field, said, found, tuple(causes)) for field, said, found, causes in differences]
