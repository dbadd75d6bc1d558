"""What to do about failures that a server tells of: each advice once, so that a log is not flooded.

A server gives them as lines; loaded when the first one comes, as the start of a server is waited for.
"""

from __future__ import annotations

import re

__all__ = ["Advice"]

_WHAT_TO_DO = (
    (r"used up its limit of .* of (?P<flag>fuel|stack)$", "raise it with `--{flag}`"),
    (r"after it was refused memory over|more handles than its memory", "raise it with `--memory`"),
    (r"as many open handles as the limit", "raise it with `--max-handles`"),
    (r"longer than its time limit", "raise it with `--timeout`, or answer sooner"),
    (r"larger than `max-response`", "raise it with `--max-response`"),
    (
        r"the guest gave no answer",
        "it is set before the handler returns, with its own length; what the guest printed may say more",
    ),
    (r"the guest (?:trapped|failed)", "`--dev` shows the guest's stack in the answer"),
)
"""The words of a failure, and what to do; the first that fits counts."""


class Advice:
    """What was advised so far."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def about(self, failure: str) -> list[str]:
        """What to do about a failure, if that was not said before."""
        for words, text in _WHAT_TO_DO:
            if (found := re.search(words, failure)) is None:
                continue
            advice = text.format(**found.groupdict())
            if advice in self._given:
                break
            self._given.add(advice)
            return [advice]
        return []
