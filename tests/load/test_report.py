"""The report and the picture of a load: percentiles, the warning that the client itself was busy, well-formed SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.load.picture import PLOT, picture, span
from tests.load.report import report
from tests.load.result import BUSY, Result, percentile

TIMES = st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=50)
SVG = "{http://www.w3.org/2000/svg}"


@given(TIMES, st.integers(1, 100))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    assert found in values
    assert 100 * sum(each <= found for each in values) >= percent * len(values)
    assert 100 * sum(each < found for each in values) < percent * len(values)


@pytest.mark.parametrize(("client", "warned"), [(BUSY - 0.01, False), (BUSY, True)])
def test_it_says_when_the_client_may_be_the_bottleneck(client: float, warned: bool) -> None:
    told = report([Result("storm", "sdk", counts={"logins": 3}, client=client)])
    assert ("BOTTLENECK" in told) == warned
    assert "  3 logins\n" in told


def test_times_are_milliseconds() -> None:
    told = report([Result("login", "tab", times={"login to ready": [0.001, 0.002, 0.0305]})])
    assert re.search(r"login to ready +2\.00 +30\.50 +30\.50 +30\.50\n", told)


@given(TIMES, st.lists(st.floats(0, 100), max_size=50))
def test_any_result_is_a_picture_whose_bars_lie_in_it(times: list[float], moments: list[float]) -> None:
    result = Result("<storm> & co", "sdk", times={'a "time"': times}, moments=moments)
    drawn = ElementTree.fromstring(picture([result, result]))
    assert '<storm> & co (sdk): a "time" ' in list(drawn.itertext())
    bars = list(drawn.iter(f"{SVG}rect"))
    assert bars
    for bar in bars:
        assert 0 <= float(bar.attrib["x"]) <= PLOT - float(bar.attrib["width"])
        assert float(bar.attrib["height"]) > 0
    assert {"prefers-color-scheme: dark"} <= set(re.findall(r"\((prefers-[^)]+)\)", picture([result])))


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0000123, "0.0123 ms"), (0.5, "500 ms"), (1, "1 s"), (12.34, "12.3 s")]
)
def test_a_span_is_in_the_unit_that_suits_it(seconds: float, words: str) -> None:
    assert span(seconds) == words
