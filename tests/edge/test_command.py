"""``wherry serve`` as a process: its line when it is ready, what it tells, and how it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.edge.served import serving
from tests.guests.build import http_application
from tests.requesting import request
from wherry.cli import start

if TYPE_CHECKING:
    from pathlib import Path

SERVE = [sys.executable, "-m", "wherry", "serve"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_it_prints_its_url_and_ends_when_it_is_told_to(number: signal.Signals, tmp_path: Path) -> None:
    """The first request is answered at once; failures are told on standard error with their numbers."""
    said = tmp_path / "said"
    command = [*SERVE, str(http_application("full")), "--addr", "127.0.0.1:0", "--timeout", "1s"]
    with (
        said.open("wb") as error,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=error, text=True) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"serving `.*http_\w*full\.wasm` at (http://127\.0\.0\.1:\d+)\n", line)
        assert found, line
        assert request(found[1]).text == "Hello, World!"
        failed = request(f"{found[1]}/trap")
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stdout.read() == ""
    assert failed.status == 500
    assert f"request {failed.fields['x-request-id']} " in said.read_text()


def test_a_folder_of_files_is_served(tmp_path: Path) -> None:
    """It is no project, and has nothing that it asks for."""
    (tmp_path / "index.html").write_text("a page")
    with serving(tmp_path) as server:
        assert request(server.url).text == "a page"


@pytest.mark.parametrize("words", [["--addr", "127.0.0.1:0"], ["--addr=127.0.0.1:0"]])
def test_a_plain_start_waits_for_no_command_line(words: list[str], tmp_path: Path) -> None:
    """With a file and an address alone nothing is imported that only other command lines need."""
    said = tmp_path / "said"
    command = [sys.executable, "-X", "importtime", *SERVE[1:], str(http_application("lean")), *words]
    with (
        said.open("wb") as error,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=error, text=True) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving `")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    imported = {line.rpartition("|")[2].strip() for line in said.read_text().splitlines()}
    assert "wherry.edge.server" in imported
    assert not imported & {"click", "wherry.store.local", "wherry.artifact.manifest", "pathlib"}


@pytest.mark.parametrize(
    "words", [["--addr"], ["--addr="], ["--no-such-flag"], ["other.wasm"], ["--help"], ["--env", "A=1"]]
)
def test_any_other_start_is_read_as_a_whole(words: list[str]) -> None:
    """What is not plain is left to the parser of all command lines, which knows what is wrong with it."""
    assert start._words_of_serve(["serve", "app.wasm", *words]) is None
    assert start._words_of_serve(["serve", "--addr", "127.0.0.1:1", "app.wasm"]) == (
        "app.wasm",
        {"address": "127.0.0.1:1"},
    )


def test_a_grant_and_a_limit_reach_the_guests(tmp_path: Path) -> None:
    """A folder that is not there is refused at the start, and so is a limit that is none."""
    application = str(http_application("full"))
    for words, message in [
        (["--dir", str(tmp_path / "nowhere")], "nowhere"),
        (["--memory", "much"], "not a size"),
        (["--addr", "nowhere"], "`nowhere` is no address to listen at"),
        (["--max-request", "much"], "not a size"),
    ]:
        done = subprocess.run(
            [*SERVE, application, *words], capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode in {1, 2}, done
        assert message in done.stderr
        assert "Traceback" not in done.stderr
