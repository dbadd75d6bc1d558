"""What a process holds of the host: memory, threads, files and sockets, to be compared before and after."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Footprint", "growth"]

_SELF = Path("/proc/self")


class Footprint(NamedTuple):
    """What this process holds now."""

    memory: int
    threads: int
    files: int
    sockets: int

    @classmethod
    def now(cls) -> Footprint:
        """Measure it, garbage collected."""
        gc.collect()
        pages = int((_SELF / "statm").read_text().split()[1])
        open_files = list((_SELF / "fd").iterdir())
        # The descriptor that listed the others is gone by now.
        sockets = sum(os.path.realpath(file).rpartition("/")[2].startswith("socket:") for file in open_files)
        return cls(pages * 4096, len(list((_SELF / "task").iterdir())), len(open_files), sockets)


def growth(action: Callable[[], object], turns: int) -> Footprint:
    """By how much the process grows over ``turns`` of ``action``, after as many that it warms up with.

    Of memory it is the least of three attempts, as other things move it, too.
    """
    for _ in range(turns):
        action()
    grown = []
    for _ in range(3):
        before = Footprint.now()
        for _ in range(turns):
            action()
        after = Footprint.now()
        grown.append(Footprint(*(new - old for new, old in zip(after, before, strict=True))))
    return Footprint(*(min(column) for column in zip(*grown, strict=True)))
