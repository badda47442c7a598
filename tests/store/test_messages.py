"""Which message is which, how many an instance may send, and how much a log holds: the same on every store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.actors import APP, DAY, Clock, new_id, newcomer
from tests.support.engines import ONE_OF_EACH_KIND
from tim.errors import NoSuchAccount, TooManyMessages
from tim.input_rules import MAX_TEXT
from tim.model import MESSAGES_A_MINUTE, Instance, Message
from tim.rules import MAX_LOG, MINUTE, REMEMBERED, distinct_id, log_size
from tim.store.base import Store

NODE = "node-1"


def log_in(store: Store, user: str = "alice") -> Instance:
    admitted, _ = store.admit(newcomer(user, expires=store.now() + 365 * DAY), 10)
    return store.attach(admitted.id, NODE, 10).instance


def texts(store: Store, user: str) -> list[str]:
    return [each.text for each in store.history(APP, user, 0, 20_000)]


# Which message is which


def test_one_id_to_two_receivers_is_two_messages_each_with_its_own_text(store: Store) -> None:
    alice, _, _ = log_in(store), log_in(store, "bob"), log_in(store, "carol")
    for _ in range(2):  # the second time all of it is sent again
        _, to_bob = store.append(APP, alice.id, "bob", "for bob", "m")
        _, to_carol = store.append(APP, alice.id, "carol", "for carol", "m")
        assert to_bob is not None
        assert to_carol is not None
        assert (to_bob.to, to_bob.text, to_carol.to, to_carol.text) == ("bob", "for bob", "carol", "for carol")
    assert texts(store, "bob") == ["for bob"]
    assert texts(store, "carol") == ["for carol"]
    assert texts(store, "alice") == ["for bob", "for carol"]


def test_one_id_with_two_texts_is_two_messages_with_ids_of_their_own(store: Store) -> None:
    alice, _ = log_in(store), log_in(store, "bob")
    first = store.append(APP, alice.id, "bob", "one", "m")
    second = store.append(APP, alice.id, "bob", "two", "m")
    assert first == store.append(APP, alice.id, "bob", "one", "m")
    assert second == store.append(APP, alice.id, "bob", "two", "m")
    log = store.history(APP, "bob", 0, 10)
    assert [(each.id, each.text) for each in log] == [("m", "one"), (distinct_id(replace(log[1], id="m")), "two")]
    assert log == store.history(APP, "alice", 0, 10)


def test_one_id_that_nobody_online_sends_is_told_apart_by_sender_receiver_and_text(store: Store) -> None:
    for user in ("alice", "bob", "carol"):
        store.import_account(APP, user)
    sent = [("alice", "bob", "one"), ("alice", "carol", "two"), ("bob", "carol", "two"), ("alice", "bob", "three")]
    for _ in range(2):
        for sender, to, text in sent:
            _, received = store.deliver(APP, sender, to, text, "m", copy=True)
            assert received is not None
            assert (received.sender, received.to, received.text) == (sender, to, text)
    assert texts(store, "bob") == ["one", "two", "three"]
    assert texts(store, "carol") == ["two", "two"]
    assert texts(store, "alice") == ["one", "two", "three"]


def test_what_nobody_online_sends_again_within_a_minute_is_the_same_and_later_another(
    store: Store, clock: Clock
) -> None:
    for user in ("alice", "bob"):
        store.import_account(APP, user)

    def send() -> tuple[Message | None, Message | None]:
        return store.deliver(APP, "alice", "bob", "hi", "m", copy=True)

    first = send()
    clock.advance(MINUTE - 0.5)
    assert send() == first
    clock.advance(1)
    again = send()
    clock.advance(MINUTE - 0.5)
    assert send() == again != first
    for user in ("alice", "bob"):
        assert [each.seq for each in store.history(APP, user, 0, 10)] == [1, 2]
        assert len({each.time for each in store.history(APP, user, 0, 10)}) == 2


def test_a_message_sent_again_after_its_receiver_was_deleted_is_still_accepted_and_not_written_anew(
    store: Store,
) -> None:
    alice = log_in(store)
    store.import_account(APP, "bob")
    sent, _ = store.append(APP, alice.id, "bob", "hi", "m")
    store.delete_account(APP, "bob")
    assert store.append(APP, alice.id, "bob", "hi", "m") == (sent, None)
    store.import_account(APP, "bob")
    assert store.append(APP, alice.id, "bob", "hi", "m") == (sent, None)
    assert texts(store, "bob") == []
    store.delete_account(APP, "bob")
    with pytest.raises(NoSuchAccount):
        store.append(APP, alice.id, "bob", "another", new_id())
    assert texts(store, "alice") == ["hi"]


# How many


def test_an_instance_may_send_a_hundred_a_minute_and_is_told_when_it_may_again(store: Store, clock: Clock) -> None:
    alice, other, _ = log_in(store), log_in(store), log_in(store, "bob")
    for n in range(MESSAGES_A_MINUTE):
        store.append(APP, alice.id, "bob", str(n), f"m-{n}")
        clock.advance(0.125)
    with pytest.raises(TooManyMessages) as refused:
        store.append(APP, alice.id, "bob", "too many", "m")
    assert refused.value.retry_after == 48
    for n in range(5):  # sent again, none is one more
        assert store.append(APP, alice.id, "bob", str(n), f"m-{n}")[0].seq == n + 1
    store.append(APP, other.id, "bob", "of another instance", new_id())
    store.deliver(APP, "alice", "bob", "by an administrator", new_id(), copy=True)
    clock.advance(MINUTE - 12.5 - 0.01)
    with pytest.raises(TooManyMessages) as refused:
        store.append(APP, alice.id, "bob", "still too many", "m")
    assert refused.value.retry_after == 1
    clock.advance(0.02)
    store.append(APP, alice.id, "bob", "in time", "m")
    with pytest.raises(TooManyMessages):
        store.append(APP, alice.id, "bob", "one more", new_id())
    assert len(texts(store, "bob")) == MESSAGES_A_MINUTE + 3


def test_a_clock_that_is_set_back_keeps_nobody_from_sending(store: Store, clock: Clock) -> None:
    alice = log_in(store)
    for n in range(MESSAGES_A_MINUTE):
        store.append(APP, alice.id, "alice", str(n), new_id())
    clock.advance(-3600)
    store.append(APP, alice.id, "alice", "an hour earlier", new_id())


def test_the_number_that_an_app_allows_holds_from_the_next_message_on(store: Store, clock: Clock) -> None:
    alice = log_in(store)

    def sends(most: int) -> int:
        clock.advance(1)
        return store.append(APP, alice.id, "alice", "hello", new_id(), most=most)[0].seq

    assert [sends(2), sends(2)] == [1, 2]
    with pytest.raises(TooManyMessages, match="in a minute: 2;") as refused:
        sends(2)
    assert refused.value.retry_after == MINUTE - 2
    assert [sends(MESSAGES_A_MINUTE + 1) for _ in range(MESSAGES_A_MINUTE)][-1] == MESSAGES_A_MINUTE + 2
    with pytest.raises(TooManyMessages, match="in a minute: 3;"):
        sends(3)  # each one of the last minute counts, whatever was allowed when it was sent


# How much


@pytest.mark.parametrize("engine", ONE_OF_EACH_KIND, ids=str, indirect=True)
def test_a_log_holds_so_many_bytes_and_its_oldest_messages_make_room(store: Store, clock: Clock) -> None:
    store.import_account(APP, "bob")
    size = MAX_TEXT // 2 * 2
    fit = MAX_LOG // log_size("é" * (size // 2))
    for n in range(fit + 7):
        store.deliver(APP, "administrator", "bob", "é" * (size // 2), f"m-{n}", copy=False)
    log = store.history(APP, "bob", 0, 20_000)
    assert [each.seq for each in log] == list(range(8, fit + 8)), "the numbers go on without gaps"
    assert [each.seq for each in store.history(APP, "bob", 3, 20_000)] == list(range(8, fit + 8))
    assert [each.seq for each in store.history(APP, "bob", 9, 3, up_to=12)] == [10, 11, 12]
    # What is not there any more is not remembered to have been sent.
    assert store.deliver(APP, "administrator", "bob", "é" * (size // 2), "m-0", copy=False)[1] != log[0]
    # One large message takes the place of many small ones; and what has gone counts no more.
    store.delete_account(APP, "bob")
    store.import_account(APP, "bob")
    small = MAX_TEXT // log_size("x") + 1
    for n in range(small):
        store.deliver(APP, "administrator", "bob", "x", f"s-{n}", copy=False)
    for n in range(fit - 1):
        store.deliver(APP, "administrator", "bob", "y" * MAX_TEXT, f"l-{n}", copy=False)
    assert texts(store, "bob")[0] == "x"
    store.deliver(APP, "administrator", "bob", "y" * MAX_TEXT, "last", copy=False)
    assert set(texts(store, "bob")) == {"x", "y" * MAX_TEXT}
    assert len(texts(store, "bob")) < small + fit
    store.deliver(APP, "administrator", "bob", "y" * MAX_TEXT, "the very last", copy=False)
    assert texts(store, "bob") == ["y" * MAX_TEXT] * fit
    clock.advance(REMEMBERED + 1)
    store.sweep()
    for n in range(fit):
        store.deliver(APP, "administrator", "bob", "z" * MAX_TEXT, f"z-{n}", copy=False)
    assert len(texts(store, "bob")) == fit
