"""A policy is what its texts say: as a command line, as a file, and as a copy."""

from __future__ import annotations

import copy
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wherry

if TYPE_CHECKING:
    from pathlib import Path

# How an argument of `Policy` is called as a flag, and as a key of a file.
FLAGS = {
    "dirs": "dir",
    "env": "env",
    "workdir": "workdir",
    "net": "allow-net",
    "http": "allow-http",
    "listen": "allow-listen",
    "dns": "allow-dns",
    "resolver": "resolver",
    "config": "config",
    "secrets": "secret",
    "kv": "kv",
    "clock": "clock",
    "random": "random",
    "deterministic": "deterministic",
}
LISTS = {"dirs", "env", "net", "http", "listen", "config", "secrets"}
QUOTE = '"'
TRUE = json.dumps("true")
NETWORK = {"net", "http", "listen", "dns", "resolver", "kv"}

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
names = st.text(st.sampled_from("aB0 '\"$`\\\n=:;#é-_.\u202e"), max_size=6).map(lambda text: f"N{text}")
variables = names.map(lambda name: name.replace("=", ""))
clocks = st.builds(lambda start, step: f"{start}ns+{step}ns", st.integers(1, 2**60), st.integers(1, 2**60))
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "env": st.dictionaries(variables, texts, max_size=3),
    "net": st.lists(
        st.sampled_from(["db:5432", "*.example.com:443", "10.0.0.0/8:*", "[::1]:1"]), unique=True
    ),
    "http": st.lists(st.sampled_from(["https://a.example", "GET https://b.example/v1"]), unique=True),
    "listen": st.lists(st.sampled_from(["127.0.0.1:80", "[::1]:*"]), unique=True),
    "dns": st.booleans(),
    "resolver": st.sampled_from(["9.9.9.9", "[::1]:53"]),
    "config": st.dictionaries(variables, texts, max_size=3),
    "clock": st.sampled_from(["host", "none", "0+0s"]) | clocks,
    "random": st.sampled_from(["host", "none"]) | st.integers(0, 2**64 - 1),
    "deterministic": st.booleans(),
}
LIMITS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(
        ("memory", "size", "body", "functions", "nesting", "output", "write", "transfer", "fuel"),
        st.integers(1, 2**53),
    ),
    **dict.fromkeys(("handles", "connections", "instances", "tables"), st.integers(1, 2**32 - 1)),
    **dict.fromkeys(
        ("timeout", "compile_timeout", "connect_timeout", "first_byte_timeout", "between_bytes_timeout"),
        st.integers(1, 2**60).map(lambda time: f"{time}ns"),
    ),
    "stack": st.integers(64 << 10, 256 << 20),
    "compile_memory": st.none() | st.integers(1, 2**53),
}


@st.composite
def policies(draw: st.DrawFn, folder: Path) -> dict[str, Any]:
    """The arguments of a policy that does not contradict itself."""
    fields: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=FIELDS))
    hosts = draw(st.lists(names.map(lambda name: name.replace("/", "")), max_size=2, unique=True))
    dirs = []
    for index, name in enumerate(hosts):
        (folder / name).mkdir(exist_ok=True)
        guest = f"/{index}{draw(names)}".replace("::", ":") + draw(st.sampled_from(["", ":ro"]))
        dirs.append((folder / name, guest.replace("::", ":"), draw(st.sampled_from(["ro", "rw"]))))
    fields["dirs"] = dirs
    if draw(st.booleans()) and dirs:
        fields["workdir"] = dirs[0][1]
    secrets = draw(st.lists(variables, max_size=2, unique=True))
    for index, name in enumerate(secrets):
        (folder / f"secret{index}").write_text("hunter2")
        secrets[index] = f"S{name}@{folder / f'secret{index}'}"
    fields["secrets"] = secrets
    if draw(st.booleans()):
        fields["kv"] = folder / f"store{draw(variables)}".replace("/", "")
    if fields.get("deterministic"):
        fields = {name: value for name, value in fields.items() if name not in NETWORK}
        fields = {name: value for name, value in fields.items() if value != "host"}
    return fields


def words(line: str) -> list[str]:
    """What a shell makes of a command line."""
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], check=True, capture_output=True)
    return done.stdout.decode().split("\0")[:-1] if line else []


def grants(line: str) -> list[tuple[str, str]]:
    """The flags of a command line with their values, ``true`` for those that take none."""
    found = []
    given = iter(words(line))
    for word in given:
        flag, joined, value = word.removeprefix("--").partition("=")
        switch = flag in ("allow-dns", "deterministic")
        found.append((flag, "true" if switch else value if joined else next(given)))
    return found


def toml(said: list[tuple[str, str]], listed: set[str]) -> str:
    """A file that says the same."""
    lines = []
    for flag in dict.fromkeys(flag for flag, _ in said):
        # JSON writes a text as TOML does, but for one character.
        texts = [json.dumps(value, ensure_ascii=False) for key, value in said if key == flag]
        values = [text.replace("\x7f", "\\u007F") for text in texts]
        value = f"[{', '.join(values)}]" if flag in listed else values[0]
        lines.append(f"{flag} = {value.strip(QUOTE) if value == TRUE else value}\n")
    return "".join(lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where folders, secrets and stores lie."""
    return tmp_path_factory.mktemp("policies")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_policy_is_what_its_texts_say(
    data: st.DataObject, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each field survives a command line that a shell has read, a file, a copy and a change of nothing."""
    fields = data.draw(policies(folder))
    policy = wherry.Policy(**fields)
    assert copy.deepcopy(policy) == policy
    assert policy.replace() == policy == policy | wherry.Policy()
    assert wherry.Policy(**{name: getattr(policy, name) for name in fields if name != "secrets"}) == (
        policy.replace(secrets=None)
    )
    said = grants(str(policy))
    assert {flag for flag, _ in said} == {
        FLAGS[name] for name in fields if said_of(policy, name, fields[name])
    }
    # Values of variables are not shown; a name alone copies the value.
    with monkeypatch.context() as patch:
        for name, value in policy.env.items():
            patch.setenv(name, value)
        arguments = {flag: name for name, flag in FLAGS.items()}
        again: dict[str, Any] = {}
        for flag, value in said:
            name = arguments[flag]
            if name in LISTS:
                again.setdefault(name, []).append(value)
            else:
                again[name] = True if value == "true" and name in ("dns", "deterministic") else value
        assert wherry.Policy(**again) == policy
        path = folder / "policy.toml"
        path.write_text(toml(said, {FLAGS[name] for name in LISTS}), encoding="utf-8", newline="")
        assert wherry.Policy.from_toml(path) == policy


def test_a_guest_s_folder_is_what_texts_can_say(folder: Path) -> None:
    """Two colons divide the host's path from the guest's; the end of a name is no mode."""
    for guest in ("/a::b", "/a::"):
        with pytest.raises(wherry.UsageError, match=f"`dirs`: a guest has no folder `{guest}`"):
            wherry.Policy(dirs=[(folder, guest)])
    (shown,) = wherry.Policy(dirs=[(folder, "/a:ro", "rw")]).dirs
    assert shown == f"{folder}::/a:ro/"


def said_of(policy: wherry.Policy, name: str, value: object) -> bool:
    """Whether an argument says something: what a field has without it is not said."""
    if name in ("clock", "random"):
        return True
    return bool(getattr(policy, name)) and value is not None


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.fixed_dictionaries({}, optional=LIMITS))
def test_limits_are_what_their_texts_say(fields: dict[str, Any], folder: Path) -> None:
    """Each limit survives a command line, a file, and a copy."""
    limits = wherry.Limits(**fields)
    assert copy.deepcopy(limits) == limits
    assert limits.replace() == limits
    for name in ("timeout", "connect_timeout"):
        # Seconds, which Python writes with an exponent where they are few.
        seconds = getattr(limits, name)
        if seconds is not None and seconds < 1:
            assert wherry.Limits(**{name: seconds}) == wherry.Limits(**{name: f"{seconds:.9f}s"})
    # What is not said is as in a terminal there.
    said = dict(grants(str(limits)))
    terminal = wherry.Limits(timeout=None, output=None)
    again = {flag.removeprefix("max-").replace("-", "_"): value for flag, value in said.items()}
    assert terminal.replace(**again) == limits
    path = folder / "limits.toml"
    path.write_text(toml(list(said.items()), set()))
    embedded: dict[str, Any] = {name: None for name in ("timeout", "output") if name not in again}
    assert wherry.Limits.from_toml(path).replace(**embedded) == limits
