"""Charts: what is drawn lies inside the drawing, and shows each number where it belongs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tim.web.console.chart import HEIGHT, SLOT, Series, bars, lines, top_of


def series(*values: list[float | None]) -> list[Series]:
    return [Series("words", each, "0") for each in values]


@pytest.mark.parametrize(("most", "top"), [(0, 5), (5, 5), (5.1, 10), (11, 20), (21, 50), (51, 100), (1e6, 1e6)])
def test_the_top_is_the_next_round_number(most: float, top: float) -> None:
    assert top_of(most) == top


def test_bars_stand_one_above_the_other_in_their_minute() -> None:
    chart = bars(series([1, 0, 5], [4, 5, None]))
    assert chart.top == 5
    assert chart.paths == ["M1 100h8V80h-8zM21 100h8V0h-8z", "M1 80h8V0h-8zM11 100h8V0h-8z"]


def test_a_line_has_a_gap_where_nothing_is_known() -> None:
    chart = lines(series([1, 2, None, 5]))
    assert chart.paths == ["M5 80h.1L15 60M35 0h.1"]


def test_without_numbers_nothing_is_drawn() -> None:
    assert bars(series([0, 0])).empty
    assert bars([]).empty
    assert lines(series([None, None])).empty
    assert not lines(series([0, None])).empty, "nought is known"


@given(st.lists(st.lists(st.integers(0, 10**9), min_size=6, max_size=6), min_size=1, max_size=6))
def test_nothing_is_drawn_outside(values: list[list[int]]) -> None:
    for chart in (bars(series(*values)), lines(series(*values))):  # type: ignore[arg-type]
        assert chart.width == 6 * SLOT
        for path in chart.paths:
            for x, y in re.findall(r"[ML](\S+?) ([\d.-]+)", path):
                assert 0 <= float(x) <= chart.width
                assert -0.1 <= float(y) <= HEIGHT
