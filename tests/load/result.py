"""What one kind of load has shown: counts, times, and when things happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter, process_time


def percentile(values: list[float], percent: int) -> float:
    """The smallest value that at least so many percent do not exceed; of no values, 0."""
    if not values:
        return 0.0
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


@dataclass
class Result:
    """What the load of one kind has shown.

    Attributes:
        counts: how often each thing has happened.
        figures: what was derived, with its unit in its name.
        times: seconds of each, by what was timed.
        moments: seconds from the beginning of the timed part at which what the load is about was done.
        failures: how often each reason was met.
        client: the share of one core that this client took in the timed part.
    """

    name: str
    face: str
    counts: dict[str, int] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)
    moments: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    client: float = 0.0

    def count(self, what: str, more: int = 1) -> None:
        """Count something."""
        self.counts[what] = self.counts.get(what, 0) + more

    def time(self, what: str, seconds: float) -> None:
        """Add a duration."""
        self.times.setdefault(what, []).append(seconds)

    def fail(self, why: BaseException) -> None:
        """Count a failure by its reason."""
        words = str(why) or type(why).__name__
        self.failures[words] = self.failures.get(words, 0) + 1


BUSY = 0.8
"""The share of a core from which on the client itself may be what is measured."""


class Timed:
    """The timed part of a load: `with Timed(result):` fills in what the client took.

    Attributes:
        began: by `perf_counter`.
        seconds: how long it was; 0 until its end.
    """

    def __init__(self, result: Result) -> None:
        self._result = result
        self.began = self.seconds = 0.0

    def __enter__(self) -> Timed:
        self.began, self._used = perf_counter(), process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = perf_counter() - self.began
        self._result.client = (process_time() - self._used) / self.seconds
