"""What is made from the records of ``wherry.toml``: the JSON schema, and the tables in ``docs/manifest.md``.

``python -m tests.artifact.generated`` writes both anew; the tests hold them against the code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wherry.artifact.schema import json_schema, schema_path

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).parents[2] / "docs" / "manifest.md"
_BEGIN = "<!-- The tables are made by `python -m tests.artifact.generated`. -->\n"
_END = "<!-- End of the tables. -->\n"

_SECTIONS = {
    "[package]": "Package",
    "[build]": "Build",
    "[command.NAME]": "Command",
    "[library]": "Library",
    "[http]": "Http",
    "[files]": "FilesFrom",
    "[needs]": "Needs",
    "[[needs.dir]]": "FolderNeed",
    "[[needs.env]]": "VariableNeed",
    "[[needs.allow-net]]": "AddressNeed",
    "[[needs.allow-listen]]": "ListenNeed",
    "[[needs.allow-http]]": "RequestNeed",
    "[needs.allow-dns]": "SwitchNeed",
    "[[needs.config]]": "ConfigNeed",
    "[[needs.secret]]": "NameNeed",
    "[needs.kv]": "StoreNeed",
    "[needs.clock], [needs.random]": "HostNeed",
    "[needs.limits]": "LimitsAsked",
    "[dependencies]": "Dependency",
}


def page() -> str:
    """The page as it should be: its prose as it is, and its tables from the code."""
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    definitions = json.loads(json_schema())["definitions"]
    tables = "\n".join(_table(title, definitions[name]) for title, name in _SECTIONS.items())
    return f"{before}{_BEGIN}\n{tables}\n{_END}{after}"


def _table(title: str, definition: dict[str, Any]) -> str:
    required = definition.get("required", [])
    rows = [
        f"| `{key}` | {_type(form)} | {'yes' if key in required else ''} | {_words(form)} |"
        for key, form in definition["properties"].items()
    ]
    heading = ", ".join(f"`{one}`" for one in title.split(", "))
    lines = [f"### {heading}", "", definition["description"], ""]
    return "\n".join([*lines, "| key | value | required | what it says |", "|---|---|---|---|", *rows, ""])


def _type(form: dict[str, Any]) -> str:
    """A type in words."""
    if "enum" in form:
        return " or ".join(f"`{value}`" for value in form["enum"])
    if "anyOf" in form:
        return " or ".join(dict.fromkeys(_type(case) for case in form["anyOf"]))
    if "$ref" in form:
        return "table"
    if form["type"] == "array":
        return f"list of {_type(form['items'])}s"
    return {"string": "text", "integer": "number", "boolean": "`true` or `false`"}[form["type"]]


def _words(form: dict[str, Any]) -> str:
    examples = form.get("examples") or []
    text = form.get("description", "").replace("|", "\\|")
    return f"{text} Such as {', '.join(f'`{one}`' for one in examples)}." if examples else text


if __name__ == "__main__":
    schema_path().write_text(json_schema())
    PAGE.write_text(page())
