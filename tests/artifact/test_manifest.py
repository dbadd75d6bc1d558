"""``wherry.toml``: what is right is read, and what is wrong is said with its place and a way out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wherry
from tests.artifact.generated import PAGE, page
from tests.artifact.projects import FULL, SMALLEST
from wherry import _native
from wherry.artifact.manifest import Dependency, FilesFrom, LimitsAsked, Manifest, Needs
from wherry.artifact.positions import Positions, line_and_column
from wherry.artifact.reading import MOST_BYTES, parse_manifest, read_manifest
from wherry.artifact.schema import json_schema, schema_path
from wherry.errors import HostIOError, ManifestError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = '[package]\nname = "acme/hello"\nversion = "1.0.0"\n'
LIBRARY = "[library]\n"
ASKING = """
[[needs.dir]]
guest = "/in"
why = "to read"

[[needs.dir]]
guest = "/out"
host = "."
write = true
why = "to write"

[needs]
env = [{ name = "TOKEN", why = "to log in" }]
allow-net = [{ address = "db.example.com:5432", why = "to store" }]
allow-http = [
  { url = "https://example.com/", methods = ["GET", "HEAD"], why = "to look" },
  { url = "https://example.org/", why = "to do anything", optional = true },
]
allow-listen = [{ address = "127.0.0.1:8080", why = "to serve" }]
allow-dns = { why = "to look up" }
config = [{ name = "log-level", why = "to say more" }]
secret = [{ name = "API_KEY", why = "to pay" }]
kv = { why = "to remember" }
clock = { why = "to know the time" }
random = { why = "to throw dice" }

[needs.limits]
memory = "1GiB"
fuel = 1000
max-output = "64MiB"
timeout = "1m30s"
"""
ASKED: tuple[tuple[str, ...], ...] = (
    ("--dir", "HOST::/in:ro"),
    ("--dir", ".::/out"),
    ("--env", "TOKEN"),
    ("--allow-net", "db.example.com:5432"),
    ("--allow-http", "GET,HEAD https://example.com/"),
    ("--allow-http", "https://example.org/"),
    ("--allow-listen", "127.0.0.1:8080"),
    ("--allow-dns",),
    ("--config", "log-level=VALUE"),
    ("--secret", "API_KEY"),
    ("--kv", "PATH"),
    ("--clock", "host"),
    ("--random", "host"),
    ("--memory", "1GiB"),
    ("--timeout", "1m30s"),
    ("--fuel", "1000"),
    ("--max-output", "64MiB"),
)

# What is wrong: a manifest that `PACKAGE` follows (or, without its `!`, goes before), then line, column, key,
# what is wrong, and what would be right.
VERSION = "three numbers and, if need be, a name, such as `1.2.0` or `2.0.0-beta.1`"
KEYS_OF_A_LIBRARY = "the keys are `component`, `source`, `language`, `description`"
REQUESTS = """[library]
[needs]
allow-http = [
  # two
  { url = "https://a.b/", methods = ["GET", "get"], why = "x" },
]
"""
SECTIONS = "`package`, `build`, `command`, `library`, `http`, `files`, `needs`, `dependencies`"
WRONG: dict[str, tuple[str, tuple[int, int, str, str, str]]] = {
    "unknown section": (
        "[libary]\n",
        (1, 2, "libary", "there is no such section", "did you mean `library`?"),
    ),
    "unknown section, unlike all": (
        "[library]\n[xyz]\n",
        (
            2,
            2,
            "xyz",
            "there is no such section",
            f"the sections are {SECTIONS}",
        ),
    ),
    "unknown key": (
        '[library]\ncomponnent = "a.wasm"\n',
        (2, 1, "library.componnent", "there is no such key", "did you mean `component`?"),
    ),
    "spelled as elsewhere": (
        '!license = "MIT"\n',
        (4, 1, "package.license", "there is no such key", "did you mean `licence`?"),
    ),
    "unknown key in a dotted key": (
        "library.a.b = 1\n",
        (1, 9, "library.a", "there is no such key", KEYS_OF_A_LIBRARY),
    ),
    "unknown key in an inline table": (
        '[library]\n[needs]\nkv = { why = "x", wy = "y" }\n',
        (3, 19, "needs.kv.wy", "there is no such key", "did you mean `why`?"),
    ),
    "missing key": (
        '[library]\n[[needs.env]]\nname = "A"\n[[needs.env]]\nname = "B"\nwhy = "b"\n',
        (2, 9, "needs.env[0]", "`why` is missing", "add `why = …`"),
    ),
    "another kind": (
        "[library]\ncomponent = 12\n",
        (
            2,
            13,
            "library.component",
            "expected a path in the project, got `12`",
            "a path with `/` that begins at the folder of `wherry.toml` and stays in it",
        ),
    ),
    "a table for a text": (
        "[library.component]\na = 1\n",
        (
            1,
            10,
            "library.component",
            "expected a path in the project, got a table",
            "a path with `/` that begins at the folder of `wherry.toml` and stays in it",
        ),
    ),
    "a text for a table": (
        'library = "x"\n',
        (1, 11, "library", "expected a table, got a text in quotes", "a table"),
    ),
    "a text for a list": (
        '[command.a]\nargs = "-v"\n',
        (2, 8, "command.a.args", "expected a list, got a text in quotes", "put it in square brackets: `[…]`"),
    ),
    "a list for a table": (
        "[library]\n[[files]]\na = 1\n",
        (2, 3, "files", "expected a table, got a list", "a table of names"),
    ),
    "a text for a switch": (
        '[library]\n[needs]\nkv = { why = "x", optional = "yes" }\n',
        (
            3,
            30,
            "needs.kv.optional",
            "expected `true` or `false`, got a text in quotes",
            "`true` or `false`",
        ),
    ),
    "a date": (
        "[library]\ndescription = 2026-01-01\n",
        (
            2,
            15,
            "library.description",
            "expected a line of text, got a date or time",
            "one line of at most 300 characters, none of which a terminal acts on",
        ),
    ),
    "a value of several": (
        '[library]\n[build]\nlanguage = "pyton"\n',
        (3, 12, "build.language", 'there is no "pyton"', "did you mean `python`?"),
    ),
    "a value in a list": (
        REQUESTS,
        (
            5,
            45,
            "needs.allow-http[0].methods[1]",
            '"get" is not a method of HTTP',
            "capitals, such as `GET`",
        ),
    ),
    "a name of a command": (
        "[command.Thumbs]\n",
        (
            1,
            10,
            "command.Thumbs",
            '"Thumbs" is not a name of a command',
            "small letters, digits, `-`, `.`, `_` and `+`, such as `thumbs`",
        ),
    ),
    "a path that leads out": (
        '[library]\ncomponent = "../a.wasm"\n',
        (
            2,
            13,
            "library.component",
            '"../a.wasm" leads out by `..`',
            "a path with `/` that begins at the folder of `wherry.toml` and stays in it",
        ),
    ),
    "a relative path in the guest": (
        '[library]\n[files]\ndata = "data"\n',
        (
            3,
            1,
            "files.data",
            '"data" is not a path in the guest',
            "an absolute path such as `/data`, without `.` and `..`",
        ),
    ),
    "a requirement": (
        '[library]\n[dependencies]\n"acme/b" = "newest"\n',
        (
            3,
            12,
            'dependencies."acme/b"',
            '"newest" says nothing of versions',
            "`1.2` (any 1.2), `^1.2` (from 1.2 up to 2.0) or `>=1.2,<1.5`",
        ),
    ),
    "no requirement": (
        '[library]\n[dependencies]\n"acme/b" = { files = "/b" }\n',
        (3, 1, 'dependencies."acme/b"', "does not say which one", 'add `version = "…"`, `digest` or `path`'),
    ),
    "a command that is its own": (
        '[command.b]\n[dependencies]\n"acme/b" = { path = "b", commands = ["a", "b"] }\n',
        (
            3,
            43,
            'dependencies."acme/b".commands[1]',
            '"b" is a command of the package itself already',
            "leave one of them out",
        ),
    ),
    "a route without a path": (
        '[http]\nroutes = ["/", "shop.example.com"]\n',
        (
            2,
            16,
            "http.routes[1]",
            '"shop.example.com" has no path',
            "a path, with a host before it if need be, such as `/api/:id` or `shop.example.com/*rest`",
        ),
    ),
    "a route that goes on after its rest": (
        '[http]\nroutes = ["/*all/more"]\n',
        (
            2,
            11,
            "http.routes[0]",
            '"/*all/more" goes on after `*`, which stands for all the rest',
            "a path, with a host before it if need be, such as `/api/:id` or `shop.example.com/*rest`",
        ),
    ),
    "no instance": (
        "[http]\nreuse = 0\n",
        (2, 9, "http.reuse", '"0" is out of bounds', "a whole number from 1 to 1000000"),
    ),
    "a text for a number": (
        '[http]\nconcurrency = "8"\n',
        (
            2,
            15,
            "http.concurrency",
            "expected a number, got a text in quotes",
            "a whole number from 1 to 1000000",
        ),
    ),
    "a folder that is not among the files": (
        '[http]\nstatic = "/site"\n[files]\n"/sites/a" = "a"\n',
        (
            2,
            10,
            "http.static",
            'nothing of `[files]` stands at "/site"',
            '`"/site" = "FOLDER"` in `[files]` puts it there',
        ),
    ),
    "a service by a command that is not there": (
        '[http]\ncommand = "thumb"\n[command.thumbs]\n',
        (2, 11, "http.command", 'there is no command "thumb"', "did you mean `thumbs`?"),
    ),
    "a service by two programs": (
        '[http]\ncommand = "a"\ncomponent = "a.wasm"\n[command.a]\n',
        (
            3,
            1,
            "http.component",
            "a command answers, or a component of its own",
            "leave out `command` or `component`",
        ),
    ),
    "a command of two dependencies": (
        '[library]\n[dependencies."acme/b"]\npath="b"\ncommands=["a"]\n[dependencies."acme/c"]\npath="c"\ncommands=["a"]\n',
        (
            7,
            11,
            'dependencies."acme/c".commands[0]',
            '"a" is a command of `acme/b` already',
            "leave one of them out",
        ),
    ),
    "files in one place": (
        '[library]\n[files]\n"/b" = "b"\n[dependencies]\n"acme/b" = { path = "b", files = "/b/" }\n',
        (
            5,
            34,
            'dependencies."acme/b".files',
            '"/b/" is the place of one of its own files already',
            "another place",
        ),
    ),
    "an address": (
        '[library]\n[needs]\nallow-net = [{ address = "db.example.com", why = "x" }]\n',
        (
            3,
            26,
            "needs.allow-net[0].address",
            '"db.example.com" cannot be granted: `db.example.com` names no port',
            "`HOST:PORT`, such as `db.example.com:5432`",
        ),
    ),
    "an address to listen at": (
        '[library]\n[needs]\nallow-listen = [{ address = "127.0.0.1", why = "x" }]\n',
        (
            3,
            29,
            "needs.allow-listen[0].address",
            '"127.0.0.1" cannot be granted: `127.0.0.1` names no port',
            "`ADDRESS:PORT`, such as `127.0.0.1:8080`",
        ),
    ),
    "a size": (
        '[library]\n[needs.limits]\nmemory = "much"\n',
        (3, 10, "needs.limits.memory", '"much" cannot be read', "bytes, or with a unit as in `256MiB`"),
    ),
    "a time": (
        '[library]\n[needs.limits]\ntimeout = "soon"\n',
        (
            3,
            11,
            "needs.limits.timeout",
            '"soon" cannot be read',
            "seconds or minutes, such as `5s` or `1m30s`",
        ),
    ),
    "a negative count": (
        "[library]\n[needs.limits]\nfuel = -1\n",
        (3, 8, "needs.limits.fuel", '"-1" is less than nothing', "a whole number, such as `1000` or `10M`"),
    ),
    "syntax": (
        '[library]\ncomponent = "a.wasm\n',
        (2, 20, "", "no TOML: illegal character '\\n'", "the grammar stands on toml.io"),
    ),
    "a key twice": (
        "[library]\n[library]\n",
        (2, 9, "", "no TOML: cannot declare ('library',) twice", "the grammar stands on toml.io"),
    ),
}
VALUES: dict[str, tuple[str, str]] = {
    "no namespace": ("name", "hello"),
    "capitals": ("name", "Acme/hello"),
    "two slashes": ("name", "acme/hello/x"),
    "a digit first": ("name", "acme/2hello"),
    "two dashes": ("name", "acme/he--llo"),
    "too long": ("name", f"acme/{'a' * 130}"),
    "a name with a line end": ("name", "acme/hello\n"),
    "two numbers": ("version", "1.0"),
    "leading zero": ("version", "1.00.0"),
    "a v": ("version", "v1.0.0"),
    "no licence": ("licence", "Apache 2"),
    "a licence in small letters": ("licence", "apache-2.0"),
    "two lines": ("description", "a\nb"),
    "no description": ("description", ""),
    "a file": ("repository", "file:///etc/passwd"),
    "a readme elsewhere": ("readme", "/etc/passwd"),
    "a readme on a drive": ("readme", "C:/readme"),
}


def test_smallest_manifest_is_read() -> None:
    """Name, version and one thing to run or call are enough."""
    manifest = parse_manifest(SMALLEST)
    assert manifest.reference == "acme/add@1.0.0"
    assert [place for place, _ in manifest.places()] == ["library"]
    assert manifest.needs.flags() == ()


def test_full_manifest_is_read(tmp_path: Path) -> None:
    """A folder stands for its ``wherry.toml``; the order of places is that of the file, commands first."""
    (tmp_path / "wherry.toml").write_text(FULL)
    manifest = read_manifest(tmp_path)
    assert [place for place, _ in manifest.places()] == ["command.hello", "command.again", "library"]
    assert manifest.files["/only"] == FilesFrom(path="data", exclude=("*.tmp", "deep/b*"))


@pytest.mark.parametrize("character", ["\\u001B", "\\u009B", "\\u202E", "\\u2066", "\\u2028", "\\n"])
@pytest.mark.parametrize("where", ["description", "why"])
def test_texts_give_no_orders_to_a_terminal(where: str, character: str) -> None:
    """What people are shown before they agree is one line that reads as it is written."""
    said = {"description": "Text", "why": "to read"} | {where: f"all is well{character}[2J"}
    text = PACKAGE + f'description = "{said["description"]}"\n' + LIBRARY
    text += f'[needs]\nenv = [{{ name = "HOME", why = "{said["why"]}" }}]\n'
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text)
    assert "is not a line of text" in caught.value.problems[0][3]
    assert caught.value.message.isprintable()
    parse_manifest(text.replace(f"{character}[2J", ", 日本 für Sie 🎉"))


def test_needs_become_the_flags_that_grant_them() -> None:
    """Each need and limit says its flag; what the user has to choose stands in capitals."""
    needs = parse_manifest(PACKAGE + LIBRARY + ASKING).needs
    assert needs.flags() == ASKED
    assert [need.why for _, need in needs.asked()][:3] == ["to read", "to write", "to log in"]


def test_needs_have_the_names_of_flags() -> None:
    """What can be asked for is what can be granted, and each limit that has a flag."""
    flags = _native.flags()
    grants = {flag.name for flag in flags if flag.group.startswith("Grants")}
    # How something is granted and how it is done, not what.
    grants -= {"env-file", "policy", "resolver", "workdir"}
    assert {key for key, _ in parse_manifest(PACKAGE + LIBRARY + ASKING).needs.asked()} == grants
    assert {field.encode_name for field in msgspec.structs.fields(Needs)} == grants | {"limits"}
    limits = {field.encode_name for field in msgspec.structs.fields(LimitsAsked)}
    assert limits == {flag.name for flag in flags if flag.group == "Limits"}


def test_flags_of_needs_are_understood() -> None:
    """What the flags say, a policy and limits take as it stands, where nothing is left to the user."""
    said = {words[0]: words[-1] for words in ASKED}
    policy = wherry.Policy(
        net=[said["--allow-net"]],
        http=[words[1] for words in ASKED if words[0] == "--allow-http"],
        listen=[said["--allow-listen"]],
        clock=said["--clock"],
        random=said["--random"],
    )
    assert policy.http == ("GET,HEAD https://example.com/", "https://example.org/")
    limits = wherry.Limits(memory=said["--memory"], timeout=said["--timeout"], fuel=said["--fuel"])
    assert limits == wherry.Limits(memory=1 << 30, timeout=90, fuel=1000)


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_errors_have_a_place_and_a_way_out(case: tuple[str, tuple[int, int, str, str, str]]) -> None:
    """Each error says line, column, key, what is wrong and what would be right."""
    text, (line, column, key, wrong, right) = case
    whole = f"{PACKAGE}{text[1:]}{LIBRARY}" if text.startswith("!") else text + PACKAGE
    if text.startswith("library"):  # outside any section
        whole = text + PACKAGE
    with pytest.raises(ManifestError) as caught:
        parse_manifest(whole)
    problem = caught.value.problems[0]
    assert problem[:3] == (line, column, key)
    assert problem[3] == wrong or (key == "" and problem[3].startswith("no TOML: "))
    assert problem[4] == right
    assert len(caught.value.problems) == 1
    assert caught.value.message == f"wherry.toml:{line}:{column}: {f'`{key}`: ' if key else ''}{problem[3]}"
    assert caught.value.hint == right


@pytest.mark.parametrize(("key", "value"), VALUES.values(), ids=VALUES.keys())
def test_values_of_a_package_are_checked(key: str, value: str) -> None:
    """What is no name, version, licence, URL or path is refused where it stands."""
    values = {"name": "acme/hello", "version": "1.0.0", key: value}
    lines = "".join(f"{name} = {json.dumps(text)}\n" for name, text in values.items())
    with pytest.raises(ManifestError) as caught:
        parse_manifest(f"[package]\n{lines}[library]\n")
    (problem,) = caught.value.problems
    assert (problem[0], problem[2]) == (list(values).index(key) + 2, f"package.{key}")


def test_all_errors_come_at_once() -> None:
    """A manifest with three errors says all three, in the order of the file."""
    with pytest.raises(ManifestError) as caught:
        parse_manifest('[package]\nnmae = "acme/a"\nversion = "1"\n[library]\nx = 1\n')
    assert [problem[0] for problem in caught.value.problems] == [1, 2, 3, 5]
    assert caught.value.message.splitlines() == [
        "`wherry.toml` has 4 errors",
        "wherry.toml:1:2: `package`: `name` is missing; add `name = …`",
        "wherry.toml:2:1: `package.nmae`: there is no such key; did you mean `name`?",
        f'wherry.toml:3:11: `package.version`: "1" is not a version; {VERSION}',
        f"wherry.toml:5:1: `library.x`: there is no such key; {KEYS_OF_A_LIBRARY}",
    ]
    assert caught.value.hint is None


def test_a_package_offers_something() -> None:
    """Nothing to run or call is no package."""
    with pytest.raises(ManifestError, match="the package offers nothing to run or call"):
        parse_manifest(PACKAGE)
    with pytest.raises(ManifestError, match="`package` is missing"):
        parse_manifest(LIBRARY)


@pytest.mark.parametrize(
    "data",
    {
        "not UTF-8": SMALLEST.encode() + b"# \xff\n",
        "too long": SMALLEST + "#" * MOST_BYTES,
        "deep": f"{SMALLEST}[build]\nx = {'[' * 100_000}",
        "deep but closed": f"{SMALLEST}[build]\nx = {'[' * 700}{']' * 700}",
        "a huge number": f"{SMALLEST}[build]\nx = {'9' * 5000}",
        "not a number": f"{SMALLEST}[needs.limits]\nfuel = nan",
        "NUL": SMALLEST + "\0",
        "orders to a terminal": f'{SMALLEST}["\\u001b[2J"]\n',
    }.items(),
    ids=lambda item: item[0],
)
def test_hostile_manifests_are_refused(data: tuple[str, str | bytes]) -> None:
    """Whatever the bytes are, the answer is an error of ours that a terminal can print."""
    with pytest.raises(ManifestError) as caught:
        parse_manifest(data[1])
    assert all(line.isprintable() for line in caught.value.message.splitlines())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_manifest_or_an_error(data: bytes) -> None:
    """No bytes bring the reader down."""
    with pytest.raises(ManifestError):
        parse_manifest(data)


def test_byte_order_mark_and_windows_lines_are_read() -> None:
    """What editors of other systems write is read as well."""
    text = SMALLEST.replace("\n", "\r\n")
    assert parse_manifest(b"\xef\xbb\xbf" + text.encode()) == parse_manifest(SMALLEST)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A missing file has its own error, and so has a folder in its place."""
    with pytest.raises(NotFoundError, match=r"wherry\.toml`: no such file"):
        read_manifest(tmp_path)
    (tmp_path / "wherry.toml").mkdir()
    with pytest.raises(HostIOError):
        read_manifest(tmp_path)


KEYS = st.text(min_size=1, max_size=6).filter(lambda key: key.isprintable() or "\n" in key)
TREES: st.SearchStrategy[Any] = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=8) | st.just("'''\"\"\"\\"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def in_toml(value: object) -> str:
    """A value in one of the forms that TOML has for it."""
    match value:
        case dict():
            pairs = (
                f"{json.dumps(key, ensure_ascii=True)} = {in_toml(inner)}" for key, inner in value.items()
            )
            return "{ " + ", ".join(pairs) + " }"
        case list():
            return "[ # a list\n" + "".join(f"  {in_toml(inner)},\n" for inner in value) + "]"
        case str() if "'" not in value and value.isprintable():
            return f"'{value}'"
        case str() if "\\" not in value and '"' not in value and (value.isprintable() and value):
            return f'"""\n{value}"""'
        case _:
            return json.dumps(value)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(KEYS, TREES, min_size=1, max_size=4), st.booleans())
def test_positions_lead_to_what_stands_there(tree: dict[str, Any], headers: bool) -> None:  # noqa: FBT001
    """Wherever a key or value stands, its offset is where its text begins."""
    tree = json.loads(re.sub(r"\\ud[89a-f]..", "?", json.dumps(tree)))
    if headers:
        text = "".join(
            f"# one\n[[{key}.'x y']]\n v = {in_toml(value)}\n[[{key}.'x y']]\nw.u = 1\n"
            for key, value in zip(map(json.dumps, tree), tree.values(), strict=True)
        )
        tree = {key: {"x y": [{"v": value}, {"w": {"u": 1}}]} for key, value in tree.items()}
    else:
        text = "".join(f"{json.dumps(key)} = {in_toml(value)}\n" for key, value in tree.items())
    found = Positions.of(text)
    assert_positions(found, tree, ())


def assert_positions(found: Positions, value: object, path: tuple[str | int, ...]) -> None:
    """The text at the position of each part is that part."""
    if isinstance(value, dict):
        for key, inner in value.items():
            here = found.text[found.keys[(*path, key)] :]
            assert here.startswith((json.dumps(key), f"'{key}'", key))
            assert_positions(found, inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            assert_positions(found, inner, (*path, place))
    else:
        assert found.text[found.values[path] :].startswith(in_toml(value))


def test_positions_count_from_one() -> None:
    """Lines and columns are those that editors show."""
    assert line_and_column("a\nbc\n", 0) == (1, 1)
    assert line_and_column("a\nbc\n", 3) == (2, 2)


def test_shipped_schema_is_current() -> None:
    """The schema beside the code is what the code says (`python -m tests.artifact.generated`)."""
    assert schema_path().read_text() == json_schema()


def test_documentation_is_current() -> None:
    """The tables of the page are what the code says (`python -m tests.artifact.generated`)."""
    assert PAGE.read_text() == page()


def test_schema_knows_every_key_and_no_other() -> None:
    """Each section refuses what it does not know, and describes what it knows."""
    schema = json.loads(json_schema())
    sections = [schema, *schema["definitions"].values()]
    for section in sections:
        assert section["additionalProperties"] is False
        for key, form in section["properties"].items():
            assert form.get("description") or "$ref" in form, key
    assert set(schema["properties"]) == {field.replace("_", "-") for field in Manifest.__struct_fields__}


def test_examples_of_the_page_are_manifests() -> None:
    """What the documentation shows is read without an error."""
    examples = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    found = [parse_manifest(example) for example in examples]
    assert len(found) == 2
    assert found[1].dependencies["acme/colours"] == Dependency(path="../colours", version="0.3")
