"""The accounts that a node sends for next: their order, their pauses, and a receiver that does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.waiting import until
from tim.backlog import MOST_KNOWN, Backlog

LONG = 600.0


@pytest.fixture
def backlog() -> Iterator[Backlog]:
    made = Backlog(LONG)
    yield made
    made.stop()


def asks(backlog: Backlog) -> list[str | None]:
    """A sender that asks for one account; what it gets."""
    got: list[str | None] = []
    threading.Thread(target=lambda: got.append(backlog.next()), daemon=True).start()
    return got


def test_accounts_come_once_each_in_the_order_in_which_they_were_added(backlog: Backlog) -> None:
    backlog.add(["alice", "bob"])
    backlog.add(["carol", "alice"])
    assert [backlog.next() for _ in range(3)] == ["alice", "bob", "carol"]
    assert len(backlog) == 0


def test_an_account_that_pauses_comes_when_its_pause_is_over(backlog: Backlog) -> None:
    backlog.add_later("alice", LONG)
    backlog.add_later("bob", 0.02)
    assert backlog.next() == "bob"


def test_it_remembers_only_so_many(backlog: Backlog) -> None:
    backlog.add([f"user-{n}" for n in range(MOST_KNOWN + 5)])
    assert len(backlog) == MOST_KNOWN


def test_a_receiver_that_does_not_answer_is_left_alone_until_its_pause_is_over_or_it_answers(backlog: Backlog) -> None:
    backlog.add(["alice", "bob"])
    assert backlog.next() == "alice"
    assert backlog.failed(time.monotonic())
    backlog.done()
    waits = asks(backlog)
    assert not waits
    assert backlog.answered()
    until(lambda: waits == ["bob"], "it waits for nothing")
    assert not backlog.answered()


def test_one_sender_tries_whether_it_is_back() -> None:
    backlog = Backlog(0.0)
    backlog.add(["alice", "bob"])
    backlog.failed(time.monotonic())
    assert backlog.next() == "alice"
    other = asks(backlog)
    assert not other
    backlog.done()
    until(lambda: other == ["bob"], "the next one may try now")


def test_attempts_that_were_under_way_together_are_one_failure() -> None:
    backlog = Backlog(0.001)
    began = time.monotonic()
    assert backlog.failed(began)
    assert not any(backlog.failed(began) for _ in range(60))
    backlog.add(["alice"])
    assert backlog.next() == "alice", "sixty failures would hold it up for a minute"


def test_a_node_that_stops_lets_every_sender_return(backlog: Backlog) -> None:
    waits = [asks(backlog) for _ in range(3)]
    backlog.stop()
    until(lambda: waits == [[None]] * 3, "one still waits")
    backlog.wait(LONG)


def test_nothing_is_sent_any_more_once_it_is_cleared(backlog: Backlog) -> None:
    backlog.add(["alice"])
    backlog.add_later("bob", 0)
    backlog.clear()
    backlog.add(["carol"])
    assert backlog.next() == "carol"
