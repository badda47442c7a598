"""How a newcomer is admitted, attached at once or not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.store.contract.conftest import LogIn
from tests.support.actors import APP, DAY, GRACE, Clock, new_id, newcomer
from tests.support.seats import NODE, live, reason, why_not
from tim.ends import AWAY, LOGGED_OUT, TYPES, UNKNOWN, Gone
from tim.model import Instance
from tim.rules import REJECT
from tim.seat_errors import AtLimit
from tim.store.base import Store

MULT_ACCOUNT = TYPES.KICKED_OUT_MULT_ACCOUNT
EXPIRED = TYPES.KICKED_OUT_USERSIG_EXPIRED


# admit


def test_a_newcomer_is_admitted_with_its_time_and_a_generation(store: Store, clock: Clock) -> None:
    asked = newcomer(expires=clock() + DAY)
    admitted, evicted = store.admit(asked, 1)
    assert evicted == []
    assert admitted.generation > 0
    now, number = clock(), admitted.generation
    assert admitted == replace(
        asked,
        since=now,
        detached_at=now,
        active_at=now,
        generation=number,
        ordinal=number,
    )
    assert store.get(asked.id) == admitted
    assert store.instances(APP, "alice") == [admitted]


def test_generations_only_grow_and_never_come_twice(store: Store, log_in: LogIn, clock: Clock) -> None:
    seen: list[int] = []
    for _ in range(3):
        tabs = [log_in(limit=2) for _ in range(4)]
        seen += [tab.generation for tab in tabs]
        for tab in tabs:
            store.remove(tab.id, Gone(LOGGED_OUT, 0))
            store.detach(tab.id, tab.stream)
        # Nothing is left of them that would remember the number.
        clock.advance(8 * DAY)
        store.sweep()
        assert {reason(store, tab) for tab in tabs} == {UNKNOWN}
    assert seen == sorted(set(seen))


def test_a_callers_clock_an_hour_off_changes_nothing(store: Store, clock: Clock) -> None:
    for hours in (-1, 1):
        asked = newcomer(expires=clock() + DAY, since=clock() + hours * 3600)
        assert store.admit(asked, 10)[0].since == clock()
        gone = store.remove(asked.id, Gone(LOGGED_OUT, clock() + hours * 3600))
        assert gone is not None
        assert gone.gone == Gone(LOGGED_OUT, clock())
        assert store.get(asked.id).gone == Gone(LOGGED_OUT, clock())


def test_what_a_caller_says_of_generation_stream_and_seat_changes_nothing(store: Store, clock: Clock) -> None:
    first, _ = store.admit(newcomer(expires=clock() + DAY), 10)
    liar = replace(newcomer(expires=clock() + DAY), generation=0, detached_at=None)
    admitted, _ = store.admit(liar, 10)
    assert admitted.generation > first.generation
    assert not admitted.online, "nobody is online before a stream is open"


def test_the_same_admission_twice_is_one(store: Store, clock: Clock) -> None:
    asked = newcomer(expires=clock() + DAY)
    admitted, _ = store.admit(asked, 1)
    clock.advance(5)
    assert store.admit(asked, 1) == (admitted, [])
    assert store.instances(APP, "alice") == [admitted]


def test_a_repeated_admission_evicts_nobody_even_where_others_came_in_between(store: Store, clock: Clock) -> None:
    first = newcomer(expires=clock() + DAY)
    second = newcomer(expires=clock() + DAY)
    store.admit(first, 1)
    store.admit(second, 1)
    again, evicted = store.admit(first, 1)
    assert evicted == []
    assert again.gone is not None, "who was evicted does not come in again by asking again"
    assert live(store) == [second.id]


def test_as_many_leave_as_one_more_needs_and_the_oldest_first(store: Store, log_in: LogIn, clock: Clock) -> None:
    old = [log_in() for _ in range(4)]
    asked = newcomer(expires=clock() + DAY)
    _, evicted = store.admit(asked, 3)
    assert [each.id for each in evicted] == [each.id for each in old[:2]]
    assert live(store) == [old[2].id, old[3].id, asked.id]


def test_the_detached_leave_before_any_that_is_online(store: Store, log_in: LogIn, clock: Clock) -> None:
    oldest, middle, newest = log_in(), log_in(), log_in()
    store.detach(newest.id, newest.stream)
    store.detach(middle.id, middle.stream)
    _, evicted = store.admit(newcomer(expires=clock() + DAY), 2)
    assert [each.id for each in evicted] == [middle.id, newest.id]
    assert reason(store, oldest) is None


def test_the_newcomer_stays_though_it_is_the_only_one_detached(store: Store, log_in: LogIn, clock: Clock) -> None:
    log_in()
    asked = newcomer(expires=clock() + DAY)
    store.admit(asked, 1)
    assert live(store) == [asked.id]


def test_the_evicted_are_told_by_whom_and_when(store: Store, log_in: LogIn, clock: Clock) -> None:
    old = log_in()
    clock.advance(100)
    asked = newcomer(browser="Chrome on Android", expires=clock() + DAY)
    _, evicted = store.admit(asked, 1)
    gone = Gone(MULT_ACCOUNT, clock(), asked.client)
    assert [each.gone for each in evicted] == [gone]
    clock.advance(100)
    assert store.get(old.id).gone == gone
    assert why_not(lambda: store.attach(old.id, NODE, 10)) == gone
    assert why_not(lambda: store.append(APP, old.id, "alice", "hello", new_id())) == gone


def test_who_displaced_them_is_kept_even_where_its_browser_has_no_name(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    old = log_in(limit=1)
    nameless = newcomer(browser="", expires=clock() + DAY)
    store.admit(nameless, 1)
    gone = store.get(old.id).gone
    assert gone is not None
    assert gone.by == nameless.client


def test_accounts_and_apps_do_not_evict_one_another(store: Store, clock: Clock) -> None:
    for user, app in (("alice", APP), ("bob", APP), ("Alice", APP), ("alice", APP + 1)):
        asked = replace(newcomer(user, expires=clock() + DAY), app=app)
        assert store.admit(asked, 1)[1] == []
        assert [each.id for each in store.instances(app, user)] == [asked.id]


def test_who_has_gone_takes_no_seat(store: Store, log_in: LogIn, clock: Clock) -> None:
    out, away, expired, stays = log_in(), log_in(), log_in(life=50), log_in()
    store.remove(out.id, Gone(LOGGED_OUT, 0))
    store.detach(away.id, away.stream)
    clock.advance(GRACE)
    assert live(store) == [stays.id]
    assert store.admit(newcomer(expires=clock() + DAY), 2)[1] == []
    assert {reason(store, each) for each in (out, away, expired)} == {LOGGED_OUT, AWAY, EXPIRED}


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_many_who_come_at_once_are_all_admitted_and_never_more_than_fit(
    store: Store, clock: Clock, limit: int, rounds: int
) -> None:
    workers, each = 8, 10 * rounds
    together = threading.Barrier(workers)

    def come(_: int) -> list[tuple[Instance, list[Instance], int]]:
        together.wait()
        replies = []
        for _ in range(each):
            admitted, evicted = store.admit(newcomer(expires=clock() + DAY), limit)
            replies.append((admitted, evicted, len(store.instances(APP, "alice"))))
        return replies

    with ThreadPoolExecutor(workers) as pool:
        replies = [reply for some in pool.map(come, range(workers)) for reply in some]
    evicted = [gone.id for _, some, _ in replies for gone in some]
    assert len(evicted) == len(set(evicted)), "nobody is evicted twice"
    assert all(len(some) <= 1 for _, some, _ in replies), "one comes, one leaves"
    assert max(seen for _, _, seen in replies) <= limit
    assert len(replies) - len(evicted) == limit
    # Nobody was detached before anybody else here, so who is left are those that came last.
    last = sorted(replies, key=lambda reply: reply[0].generation)[-limit:]
    assert live(store) == [admitted.id for admitted, _, _ in last]


# enter


def test_who_enters_is_admitted_with_its_stream_open(store: Store, log_in: LogIn, clock: Clock) -> None:
    old, stays = log_in(), log_in()
    asked = newcomer(expires=clock() + DAY)
    view, evicted = store.enter(asked, 2, node=NODE)
    assert [each.id for each in evicted] == [old.id]
    entered = view.instance
    assert (entered.id, entered.node, entered.detached_at, entered.stream) == (asked.id, NODE, None, 1)
    assert entered == store.get(asked.id)
    assert [each.id for each in view.instances] == [stays.id, asked.id]
    assert store.attached(NODE) == {stays.id: stays.stream, asked.id: 1}


def test_who_enters_gets_the_messages_that_waited(store: Store, log_in: LogIn, clock: Clock) -> None:
    bob = log_in("bob")
    store.import_account(APP, "alice")
    for n in range(3):
        store.append(APP, bob.id, "alice", f"text {n}", f"id {n}")
    view, _ = store.enter(newcomer(expires=clock() + DAY), 1, node=NODE, most=2)
    assert [message.text for message in view.messages] == ["text 1", "text 2"]
    assert (view.newest, view.read_seq) == (3, 0)


def test_who_enters_twice_evicts_once_and_has_the_newer_stream(store: Store, log_in: LogIn, clock: Clock) -> None:
    asked = newcomer(expires=clock() + DAY)
    store.enter(asked, 1, node=NODE)
    view, evicted = store.enter(asked, 1, node="node-2")
    assert (view.instance.stream, view.instance.node, evicted) == (2, "node-2", [])
    assert live(store) == [asked.id]


def test_who_has_ended_does_not_enter_again(store: Store, log_in: LogIn, clock: Clock) -> None:
    first, second = newcomer(expires=clock() + DAY), newcomer(expires=clock() + DAY)
    store.enter(first, 1, node=NODE)
    store.enter(second, 1, node=NODE)
    assert why_not(lambda: store.enter(first, 1, node=NODE)).reason == MULT_ACCOUNT
    assert live(store) == [second.id]


def test_who_enters_too_late_has_no_stream(store: Store, clock: Clock) -> None:
    late = newcomer(expires=clock())
    assert why_not(lambda: store.enter(late, 1, node=NODE)) == Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, clock())
    assert (store.attached(NODE), store.renew(NODE)) == ({}, [])


def test_who_is_refused_does_not_enter(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in()
    with pytest.raises(AtLimit):
        store.enter(newcomer(expires=clock() + DAY), 1, policy=REJECT, node=NODE)
    assert live(store) == [tab.id]
    assert store.attached(NODE) == {tab.id: tab.stream}
