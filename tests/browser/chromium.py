"""A browser for tests: Chromium without a window, from npm, which loads a page and hears what that says.

The page is served from a folder on the loopback address, and sends what it has to say to ``/done``.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.guests.build import cached

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["said"]

_HERE = Path(__file__).parent
_PINS = ("package.json", "package-lock.json")
_PATIENCE = 60.0
_UNPACK = 'import chromium from "@sparticuz/chromium"; await chromium.executablePath();'
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-zygote",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
]


def said(folder: Path, page: str) -> Any:
    """What a page of a folder sends to ``/done``, as JSON."""
    answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    with _served(folder, answers) as address, _shown(f"{address}/{page}"):
        return json.loads(answers.get(timeout=_PATIENCE))


@contextlib.contextmanager
def _served(folder: Path, answers: queue.SimpleQueue[bytes]) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            answers.put(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody looks on."""

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@contextlib.contextmanager
def _shown(url: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = [str(_program()), *_FLAGS, f"--user-data-dir={profile}", url]
        process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()


def _program() -> Path:
    """The browser, fetched and unpacked once."""

    def fetch(folder: Path) -> None:
        folder.mkdir()
        for name in _PINS:
            shutil.copyfile(_HERE / name, folder / name)
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]
        subprocess.run(["npm", "ci", *quiet], cwd=folder, check=True)
        (folder / "unpack.mjs").write_text(_UNPACK)
        environment = {**os.environ, "TMPDIR": str(folder)}
        subprocess.run(["node", "unpack.mjs"], cwd=folder, check=True, env=environment)

    return cached("browser", fetch, *((_HERE / name).read_bytes() for name in _PINS)) / "chromium"
