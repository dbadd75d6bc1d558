"""Where the store is. Every run of a package asks, so that nothing is imported here that costs time."""

import os

__all__ = ["store_folder"]


def store_folder() -> str:
    """``WHERRY_STORE``, or ``wherry/store`` in the user's folder for data."""
    chosen = os.environ.get("WHERRY_STORE")
    if chosen:
        return chosen
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")  # noqa: PTH111 - see above
    return f"{base}/wherry/store"
