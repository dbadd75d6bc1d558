"""Where the store and the cache are, and which words name something in the store.

The start of every run of a package asks, so that nothing is imported here that costs time.
"""

import os

from wherry._native import store_folder

__all__ = ["cache_folder", "is_path", "names_package", "store_folder"]

_SUFFIXES = (".wasm", ".wat", ".cwasm", ".tar", ".toml")


def cache_folder() -> str:
    """The folder in the user's cache that is Wherry's."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - see above
    return f"{base}/wherry"


def is_path(text: str) -> bool:
    """Whether a text names a file or folder, and no package."""
    text = text.partition("#")[0]
    return text.startswith((".", "/")) or text.endswith(_SUFFIXES)


def names_package(text: str) -> bool:
    """Whether what is to be run is a package; a word without a slash is a file without an ending."""
    return not is_path(text) and ("/" in text or text.startswith(("@", "sha256:")))
