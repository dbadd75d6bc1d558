"""Queries that nobody thought of: made from the schema of the suite by chance, the same for the same seed.

Most are valid. Some have one thing changed afterwards, so that they are not, or fail when they are executed.
"""

from __future__ import annotations

import random
from typing import Any

__all__ = ["generated"]

_LEAVES = None
FIELDS: dict[str, dict[str, str | None]] = {
    "Query": {
        "ship(name: $name)": "Ship",
        'ship(name: "Clara")': "Ship",
        "ships": "Ship",
        "vessel(name: $name)": "Vessel",
        "vessels": "Vessel",
        "named": "Named",
        "moored": "Moored",
        "berth(number: $number)": "Berth",
        "berths": "Berth",
        'sailor(id: "2")': "Sailor",
        "sailors": "Sailor",
        'owner(of: "2")': "Owner",
        'owner(of: "Rederi")': "Owner",
        "trouble": "Trouble",
        "troubleHard": "Trouble",
        "count": None,
        "ratio": None,
        "today": None,
        "matrix": None,
        "echo(int: $number, text: $name, flag: $flag)": None,
        'echo(day: "day:x", ints: [1, null, 2])': None,
        "echo(filter: {limit: $number, and: {cargo: ORE}})": None,
    },
    "Named": {"name": None},
    "Vessel": {"name": None, "length": None, "length(unit: FOOT)": None, "berth": "Berth", "owner": "Owner"},
    "Ship": {
        "name": None,
        "flag": None,
        "length": None,
        "berth": "Berth",
        "owner": "Owner",
        "cargo": "Load",
        "cargo(minimum: $number)": "Load",
        "crew": "Sailor",
        "sister": "Ship",
    },
    "Tug": {"name": None, "pull": None, "tows": "Ship", "berth": "Berth", "owner": "Owner"},
    "Raft": {"planks": None, "name": None},
    "Company": {"name": None, "founded": None, "fleet": "Vessel"},
    "Sailor": {"id": None, "name": None, "rank": None, "age": None, "ship": "Ship", "mood": None},
    "Berth": {"number": None, "depth": None, "log": None, "moored": "Moored"},
    "Load": {"kind": None, "tonnes": None, "due": None, "hazards": None, "declared": None},
    "Trouble": {
        "fine": None,
        "failing": None,
        "extended": None,
        "notAnInt": None,
        "holes": None,
        "softHoles": None,
        "failingHard": None,
        "inner": "Trouble",
        "innerHard": "Trouble",
        "many": "Trouble",
        "manyHard": "Trouble",
        "listOfFailing": "Sailor",
    },
    "Moored": {},
    "Owner": {},
}
"""Fields of each type as they are written, and the type that has their own fields."""
OF = {
    "Named": ["Ship", "Tug", "Company", "Sailor", "Vessel"],
    "Vessel": ["Ship", "Tug"],
    "Moored": ["Ship", "Tug", "Raft", "Vessel"],
    "Owner": ["Company", "Sailor", "Named"],
}
DIRECTIVES = ["", "", "", "", " @include(if: $flag)", " @skip(if: $flag)", " @audited(level: 2)"]
NAMES = ["Anna", "Britta", "Clara", "Nobody"]
VARIABLES = {"name": "String!", "number": "Int!", "flag": "Boolean!"}
BREAKS = [
    ("name", "nome"),
    ("$flag", "$flog"),
    ("on Ship", "on Shipp"),
    (
        "(",
        "(((",
    ),
    ("{", "{ ...Lost "),
    ("Anna", 'An"na'),
]


class _Writer:
    """One document; its fragments come as they are wanted."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.fragments: dict[str, str] = {}
        self.aliases = 0

    def selections(self, type_name: str, depth: int) -> str:
        fields = list(FIELDS[type_name].items())
        chosen = self.chance.sample(fields, min(len(fields), self.chance.randint(1, 4)))
        parts = [self.field(text, of, depth) for text, of in chosen if of is None or depth > 0]
        for narrower in self.chance.sample(OF.get(type_name, []), k=min(2, len(OF.get(type_name, [])))):
            if depth > 0 or not parts:
                parts.append(self.fragment(narrower, depth - 1))
        if not parts or self.chance.random() < 0.2:
            parts.append("__typename")
        return "{ " + " ".join(parts) + " }"

    def field(self, text: str, of: str | None, depth: int) -> str:
        # With an alias of its own each, so that no two of them are to be merged.
        self.aliases += 1
        directive = self.chance.choice(DIRECTIVES)
        inner = "" if of is None else f" {self.selections(of, depth - 1)}"
        return f"f{self.aliases}: {text}{directive}{inner}"

    def fragment(self, type_name: str, depth: int) -> str:
        inner = self.selections(type_name, depth)
        directive = self.chance.choice(DIRECTIVES)
        if self.chance.random() < 0.6:
            return f"... on {type_name}{directive} {inner}"
        name = f"Part{len(self.fragments) + 1}"
        self.fragments[name] = f"fragment {name} on {type_name} {inner}"
        return f"...{name}{directive}"

    def document(self) -> str:
        body = self.selections("Query", self.chance.randint(1, 4))
        text = "\n".join([body, *self.fragments.values()])
        used = [f"${name}: {kind}" for name, kind in VARIABLES.items() if f"${name}" in text]
        head = f"({', '.join(used)})" if used else ""
        return f"query Made{head} {text}"


def generated(seed: int, count: int) -> list[dict[str, Any]]:
    """That many cases; every sixth is changed so that something may be wrong with it."""
    chance = random.Random(seed)  # noqa: S311 - the same each time is what is wanted
    found = []
    for at in range(count):
        text = _Writer(chance).document()
        if at % 6 == 5:
            old, new = chance.choice([one for one in BREAKS if one[0] in text])
            text = text.replace(old, new, 1)
        variables = {
            "name": chance.choice(NAMES),
            "number": chance.randint(1, 3),
            "flag": chance.random() < 0.5,
        }
        if at % 20 == 19:
            variables["number"] = chance.choice(["two", None, 2**40])
        found.append(
            {
                "name": f"generated {at}",
                "do": "execute",
                "schema": "harbour",
                "document": text,
                "variables": variables,
            }
        )
    return found
