"""Which messages a page has received and its reader has not looked at yet: the page reports what it shows."""

from __future__ import annotations

import json
from collections.abc import Iterable


class Unseen:
    """The messages of one stream that others have sent and that no report of its page covers yet."""

    def __init__(self) -> None:
        self._numbers: list[int] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int) -> None:
        """Counts the message with this number in the log of the account."""
        self._numbers.append(number)

    def take_reports(self, frames: Iterable[bytes | str]) -> None:
        """Forgets the messages that the frames of the page report as shown.

        A report is a JSON object whose `seen` is the number of a message that is in view: it covers all older ones
        too. Any other frame is ignored.
        """
        seen = max(map(_reported, frames), default=0)
        if seen:  # a page that reports nothing may have thousands
            self._numbers = [number for number in self._numbers if number > seen]


def _reported(frame: bytes | str) -> int:
    """The number in a report; 0 for any other frame."""
    try:
        report = json.loads(frame)
    except (ValueError, RecursionError):
        return 0
    seen = report.get("seen") if isinstance(report, dict) else None
    return seen if type(seen) is int else 0
