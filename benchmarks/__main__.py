"""``python -m benchmarks [ROW…]``: measures Wherry against its peers and prints the table.

Without names it measures all rows, which takes some minutes. It ends with 1 when a row misses its budget.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from benchmarks import leaks, peers, servers
from benchmarks.measure import Timing, clean_environment, machine
from benchmarks.rows import ROWS, Row

MIB = 1 << 20


@dataclass(frozen=True)
class Line:
    """One line of the printed table, and whether the budget was met."""

    cells: tuple[str, ...]
    reached: bool


def timed(row: Row) -> Line:
    """Measures a row against its peer."""
    timing = row.measure()
    reached = row.budget.holds(timing)
    verdict = "" if row.budget.limit is None else "yes" if reached else "NO"
    cells = (row.what, row.against, _time(timing.ours), _time(timing.theirs), _ratio(timing), row.budget.text)
    return Line((*cells, verdict), reached)


def weighed(leak: leaks.Leak) -> Line:
    """Measures by how much memory grows."""
    grown = leak.measure()
    reached = grown <= leak.allowed
    verdict = "yes" if reached else "NO"
    allowed = f"≤ {leak.allowed / MIB:g} MiB"
    return Line((leak.what, "memory before", f"{grown / MIB:+.1f} MiB", "", "", allowed, verdict), reached)


def _ratio(timing: Timing) -> str:
    slower = timing.ours / timing.theirs
    return f"{slower:.2f} ×" if slower > 0.8 else f"{1 / slower:,.1f} × faster"  # noqa: PLR2004 - reads better


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def table(lines: list[Line]) -> str:
    """The lines as a Markdown table with aligned columns."""
    head = ("what", "against", "ours", "theirs", "ratio", "budget", "reached")
    rows = [head, *(line.cells for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    body = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    body.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {row} |" for row in body)


def main(names: list[str]) -> int:
    """Measures the rows of those names, or all of them."""
    known = [*ROWS, *leaks.LEAKS]
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.stderr.write(f"error: no row `{unknown[0]}`\n\nhint: there are {', '.join(known)}\n")
        return 2
    clean_environment()
    lines = []
    for name in names or known:
        sys.stderr.write(f"{name}\n")
        lines.append(timed(ROWS[name]) if name in ROWS else weighed(leaks.LEAKS[name]))
    print(f"{machine()}\n{peers.describe()}\n{servers.describe()}")
    print(f"Medians of interleaved runs.\n\n{table(lines)}")
    return 0 if all(line.reached for line in lines) else 1


sys.exit(main(sys.argv[1:]))
