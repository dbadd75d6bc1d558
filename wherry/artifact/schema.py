"""The JSON schema of ``wherry.toml``, from which editors complete and check it, made from the records.

It lies beside this file as ``wherry.schema.json`` and is shipped. Editors with Taplo ("Even Better TOML")
read it where the first line of a manifest names it: ``#:schema PATH``; ``schema_path`` says where it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from wherry.artifact.manifest import Manifest

__all__ = ["json_schema", "schema_path"]


def schema_path() -> Path:
    """Where the schema lies."""
    return Path(__file__).with_name("wherry.schema.json")


def json_schema() -> str:
    """The schema as the text of its file."""
    (root,), definitions = msgspec.json.schema_components([Manifest], ref_template="#/definitions/{name}")
    manifest = definitions.pop(root["$ref"].rpartition("/")[2])
    whole = {
        "$schema": "http://json-schema.org/draft-07/schema#",  # the latest that Taplo reads
        "title": "wherry.toml",
        "description": "What a package of Wherry says of itself.",
        **{key: value for key, value in manifest.items() if key not in {"title", "description"}},
        "anyOf": [{"required": [place]} for place in ("command", "library", "http")],
        "definitions": {name: _plain(definition) for name, definition in sorted(definitions.items())},
    }
    return json.dumps(_plain(whole), indent=2, ensure_ascii=False) + "\n"


def _plain(part: Any) -> Any:
    """A part without what has no meaning in TOML: there is no null, and defaults that say nothing."""
    if isinstance(part, list):
        return [_plain(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    cases = [case for case in part.get("anyOf", ()) if case != {"type": "null"}]
    rest = {key: _plain(value) for key, value in part.items() if key != "anyOf"}
    for key in ("default", "required"):
        # A whole section as a default is one where nothing is said, too.
        if not rest.get(key, True) or isinstance(rest.get(key), dict):
            del rest[key]
    if not cases:
        return rest
    if len(cases) == 1:
        return _plain(cases[0]) | rest
    return rest | {"anyOf": _plain(cases)}
