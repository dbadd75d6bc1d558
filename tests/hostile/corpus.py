"""Ten thousand hostile modules from a seed.

Four thousand come from wasm-smith (``generator/``) and pass validation. The others are those, and real
guests, cut short or changed: flipped bits, foreign bytes, and lengths that promise more than there is.
"""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

from tests.guests.build import CACHE, GUESTS, binary, c_command
from tests.guests.echo import echo, relay
from tests.guests.wit_types import Field, List, Option, Prim, Record, Variant, Wit

__all__ = ["EXPORTS", "GENERATED", "TOTAL", "hostile_modules", "pack", "smith", "unpack"]

TOTAL = 10_000
GENERATED = 4_000
_TRUNCATED = 2_000

# What the modules of wasm-smith export, and arguments that fit. Components export `echo` or `relay`.
EXPORTS: dict[str, tuple[object, ...]] = {
    "numbers": (1, -1, 0.5, float("nan")),
    "plain": (),
    "many": (7,),
    "echo": ([],),
    "relay": ([],),
}

_GENERATOR = Path(__file__).parent / "generator"
_LARGEST_LEB = b"\xff\xff\xff\xff\x0f"


def hostile_modules(seed: int) -> list[bytes]:
    """All modules, in the same order for the same seed; the first ``GENERATED`` of them are valid."""
    generated = smith(seed, GENERATED)
    source = random.Random(seed)  # noqa: S311 - the point is that it can be repeated
    seeds = generated[:500] + _real_guests() * 25
    truncated = [_truncate(source, source.choice(seeds)) for _ in range(_TRUNCATED)]
    mutated = [_mutate(source, source.choice(seeds)) for _ in range(TOTAL - GENERATED - _TRUNCATED)]
    return generated + truncated + mutated


def smith(seed: int, count: int) -> list[bytes]:
    """Valid modules made by wasm-smith, each with the core exports of ``EXPORTS``."""
    target = CACHE / "generator-target"
    subprocess.run(
        ["cargo", "build", "--quiet", "--release", "--locked"],
        check=True,
        cwd=_GENERATOR,
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
    )
    program = target / "release" / "hostile-modules"
    stream = subprocess.run([program, str(seed), str(count)], check=True, capture_output=True).stdout
    return unpack(stream)


def pack(modules: list[bytes]) -> bytes:
    """Each module after its length in four little-endian bytes."""
    return b"".join(len(module).to_bytes(4, "little") + module for module in modules)


def unpack(stream: bytes) -> list[bytes]:
    """The modules in what ``pack`` made, or the generator."""
    modules = []
    at = 0
    while at < len(stream):
        end = at + 4 + int.from_bytes(stream[at : at + 4], "little")
        modules.append(stream[at + 4 : end])
        at = end
    return modules


def _real_guests() -> list[bytes]:
    shape = Variant((Field("none", None), Field("text", Prim("string")), Field("number", Prim("f64"))))
    types: list[Wit] = [
        List(Prim("u8")),
        List(Record((Field("name", Prim("string")), Field("shape", shape)))),
        List(Option(Option(Prim("u32")))),
    ]
    components = [binary(make(wit)) for wit in types for make in (echo, relay)]
    texts = [binary(path) for path in sorted((GUESTS / "wat").glob("*.wat"))]
    commands = [c_command(name) for name in ("hello", "exit", "environment")]
    return [path.read_bytes() for path in components + texts + commands]


def _truncate(source: random.Random, module: bytes) -> bytes:
    return module[: source.randrange(len(module))]


def _mutate(source: random.Random, module: bytes) -> bytes:
    changed = bytearray(module)
    for _ in range(source.choice((1, 1, 2, 4, 8))):
        _change(source, changed)
    return bytes(changed)


def _change(source: random.Random, module: bytearray) -> None:
    # The magic number and version stay: without them nothing behind them is looked at.
    at = source.randrange(8, max(9, len(module)))
    length = source.randrange(1, 16)
    match source.randrange(5):
        case 0:
            module[at : at + 1] = bytes([(module[at] if at < len(module) else 0) ^ 1 << source.randrange(8)])
        case 1:
            module[at : at + length] = source.randbytes(length)
        case 2:
            module[at : at + 1] = _LARGEST_LEB
        case 3:
            del module[at : at + length]
        case _:
            other = source.randrange(8, max(9, len(module)))
            module[at:at] = module[other : other + length]
