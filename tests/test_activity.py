"""What was counted by minutes, as an hour: sums by kind and code, and how many had a seat, counted backwards."""

from __future__ import annotations

import pytest

from tim.activity import SHOWN, last_hour
from tim.audit import EVICTED, LOGIN, LOGOUT, REFUSED, RETURNED, WENT_AWAY

NOW = 1_750_000_030.0
MINUTE = 1_750_000_020
"""The begin of the current minute, in unix seconds."""


def minute(ago: int) -> int:
    return MINUTE - 60 * ago


def test_the_hour_has_sixty_minutes_and_ends_with_the_current_one() -> None:
    activity = last_hour({minute(0): {"login:": 1}, minute(59): {"login:": 2}, minute(60): {"login:": 4}}, NOW)
    assert activity.begins[-1] == MINUTE
    assert (activity.begins[0], len(activity.begins)) == (minute(59), SHOWN)
    assert activity.of({LOGIN}) == [2, *[0] * 58, 1]
    assert last_hour({}, NOW).of({LOGIN}) == [0] * SHOWN


@pytest.mark.parametrize("second", [0, 59.999])
def test_a_minute_is_the_current_one_from_its_first_second_to_its_last(second: float) -> None:
    assert last_hour({}, MINUTE + second).begins[-1] == MINUTE


def test_kinds_are_added_and_codes_are_told_apart_the_most_frequent_first() -> None:
    counts = {"refused:70001": 2, "refused:70009": 5, "refused-otherwise:70009": 9, "evicted:multipleAccount": 1}
    activity = last_hour({minute(1): counts, minute(0): {"refused:70001": 4}}, NOW)
    assert {code: sum(numbers) for code, numbers in activity.by_code(REFUSED).items()} == {"70001": 6, "70009": 5}
    assert list(activity.by_code(REFUSED)) == ["70001", "70009"]
    assert activity.of({REFUSED})[-2:] == [7, 4]
    assert activity.of({REFUSED, EVICTED})[-2:] == [8, 4]


def test_how_many_had_a_seat_follows_from_how_many_have_one() -> None:
    counts = {
        minute(0): {f"{LOGIN}:": 1, f"{LOGOUT}:loggedOut": 3},
        minute(1): {f"{RETURNED}:": 2},
        minute(2): {f"{EVICTED}:multipleAccount": 1, f"{WENT_AWAY}:away": 1, f"{REFUSED}:70001": 9},
    }
    assert last_hour(counts, NOW).seated(5)[-4:] == [7, 5, 7, 5]
