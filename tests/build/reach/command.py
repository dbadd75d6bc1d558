"""Copies a file with a greeting and standard input in capitals, and ends with 7."""

import os
import sys


def main():
    from pathlib import Path

    try:
        text = Path(sys.argv[1]).read_text()
    except OSError as error:
        print("cannot copy:", error, file=sys.stderr)
        return 3
    Path(sys.argv[2]).write_text(f"{os.environ['GREETING']}, {text}")
    for line in sys.stdin:
        print(line.upper(), end="")
    sys.exit(7)
