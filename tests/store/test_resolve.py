"""Resolving: a choice is found exactly where there is one, none could be newer, and else it says why."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.artifact.reading import parse_manifest
from wherry.errors import DependencyError, ManifestError, NotFoundError
from wherry.store.resolve import resolve
from wherry.store.wanted import Chosen, Resolved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from wherry.artifact.manifest import Manifest

APP = "acme/app"
Table = dict[str, dict[str, str]]


def manifest(reference: str, uses: str = "") -> Manifest:
    """A package with these lines of ``[dependencies]``."""
    name, _, version = reference.partition("@")
    return parse_manifest(
        f'[package]\nname = "{name}"\nversion = "{version}"\n[library]\n[dependencies]\n{uses}'
    )


class Some:
    """Packages that are made up; the digest of each is its reference, in hexadecimal digits."""

    def __init__(self, there: Mapping[str, str]) -> None:
        self._manifests = {digest(reference): manifest(reference, uses) for reference, uses in there.items()}
        self.hidden: set[str] = set()

    def names(self) -> list[str]:
        """The names."""
        return sorted({one.package.name for one in self._manifests.values()})

    def named(self, name: str) -> Iterable[Chosen]:
        """Those of a name that are not hidden."""
        return [one for one in self.all() if one.name == name and (one.digest or "") not in self.hidden]

    def with_digest(self, digest: str) -> Iterable[Chosen]:
        """The one of a digest."""
        return [one for one in self.all() if one.digest == digest]

    def manifest(self, digest: str) -> Manifest:
        """What one of them says."""
        return self._manifests[digest]

    def all(self) -> list[Chosen]:
        """All of them."""
        return [
            Chosen(one.package.name, one.package.version, digest) for digest, one in self._manifests.items()
        ]


def digest(reference: str) -> str:
    """A digest that is made up."""
    return f"sha256:{reference.encode().hex():0<64}"[:71]


def chosen(uses: str, there: Mapping[str, str] | Some, folder: Path | None = None) -> list[str]:
    """The references of what a package would get."""
    packages = there if isinstance(there, Some) else Some(there)
    return [one.reference for one in found(uses, packages, folder).uses]


def found(uses: str, packages: Some, folder: Path | None = None) -> Resolved:
    """All of what is resolved for the package ``acme/app@1.0.0``."""
    return resolve(Chosen(APP, "1.0.0", folder=folder), manifest(f"{APP}@1.0.0", uses), packages)


class TestChoosing:
    """The highest versions that fit together."""

    def test_the_highest(self) -> None:
        """By the rules of semver, with what it uses in turn."""
        there = {
            "acme/a@1.9.0": "",
            "acme/a@1.10.0": '"acme/b" = "^1"',
            "acme/a@2.0.0": "",
            "acme/b@1.0.0": "",
            "acme/c@1.0.0": "",
        }
        assert chosen('"acme/a" = "^1.2"', there) == ["acme/a@1.10.0", "acme/b@1.0.0"]

    def test_before_a_release(self) -> None:
        """Only where it is asked for."""
        there = {"acme/a@1.0.0": "", "acme/a@1.1.0-rc.1": ""}
        assert chosen('"acme/a" = "^1"', there) == ["acme/a@1.0.0"]
        assert chosen('"acme/a" = ">=1.1.0-rc.1"', there) == ["acme/a@1.1.0-rc.1"]
        assert chosen('"acme/a" = ">=1.0.0-rc.1"', there) == ["acme/a@1.0.0"]
        with pytest.raises(
            DependencyError, match=r"wants `acme/a` 1\.1, and there is 1\.0\.0 and 1\.1\.0-rc\.1"
        ):
            chosen('"acme/a" = "1.1"', there)

    def test_one_version_of_each_name(self) -> None:
        """A lower one where the highest does not go with what else is wanted."""
        there = {
            "acme/a@1.1.0": '"acme/c" = "2"',
            "acme/a@1.0.0": '"acme/c" = "1"',
            "acme/b@1.0.0": '"acme/c" = "1"',
            "acme/c@1.0.0": "",
            "acme/c@2.0.0": "",
        }
        uses = '"acme/a" = "1"\n"acme/b" = "1"'
        assert chosen(uses, there) == ["acme/a@1.0.0", "acme/b@1.0.0", "acme/c@1.0.0"]

    def test_what_has_something_missing_is_passed_over(self) -> None:
        """An older version that has all it needs is better than none."""
        there = {"acme/a@1.1.0": '"acme/gone" = "1"', "acme/a@1.0.0": ""}
        assert chosen('"acme/a" = "1"', there) == ["acme/a@1.0.0"]

    def test_a_digest(self) -> None:
        """Exactly that package, though its name leads to another by now."""
        packages = Some({"acme/a@1.0.0": "", "acme/a@1.1.0": ""})
        packages.hidden.add(digest("acme/a@1.0.0"))
        uses = f'"acme/a" = {{ digest = "{digest("acme/a@1.0.0")}" }}'
        assert chosen('"acme/a" = "1"', packages) == ["acme/a@1.1.0"]
        assert chosen(uses, packages) == ["acme/a@1.0.0"]
        with pytest.raises(DependencyError):
            chosen(uses.replace("acme/a", "acme/b"), packages)

    def test_folders(self, tmp_path: Path) -> None:
        """A project takes the place of all versions of its name, for others too."""
        for name, text in {"a": '"acme/b" = { path = "../b", version = "2" }', "b": ""}.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "wherry.toml").write_text(
                f'[package]\nname = "acme/{name}"\nversion = "2.1.0"\n[library]\n[dependencies]\n{text}'
            )
        there = {"acme/b@2.5.0": "", "acme/c@1.0.0": '"acme/b" = "^2"'}
        uses = '"acme/a" = { path = "../a" }\n"acme/c" = "1"'
        resolved = found(uses, Some(there), tmp_path / "app")
        assert [one.reference for one in resolved.uses] == ["acme/a@2.1.0", "acme/b@2.1.0", "acme/c@1.0.0"]
        assert resolved.of("acme/b").folder == tmp_path / "b"

    def test_a_folder_of_another_project(self, tmp_path: Path) -> None:
        """The error names both; where there is none, it says so."""
        (tmp_path / "wherry.toml").write_text('[package]\nname = "acme/z"\nversion = "1.0.0"\n[library]\n')
        with pytest.raises(ManifestError, match="is the project of `acme/z`, not of `acme/a`"):
            chosen('"acme/a" = { path = "." }', {}, tmp_path)
        with pytest.raises(NotFoundError, match=r"nowhere`: no such file"):
            chosen('"acme/a" = { path = "nowhere" }', {}, tmp_path)

    def test_what_fails_is_found_out_soon(self) -> None:
        """Forty packages that have nothing to do with a conflict are not tried in all ways."""
        there = {f"free/n{n}@1.{v}.0": "" for n in range(40) for v in range(10)}
        there |= {f"zoo/a@1.{v}.0": '"zoo/c" = "1"' for v in range(5)}
        there |= {f"zoo/b@1.{v}.0": '"zoo/c" = "2"' for v in range(5)}
        there |= {"zoo/c@1.0.0": "", "zoo/c@2.0.0": "", "zoo/both@1.0.0": '"zoo/a" = "1"\n"zoo/b" = "1"'}
        uses = "\n".join([*(f'"free/n{n}" = "1"' for n in range(40)), '"zoo/both" = "1"'])
        with pytest.raises(DependencyError) as error:
            chosen(uses, there)
        assert "free/" not in error.value.message


ERRORS = {
    "missing": (
        '"acme/exif" = "^2.1"',
        {"acme/exit@1.0.0": ""},
        "`acme/app@1.0.0` wants `acme/exif` ^2.1, and there is none",
        "did you mean `acme/exit`?\n`wherry load FILE` brings `acme/exif` in",
    ),
    "another version": (
        '"acme/exif" = "^2.1"',
        {"acme/exif@1.0.0": "", "acme/exif@1.1.0": "", "acme/exif@2.2.0-rc.1": ""},
        "`acme/app@1.0.0` wants `acme/exif` ^2.1, and there is 1.1.0, 1.0.0 and 2.2.0-rc.1",
        "`wherry load FILE` brings other versions in; `[dependencies]` says which fit",
    ),
    "missing further on": (
        '"acme/tools" = "1"\n"acme/b" = "1"',
        {"acme/tools@1.0.0": '"acme/exif" = "2"', "acme/b@1.0.0": ""},
        (
            "`acme/app@1.0.0` cannot have all that it uses:\n"
            "  `acme/app@1.0.0` wants `acme/tools` 1 (there is 1.0.0)\n"
            "  `acme/tools@1.0.0` wants `acme/exif` 2 (there is none)"
        ),
        "`wherry load FILE` brings `acme/exif` in",
    ),
    "conflict": (
        '"acme/a" = "1"\n"acme/b" = "1"\n"acme/z" = "1"',
        {
            "acme/a@1.0.0": '"acme/c" = "^1"',
            "acme/a@1.1.0": '"acme/c" = "^1"',
            "acme/b@1.0.0": '"acme/c" = "^2"',
            "acme/c@1.0.0": "",
            "acme/c@2.0.0": "",
            "acme/z@1.0.0": "",
        },
        (
            "`acme/app@1.0.0` cannot have all that it uses:\n"
            "  `acme/app@1.0.0` wants `acme/a` 1 (there is 1.1.0 and 1.0.0)\n"
            "  `acme/app@1.0.0` wants `acme/b` 1 (there is 1.0.0)\n"
            "  `acme/a` 1.1.0 and 1.0.0 want `acme/c` ^1\n"
            "  `acme/b@1.0.0` wants `acme/c` ^2 (there is 2.0.0 and 1.0.0)"
        ),
        "`wherry load FILE` brings other versions in; `[dependencies]` says which fit",
    ),
    "digest": (
        f'"acme/a" = {{ version = "1", digest = "sha256:{"0" * 64}" }}',
        {"acme/a@1.0.0": ""},
        "`acme/app@1.0.0` wants `acme/a` 1 sha256:000000000000…, and there is 1.0.0",
        "`wherry load FILE` brings other versions in; `[dependencies]` says which fit",
    ),
    "only a folder": (
        '"acme/a" = "1"',
        {"acme/a@1.0.0": '"acme/b" = { path = "../b" }', "acme/b@1.0.0": ""},
        (
            "`acme/app@1.0.0` cannot have all that it uses:\n"
            "  `acme/app@1.0.0` wants `acme/a` 1 (there is 1.0.0)\n"
            "  `acme/a@1.0.0` wants `acme/b` in a folder that only its author has (there is 1.0.0)"
        ),
        'the author of `acme/a@1.0.0` has to say which version: `version = "…"` beside `path`',
    ),
    "circle": (
        '"acme/a" = "1"',
        {"acme/a@1.0.0": '"acme/b" = "1"', "acme/b@1.0.0": '"acme/a" = "1"'},
        "`acme/a@1.0.0` uses `acme/b@1.0.0`, which uses `acme/a@1.0.0`",
        "no package can use itself, whatever is in between",
    ),
    "itself": (
        '"acme/a" = "1"',
        {"acme/a@1.0.0": '"acme/app" = "1"'},
        "`acme/app@1.0.0` uses `acme/a@1.0.0`, which uses `acme/app@1.0.0`",
        "no package can use itself, whatever is in between",
    ),
    "another one of itself": (
        '"acme/a" = "1"',
        {"acme/a@1.0.0": '"acme/app" = "2"', "acme/app@2.0.0": ""},
        (
            "`acme/app@1.0.0` cannot have all that it uses:\n"
            "  `acme/app@1.0.0` wants `acme/a` 1 (there is 1.0.0)\n"
            "  `acme/a@1.0.0` wants `acme/app` 2 (there is 1.0.0)"
        ),
        "`wherry load FILE` brings other versions in; `[dependencies]` says which fit",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_why_nothing_fits(case: str) -> None:
    """Each line of it is part of the reason, and what to do stands below."""
    uses, there, message, hint = ERRORS[case]
    with pytest.raises(DependencyError) as error:
        chosen(uses, there)
    assert (error.value.message, error.value.hint) == (message, hint)


def test_a_folder_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which version is in the folder."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/wherry.toml").write_text('[package]\nname = "acme/a"\nversion = "2.0.0"\n[library]\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DependencyError) as error:
        chosen('"acme/a" = { path = "a", version = "1" }', {"acme/a@1.0.0": ""}, tmp_path)
    assert error.value.message == (
        "`acme/app@1.0.0` wants `acme/a` 1 in `a`, and there is 2.0.0 in `a` and 1.0.0"
    )


def test_more_packages_than_anybody_needs() -> None:
    """What somebody hostile wrote is refused in time."""
    there = {f"acme/n{n}@1.0.0": f'"acme/n{n + 1}" = "1"' for n in range(600)}
    with pytest.raises(DependencyError, match="uses more than 500 packages"):
        chosen('"acme/n0" = "1"', there)


def test_more_choices_than_anybody_can_try() -> None:
    """Eight packages that want one of seven places each: it ends with an error, and soon."""
    there = {f"h/h{place}@1.{one}.0": "" for place in range(7) for one in range(8)}
    for one, place in itertools.product(range(8), range(7)):
        there[f"p/p{one}@1.{place}.0"] = f'"h/h{place}" = "==1.{one}.0"'
    with pytest.raises(DependencyError, match="leaves too many choices"):
        chosen("\n".join(f'"p/p{one}" = "1"' for one in range(8)), there)


def test_a_long_way() -> None:
    """However far away something is used, and with a circle at its end."""
    there = {f"acme/n{n}@1.0.0": f'"acme/n{n + 1}" = "1"' for n in range(450)} | {"acme/n450@1.0.0": ""}
    assert len(chosen('"acme/n0" = "1"', there)) == 451
    there["acme/n450@1.0.0"] = '"acme/n449" = "1"'
    with pytest.raises(DependencyError, match="which uses `acme/n449"):
        chosen('"acme/n0" = "1"', there)


NAMES = ["a/a", "b/b", "c/c", "d/d"]
VERSIONS = ["2.1.0-rc.1", "1.0.0", "1.1.0", "2.0.0"]
"""From the one that is taken last to the one that is taken first."""
LINES = st.dictionaries(
    st.sampled_from(NAMES),
    st.sampled_from(["1", "^1", "1.1", "2", "^2", "<2", ">=1.1", ">=1.1.0-rc.1", "==1.0.0"]),
    max_size=3,
)
WORLDS = st.dictionaries(st.tuples(st.sampled_from(NAMES), st.sampled_from(VERSIONS)), LINES, max_size=12)


@settings(max_examples=300, deadline=None)
@given(uses=LINES, world=WORLDS)
def test_as_trying_all_ways_would(uses: dict[str, str], world: dict[tuple[str, str], dict[str, str]]) -> None:
    """There is a choice exactly where trying all finds one; none could be newer; reasons are reasons."""
    there = {f"{name}@{version}": lines(wants) for (name, version), wants in world.items()}
    packages = Some(there)
    ways = all_ways(uses, world)
    try:
        result = found(lines(uses), packages)
    except DependencyError as error:
        if " uses " in error.message:
            assert ways
            return
        assert not ways
        reason = {(by.partition("@")[0], by, name, wanted) for by, name, wanted in error.wants}
        assert not all_ways(*only(uses, world, reason))
        for one in reason:
            assert all_ways(*only(uses, world, reason - {one})), one
        return
    got = {one.name: one.version for one in result.uses}
    assert got in ways
    for name, version in got.items():
        for newer in VERSIONS[VERSIONS.index(version) + 1 :]:
            assert got | {name: newer} not in ways


def lines(wants: Mapping[str, str]) -> str:
    """``[dependencies]`` as they are written."""
    return "\n".join(f'"{name}" = "{wanted}"' for name, wanted in wants.items())


def all_ways(uses: dict[str, str], world: dict[tuple[str, str], dict[str, str]]) -> list[dict[str, str]]:
    """Every choice that fits, by trying all; circles are none of its business."""
    options = [[None, *(version for version in VERSIONS if (name, version) in world)] for name in NAMES]
    ways = []
    for versions in itertools.product(*options):
        way = {name: version for name, version in zip(NAMES, versions, strict=True) if version is not None}
        wanted = [uses, *(world[one] for one in way.items())]
        if not all(name in way and covers(line, way[name]) for some in wanted for name, line in some.items()):
            continue
        reached: set[str] = set()
        waiting = [*uses]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += world[name, way[name]]
        if reached == way.keys():
            ways.append(way)
    return ways


def only(
    uses: dict[str, str], world: dict[tuple[str, str], dict[str, str]], reason: set[tuple[str, str, str, str]]
) -> tuple[dict[str, str], dict[tuple[str, str], dict[str, str]]]:
    """A world in which nothing but the lines of a reason is wanted."""
    kept = {(by, name) for _, by, name, _ in reason}
    return (
        {name: line for name, line in uses.items() if (f"{APP}@1.0.0", name) in kept},
        {
            (owner, version): {
                name: line for name, line in some.items() if (f"{owner}@{version}", name) in kept
            }
            for (owner, version), some in world.items()
        },
    )


def covers(line: str, version: str) -> bool:
    """What a line means, said by hand for the versions that there are here."""
    return (
        version
        in {
            "1": {"1.0.0", "1.1.0"},
            "^1": {"1.0.0", "1.1.0"},
            "1.1": {"1.1.0"},
            "2": {"2.0.0"},
            "^2": {"2.0.0"},
            "<2": {"1.0.0", "1.1.0"},
            ">=1.1": {"1.1.0", "2.0.0"},
            ">=1.1.0-rc.1": {"1.1.0", "2.0.0", "2.1.0-rc.1"},
            "==1.0.0": {"1.0.0"},
        }[line]
    )
