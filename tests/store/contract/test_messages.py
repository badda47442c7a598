"""Messages: who may send them, where they stand, and when they are one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.store.contract.conftest import LogIn
from tests.support.actors import APP, DAY, GRACE, Clock, new_id, newcomer, read_seq
from tests.support.seats import NODE, reason, why_not
from tests.support.waiting import PATIENCE
from tim.ends import AWAY, LOGGED_OUT, TYPES, Gone
from tim.errors import InstanceGone, NoSuchAccount, NotReady, TooManyMessages
from tim.model import Instance, Message
from tim.store.base import Store

MULT_ACCOUNT = TYPES.KICKED_OUT_MULT_ACCOUNT


def test_a_message_stands_in_both_logs_with_the_stores_time(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab, id = log_in("alice"), new_id()
    log_in("bob")
    clock.advance(5)
    sent, received = store.append(APP, tab.id, "bob", "hello\0 <b>😀", id)
    assert sent == Message(1, id, "alice", "bob", "hello\0 <b>😀", clock(), tab.id)
    assert received == sent
    assert store.history(APP, "alice", 0, 10) == [sent]
    assert store.history(APP, "bob", 0, 10) == [received]


def test_a_message_to_oneself_stands_there_once(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    sent, received = store.append(APP, tab.id, "alice", "a note", new_id())
    assert received is None
    assert store.history(APP, "alice", 0, 10) == [sent]
    assert sent.seq == 1


def test_each_account_numbers_its_log_without_gaps(store: Store, log_in: LogIn) -> None:
    alice, bob, carol = log_in("alice"), log_in("bob"), log_in("carol")
    for sender, to in ((alice, "bob"), (carol, "bob"), (bob, "alice"), (bob, "bob"), (alice, "carol")):
        store.append(APP, sender.id, to, "hello", new_id())
    for user, number in (("alice", 3), ("bob", 4), ("carol", 2)):
        assert [each.seq for each in store.history(APP, user, 0, 10)] == list(range(1, number + 1))


def test_no_number_is_missing_or_double_however_many_write_at_once(store: Store, log_in: LogIn, rounds: int) -> None:
    senders, each = [log_in(f"sender-{n}") for n in range(8 * rounds)], 20
    log_in("bob")
    together = threading.Barrier(len(senders))

    def write(sender: Instance) -> None:
        together.wait()
        for n in range(each):
            store.append(APP, sender.id, "bob", str(n), new_id())

    with ThreadPoolExecutor(len(senders)) as pool:
        list(pool.map(write, senders))
    log = store.history(APP, "bob", 0, 10_000)
    assert [message.seq for message in log] == list(range(1, len(senders) * each + 1))
    for sender in senders:
        assert [message.text for message in log if message.instance == sender.id] == [str(n) for n in range(each)]


def test_the_same_message_sent_again_is_the_same_message(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab, id = log_in("alice"), new_id()
    log_in("bob")
    once = store.append(APP, tab.id, "bob", "hello", id)
    clock.advance(5)
    store.append(APP, tab.id, "bob", "in between", new_id())
    assert store.append(APP, tab.id, "bob", "hello", id) == once
    note = store.append(APP, tab.id, "alice", "a note", "note")
    assert store.append(APP, tab.id, "alice", "a note", "note") == note
    assert [each.text for each in store.history(APP, "bob", 0, 10)] == ["hello", "in between"]


def test_two_senders_who_chose_the_same_message_id_send_two_messages(store: Store, log_in: LogIn) -> None:
    alice, carol, bob, id = log_in("alice"), log_in("carol"), log_in("bob"), new_id()
    store.append(APP, alice.id, "bob", "of alice", id)
    store.append(APP, carol.id, "bob", "of carol", id)
    store.append(APP, bob.id, "alice", "of bob", id)
    assert [each.text for each in store.history(APP, "bob", 0, 10)] == ["of alice", "of carol", "of bob"]
    assert [each.text for each in store.history(APP, "alice", 0, 10)] == ["of alice", "of bob"]


def test_two_tabs_that_chose_the_same_message_id_send_two_messages(store: Store, log_in: LogIn) -> None:
    one, two, id = log_in("alice"), log_in("alice"), new_id()
    log_in("bob")
    store.append(APP, one.id, "bob", "of one", id)
    store.append(APP, two.id, "bob", "of two", id)
    assert [each.text for each in store.history(APP, "bob", 0, 10)] == ["of one", "of two"]


def test_nothing_of_an_evicted_instance_is_written_after_the_login_that_evicted_it(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    old = log_in(limit=1)
    store.append(APP, old.id, "alice", "before", new_id())
    store.admit(newcomer(expires=clock() + DAY), 1)
    assert why_not(lambda: store.append(APP, old.id, "alice", "after", new_id())).reason == MULT_ACCOUNT
    assert why_not(lambda: store.append(APP, old.id, "nobody", "after", new_id())).reason == MULT_ACCOUNT
    assert [each.text for each in store.history(APP, "alice", 0, 10)] == ["before"]


def test_that_fence_holds_while_both_run_at_once(store: Store, log_in: LogIn, clock: Clock, rounds: int) -> None:
    def write(old: Instance, started: threading.Event, admitted: threading.Event) -> list[int]:
        """The numbers of the messages that were accepted though the login had returned before they began."""
        late: list[int] = []
        for n in range(100_000):
            after = admitted.is_set()
            try:
                store.append(APP, old.id, "alice", str(n), new_id())
            except InstanceGone:
                return late
            except TooManyMessages:
                continue
            if after:
                late.append(n)
            started.set()
        raise AssertionError("it was never refused")

    for _ in range(10 * rounds):
        old, started, admitted = log_in("alice", limit=1), threading.Event(), threading.Event()
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write, old, started, admitted)
            assert started.wait(PATIENCE)
            store.admit(newcomer(expires=clock() + DAY), 1)
            admitted.set()
            assert writing.result() == []


def test_who_is_detached_is_not_ready_to_send(store: Store, log_in: LogIn, clock: Clock) -> None:
    fresh = log_in(attached=False)
    with pytest.raises(NotReady):
        store.append(APP, fresh.id, "alice", "too early", new_id())
    tab = store.attach(fresh.id, NODE, 10).instance
    store.append(APP, tab.id, "alice", "in time", new_id())
    store.detach(tab.id, tab.stream)
    with pytest.raises(NotReady):
        store.append(APP, tab.id, "alice", "too late", new_id())
    # Away is not the end: the page may open its stream again, so it is asked to wait, as before.
    clock.advance(GRACE)
    assert reason(store, tab) == AWAY
    with pytest.raises(NotReady):
        store.append(APP, tab.id, "alice", "much too late", new_id())
    assert [each.text for each in store.history(APP, "alice", 0, 10)] == ["in time"]


def test_nobody_can_write_to_an_account_that_never_logged_in(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in()
    with pytest.raises(NoSuchAccount) as refused:
        store.append(APP, tab.id, "bob", "hello", new_id())
    assert refused.value.user_id == "bob"
    assert store.history(APP, "alice", 0, 10) == []
    bob = log_in("bob")
    store.remove(bob.id, Gone(LOGGED_OUT, 0))
    clock.advance(30 * DAY)
    store.sweep()
    assert store.append(APP, tab.id, "bob", "hello", new_id())[0].seq == 1, "an account stays, though its owner is out"


def test_history_is_the_newest_above_a_number_oldest_first(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    for n in range(1, 11):
        store.append(APP, tab.id, "alice", str(n), new_id())

    def numbers(after: int, limit: int) -> list[int]:
        return [each.seq for each in store.history(APP, "alice", after, limit)]

    assert numbers(0, 100) == list(range(1, 11))
    assert numbers(0, 3) == [8, 9, 10]
    assert numbers(7, 100) == [8, 9, 10]
    assert numbers(7, 2) == [9, 10]
    assert numbers(10, 100) == numbers(99, 100) == numbers(0, 0) == []
    assert store.history(APP, "bob", 0, 100) == store.history(APP + 1, "alice", 0, 100) == []


def test_what_comes_while_nobody_is_there_is_unread_until_it_is_marked(store: Store, log_in: LogIn) -> None:
    alice, bob = log_in("alice"), log_in("bob")
    store.remove(bob.id, Gone(LOGGED_OUT, 0))
    for n in range(3):
        store.append(APP, alice.id, "bob", str(n), new_id())
    assert read_seq(store, "bob") == 0
    store.mark_read(APP, "bob", 2)
    assert read_seq(store, "bob") == 2
    store.mark_read(APP, "bob", 1)
    assert read_seq(store, "bob") == 2, "what has been shown stays shown"
    store.mark_read(APP, "bob", 99)
    assert read_seq(store, "bob") == 3, "nobody has been shown what does not exist yet"
    store.append(APP, alice.id, "bob", "more", new_id())
    assert read_seq(store, "bob") == 3


def test_an_account_nobody_knows_has_read_nothing(store: Store) -> None:
    store.mark_read(APP, "nobody", 5)
    assert store.instances(APP, "nobody") == []
    assert read_seq(store, "nobody") == 0
