"""How packages are named."""

from __future__ import annotations

import pytest

from wherry.errors import UsageError
from wherry.store.location import is_path
from wherry.store.references import Reference, read_reference

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("acme/thumbs", Reference("acme/thumbs")),
        ("acme/thumbs@1.2", Reference("acme/thumbs", requirement="1.2")),
        ("acme/thumbs@^1.2", Reference("acme/thumbs", requirement="^1.2")),
        ("acme/thumbs@>=1.2,<1.5", Reference("acme/thumbs", requirement=">=1.2,<1.5")),
        ("acme/thumbs@2.0.0-rc.1", Reference("acme/thumbs", requirement="2.0.0-rc.1")),
        ("acme/thumbs@nightly", Reference("acme/thumbs", label="nightly")),
        (f"acme/thumbs@{DIGEST}", Reference("acme/thumbs", digest=DIGEST)),
        (f"@{DIGEST}", Reference(digest=DIGEST)),
        (DIGEST, Reference(digest=DIGEST)),
        (DIGEST[:20], Reference(digest=DIGEST[:20])),
        ("acme/tools#resize", Reference("acme/tools", command="resize")),
        ("acme/tools@1#resize", Reference("acme/tools", requirement="1", command="resize")),
        (f"{DIGEST}#resize", Reference(digest=DIGEST, command="resize")),
    ],
)
def test_what_names_a_package(text: str, expected: Reference) -> None:
    """It is taken apart, and put together it is the same."""
    assert read_reference(text) == expected
    assert read_reference(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("thumbs", "acme/thumbs"),
        ("Acme/Thumbs", "`acme/thumbs`"),
        ("acme/my_tool", "`acme/my-tool`"),
        ("acme/a/b", "acme/thumbs"),
        ("acme/-x", "acme/thumbs"),
        ("acme/thumbs@", "sha256"),
        ("acme/thumbs@1.2.3.4", "sha256"),
        ("acme/thumbs@sha256:xyz", "sha256"),
        ("acme/thumbs@sha256:ab", "sha256"),
        ("acme/thumbs#", "#command"),
        ("acme/thumbs#a b", "#command"),
        ("@nightly", "acme/thumbs"),
        ("", "acme/thumbs"),
        ("acme/\x1b[2J", "acme/thumbs"),
        ("../acme", "`wherry pack`"),
        ("thumbs.oci.tar", "`wherry load`"),
    ],
)
def test_what_names_none(text: str, hint: str) -> None:
    """The error says how one is named, and no terminal acts on it."""
    with pytest.raises(UsageError) as error:
        read_reference(text)
    assert hint in (error.value.hint or "")
    assert error.value.message.isprintable()


@pytest.mark.parametrize("text", [".", "./x", "/x", "x.wasm", "x.wat", "x.cwasm", "x.tar", ".#a", "x.tar#a"])
def test_paths(text: str) -> None:
    """As for ``wherry run``."""
    assert is_path(text)


@pytest.mark.parametrize("text", ["acme/thumbs", DIGEST, "acme/thumbs@1.2", "acme/wasm"])
def test_no_paths(text: str) -> None:
    """What names a package."""
    assert not is_path(text)


@pytest.mark.parametrize(
    ("requirement", "fits", "others"),
    [
        ("1.2", ["1.2.0", "1.2.9"], ["1.3.0", "2.0.0", "1.20.0"]),
        ("^1.2", ["1.2.0", "1.9.0"], ["2.0.0", "1.1.0"]),
        (">=1.2,<1.5", ["1.2.0", "1.4.9"], ["1.5.0"]),
        ("1", ["1.0.0", "1.9.9"], ["2.0.0", "10.0.0"]),
        ("2.0.0-rc.1", ["2.0.0-rc.1"], ["2.0.0", "2.0.0-rc.2"]),
    ],
)
def test_which_versions_fit(requirement: str, fits: list[str], others: list[str]) -> None:
    """As the manual of ``wherry.toml`` says."""
    reference = Reference("acme/thumbs", requirement=requirement)
    assert all(reference.fits(version) for version in fits)
    assert not any(reference.fits(version) for version in others)
