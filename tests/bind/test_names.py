"""Names of WIT as names of host languages."""

from __future__ import annotations

import pytest

from wherry.bind.names import Names, camel_case, distinct, pascal_case, screaming_case, snake_case


@pytest.mark.parametrize(
    ("name", "snake", "screaming", "pascal", "camel"),
    [
        ("get-url", "get_url", "GET_URL", "GetUrl", "getUrl"),
        ("get-URL2", "get_url2", "GET_URL2", "GetURL2", "getURL2"),
        ("URL", "url", "URL", "URL", "url"),
        ("a", "a", "A", "A", "a"),
    ],
)
def test_words_are_put_together_as_languages_have_them(
    name: str, snake: str, screaming: str, pascal: str, camel: str
) -> None:
    """One name of WIT has one form in each convention."""
    made = (snake_case(name), screaming_case(name), pascal_case(name), camel_case(name))
    assert made == (snake, screaming, pascal, camel)


def test_a_name_is_given_once() -> None:
    """What is reserved or taken is not given again, whatever was wanted."""
    names = Names({"class", "self"})
    assert names.take("class") == "class_"
    assert names.take("width") == "width"
    assert names.take("width", "image_width") == "image_width"
    assert names.take("width") == "width_"
    assert "width_" in names


def test_names_that_a_file_system_takes_for_one_are_two() -> None:
    """With a fold, names that differ in capitals only are not both given."""
    names = Names(fold=str.lower)
    assert [names.take("Codec"), names.take("codec")] == ["Codec", "codec_"]


def test_names_do_not_depend_on_the_order() -> None:
    """Two that want the same name both take their next one, whichever comes first."""
    wanted = {"a": ["codec", "images_codec"], "b": ["codec", "sounds_codec"], "c": ["log"]}
    expected = {"a": "images_codec", "b": "sounds_codec", "c": "log"}
    assert distinct(wanted) == expected
    assert distinct(dict(reversed(wanted.items()))) == expected


def test_what_has_no_other_name_is_numbered() -> None:
    """Where every wanted name is taken, an underscore keeps names apart."""
    assert sorted(distinct({1: ["x"], 2: ["x"]}).values()) == ["x", "x_"]
    assert distinct({1: ["x"]}, {"x"}) == {1: "x_"}
