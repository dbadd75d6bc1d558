"""HTTP/2 as the suite of h2spec tests it, and HPACK with it; every failure has its reason here."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import trustme

from tests.edge.programs import go_program
from tests.guests.build import http_application
from wherry import edge

if TYPE_CHECKING:
    from pathlib import Path

# What is not as the suite has it, and why that is right.
REASONS = {
    # One port serves both versions: what does not begin as HTTP/2 is a request of HTTP/1.1, and gets 400.
    "Sends invalid connection preface",
}


def failed(server: edge.Server, report: Path, *words: str) -> tuple[int, set[str]]:
    """How many cases there were, and which did not hold.

    What some cases see hangs on whether an answer is there before the rest of what they send, so that those
    which did not hold have two more attempts.
    """
    host, port = server.address
    command = [
        str(go_program("h2spec", "github.com/summerwind/h2spec/cmd/h2spec")),
        "--host",
        host,
        "--port",
        str(port),
        "--timeout",
        "5",
        "--strict",
    ]
    cases, bad = run([*command, "--junit-report", str(report), *words], report)
    for _ in range(2):
        if bad <= REASONS:
            break
        bad &= run([*command, "--junit-report", str(report), *words], report)[1]
    return cases, bad


def run(command: list[str], report: Path) -> tuple[int, set[str]]:
    """One run of the suite: its cases, and which did not hold."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert report.exists(), done.stdout + done.stderr
    # Frames that it did not expect are shown byte by byte, which is no XML.
    written = re.sub(rb"[^\t\n\r -~]", b"?", report.read_bytes())
    cases = list(ET.fromstring(written).iter("testcase"))  # noqa: S314 - written by the suite
    return len(cases), {str(case.get("classname")) for case in cases if len(case) > 0}


def test_the_suite_holds_without_tls(tmp_path: Path) -> None:
    """All of its cases but those with a reason."""
    with edge.serve(http_application("lean"), address="127.0.0.1:0") as server:
        cases, bad = failed(server, tmp_path / "report.xml")
    assert cases >= 145
    assert bad == REASONS


def test_the_suite_holds_over_tls(tmp_path: Path) -> None:
    """All of its cases: where HTTP/2 was agreed on there is nothing else."""
    both = tmp_path / "both.pem"
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(both)
    tls = [edge.Certificate(certificate=str(both), key=str(both))]
    with edge.serve(http_application("lean"), address="127.0.0.1:0", tls=tls) as server:
        cases, bad = failed(server, tmp_path / "report.xml", "--tls", "--insecure")
    assert cases >= 145
    assert bad == set()
