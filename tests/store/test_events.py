"""The events of the webhook, on every engine: what queues one, in which order they leave, and which one is dropped."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.support.actors import APP, DAY, GRACE, Clock, newcomer
from tim import rules
from tim.ends import LOGGED_OUT, TYPES, Gone
from tim.errors import InstanceGone, UserSigRevoked
from tim.model import Instance
from tim.rules import ACCOUNT_EVENTS, DELIVERIES_KEPT, EVENT_LIFE
from tim.state_change import DISCONNECT, LOGIN, LOGOUT, Delivery, EventQueue, StateChange, event_id
from tim.store.base import Store

NODE = "node-1"
SENDER = "sender-1"
LEASE = 10.0
LogIn = Callable[..., Instance]


@pytest.fixture
def log_in(store: Store, clock: Clock) -> LogIn:
    """`log_in("alice", limit=2)`: admitted and attached, while events are queued."""
    store.queue_events(APP, True)

    def log_in(user: str = "alice", *, limit: int = 10, life: float = 365 * DAY) -> Instance:
        admitted, _ = store.admit(newcomer(user, expires=clock() + life), limit)
        return store.attach(admitted.id, NODE, limit).instance

    return log_in


def taken(store: Store, user: str = "alice") -> StateChange:
    event = store.take_event(APP, user, SENDER, LEASE)
    assert event is not None
    return event


def drained(store: Store, user: str = "alice") -> list[StateChange]:
    """All events of the account, delivered one after the other."""
    found: list[StateChange] = []
    left = False
    while (event := store.take_event(APP, user, SENDER, LEASE)) is not None:
        found.append(event)
        left = store.event_sent(APP, user, SENDER, event.id)
    assert not left
    return found


def actions(store: Store, user: str = "alice") -> list[tuple[str, int]]:
    return [(event.action, event.kicked) for event in drained(store, user)]


# What queues an event


def test_without_a_webhook_nothing_is_queued(store: Store, clock: Clock) -> None:
    admitted, _ = store.admit(newcomer(expires=clock() + DAY), 1)
    store.remove(admitted.id, Gone(LOGGED_OUT, 0))
    assert store.event_queue(APP) == EventQueue(0, 0)
    assert store.due_events(APP, 10) == []


def test_a_login_and_a_logout_are_one_event_each(store: Store, log_in: LogIn, clock: Clock) -> None:
    alice = log_in()
    clock.advance(5)
    store.remove(alice.id, Gone(LOGGED_OUT, 0))
    login, logout = drained(store)
    assert (login.user, login.action, login.at, login.address) == ("alice", LOGIN, clock() - 5, "203.0.113.7")
    assert (logout.user, logout.action, logout.at, logout.address) == ("alice", LOGOUT, clock(), "203.0.113.7")
    assert (login.id, logout.id) == (event_id(alice, LOGIN), event_id(alice, LOGOUT))
    assert store.event_queue(APP) == EventQueue(0, 0)


def test_a_repeated_login_is_one_event(store: Store, log_in: LogIn, clock: Clock) -> None:
    alice = log_in()
    store.admit(alice, 1)
    assert actions(store) == [(LOGIN, 0)]


def test_a_refused_login_is_none(store: Store, log_in: LogIn, clock: Clock) -> None:
    log_in()
    store.kick_account(APP, "alice")
    drained(store)
    with pytest.raises(UserSigRevoked):
        store.admit(newcomer(expires=clock() + DAY), 1, made=clock() - 1)
    assert actions(store) == []


def test_the_login_counts_its_victims_and_they_have_no_event(store: Store, log_in: LogIn) -> None:
    for _ in range(3):
        log_in()
    log_in(limit=2)
    assert actions(store) == [(LOGIN, 0), (LOGIN, 0), (LOGIN, 0), (LOGIN, 2)]


@pytest.mark.parametrize("how", ["sign_out", "sign_out_others", "remove", "kick_account", "delete_account"])
def test_whatever_else_ends_an_instance_is_a_logout(store: Store, log_in: LogIn, how: str) -> None:
    alice, other = log_in(), log_in()
    drained(store)
    if how == "sign_out":
        store.sign_out(alice.id, other.id)
    elif how == "sign_out_others":
        store.sign_out_others(alice.id)
    elif how == "remove":
        store.remove(other.id, Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, 0))
    elif how == "kick_account":
        store.kick_account(APP, "alice")
    else:
        store.delete_account(APP, "alice")
    ended = 2 if how.endswith("account") else 1
    assert actions(store) == [(LOGOUT, 0)] * ended


def test_a_closed_page_of_the_sdk_is_disconnected_at_once(store: Store, log_in: LogIn) -> None:
    alice = log_in()
    store.remove(alice.id, Gone(LOGGED_OUT, 0), alice.stream)
    assert actions(store) == [(LOGIN, 0), (DISCONNECT, 0)]


def test_the_end_of_a_usersig_is_a_logout_of_that_time(store: Store, log_in: LogIn, clock: Clock) -> None:
    alice = log_in(life=100)
    clock.advance(150)
    store.sweep()
    assert [(event.action, event.at) for event in drained(store)] == [
        (LOGIN, clock() - 150),
        (LOGOUT, alice.expires),
    ]


def test_detached_for_the_grace_time_is_disconnected_and_a_return_within_it_is_nothing(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    alice = log_in()
    store.detach(alice.id, alice.stream)
    clock.advance(GRACE - 1)
    alice = store.attach(alice.id, NODE, 1).instance
    store.sweep()
    assert actions(store) == [(LOGIN, 0)]
    store.detach(alice.id, alice.stream)
    clock.advance(GRACE)
    store.sweep()
    store.sweep()
    assert actions(store) == [(DISCONNECT, 0)]
    store.attach(alice.id, NODE, 1)
    assert actions(store) == [(LOGIN, 0)]


def test_a_return_that_no_sweep_has_preceded_is_a_disconnection_and_a_login(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    alice = log_in()
    store.detach(alice.id, alice.stream)
    clock.advance(GRACE + 5)
    store.attach(alice.id, NODE, 1)
    assert [(event.action, event.at) for event in drained(store)][1:] == [
        (DISCONNECT, clock() - 5),
        (LOGIN, clock()),
    ]


@pytest.mark.parametrize("swept", [True, False])
@pytest.mark.parametrize("how", ["logout", "no seat", "expiry", "kick"])
def test_the_end_of_an_instance_that_was_away_is_no_further_event(
    store: Store, log_in: LogIn, clock: Clock, how: str, swept: bool
) -> None:
    alice = log_in(life=GRACE + 100)
    store.detach(alice.id, alice.stream)
    clock.advance(GRACE)
    if swept:
        store.sweep()
    if how == "logout":
        store.remove(alice.id, Gone(LOGGED_OUT, 0))
    elif how == "kick":
        store.kick_account(APP, "alice")
    else:
        if how == "no seat":
            log_in(limit=1)
        else:
            clock.advance(200)
        with pytest.raises(InstanceGone):
            store.attach(alice.id, NODE, 1)
    found = [event.action for event in drained(store)]
    assert found == [LOGIN, DISCONNECT, *([LOGIN] if how == "no seat" else [])]


# How events leave the queue


def test_the_events_of_an_account_are_taken_in_their_order(store: Store, log_in: LogIn) -> None:
    for _ in range(3):
        alice = log_in()
        store.remove(alice.id, Gone(LOGGED_OUT, 0))
    ids = [event.id for event in drained(store)]
    assert len(set(ids)) == 6


def test_one_sender_at_a_time_has_the_events_of_an_account(store: Store, log_in: LogIn, clock: Clock) -> None:
    log_in()
    first = taken(store)
    assert store.take_event(APP, "alice", "sender-2", LEASE) is None
    assert store.due_events(APP, 10) == []
    assert taken(store) == first, "the reply may have been lost"
    clock.advance(LEASE + 1)
    assert store.due_events(APP, 10) == ["alice"]
    assert store.take_event(APP, "alice", "sender-2", LEASE) == first
    store.event_failed(APP, "alice", SENDER, first.id, 1000)
    assert store.take_event(APP, "alice", SENDER, LEASE) is None, "a sender that lost its lease changes nothing"
    assert not store.event_sent(APP, "alice", "sender-2", first.id)
    assert not store.event_sent(APP, "alice", SENDER, first.id)
    assert store.event_queue(APP) == EventQueue(0, 0)


def test_a_late_sender_removes_no_other_event(store: Store, log_in: LogIn, clock: Clock) -> None:
    alice = log_in()
    store.remove(alice.id, Gone(LOGGED_OUT, 0))
    first = taken(store)
    clock.advance(LEASE + 1)
    assert store.take_event(APP, "alice", "sender-2", LEASE) == first
    assert store.event_sent(APP, "alice", "sender-2", first.id)
    assert store.event_sent(APP, "alice", SENDER, first.id)
    assert actions(store) == [(LOGOUT, 0)]


def test_a_failed_event_waits_and_holds_up_its_account_alone(store: Store, log_in: LogIn, clock: Clock) -> None:
    alice = log_in()
    log_in("bob")
    event = taken(store)
    assert event.attempts == 0
    store.event_failed(APP, "alice", SENDER, event.id, 4)
    store.remove(alice.id, Gone(LOGGED_OUT, 0))
    assert store.take_event(APP, "alice", SENDER, LEASE) is None
    assert store.due_events(APP, 10) == ["bob"]
    assert actions(store, "bob") == [(LOGIN, 0)]
    clock.advance(4)
    again = taken(store)
    assert (again.id, again.attempts) == (event.id, 1)
    assert store.event_sent(APP, "alice", SENDER, event.id)
    assert actions(store) == [(LOGOUT, 0)]


@pytest.mark.parametrize("held", [False, True], ids=["failed before", "held before"])
def test_the_clock_set_back_holds_up_no_event(store: Store, log_in: LogIn, clock: Clock, held: bool) -> None:
    log_in()
    event = taken(store)
    if not held:
        store.event_failed(APP, "alice", SENDER, event.id, 1)
    clock.advance(-2 * 3600)
    log_in()
    log_in("bob")
    assert set(store.due_events(APP, 10)) == {"alice", "bob"}
    again = store.take_event(APP, "alice", "sender-2", LEASE)
    assert again is not None and again.id == event.id
    assert store.event_sent(APP, "alice", "sender-2", event.id)
    assert actions(store) == [(LOGIN, 0)]


def test_all_are_due_at_once_on_demand(store: Store, log_in: LogIn) -> None:
    log_in()
    log_in("bob")
    held = taken(store, "bob")
    store.event_failed(APP, "alice", SENDER, taken(store).id, 600)
    store.retry_events(APP)
    assert store.due_events(APP, 10) == ["alice"], "the lease of the other one stays"
    assert taken(store).attempts == 1
    assert not store.event_sent(APP, "bob", SENDER, held.id)


def test_an_event_is_dropped_after_a_day_and_counted(store: Store, log_in: LogIn, clock: Clock) -> None:
    alice = log_in()
    event = taken(store)
    store.event_failed(APP, "alice", SENDER, event.id, 1)
    clock.advance(EVENT_LIFE - 1)
    store.remove(alice.id, Gone(LOGGED_OUT, 0))
    assert taken(store).id == event.id
    store.event_failed(APP, "alice", SENDER, event.id, 1)
    clock.advance(1)
    assert actions(store) == [(LOGOUT, 0)]
    assert store.event_queue(APP) == EventQueue(0, 1)
    log_in("bob")
    clock.advance(EVENT_LIFE)
    assert store.take_event(APP, "bob", SENDER, LEASE) is None
    assert store.due_events(APP, 10) == []
    assert store.event_queue(APP) == EventQueue(0, 2)


def test_of_one_account_the_newest_events_are_kept(store: Store, log_in: LogIn) -> None:
    for _ in range(ACCOUNT_EVENTS // 2 + 1):
        store.remove(log_in().id, Gone(LOGGED_OUT, 0))
    log_in("bob")
    assert store.event_queue(APP) == EventQueue(ACCOUNT_EVENTS + 1, 2)
    assert taken(store).action == LOGIN
    store.remove(log_in().id, Gone(LOGGED_OUT, 0))
    assert [event.action for event in drained(store)] == [LOGIN, LOGOUT] * (ACCOUNT_EVENTS // 2)


def test_what_is_queued_outlives_the_webhook(store: Store, log_in: LogIn) -> None:
    alice = log_in()
    store.queue_events(APP, False)
    store.remove(alice.id, Gone(LOGGED_OUT, 0))
    assert actions(store) == [(LOGIN, 0)]


def test_many_accounts_are_named_in_parts(store: Store, log_in: LogIn) -> None:
    users = {f"user-{n}" for n in range(10)}
    for user in users:
        log_in(user)
    done: set[str] = set()
    while due := store.due_events(APP, 4):
        for user in due:
            drained(store, user)
            done.add(user)
    assert done == users


# The log of deliveries


def test_the_log_keeps_the_newest_deliveries(store: Store) -> None:
    tried = [Delivery(f"e-{n}", "alice", LOGIN, float(n), 200, 0.25, 1) for n in range(DELIVERIES_KEPT)]
    failed = Delivery("e-last", "bob", LOGOUT, 1000.5, 0, 2.0, 3, "no answer within 2 s")
    assert store.deliveries(APP) == []
    store.log_deliveries(APP, tried)
    store.log_deliveries(APP, [failed])
    assert store.deliveries(APP) == [failed, *tried[:0:-1]]


# The pauses between attempts


def test_pauses_grow_up_to_a_bound_and_a_day_has_many_attempts() -> None:
    pauses = [rules.event_pause(failures) for failures in range(1, 2000)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses == sorted(pauses)
    assert max(pauses) == rules.LONGEST_PAUSE
    assert EVENT_LIFE / rules.LONGEST_PAUSE > 100
    assert all(math.isfinite(pause) for pause in pauses)
