"""The server of the soak: ``wherry serve`` with many applications in a process; and what that holds."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.edge.served import Served, serving
from tests.guests.build import c_command, http_application
from tests.requesting import request
from tests.servers import free_port
from tests.soak.clients import PAGE, SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Held", "Soaked", "soaked"]

_COMMAND = """#include <stdio.h>
int main(void) { puts("Content-Type: text/plain\\n\\nHello"); }
"""
_SMALL = 'policy = { memory = "32MiB", timeout = "200ms" }'
_APPLICATIONS = {
    "good": ("lean", ""),
    "trapping": ("lean", ""),
    "looping": ("lean", _SMALL),
    "greedy": ("lean", 'policy = { memory = "32MiB" }'),
    "large": ("full", f'max-request = "{SMALL}"'),
    "busy": ("full", 'concurrency = 2\nqueue = 2\nwait = "20s"'),
    "slow": ("full", 'policy = { memory = "32MiB", timeout = "5s" }'),
}
"""What is served under each name: which of the guests, and with which settings."""


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    memory: int
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Soaked:
    """The server and its address for who watches."""

    served: Served
    admin: str

    def held(self) -> Held:
        """What it holds now."""
        process = Path(f"/proc/{self.served.process}")
        descriptors, threads = (len(list((process / name).iterdir())) for name in ("fd", "task"))
        return Held(self.served.held(), descriptors, threads)

    def counted(self) -> dict[str, dict[int, int]]:
        """Its own count of requests, by application and status."""
        found: dict[str, dict[int, int]] = {}
        for line in request(f"{self.admin}/metrics").text.splitlines():
            if line.startswith("wherry_requests_total{"):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
                statuses = found.setdefault(labels.get("application", ""), {})
                status = int(labels["status"])
                statuses[status] = statuses.get(status, 0) + int(float(line.split()[-1]))
        return found

    def active(self) -> int:
        """Requests that it is at."""
        text = request(f"{self.admin}/metrics").text
        return sum(
            int(float(line.split()[-1]))
            for line in text.splitlines()
            if line.startswith("wherry_requests_active")
        )


@contextmanager
def soaked(folder: Path, times: Mapping[str, str], before: str = "") -> Iterator[Soaked]:
    """All applications on one server, behind a command of the shell; ``folder`` is for its files.

    Clients may take so long; without ``times`` as long as on any server.
    """
    admin = f"127.0.0.1:{free_port()}"
    lines = ["[server]", f'admin = "{admin}"', *(f'{name} = "{time}"' for name, time in times.items())]
    (folder / "pages").mkdir()
    (folder / "pages" / "page.txt").write_bytes(PAGE)
    (folder / "pages" / "index.html").write_text("pages")
    (folder / "command.c").write_text(_COMMAND)
    shutil.copy(c_command("soak", source=folder / "command.c"), folder / "command.wasm")
    targets = {"files": "pages", "command": "command.wasm"}
    for host in ("lean", "full"):
        shutil.copy(http_application(host), folder / f"{host}.wasm")
    for name, (guest, settings) in {**_APPLICATIONS, "files": ("", ""), "command": ("", "")}.items():
        target = targets.get(name, f"{guest}.wasm")
        lines += ["[[application]]", f'name = "{name}"', f'target = "{target}"', f'routes = ["{name}/*rest"]']
        lines.append(settings)
    file = folder / "edge.toml"
    file.write_text("\n".join(lines))
    with serving(file, before=before) as served:
        yield Soaked(served, f"http://{admin}")
