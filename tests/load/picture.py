"""What was shown, as a picture: an SVG without scripts, in the colours of the reader's light or dark theme."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from typing import Final

from tests.load.result import Result, percentile

WIDTH: Final = 720
LEFT: Final = 32
PLOT: Final = WIDTH - 2 * LEFT
PANEL: Final = 150
"""Height of one panel, with its title and its scale."""
BARS: Final = 84
"""Largest height of a bar."""
FOOT: Final = BARS + 16
"""Where the bars of a panel stand, below the line of its title."""
BINS: Final = 12
"""Bars between a time and ten times as much."""
MARKED: Final = (50, 99)
"""Percentiles that have a line, and are in the title."""
STYLE: Final = """
svg { background: #fff; color: #1f2328; font: 13px system-ui, sans-serif; }
text { fill: currentColor; } .quiet { fill: #59636e; } .bar { fill: #0969da; } .axis { stroke: #59636e; }
.mark { stroke: #bc4c00; stroke-dasharray: 4 3; } .marked { fill: #bc4c00; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; color: #e6edf3; }
  .quiet { fill: #9198a1; } .bar { fill: #4493f8; } .axis { stroke: #9198a1; }
  .mark { stroke: #f0883e; } .marked { fill: #f0883e; }
}
"""


def picture(results: list[Result]) -> str:
    """Return the picture: of each kind of load how often each time was met, and how much was done in each second."""
    panels = [panel for result in results for panel in _panels(result)]
    height = PANEL * len(panels) + LEFT
    drawn = "".join(f'<g transform="translate({LEFT} {LEFT + PANEL * n})">{one}</g>' for n, one in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">'
        f"<title>Load</title><style>{STYLE}</style>{drawn}</svg>\n"
    )


def _panels(result: Result) -> Iterator[str]:
    name = f"{result.name} ({result.face})"
    for what, seconds in result.times.items():
        values = [percentile(seconds, percent) for percent in MARKED]
        words = " · ".join(f"p{percent} {span(value)}" for percent, value in zip(MARKED, values, strict=True))
        yield _title(f"{name}: {what}", f"{len(seconds)} times", words) + _times(seconds, values)
    if result.moments:
        bars = _by_second(result.moments)
        more = f"{len(result.moments)} in all"
        yield _title(f"{name}: done in each second", more, f"most {max(bars)}") + _rate(bars)


def span(seconds: float) -> str:
    """Return a time in milliseconds or seconds, with three digits that count."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _title(words: str, more: str, at_the_end: str) -> str:
    return (
        f'<text>{escape(words)} <tspan class="quiet">{escape(more)}</tspan></text>'
        f'<text class="marked" x="{PLOT}" text-anchor="end">{escape(at_the_end)}</text>'
    )


def _times(seconds: list[float], marked: list[float]) -> str:
    """How often each time was met, on a logarithmic scale of whole decades, with a line at each marked time."""
    least = math.floor(math.log10(min(seconds)))
    decades = math.floor(math.log10(max(seconds))) + 1 - least

    def x(time: float) -> float:
        return (math.log10(time) - least) / decades * PLOT

    bars = [0] * (decades * BINS)
    for each in seconds:
        bars[int(x(each) / PLOT * len(bars))] += 1
    scale = [(x(time), span(time)) for time in (10.0 ** (least + n) for n in range(decades + 1))]
    lines = "".join(f'<line class="mark" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="10" y2="{FOOT}"/>' for at in marked)
    return _bars(bars) + _scale(scale) + lines


def _by_second(moments: list[float]) -> list[int]:
    bars = [0] * (int(max(moments)) + 1)
    for moment in moments:
        bars[int(moment)] += 1
    return bars


def _rate(bars: list[int]) -> str:
    """How much was done in each second."""
    step = -(-len(bars) // 10)
    return _bars(bars) + _scale([(n / len(bars) * PLOT, f"{n} s") for n in range(0, len(bars) + 1, step)])


def _bars(heights: list[int]) -> str:
    width, tallest = PLOT / len(heights), max(heights)
    bars = ((n * width, height / tallest * BARS) for n, height in enumerate(heights) if height)
    return "".join(
        f'<rect class="bar" x="{x:.1f}" y="{FOOT - high:.1f}" width="{0.9 * width:.1f}" height="{high:.1f}"/>'
        for x, high in bars
    )


def _scale(marks: list[tuple[float, str]]) -> str:
    words = "".join(
        f'<text class="quiet" x="{x:.1f}" y="{FOOT + 16}" text-anchor="middle">{escape(words)}</text>'
        for x, words in marks
    )
    return f'<line class="axis" x2="{PLOT}" y1="{FOOT}" y2="{FOOT}"/>{words}'
