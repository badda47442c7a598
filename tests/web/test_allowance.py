"""A bucket: so much at once, so much for long, and what one takes is not missing to another."""

from __future__ import annotations

import pytest

from tim.web import allowance
from tim.web.allowance import Allowance, Allowances
from tim.web.inbound import BURST, FRAMES_PER_SECOND, Intake


class Time:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(allowance, "time", clock)
    return clock


def test_each_one_over_the_burst_waits_longer(clock: Time) -> None:
    bucket = Allowance(rate=10, burst=3)
    assert [bucket.take() for _ in range(6)] == [0, 0, 0, 0.1, 0.2, pytest.approx(0.3)]
    clock.now += 0.5
    assert bucket.take() == 0


def test_it_never_holds_more_than_a_burst(clock: Time) -> None:
    bucket = Allowance(rate=10, burst=3)
    clock.now += 1000
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.1]


def test_each_name_has_its_own(clock: Time) -> None:
    buckets = Allowances(rate=1, burst=1)
    assert [buckets.take(name) for name in ("alice", "bob", "alice")] == [0, 0, 1]


def test_only_the_names_used_last_are_kept(clock: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "KNOWN", 2)
    buckets = Allowances(rate=1, burst=1)
    for name in ("alice", "bob", "alice", "carol"):
        buckets.take(name)
    assert buckets.take("alice") == 2
    assert buckets.take("bob") == 0


def test_a_long_message_counts_as_those_that_hold_as_much(clock: Time) -> None:
    intake = Intake(largest=1000)
    assert [intake.count_message(size) for size in (0, 1000, (BURST - 2) * 1000)] == [0, 0, 0]
    assert intake.count_message(2500) == pytest.approx(3 / FRAMES_PER_SECOND)
