"""Never more tabs than allowed: eight processes log one account in, and the whole history is held against the rules."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tests.support.history import History, shows
from tests.support.server import APP
from tests.support.team import Team
from tests.support.work import chooses_who_leaves, lives, logs_in
from tim.store.base import Store

LOGINS = 25
"""Of each process, in one round."""
MORE_ROUNDS = 20
"""At most, until what is meant to happen by chance has happened."""


@contextmanager
def watched(store: Store, user: str) -> Iterator[list[frozenset[str]]]:
    """Who is live, seen again and again for as long as it goes on."""
    seen: list[frozenset[str]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            seen.append(frozenset(each.id for each in store.instances(APP, user)))

    observer = threading.Thread(target=watch)
    observer.start()
    try:
        yield seen
    finally:
        over.set()
        observer.join()


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_of_two_hundred_logins_at_once_each_evicts_as_many_as_it_must_and_the_last_are_in(
    limit: int, team: Team, store: Store, rounds: int
) -> None:
    for _ in range(rounds):
        user = f"crowd-{secrets.token_hex(4)}"
        with watched(store, user) as seen:
            history = History.of(team.does(*[partial(logs_in, user=user, limit=limit, times=LOGINS)] * team.size))
        states = history.replay(limit)
        assert len(history.admissions) == team.size * LOGINS
        assert [each.id for each in store.instances(APP, user)] == [
            each.admitted.id for each in history.admissions[-limit:]
        ]
        assert max(map(len, seen)) == limit
        assert shows(seen, states)
        assert_ended_as_told(history, store)


@pytest.mark.parametrize("limit", [1, 3])
def test_of_many_that_choose_at_once_who_leaves_each_ends_the_chosen_one_alone(
    limit: int, team: Team, store: Store, rounds: int
) -> None:
    for _ in range(rounds):
        user = f"choosers-{secrets.token_hex(4)}"
        with watched(store, user) as seen:
            done = team.does(*[partial(chooses_who_leaves, user=user, limit=limit, times=10)] * team.size)
        admissions = [each for part in done for each in part]
        evicted = [each.id for admission in admissions for each in admission.evicted]
        assert len(admissions) == team.size * 10
        assert len(evicted) == len(set(evicted)) == len(admissions) - limit, "one comes, one leaves"
        assert {each.id for each in store.instances(APP, user)} == {each.admitted.id for each in admissions} - {
            *evicted
        }
        assert max(map(len, seen)) == limit


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_that_holds_as_well_while_streams_open_and_close_and_tabs_log_out(
    limit: int, team: Team, store: Store, rounds: int
) -> None:
    left = overtaken = 0
    for nth in range(rounds + MORE_ROUNDS):
        # With one seat hardly anybody has it for long enough; with two, nobody in some rounds.
        if nth >= rounds and (limit == 1 or (left and overtaken)):
            break
        user = f"busy-{secrets.token_hex(4)}"
        tasks = [partial(lives, user=user, limit=limit, times=LOGINS, seed=f"{user}/{n}") for n in range(team.size)]
        with watched(store, user) as seen:
            history = History.of(team.does(*tasks))
        states = history.replay(limit)
        assert frozenset(each.id for each in store.instances(APP, user)) == states[-1]
        assert max(map(len, seen)) <= limit
        assert shows(seen, states)
        assert_ended_as_told(history, store)
        left += len(history.left)
        overtaken += history.overtaken
    assert limit == 1 or left, "nobody has logged out"
    assert limit == 1 or overtaken, "nobody who was detached had to leave before somebody older"


def assert_ended_as_told(history: History, store: Store) -> None:
    """What the store says of them afterwards is what those were told who evicted them or logged them out."""
    for each in [each for admission in history.admissions for each in admission.evicted] + history.left:
        assert store.get(each.id).gone == each.gone
