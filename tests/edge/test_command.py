"""``wherry serve`` as a process: its line when it is ready, what it tells, and how it ends."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.edge.served import serving
from tests.guests.build import http_application
from tests.requesting import request
from wherry import Limits, UsageError, edge
from wherry.build.new import new_project
from wherry.cli import output, start
from wherry.cli import serving as serving_process
from wherry.cli.serving import Preparing
from wherry.cli.watching import reload

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


def test_each_kind_of_failure_is_told_with_what_to_do_once(tmp_path: Path) -> None:
    """All failures are told, the advice for one kind only at the first of them."""
    said = tmp_path / "said"
    command = [*SERVE, str(http_application("lean")), "--addr", "127.0.0.1:0", "--timeout", "300ms"]
    expected = {
        "/trap": "`--dev` shows the guest's stack in the answer",
        "/loop": "raise it with `--timeout`, or answer sooner",
        "/silent": "set the answer before the handler returns",
        "/greedy": "raise it with `--memory ",
    }
    with (
        said.open("wb") as error,
        subprocess.Popen(
            [*command, "--memory", "32MiB"], stdout=subprocess.PIPE, stderr=error, text=True
        ) as process,
    ):
        assert process.stdout is not None
        url = process.stdout.readline().rpartition(" ")[2].strip()
        numbers = [request(url + path).fields["x-request-id"] for path in [*expected, *expected]]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    lines = said.read_text().splitlines()
    assert all(any(f"request {number} " in line for line in lines) for number in numbers)
    hints = [line for line in lines if line.startswith("hint: ")]
    assert len(hints) == len(expected)
    assert all(any(words in hint for hint in hints) for words in expected.values())


@pytest.mark.parametrize(
    ("limits", "most", "advice"),
    [
        (Limits(fuel=1000), "1MiB", "raise it with `--fuel "),
        (None, "3", "raise it with `--max-response`"),
    ],
    ids=["fuel", "max-response"],
)
def test_a_limit_that_fails_a_request_is_named(limits: Limits | None, most: str, advice: str) -> None:
    """By the flag that raises it."""
    application = http_application("lean")
    with edge.serve(application, address="127.0.0.1:0", limits=limits, max_response=most) as server:
        with contextlib.suppress(http.client.HTTPException):
            request(server.url)
        (failure,) = server.failures(10)
    assert failure.hint is not None
    assert advice in failure.hint


def test_a_start_that_takes_long_says_what_is_done(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In one line where there is no terminal, and not at all while something else is told."""
    monkeypatch.setattr(serving_process, "_QUIET", 0.01)
    told = threading.Event()
    tell = output.long_work()

    def hear(what: str, seconds: float | None) -> None:
        tell(what, seconds)
        if seconds is not None and seconds > 0.02:
            told.set()

    with Preparing("app.wasm", hear) as preparing:
        with preparing.paused():
            assert not told.wait(0.1)
        assert told.wait(10)
    assert capfd.readouterr().err == "compiling `app.wasm`, which is kept for the next start\n"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nothing.wasm", "`wherry serve DIR` builds the project in a folder"),
        ("text.wasm", "`wherry serve DIR` builds the project in a folder"),
        ("empty", "an `index.html` in it makes it a folder of static files"),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_to_do(name: str, hint: str, tmp_path: Path) -> None:
    """A file that is not there or is none, and a folder with nothing in it."""
    (tmp_path / "text.wasm").write_text("hello\n")
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [*SERVE, str(tmp_path / name), "--addr", "127.0.0.1:0"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"hint: {hint}" in done.stderr


def test_a_server_that_was_stopped_is_not_reloaded() -> None:
    """It says so; while it runs it is."""
    server = edge.serve(http_application("lean"), address="127.0.0.1:0")
    server.reload()
    server.stop()
    with pytest.raises(UsageError, match="the server was stopped, and reloads nothing") as raised:
        server.reload()
    assert raised.value.hint == "`wherry.edge.serve` starts another"


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


def test_what_keeps_a_project_from_being_reloaded_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With what the compiler said; what was served before goes on."""
    new_project("acme/site", "c", "http", folder=tmp_path / "site")
    source = tmp_path / "site" / "src" / "site.c"
    with edge.serve(tmp_path / "site", address="127.0.0.1:0") as server:
        source.write_text(source.read_text() + "\nint broken(void) { return nothing_of_this_name; }\n")
        reload(server)
        told = capfd.readouterr().err
        assert "nothing_of_this_name" in told
        assert "not reloaded, and what was served before goes on" in told
        assert request(server.url).status == 200
