"""The servers that ours is measured against, each with one process or thread that answers.

nginx is a package of Debian, granian and uvicorn come from PyPI as ``requirements/bench.txt`` has them, and
workerd from npm; what is not installed is fetched into the cache. Their configurations do nothing but answer:
no access log, and connections that are kept for as long as they come.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import peers
from tests.debian import command
from tests.guests.build import CACHE

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Words", "describe", "granian", "nginx", "node", "uvicorn", "workerd"]

Words = tuple[str | Path, ...]
"""A command line, in which ``{address}``, ``{host}`` and ``{port}`` are filled in."""

_HERE = Path(__file__).parent
_WORKERD = "1.20261117.1"
_NGINX = """daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  open_file_cache max=100;
  default_type text/html;
  server {{ listen {address}; root {root}; }}
}}
"""
_CAPNP = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .hello)],
  sockets = [(name = "http", address = "127.0.0.1:1", http = (), service = "main")],
);
const hello :Workerd.Worker = (
  modules = [(name = "hello.mjs", esModule = embed "hello_workerd.mjs")],
  compatibilityDate = "2025-01-01",
);
"""


def describe() -> str:
    """One line with the versions of those that are there."""
    found = []
    for name, ask in _VERSIONS.items():
        try:
            found.append(f"{name} {ask()}")
        except (OSError, RuntimeError, subprocess.SubprocessError, ImportError):
            found.append(f"no {name}")
    return ", ".join(found)


def nginx(root: Path) -> Words:
    """The files of a folder on nginx."""
    words, _ = _nginx()
    # It wants its own folders, and the address in a file.
    script = 'sed "s/ADDRESS/$0/" "$1/template" > "$1/nginx.conf" && exec "${@:2}" -p "$1" -c "$1/nginx.conf"'
    folder = root.with_name(f"{root.name}-nginx")
    folder.mkdir(exist_ok=True)
    (folder / "template").write_text(_NGINX.format(folder=folder, address="ADDRESS", root=root))
    return ("bash", "-c", script, "{address}", folder, *words)


def granian() -> Words:
    """An application of ASGI on granian."""
    return (
        *(peers.interpreter(), "-m", "granian", "--interface", "asgi", "--workers", "1", "--no-log"),
        *("--host", "{host}", "--port", "{port}", "--working-dir", _HERE, "hello_asgi:app"),
    )


def uvicorn() -> Words:
    """The same on uvicorn, with the loop and the parser that it is fastest with."""
    return (
        *(peers.interpreter(), "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log"),
        *("--host", "{host}", "--port", "{port}", "--app-dir", _HERE, "hello_asgi:app"),
    )


def node() -> Words:
    """``node:http``."""
    return (_node(), _HERE / "hello_http.mjs", "{address}")


def workerd() -> Words:
    """A worker of JavaScript: one isolate, which all requests share."""
    config = _workerd().with_name("hello.capnp")
    config.write_text(_CAPNP)
    shutil.copy(_HERE / "hello_workerd.mjs", config.parent)
    return (_workerd(), "serve", config, "--socket-addr", "http={address}")


def _node() -> str:
    found = shutil.which("node")
    if found is None:
        raise RuntimeError("`node` is missing\n\nhint: https://nodejs.org has it")
    return found


@functools.cache
def _nginx() -> tuple[list[str], dict[str, str]]:
    return command("nginx", ["nginx", "libpcre2-8-0"])


@functools.cache
def _workerd() -> Path:
    """The program, out of its package; no script of that runs."""
    folder = CACHE / "bench" / f"workerd-{_WORKERD}"
    program = folder / "node_modules/@cloudflare/workerd-linux-64/bin/workerd"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"dependencies": {"workerd": _WORKERD}}))
        npm = [shutil.which("npm") or "npm", "install", "--ignore-scripts", "--no-audit", "--silent"]
        subprocess.run(npm, cwd=folder, check=True)
    return program


def _said(*words: str) -> str:
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout


_VERSIONS: dict[str, Callable[[], str]] = {
    "nginx": lambda: _said(*_nginx()[0], "-v").rpartition("/")[2].split()[0],
    "node": lambda: _said(_node(), "--version").strip().removeprefix("v"),
    "granian": lambda: version("granian"),
    "uvicorn": lambda: version("uvicorn"),
    "workerd": lambda: _WORKERD,
}
