"""Runs inside the sandbox, on CPython compiled to WebAssembly. It sees one folder, and may only read it."""

import csv
import datetime as dt
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).parent

with (HERE / "cities.csv").open(newline="") as file:
    rows = list(csv.DictReader(file))

print(
    f"Python {sys.version.split()[0]} on {sys.platform} sees {sorted(path.name for path in HERE.iterdir())}"
)
for month in (1, 7):
    degrees = [float(row["celsius"]) for row in rows if dt.date.fromisoformat(row["date"]).month == month]
    print(f"{dt.date(2026, month, 1):%B}: {statistics.mean(degrees):.1f} degrees on average")
try:
    (HERE / "new.txt").write_text("this must not work")
except OSError as error:
    print(f"writing is refused: {error.strerror}")
