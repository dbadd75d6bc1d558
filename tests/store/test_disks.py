"""The store on disks that fail: one that is full and one that can only be read, both real, as it is typed.

They are mounted where only the processes of a test see them, for which nobody has to be root.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.artifact.projects import SMALLEST, hello, project
from tests.e2e.commands import cli

ROOT = Path(__file__).parents[2]
MANIFEST = (
    '[package]\nname = "acme/{name}"\nversion = "{version}"\n\n[command.{name}]\ncomponent = "hello.wasm"\n'
)
FILES = '\n[files]\n"/data" = "data"\n'

# Types line after line, and says of each its exit code and what it printed.
TYPING = """
import json, os, subprocess, sys
said = []
for words in json.loads(sys.argv[1]):
    if words[0] == "fill":
        room = int(words[1])
        at = os.statvfs(".")
        filler = open("filler", "wb")
        filler.write(bytes(max(0, at.f_bavail * at.f_bsize - room)))
        filler.close()
        continue
    if words[0] == "empty":
        os.unlink("filler")
        continue
    done = subprocess.run([sys.executable, "-m", "wherry", *words], capture_output=True, text=True)
    said.append([words, done.returncode, done.stdout, done.stderr])
print(json.dumps(said))
"""


def typed_on(mounting: str, folder: Path, *lines: list[str]) -> list[tuple[list[str], int, str, str]]:
    """What comes of command lines in a folder, with something mounted first."""
    import json
    import os

    script = f'set -e\n{mounting}\ncd "$1"\nshift\nexec "$@"'
    done = subprocess.run(
        [
            *("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(folder)),
            *(sys.executable, "-c", TYPING, json.dumps(lines)),
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "WHERRY_STORE": str(folder / "store"),
            "WHERRY_BIN": str(folder / "bin"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return [(words, code, out, err) for words, code, out, err in json.loads(done.stdout)]


def honest(code: int, err: str) -> bool:
    """Whether an error says what it is: none of ours, no traceback, no damage where there is none."""
    told = all(word not in err for word in ("a fault in Wherry", "Traceback", "is damaged"))
    return told and (code == 0 or err.startswith(("error: ", "warning: ")))


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """A folder with packed files: `hello` in two versions, with files and without, and `add`."""
    for name, version, more in (("hello", "1.0.0", ""), ("hello", "1.1.0", FILES)):
        folder = project(tmp_path / f"{name}-{version}", MANIFEST.format(name=name, version=version) + more)
        (folder / "hello.wasm").write_bytes(hello())
        (folder / "data/large.bin").write_bytes(bytes(100_000))
        done = cli("pack", folder, "-o", tmp_path / f"{name}-{version}.tar", stdin=b"")
        assert done.returncode == 0, done.stderr
    cli("pack", project(tmp_path / "add", SMALLEST), "-o", tmp_path / "add.tar", stdin=b"")
    return tmp_path


SLOWLY = [pytest.param(room, marks=pytest.mark.slow) for room in (0, 4096, 20_000, 200_000, 400_000)]


@pytest.mark.parametrize("room", [100_000, *SLOWLY])
def test_a_full_disk(archives: Path, room: int) -> None:
    """Whatever is left: each command does what it says or says why not, and with room again all is well."""
    disk = archives / "disk"
    disk.mkdir()
    older, newer = (str(archives / f"hello-{version}.tar") for version in ("1.0.0", "1.1.0"))
    changing = [
        ["load", newer],
        ["run", "acme/hello@1.1"],
        ["tag", "acme/hello@1.0.0", "acme/hello@kept"],
        ["save", "acme/hello@1.0.0", "-o", "saved.tar"],
        ["install", "acme/hello@1.0.0"],
        ["run", newer],
        ["list"],
        ["prune"],
    ]
    said = typed_on(
        f'mount -t tmpfs -o size=2m,mode=755 tmpfs "{disk}"',
        disk,
        ["load", older],
        ["fill", str(room)],
        *changing,
        ["empty"],
        ["verify-store"],
        *(changing[0], changing[4]),
        ["verify-store"],
        ["run", "acme/hello@1.0.0"],
    )
    full = said[1 : 1 + len(changing)]
    for words, code, out, err in full:
        assert honest(code, err), (words, err)
        assert out == "hello\n" if words[0] == "run" and code == 0 else True
    if not room:
        assert {words[0] for words, code, _, _ in full if code} >= {"load", "tag", "save", "install"}
        assert all("no space left" in err or "disk is full" in err for _, code, _, err in full[:1] if code)
    for words, code, _, err in said[1 + len(changing) :]:
        assert code == 0, (words, err)
    assert said[-1][2] == "hello\n"


def test_a_disk_that_can_only_be_read(archives: Path) -> None:
    """Whatever only looks, works; whatever changes something says that it cannot."""
    older, newer = (str(archives / f"hello-{version}.tar") for version in ("1.0.0", "1.1.0"))
    (archives / "disk").mkdir()
    store = archives / "disk/store"
    for file in (older, newer):
        assert cli("load", file, stdin=b"", WHERRY_STORE=str(store)).returncode == 0
    before = {path: path.lstat().st_mtime_ns for path in store.rglob("*")}
    looking = [
        ["list"],
        ["show", "acme/hello"],
        ["run", "acme/hello@1.0.0"],
        ["run", "acme/hello@1.0.0"],
        ["diff", "acme/hello@1.0.0", newer],
        ["save", "acme/hello", "-o", str(archives / "saved.tar")],
        ["permissions", "list"],
        ["verify-store"],
        ["install"],
    ]
    changing = [
        ["load", str(archives / "add.tar")],
        ["tag", "acme/hello", "acme/hello@mine"],
        ["remove", "acme/hello@1.0.0"],
        ["prune"],
        ["install", "acme/hello"],
    ]
    said = typed_on(
        f'mount --bind "{store}" "{store}"\nmount -o remount,ro,bind "{store}"',
        archives / "disk",
        *looking,
        *changing,
        ["run", "acme/hello"],
    )
    for words, code, out, err in said:
        assert honest(code, err), (words, err)
        assert code == int(words in changing), (words, code, err)
        assert out == "hello\n" if words[0] == "run" else True
        assert "read-only" in err or "readonly" in err if words in changing else True
    assert {path: path.lstat().st_mtime_ns for path in store.rglob("*")} == before
