"""The soak in short: no timing, and every count and every leak all the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.soak.clients import KINDS, TIMES
from tests.soak.serving import soaked
from tests.soak.soaking import soak

if TYPE_CHECKING:
    from pathlib import Path

LONG = {"slow reader", "slow body"}
"""Those that take seconds for each turn."""


def test_a_short_soak(tmp_path: Path) -> None:
    """Each kind of client gets what it should, the server counts the same, and nothing is left behind."""
    kinds = [kind for kind in KINDS if kind.name not in LONG]
    with soaked(tmp_path, TIMES) as server:
        soaking = asyncio.run(soak(server, kinds, 1, 2, 0.5))
    assert list(soaking.problems()) == []
    assert set(soaking.mix.came) == {kind.name for kind in kinds}
    assert soaking.highest.descriptors > soaking.before.descriptors
    # What should not be is found.
    held = replace(soaking.before, threads=soaking.before.threads + 1, descriptors=1 << 20, memory=1 << 40)
    counted = {**soaking.counted, "looping": {504: 1 << 20}, "busy": {}}
    assert len(list(soaking._replace(after=held, counted=counted).problems())) == 5
