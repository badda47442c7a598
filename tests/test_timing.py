"""Every wait has its place in `Timing`."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path
from typing import Any

import pytest

from tim.timing import DEFAULT, Timing

ROOT = Path(__file__).parents[1]
FILES = [*sorted((ROOT / "tim").rglob("*.py")), ROOT / "app.py"]
WAITS = {"wait", "sleep", "join", "settimeout", "acquire"}


def waits(file: Path) -> list[ast.expr]:
    """What is passed to each call in the file that may wait."""
    return [
        value
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in WAITS
        if not isinstance(call.func.value, ast.Constant)  # as in ", ".join(names)
        for value in (*call.args, *(keyword.value for keyword in call.keywords))
    ]


def written_here(value: ast.expr) -> bool:
    """Whether a time is written into the call itself, or into a constant beside it."""
    names = [node.id for node in ast.walk(value) if isinstance(node, ast.Name)]
    literal = isinstance(value, ast.Constant) and isinstance(value.value, int | float) and value.value > 0
    return literal or any(name.isupper() for name in names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_time_to_wait_is_written_anywhere_else(file: Path) -> None:
    assert [ast.unparse(value) for value in waits(file) if written_here(value)] == []
    if file.name != "timing.py":
        assert re.findall(r"^\w*(?:TIMEOUT|PERIOD|PATIENCE|DEADLINE)\w*\b.*=", file.read_text(), re.MULTILINE) == []


def test_that_test_looks_at_something() -> None:
    assert sum(len(waits(file)) for file in FILES) > 10
    assert written_here(ast.parse("min(left, MOMENT)", mode="eval").body)
    assert written_here(ast.parse("0.02", mode="eval").body)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"ping_period": -1}, "ping_period must be"),
        ({"redis_timeout": math.inf}, "redis_timeout must be"),
        ({"poll": math.nan}, "poll must be"),
        ({"lease": 10.0}, "must be longer than renewal_period"),
        ({"renewal_period": 30.0}, "must be longer than renewal_period"),
    ],
)
def test_times_that_cannot_work_together_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Timing(**values)


def test_a_page_gives_up_after_two_ping_periods() -> None:
    assert DEFAULT.page_silence == 2 * DEFAULT.ping_period
