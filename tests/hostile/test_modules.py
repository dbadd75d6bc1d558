"""Ten thousand hostile modules: each loads and is called, or is refused with a typed error."""

from __future__ import annotations

import collections
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.hostile import corpus

SEED = 20_251_122
ROOT = Path(__file__).parent.parent.parent
WORKERS = min(4, os.cpu_count() or 1)
# How a module may be refused. What a valid one does when it is called is its own affair.
REFUSALS = {
    "ForeignModuleError",
    "InvalidModuleError",
    "LimitError",
    "LinkError",
    "MemoryLimitError",
    "NotWebAssemblyError",
    "StackLimitError",
    "TimeLimitError",
    "TooLargeError",
    "Trap",
    "UnsupportedFeatureError",
}


def test_ten_thousand_hostile_modules(tmp_path: Path) -> None:
    """None brings a traceback of another class, a panic, a signal or a hang; a third is valid and called."""
    modules = corpus.hostile_modules(SEED)
    assert len(modules) == corpus.TOTAL
    file = tmp_path / "modules"
    file.write_bytes(corpus.pack(modules))

    with ThreadPoolExecutor(WORKERS) as pool:
        parts = pool.map(lambda start: try_modules(file, start, len(modules)), range(WORKERS))
        outcomes = dict(sorted(item for part in parts for item in part.items()))

    assert outcomes.keys() == set(range(corpus.TOTAL))
    faults = {number: text for number, text in outcomes.items() if text not in REFUSALS | {"called"}}
    assert not faults, (
        f"{len(faults)} modules, such as {dict(list(faults.items())[:5])}; {kept(modules, faults)}"
    )
    counts = collections.Counter(outcomes.values())
    assert counts["called"] >= corpus.TOTAL / 3, counts
    assert sum(counts.values()) - counts["called"] >= corpus.TOTAL / 3, counts


def try_modules(file: Path, start: int, total: int) -> dict[int, str]:
    """What became of each ``WORKERS``th module from ``start`` on, in a new process after each that died."""
    outcomes: dict[int, str] = {}
    while start < total:
        command = [sys.executable, "-m", "tests.hostile.worker", str(file), str(start), str(WORKERS)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            number, _, text = line.partition(" ")
            start = int(number)
            outcomes[start] = text
        if done.returncode == 0:
            break
        outcomes[start] = f"ended the process with {done.returncode}: {done.stderr[-1000:]}"
        start += WORKERS
    return outcomes


def kept(modules: list[bytes], faults: dict[int, str]) -> str:
    """Keeps the modules that were at fault where a person can look at them, and says where."""
    folder = ROOT / "build" / "hostile"
    folder.mkdir(parents=True, exist_ok=True)
    for number in faults:
        (folder / f"{number}.wasm").write_bytes(modules[number])
    return f"kept in {folder}"
