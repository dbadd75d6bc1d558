"""The rule from names of WIT to names of Python."""

from __future__ import annotations

import keyword

import pytest

from wherry.wit.names import pascal_case, snake_case


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("add", "add"),
        ("read-all", "read_all"),
        ("from", "from_"),
        ("is", "is_"),
        ("match", "match"),
        ("get-URL", "get_url"),
        ("utf8-len", "utf8_len"),
    ],
)
def test_functions_and_fields_are_snake_case(name: str, expected: str) -> None:
    """Hyphens become underscores, capitals small letters, and keywords get an underscore."""
    assert snake_case(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("point", "Point"), ("error-code", "ErrorCode"), ("HTTP-request", "HTTPRequest"), ("none", "None_")],
)
def test_records_and_resources_are_classes(name: str, expected: str) -> None:
    """Words are joined with capitals; acronyms stay; keywords get an underscore."""
    assert pascal_case(name) == expected


@pytest.mark.parametrize("word", keyword.kwlist)
def test_no_name_is_a_keyword(word: str) -> None:
    """Whatever WIT calls something, Python can spell it."""
    assert snake_case(word.lower()).isidentifier()
    assert not keyword.iskeyword(snake_case(word.lower()))
    assert not keyword.iskeyword(pascal_case(word.lower()))
