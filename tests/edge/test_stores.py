"""What an application is told and keeps: configuration, secrets, and a store that outlives its requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.guests.build import http_application
from tests.requesting import request
from wherry import Policy, edge

if TYPE_CHECKING:
    from pathlib import Path


def test_each_application_is_told_its_own(tmp_path: Path) -> None:
    """Configuration and secrets are granted to one, and the other hears nothing of them."""
    (tmp_path / "token").write_text("hush")
    policies = {
        "one": Policy(config={"greeting": "hello"}, secrets=[f"token@{tmp_path / 'token'}"]),
        "two": Policy(config={"greeting": "moin"}),
    }
    applications = [
        edge.Application(
            http_application("keeping"),
            policy=policy,
            settings=edge.ApplicationSettings(name=host, routes=(f"{host}.example/*rest",)),
        )
        for host, policy in policies.items()
    ]
    with edge.serve(applications, address="127.0.0.1:0") as server:

        def told(host: str, name: str) -> tuple[int, str]:
            answer = request(f"{server.url}/config/{name}", fields={"host": f"{host}.example"})
            return answer.status, answer.text

        assert told("one", "greeting") == (200, "hello")
        assert told("two", "greeting") == (200, "moin")
        assert told("one", "token") == (200, "hush")
        assert told("two", "token")[0] == 404


def test_a_store_in_a_file_outlives_requests(tmp_path: Path) -> None:
    """Sixty-four clients count at once, and no count is lost; another server goes on from there."""
    policy = Policy(kv=tmp_path / "store.db")
    for before in (0, 256):
        with edge.serve(http_application("keeping"), address="127.0.0.1:0", policy=policy) as server:
            with ThreadPoolExecutor(64) as pool:
                answers = list(pool.map(request, [f"{server.url}/count/visits"] * 256))
            counts = [int(answer.text) for answer in answers]
            assert sorted(counts) == list(range(before + 1, before + 257))


def test_a_store_in_memory_is_that_of_one_request() -> None:
    """Nothing is kept where nothing was granted."""
    with edge.serve(http_application("keeping"), address="127.0.0.1:0") as server:
        assert [request(f"{server.url}/count/visits").text for _ in range(3)] == ["1"] * 3
