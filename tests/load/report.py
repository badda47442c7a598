"""What was shown, as text."""

from __future__ import annotations

from collections.abc import Iterator

from tests.load.result import BUSY, Result, percentile

PERCENT = (50, 90, 99, 100)
"""Percentiles of each table of times; the last is the longest."""


def report(results: list[Result]) -> str:
    """Return the report: of each kind of load its counts, its figures and its times in milliseconds."""
    return "\n".join(line for result in results for line in _lines(result))


def _lines(result: Result) -> Iterator[str]:
    yield f"{result.name} ({result.face})"
    for what, number in result.counts.items():
        yield f"  {number} {what}"
    for what, figure in result.figures.items():
        yield f"  {figure:.3g} {what}" if figure < 1000 else f"  {figure:.0f} {what}"
    for why, number in result.failures.items():
        yield f"  {number} failed: {why}"
    if result.times:
        yield f"  {'ms':24}" + "".join(f"{'most' if percent == 100 else f'p{percent}':>10}" for percent in PERCENT)
    for what, seconds in result.times.items():
        yield f"  {what:24}" + "".join(f"{1000 * percentile(seconds, percent):10.2f}" for percent in PERCENT)
    yield f"  this client took {result.client:.0%} of a core"
    if result.client >= BUSY:
        yield "  IT MAY BE THE BOTTLENECK: the server may be faster than this. Measure fewer at a time."
    yield ""
