"""Clocks and randomness: the host's, withheld, or the guest's own, in every version of WASI."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.guests.build import c_command, python_command, text

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600 * 10**9
# The key stream of ChaCha20 for the key of zeros begins so (RFC 8439, appendix A.1).
ZEROS = "76b8e0ada0f13d90405d6ae55386bd28"

GUESTS = {"0.1": "ambient", "0.2": "ambient_02", "0.3": "ambient_03"}


def guest(version: str) -> Path:
    """The guest that prints what it learns, for a version of WASI."""
    name = GUESTS[version]
    return c_command(name) if version == "0.1" else python_command(name)


def run(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """``wherry run`` with these words."""
    command = [sys.executable, "-m", "wherry", "run", *words]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def lines(output: str) -> dict[str, list[str]]:
    """What was printed as ``name: words``; of a name that came twice the last."""
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in output.splitlines())}


@pytest.mark.parametrize("version", GUESTS)
class TestEveryVersion:
    """What holds for 0.1, 0.2 and 0.3 alike."""

    def test_the_host_s_by_default(self, version: str) -> None:
        """Without flags the time is now, and no two runs see the same random bytes."""
        before = time.time()
        printed = [lines(run(guest(version), "read").stdout) for _ in range(2)]
        for one in printed:
            assert before - 1 <= float(one["wall"][0]) <= time.time() + 1
        assert printed[0]["random"] != printed[1]["random"]

    def test_a_clock_of_its_own_begins_where_it_is_told(self, version: str) -> None:
        """Wall time begins at START; each reading adds STEP, to the monotonic clock too."""
        done = run("--clock", "2024-01-01T00:00:00Z+1s", guest(version), "read")
        printed = lines(done.stdout)
        assert float(printed["wall"][0]) == 1704067200, done
        assert float(printed["monotonic"][0]) in (1, 1e9), done

    def test_a_seed_fixes_all_randomness(self, version: str) -> None:
        """The same seed gives the same bytes, another seed others."""
        printed = [lines(run("--random", seed, guest(version), "read").stdout) for seed in ("42", "42", "43")]
        chance = [{name: one[name] for name in one if name not in ("wall", "monotonic")} for one in printed]
        assert chance[0] == chance[1]
        assert all(chance[0][name] != chance[2][name] for name in chance[0])

    def test_waits_take_no_time(self, version: str) -> None:
        """Hours of waiting are over at once, and end in the order of their times."""
        done = run("--clock", "0+0s", guest(version), "wait")
        assert done.returncode == 0, done
        assert done.stdout.splitlines()[-len(WAITS[version]) :] == WAITS[version]


WAITS = {
    "0.1": [
        "wall: 7200.000000000",
        "timers: 2",
        "monotonic: 10800.000000000",
        "timers and streams: 2 3 4",
        "monotonic: 10800.000000000",
    ],
    "0.2": [
        "wall: 7200",
        f"ready: [1, 2] at {3 * HOUR}",
        f"ready: [0] at {7 * HOUR}",
    ],
    "0.3": [
        f"b over at {HOUR}",
        f"d over at {3 * HOUR}",
        f"a over at {5 * HOUR}",
        f"c over at {5 * HOUR}",
        f"until: {10 * HOUR}",
    ],
}


def test_a_guest_that_only_asks_sees_time_pass() -> None:
    """A pollable that is asked again and again becomes ready when readings move the clock on."""
    printed = lines(run("--clock", "0+1s", guest("0.2"), "spin").stdout)
    assert int(printed["over"][0]) >= HOUR


def test_a_seed_is_the_key_of_chacha20() -> None:
    """What is documented: the bytes of seed 0 are those that anyone can work out."""
    assert lines(run("--random", "0", guest("0.1"), "read").stdout)["random"] == [ZEROS]


def test_what_is_withheld_is_an_error_in_0_1() -> None:
    """``acces`` (2) from each call, and the flags that would allow it where the guest fails by it."""
    done = run("--clock", "none", "--random", "none", guest("0.1"), "wait")
    printed = lines(done.stdout)
    assert printed["wall"] == printed["monotonic"] == ["errno", "2"]
    assert printed["random"] == printed["timers"] == printed["timers and streams"] == ["error", "2"]


@pytest.mark.parametrize("version", ["0.2", "0.3"])
@pytest.mark.parametrize(
    ("flag", "message"),
    [("clock", "the guest asked for the time"), ("random", "the guest asked for randomness")],
)
def test_what_is_withheld_ends_a_component(version: str, flag: str, message: str) -> None:
    """0.2 and 0.3 have no error for it, so the guest ends; the hint, pasted, lets it through."""
    # Only the clock can be asked for alone: the interpreter inside draws random numbers by itself.
    done = run(f"--{flag}", "none", guest(version), flag)
    assert done.returncode == 134, done
    assert f"error: {message}, which is withheld from it\n" in done.stderr
    assert f"allow it with --{flag} host" in done.stderr
    allowed = run(f"--{flag}", "host", guest(version), flag)
    assert allowed.returncode == 0, allowed


def test_nothing_is_withheld_from_who_does_not_ask() -> None:
    """A guest that asks for neither runs without either."""
    done = run("--clock", "none", "--random", "none", text("hello"))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("flag", "value"),
    [("clock", "yesterday"), ("clock", "2024-01-01"), ("clock", "-1"), ("random", "-1"), ("random", "dice")],
)
def test_what_makes_no_sense_is_refused(flag: str, value: str) -> None:
    """A usage error with the forms there are."""
    done = run(f"--{flag}={value}", text("hello"))
    assert done.returncode == 125
    assert "hint: " in done.stderr
