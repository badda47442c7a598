"""What the whole service has done in the last hour, minute by minute: pure functions of what was counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from tim.audit import SEATED, UNSEATED

SHOWN: Final = 60
"""Minutes of the last hour, with the current one, which is not over."""
MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Activity:
    """What was counted in each of the last SHOWN minutes, oldest first.

    Attributes:
        begins: unix seconds at which each minute begins.
        counts: a number for each minute, by the name of the counter, `kind:code`.
    """

    begins: list[int]
    counts: dict[str, list[int]]

    def by_code(self, *kinds: str) -> dict[str, list[int]]:
        """The numbers of these kinds, by code; the code of the largest sum first."""
        found: dict[str, list[int]] = {}
        for name, numbers in self.counts.items():
            kind, _, code = name.partition(":")
            if kind in kinds:
                found[code] = _added(found.get(code, self._zeros()), numbers)
        return dict(sorted(found.items(), key=lambda pair: (-sum(pair[1]), pair[0])))

    def of(self, kinds: Collection[str]) -> list[int]:
        """The sum of these kinds, whatever their code."""
        total = self._zeros()
        for numbers in self.by_code(*kinds).values():
            total = _added(total, numbers)
        return total

    def seated(self, now: int) -> list[int]:
        """How many instances had a seat at the end of each minute, where `now` have one: counted backwards."""
        taken, left = self.of(SEATED), self.of(UNSEATED)
        found = [now]
        for n in range(len(self.begins) - 1, 0, -1):
            found.append(max(0, found[-1] - taken[n] + left[n]))
        return found[::-1]

    def _zeros(self) -> list[int]:
        return [0] * len(self.begins)


def last_hour(minutes: Mapping[int, Mapping[str, int]], now: float) -> Activity:
    """The activity up to `now`, in unix seconds, of what the store has counted by minutes."""
    newest = int(now // MINUTE) * MINUTE
    begins = [newest - MINUTE * n for n in range(SHOWN - 1, -1, -1)]
    names = sorted({name for begin in begins for name in minutes.get(begin, ())})
    return Activity(begins, {name: [minutes.get(begin, {}).get(name, 0) for begin in begins] for name in names})


def _added(one: list[int], other: list[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]
