"""Charts of the last hour as paths of SVG: geometry alone. The words and numbers beside them are HTML, as text in an
SVG grows and shrinks with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HEIGHT: Final = 100
"""Of the drawing, in its own units; its width is SLOT for each minute. The page stretches both."""
SLOT: Final = 10
BAR: Final = 8
STEPS: Final = (1, 2, 5)
"""The numbers at the top of a chart are these, times a power of ten."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one colour of the bars.

    Attributes:
        words: what it shows.
        values: one a minute, oldest first; None where nothing is known.
        shown: the number beside the words.
    """

    words: str
    values: Sequence[float | None]
    shown: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart.

    Attributes:
        top: the number at its upper edge.
        paths: the attribute `d` of a path for each series, in their order.
        bars: whether the paths are filled: bars one above the other. Otherwise they are lines.
    """

    series: list[Series]
    top: float
    paths: list[str]
    bars: bool

    @property
    def width(self) -> int:
        return SLOT * max((len(each.values) for each in self.series), default=1)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(self.paths)


def bars(series: list[Series]) -> Chart:
    """Bars, the first series at the bottom."""
    sums = [sum(value or 0 for value in values) for values in zip(*(each.values for each in series), strict=True)]
    top = top_of(max(sums, default=0))
    below = [0.0] * len(sums)
    paths = []
    for each in series:
        path = ""
        for n, value in enumerate(each.values):
            if value:
                path += f"M{SLOT * n + 1} {_y(below[n], top)}h{BAR}V{_y(below[n] + value, top)}h-{BAR}z"
                below[n] += value
        paths.append(path)
    return Chart(series, top, paths, bars=True)


def lines(series: list[Series]) -> Chart:
    """Lines, with a gap where a value is not known."""
    top = top_of(max((value for each in series for value in each.values if value is not None), default=0))
    paths = []
    for each in series:
        path, drawing = "", False
        for n, value in enumerate(each.values):
            if value is not None:
                path += f"{'L' if drawing else 'M'}{SLOT * n + SLOT // 2} {_y(value, top)}"
                if not drawing:
                    path += "h.1"  # a point that stands alone
            drawing = value is not None
        paths.append(path)
    return Chart(series, top, paths, bars=False)


def top_of(most: float) -> float:
    """The smallest round number that is not below `most`, and at least 5."""
    power = 1
    while True:
        for step in STEPS:
            if step * power >= max(most, 5):
                return step * power
        power *= 10


def _y(value: float, top: float) -> str:
    """A number of the drawing with one decimal place, counted from its upper edge."""
    return f"{HEIGHT * (1 - value / top):.1f}".removesuffix(".0")
