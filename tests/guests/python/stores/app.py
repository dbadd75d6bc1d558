"""A command that does what its arguments say to its configuration and its stores, and prints what came of it.

Each word names a method ``do_<word>`` below, and the words after it are its arguments.
"""

import sys

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import atomics, batch
from wit_world.imports import wasi_config_store as configuration
from wit_world.imports import wasi_keyvalue_store as keyvalue

_PAIR = 2


class Run(exports.Run):
    def run(self) -> None:
        words = sys.argv[1:]
        self.bucket = None
        while words:
            name, *words = words
            taken = getattr(self, f"do_{name}")
            count = taken.__code__.co_argcount - 1
            try:
                print(taken(*words[:count]))
            except Err as error:
                why = error.value
                print(type(why).__name__, getattr(why, "value", ""))
            words = words[count:]

    def opened(self) -> keyvalue.Bucket:
        if self.bucket is None:
            self.bucket = keyvalue.open("")
        return self.bucket

    def do_get(self, name: str) -> object:
        return configuration.get(name)

    def do_know(self, name: str) -> object:
        self.known = configuration.get(name)
        return len(self.known or "")

    def do_all(self) -> object:
        return sorted(configuration.get_all())

    def do_open(self, name: str) -> object:
        self.bucket = keyvalue.open(name)
        return "open"

    def do_put(self, key: str, value: str) -> object:
        return self.opened().set(key, value.encode())

    def do_fill(self, key: str, count: str) -> object:
        return self.opened().set(key, bytes(int(count)))

    def do_flood(self, count: str, size: str) -> object:
        value = bytes(int(size))
        for number in range(int(count)):
            self.opened().set(str(number), value)
        return count

    def do_read(self, key: str) -> object:
        return self.opened().get(key)

    def do_has(self, key: str) -> object:
        return self.opened().exists(key)

    def do_delete(self, key: str) -> object:
        return self.opened().delete(key)

    def do_keys(self) -> object:
        return self.opened().list_keys(None).keys

    def do_add(self, key: str, delta: str) -> object:
        return atomics.increment(self.opened(), key, int(delta))

    def do_batch(self, pairs: str) -> object:
        items = [pair.split("=") for pair in pairs.split(",")]
        written = [(item[0], item[1].encode()) for item in items if len(item) == _PAIR]
        if written:
            return batch.set_many(self.opened(), written)
        return batch.get_many(self.opened(), [item[0] for item in items])

    def do_drop(self, keys: str) -> object:
        return batch.delete_many(self.opened(), keys.split(","))

    def do_leak(self, count: str) -> object:
        self.leaked = [keyvalue.open("") for _ in range(int(count))]
        return len(self.leaked)

    def do_crash(self) -> object:
        raise RuntimeError("on purpose")

    def do_fail(self) -> object:
        sys.exit(3)
