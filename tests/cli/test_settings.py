"""Settings: who comes before whom, who is told to have said what, and how values are written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from wherry import UsageError, _native

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from tests.cli.conftest import Terminal


def explained(wherry: Terminal, **variables: str) -> dict[str, tuple[str, str]]:
    """Each setting with its value and its origin."""
    typed = wherry("config", "explain", "--format", "json", **variables)
    assert typed.code == 0, typed.stderr
    return {row["name"]: (row["value"], row["origin"]) for row in json.loads(typed.stdout)["settings"]}


def test_variable_before_project_before_user(wherry: Terminal) -> None:
    """A setting is taken from the strongest that sets it, and ``explain`` says from which and where."""
    wherry.user("# mine\nmemory = '1GiB'\nfuel = 10_000\nquiet = true\n")
    wherry.project("memory = '2GiB'\n\nfuel = 20\n")
    settings = explained(wherry, WHERRY_MEMORY="3GiB")
    assert settings["memory"] == ("3GiB", "variable WHERRY_MEMORY")
    assert settings["fuel"] == ("20", "project file <folder>/.wherry.toml line 3")
    assert settings["quiet"] == ("true", "user file <folder>/config/wherry/config.toml line 4")
    assert settings["timeout"] == ("none", "default")


def test_explain_shows_every_setting(wherry: Terminal, snapshot: SnapshotAssertion) -> None:
    """Every setting is listed with the default that help shows, and the files with whether they exist."""
    wherry.project("timeout = '5s'")
    assert wherry("config", "explain", XDG_CACHE_HOME="/cache").stdout == snapshot


def test_format_comes_from_the_settings(wherry: Terminal) -> None:
    """``--format`` of any command has the default that variables and files say."""
    as_json = wherry("version", "--format", "json").stdout
    assert json.loads(as_json)["wherry"] == _native.about()[0]
    assert wherry("version", WHERRY_FORMAT="json").stdout == as_json
    wherry.project("format = 'json'")
    assert wherry("version").stdout == as_json
    assert wherry("version", "--format", "text").stdout != as_json


@pytest.mark.parametrize(
    ("text", "size"),
    [
        pytest.param("0", 0, id="nothing"),
        pytest.param("65536", 65_536, id="bytes"),
        pytest.param("64k", 65_536, id="one-letter-is-binary"),
        pytest.param("64KiB", 65_536, id="binary"),
        pytest.param("64kB", 64_000, id="decimal"),
        pytest.param("1.5GiB", 3 << 29, id="with-decimals"),
        pytest.param("18446744073709551615", 2**64 - 1, id="all-that-fits"),
    ],
)
def test_sizes_are_exact(text: str, size: int) -> None:
    """A size is read to the byte."""
    assert _native.parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("5", 5, id="bare-number-is-seconds"),
        pytest.param("250ms", 0.25, id="milliseconds"),
        pytest.param("1m30s", 90, id="two-units"),
        pytest.param("0.5h", 1800, id="with-decimals"),
        pytest.param("1d", 86_400, id="day"),
    ],
)
def test_durations_are_exact(text: str, seconds: float) -> None:
    """A duration is read to the nanosecond."""
    assert _native.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "1..5k", "1 k", "18446744073709551616", "1MiB2"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """What is no size is an error that shows the form, never zero and never rounded."""
    with pytest.raises(UsageError) as caught:
        _native.parse_size(text)
    assert "KiB" in (caught.value.hint or "")
