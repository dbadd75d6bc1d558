"""``wherry.Policy`` and ``wherry.Limits``: frozen values that are compared, copied, pickled and printed."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

import wherry
from tests.guests.build import c_command

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def policy(tmp_path: Path) -> wherry.Policy:
    """A policy with something in most of its parts."""
    (tmp_path / "secret").write_text("YW5vdGhlcg")
    return wherry.Policy(
        dirs=[(tmp_path, "/data", "ro")],
        env={"NAME": "wert", "TOKEN": "dG9rZW4"},
        workdir="/data",
        dns=True,
        net=["db.example.com:5432"],
        http=["GET https://api.example.com/v1"],
        listen=["127.0.0.1:8080"],
        resolver="127.0.0.1:5353",
        clock="2024-01-01T00:00:00Z+1ms",
        config={"colour": "red"},
        secrets=[("KEY", "c2VjcmV0"), f"FILE@{tmp_path / 'secret'}"],
        kv=tmp_path / "store.sqlite",
        random=42,
    )


COPIES = {
    "pickled": lambda value: pickle.loads(pickle.dumps(value)),  # noqa: S301 - pickled here
    "copied": copy.copy,
    "copied deeply": copy.deepcopy,
    "replaced": lambda value: value.replace(),
}


class TestPolicy:
    """What is granted."""

    def test_fields_are_attributes(self, policy: wherry.Policy, tmp_path: Path) -> None:
        """Each grant can be read, in the form in which it can be given again; secrets by name only."""
        assert policy.dirs == (f"{tmp_path}::/data:ro",)
        assert dict(policy.env) == {"NAME": "wert", "TOKEN": "dG9rZW4"}
        assert (policy.workdir, policy.dns, policy.random) == ("/data", True, 42)
        assert (policy.net, policy.listen) == (("db.example.com:5432",), ("127.0.0.1:8080",))
        assert (policy.http, policy.resolver) == (("GET https://api.example.com/v1",), "127.0.0.1:5353")
        assert (policy.clock, dict(policy.config)) == ("2024-01-01T00:00:00Z+1ms", {"colour": "red"})
        assert policy.secrets == ("KEY", "FILE")
        assert policy.kv == str(tmp_path / "store.sqlite")
        assert wherry.Policy(dirs=policy.dirs, env=policy.env) == wherry.Policy(
            dirs=[f"{tmp_path}::/data:ro"], env={"NAME": "wert", "TOKEN": "dG9rZW4"}
        )

    def test_nothing_is_granted_by_default(self) -> None:
        """Each list is empty, each switch off."""
        nothing = wherry.Policy()
        assert (nothing.dirs, dict(nothing.env), nothing.workdir, nothing.dns) == ((), {}, None, False)
        assert (nothing.secrets, dict(nothing.config), nothing.kv, nothing.random) == ((), {}, None, "host")
        assert (nothing.net, nothing.http, nothing.listen, nothing.clock) == ((), (), (), "host")
        assert repr(nothing) == "Policy()"

    def test_it_cannot_be_changed(self, policy: wherry.Policy) -> None:
        """Neither its attributes nor what they hold."""
        with pytest.raises(AttributeError):
            policy.dns = False  # type: ignore[misc]
        with pytest.raises(TypeError):
            policy.env["NAME"] = "other"  # type: ignore[index]

    @pytest.mark.parametrize("again", COPIES.values(), ids=COPIES.keys())
    def test_copies_are_equal(self, policy: wherry.Policy, again: Any) -> None:
        """Also in what cannot be seen: the value of a secret."""
        assert again(policy) == policy
        assert hash(again(policy)) == hash(policy)
        assert policy.replace(secrets={"KEY": "other"}) != policy

    def test_equality(self, policy: wherry.Policy) -> None:
        """By value, and with nothing else."""
        assert wherry.Policy() == wherry.Policy()
        assert policy != wherry.Policy()
        assert policy != "policy"
        assert len({policy, policy.replace(), wherry.Policy()}) == 2

    def test_replace(self, policy: wherry.Policy) -> None:
        """What is named is replaced whole, and the rest stays."""
        other = policy.replace(env={"OTHER": "1"}, dns=False, workdir=None)
        assert (dict(other.env), other.dns, other.workdir) == ({"OTHER": "1"}, False, None)
        assert (other.dirs, other.secrets) == (policy.dirs, policy.secrets)

    def test_both(self, policy: wherry.Policy) -> None:
        """``|`` grants what either does; of one name the right one's value holds, as for mappings."""
        either = policy | wherry.Policy(env={"NAME": "other", "MORE": "1"}, random="none")
        assert dict(either.env) == {"TOKEN": "dG9rZW4", "NAME": "other", "MORE": "1"}
        assert (either.dirs, either.workdir, either.random) == (policy.dirs, "/data", "none")
        assert policy | wherry.Policy() == policy == wherry.Policy() | policy
        with pytest.raises(TypeError):
            policy | {"env": {}}  # type: ignore[operator]

    def test_values_are_not_shown(self, policy: wherry.Policy) -> None:
        """Those of variables and secrets appear nowhere in what is printed."""
        for shown in (repr(policy), str(policy)):
            assert "TOKEN" in shown
            assert "KEY" in shown
            assert "dG9rZW4" not in shown
            assert "c2VjcmV0" not in shown
            assert "YW5vdGhlcg" not in shown

    @pytest.mark.parametrize(
        "grants", [{"dirs": "data"}, {"env": "A=1"}, {"net": "a:1"}, {"env": {"A=": "1"}}]
    )
    def test_a_text_is_not_a_list(self, grants: Any) -> None:
        """A lone text would be a list of its letters; the error says what to write."""
        with pytest.raises(wherry.UsageError, match=r"`(dirs|env|net)`"):
            wherry.Policy(**grants)

    def test_folders_by_a_mapping(self, tmp_path: Path) -> None:
        """Of the host's names to the guest's."""
        (granted,) = wherry.Policy(dirs={tmp_path: "/data"}).dirs
        assert granted == f"{tmp_path}::/data"

    def test_an_unknown_grant(self) -> None:
        """The error lists those that there are."""
        with pytest.raises(TypeError, match=r"no grant `network`; .*net, http"):
            wherry.Policy(network=["a:1"])  # type: ignore[call-arg]

    def test_a_copy_in_another_process_grants_the_same(self, tmp_path: Path) -> None:
        """A pickled policy is as good as the one it was made from."""
        (tmp_path / "file").write_text("text")
        again = pickle.loads(pickle.dumps(wherry.Policy(dirs=[(tmp_path, "/data")])))  # noqa: S301 - as above
        assert (
            wherry.run(c_command("files"), "read", "/data/file", policy=again, capture=True).stdout == b"text"
        )


class TestLimits:
    """What may be used up."""

    def test_fields_are_attributes(self) -> None:
        """Bytes, seconds and numbers, whatever they were written as."""
        limits = wherry.Limits(memory="1GiB", timeout="1m30s", fuel="10k", output=None, connect_timeout=0.5)
        assert (limits.memory, limits.timeout, limits.fuel, limits.output) == (1 << 30, 90.0, 10_000, None)
        assert (limits.connect_timeout, limits.handles, limits.size) == (0.5, 1024, 256 << 20)

    def test_it_cannot_be_changed(self) -> None:
        """It is a value."""
        with pytest.raises(AttributeError):
            wherry.Limits().memory = 1  # type: ignore[misc]

    @pytest.mark.parametrize("again", COPIES.values(), ids=COPIES.keys())
    def test_copies_are_equal(self, again: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """To the nanosecond, and whatever the variables say where the copy is made."""
        limits = wherry.Limits(timeout="1s1ns", fuel=7, write="1MiB", nesting=50)
        monkeypatch.setenv("WHERRY_MEMORY", "1MiB")
        assert again(limits) == limits
        assert hash(again(limits)) == hash(limits)
        assert wherry.Limits().memory == 1 << 20

    def test_equality(self) -> None:
        """By value."""
        assert wherry.Limits(memory="1MiB") == wherry.Limits(memory=1 << 20)
        assert wherry.Limits(memory="1MiB") != wherry.Limits()
        assert len({wherry.Limits(), wherry.Limits(), wherry.Limits(fuel=1)}) == 2

    def test_replace(self) -> None:
        """What is named is changed, and the rest stays."""
        limits = wherry.Limits(fuel=5, timeout="2s").replace(memory="1GiB", fuel=None)
        assert (limits.memory, limits.timeout, limits.fuel) == (1 << 30, 2.0, None)
        with pytest.raises(wherry.UsageError, match="`memory`: not a size"):
            limits.replace(memory="lots")

    def test_repr_makes_it_again(self) -> None:
        """What is printed is what to type."""
        limits = wherry.Limits(fuel=5, write="1MiB", timeout=None)
        assert eval(repr(limits), {"Limits": wherry.Limits}) == limits  # noqa: S307 - printed here


class TestText:
    """Both as text: as a command line, and out of a file."""

    def test_a_policy_is_printed_as_a_command_line(self, policy: wherry.Policy, tmp_path: Path) -> None:
        """As it would be typed, but for the values of variables."""
        assert str(policy) == (
            f"--dir {tmp_path}::/data:ro --env NAME --env TOKEN --workdir /data "
            "--allow-net db.example.com:5432 --allow-http 'GET https://api.example.com/v1' "
            "--allow-listen 127.0.0.1:8080 --allow-dns --resolver 127.0.0.1:5353 --config colour=red "
            f"--secret KEY --secret FILE@{tmp_path}/secret --kv {tmp_path}/store.sqlite "
            "--clock 2024-01-01T00:00:00Z+1ms --random 42"
        )

    def test_limits_are_printed_as_a_command_line(self) -> None:
        """What differs from a terminal's defaults; some of Python's do."""
        assert str(wherry.Limits(memory="1GiB", fuel=7)) == (
            "--memory 1GiB --timeout 30s --fuel 7 --max-output 64MiB"
        )

    def test_from_toml(self, tmp_path: Path) -> None:
        """One file holds grants and limits; paths in it start beside it."""
        file = tmp_path / "policy.toml"
        file.write_text('dir = [".::/data"]\nrandom = 7\nmemory = "1GiB"\n')
        assert wherry.Policy.from_toml(file) == wherry.Policy(dirs=[(tmp_path / ".", "/data")], random=7)
        assert wherry.Limits.from_toml(str(file)) == wherry.Limits(memory="1GiB")

    def test_a_mistake_in_a_file_is_named_with_its_place(self, tmp_path: Path) -> None:
        """As on the command line."""
        (tmp_path / "policy.toml").write_text("memroy = 1")
        for read in (wherry.Policy.from_toml, wherry.Limits.from_toml):
            with pytest.raises(wherry.UsageError, match="there is no key `memroy`"):
                read(tmp_path / "policy.toml")
        with pytest.raises(wherry.GrantError):
            wherry.Policy.from_toml(tmp_path / "missing.toml")
