"""A WASI 0.2 command in Python: greets its arguments, then copies stdin to stdout in upper case."""

import os
import sys

from wit_world import exports


class Run(exports.Run):
    def run(self) -> None:
        print("arguments:", *sys.argv[1:])
        print("GREETING:", os.environ.get("GREETING", "not granted"))
        for line in sys.stdin:
            print(line.upper(), end="")
        if "fail" in sys.argv:
            sys.exit(1)
