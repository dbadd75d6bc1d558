"""What a guest in Python may leave behind, written and looked for; the letters of the path are done in order.

What it answers begins with what it found before it did anything else.
"""

import builtins
import decimal
import gc
import os
import random
import sys

kept = []
spelled = {}


def look():
    """Whatever another request could have changed, in the interpreter and in where it puts things."""
    places = [id(object()), id(bytearray(100)), id(bytearray(100_000)), id(bytearray(3_000_000))]
    return [
        places,
        os.open("/data/file", os.O_RDWR),
        len(kept),
        sorted(spelled),
        sorted(set(vars(builtins)) & {"left"}),
        sorted(os.environ),
        len(sys.modules),
        sys.getrecursionlimit(),
        decimal.getcontext().prec,
        gc.get_count()[1:],
        gc.isenabled(),
        random.getstate() == SEEDED,
    ]


def seeded(seed):
    """The state that a number leads to."""
    random.seed(seed)
    return random.getstate()


BEFORE = random.getstate()
SEEDED = seeded(5)
random.setstate(BEFORE)


def environment(seed):
    os.environ["LEFT"] = str(seed)


def files(seed):
    kept.extend(os.open("/data/file", os.O_RDWR) for _ in range(1 + seed % 20))


def names(seed):
    spelled[seed] = builtins.left = seed
    sys.modules[f"left{seed}"] = sys


def objects(seed):
    kept.append([bytes([seed % 256]) * (seed * block % 90_000) for block in range(100)])


def memory(seed):
    kept.append(bytearray(b"x" * (1 + seed % 16)) * 1_000_000)


def randomness(seed):
    random.seed(5)


def settings(seed):
    sys.setrecursionlimit(2000 + seed)
    decimal.getcontext().prec = 1 + seed % 100
    gc.disable()


def loop(seed):
    while True:
        pass


def trap(seed):
    os.abort()


def fail(seed):
    raise RuntimeError("asked to")


WRITES = {
    "e": environment,
    "f": files,
    "g": names,
    "h": objects,
    "l": loop,
    "m": memory,
    "r": randomness,
    "s": settings,
    "x": fail,
    "X": trap,
}


async def app(scope, receive, send):
    """Answer a request."""
    found = look()
    begun = False
    seed = int(scope["query_string"] or b"0")
    for letter in scope["path"]:
        if letter == "a":
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
            )
            begun = True
            await say(send, found)
        elif letter == "p":
            await say(send, look())
        elif letter == "w":
            while (await receive()).get("more_body"):
                pass
        elif letter in WRITES:
            WRITES[letter](seed)
    if begun:
        await send({"type": "http.response.body", "body": b""})


async def say(send, found):
    """A line of an answer."""
    await send({"type": "http.response.body", "body": f"{found}\n".encode(), "more_body": True})
