"""Components of packages of the store, for the bindings to them: what the hook found, by its digest."""

from wherry.runtime.bound import Bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.runtime.component import Origin

    Flags = tuple[tuple[str, ...], ...]
    Record = tuple[str, str, str, str, Flags, Flags]

__all__ = ["RECORDS", "bundle"]

RECORDS: "dict[str, Record]" = {}
"""Each record: digest of the component, folder of its bindings, its file, the reference of its package, the
flags for its own files, and those that a person agreed to."""


def bundle(name: str, digest: str) -> Bundle:
    """The component of a package, with what it brings along."""
    record = RECORDS[digest]
    return Bundle(name, record[2], digest, _origin(record) if record[4] or record[5] else None)


def _origin(record: "Record") -> "Callable[[], Origin]":
    def made() -> "Origin":
        from wherry.api import limits_of, policy_of
        from wherry.runtime.component import Origin

        files, agreed = record[4:]
        return Origin(record[3], None, (), policy_of(files), policy_of(agreed), limits_of(agreed))

    return made
