"""What every store promises of accounts: imported, kicked and deleted by an administrator, written to by him."""

from __future__ import annotations

import pytest

from tests.support.actors import APP, DAY, GRACE, Clock, newcomer, read_seq
from tests.support.seats import NODE, log_in, reason
from tim.codes import USERSIG_REVOKED
from tim.ends import LOGGED_OUT, TYPES, Gone
from tim.errors import InstanceGone, NoSuchAccount, UserSigRevoked
from tim.rules import EARLY_KEPT
from tim.store.base import Store

KICKED = TYPES.KICKED_OUT_REST_API


# Accounts


def test_an_account_exists_once_it_was_imported_or_has_logged_in(store: Store, clock: Clock) -> None:
    assert store.accounts(APP, ["alice", "bob"]) == set()
    store.import_account(APP, "alice")
    store.import_account(APP, "alice")
    log_in(store, clock, "bob")
    assert store.accounts(APP, ["alice", "bob", "carol"]) == {"alice", "bob"}
    assert store.accounts(APP + 1, ["alice", "bob"]) == set()


def test_importing_an_account_that_is_there_changes_nothing(store: Store, clock: Clock) -> None:
    alice = log_in(store, clock)
    log_in(store, clock, "bob")
    store.append(APP, alice.id, "bob", "hi", "m")
    store.import_account(APP, "bob")
    assert [message.text for message in store.history(APP, "bob", 0, 10)] == ["hi"]
    assert reason(store, alice) is None


def test_a_deleted_account_is_forgotten_and_its_instances_have_ended(store: Store, clock: Clock) -> None:
    alice, bob = log_in(store, clock), log_in(store, clock, "bob")
    store.append(APP, bob.id, "alice", "hi", "m")
    assert [instance.id for instance in store.delete_account(APP, "alice")] == [alice.id]
    assert store.accounts(APP, ["alice"]) == set()
    assert store.history(APP, "alice", 0, 10) == []
    assert [message.text for message in store.history(APP, "bob", 0, 10)] == ["hi"]
    assert (reason(store, alice), reason(store, bob)) == (KICKED, None)
    with pytest.raises(NoSuchAccount):
        store.append(APP, bob.id, "alice", "again", "m2")
    with pytest.raises(NoSuchAccount):
        store.delete_account(APP, "alice")


# Kick


def test_a_kick_ends_every_instance_of_the_account_and_of_no_other(store: Store, clock: Clock) -> None:
    live = [log_in(store, clock) for _ in range(3)]
    store.detach(live[0].id, live[0].stream)
    bob = log_in(store, clock, "bob")
    _, kicked = store.kick_account(APP, "alice")
    assert {instance.id for instance in kicked} == {instance.id for instance in live}
    assert {reason(store, instance) for instance in live} == {KICKED}
    assert reason(store, bob) is None
    assert store.instances(APP, "alice") == []
    assert {instance.id for instance in store.renew(NODE)} == {instance.id for instance in live[1:]}


@pytest.mark.parametrize("swept", [False, True])
def test_who_was_away_when_the_kick_came_does_not_come_back(store: Store, clock: Clock, swept: bool) -> None:
    alice = log_in(store, clock)
    store.detach(alice.id, alice.stream)
    clock.advance(GRACE + 1)
    if swept:
        store.sweep()
    store.kick_account(APP, "alice")
    with pytest.raises(InstanceGone) as refused:
        store.attach(alice.id, NODE, 10)
    assert refused.value.gone.reason == KICKED


def test_what_had_ended_before_the_kick_keeps_its_reason(store: Store, clock: Clock) -> None:
    alice = log_in(store, clock)
    store.remove(alice.id, Gone(LOGGED_OUT, 0))
    assert store.kick_account(APP, "alice")[1] == []
    assert reason(store, alice) == LOGGED_OUT


def test_an_account_that_is_not_there_cannot_be_kicked(store: Store) -> None:
    with pytest.raises(NoSuchAccount):
        store.kick_account(APP, "nobody")
    assert store.account(APP, "nobody").revoked_before == 0


def test_usersigs_made_before_a_kick_are_void_to_the_second(store: Store, clock: Clock) -> None:
    clock.now = 1_750_000_000.4
    store.import_account(APP, "alice")
    left, _ = store.kick_account(APP, "alice")
    before = store.account(APP, "alice").revoked_before
    assert before == 1_750_000_001
    assert left == pytest.approx(0.6, abs=1e-6)
    for made in (1_749_999_999, 1_750_000_000):
        with pytest.raises(UserSigRevoked) as refused:
            log_in(store, clock, made=made)
        assert refused.value.code == USERSIG_REVOKED
    log_in(store, clock, made=before)
    log_in(store, clock, "bob", made=0)


def test_what_is_void_stays_void_over_a_deletion_and_a_kick_by_an_earlier_clock(store: Store, clock: Clock) -> None:
    store.import_account(APP, "alice")
    store.kick_account(APP, "alice")
    before = store.account(APP, "alice").revoked_before
    clock.advance(-100)
    store.kick_account(APP, "alice")
    store.delete_account(APP, "alice")
    assert store.account(APP, "alice").revoked_before == before


def test_a_usersig_that_was_used_and_says_it_was_made_after_the_kick_is_void_too(store: Store, clock: Clock) -> None:
    expires = clock() + DAY
    ahead, unused, later = clock() + 59, clock() + 58, clock() + 3

    def tries(made: float) -> None:
        store.admit(newcomer(expires=expires), 10, made)

    tries(ahead)
    for _ in range(2):
        store.kick_account(APP, "alice")
        for _ in range(2):
            with pytest.raises(UserSigRevoked):
                tries(ahead)
        clock.advance(2)
    store.delete_account(APP, "alice")
    clock.advance(3600)
    with pytest.raises(UserSigRevoked):
        tries(ahead)
    # What was made by others, also at a time before that, is as good as ever.
    tries(unused)
    tries(later + 2)
    store.admit(newcomer(expires=expires + 1), 10, ahead)


def test_a_usersig_that_was_used_early_is_good_for_as_long_as_nobody_is_kicked(store: Store, clock: Clock) -> None:
    ahead, expires = clock() + 30, clock() + DAY
    for _ in range(3):
        store.admit(newcomer(expires=expires), 10, ahead)
        clock.advance(29)
    store.kick_account(APP, "alice")
    with pytest.raises(UserSigRevoked):
        store.admit(newcomer(expires=expires), 10, ahead)


def test_of_many_usersigs_that_were_used_early_the_newest_are_void(store: Store, clock: Clock) -> None:
    at = clock()

    def tries(nth: int) -> None:
        store.admit(newcomer(expires=at + DAY + nth), 1, at + 10 + nth)

    for nth in range(EARLY_KEPT + 2):
        tries(nth)
    store.kick_account(APP, "alice")
    for nth in range(EARLY_KEPT + 2):
        if nth < 2:
            tries(nth)
        else:
            with pytest.raises(UserSigRevoked):
                tries(nth)


def test_a_login_that_is_refused_as_void_changes_nothing(store: Store, clock: Clock) -> None:
    store.import_account(APP, "alice")
    store.kick_account(APP, "alice")
    clock.advance(5)
    alice = log_in(store, clock)
    with pytest.raises(UserSigRevoked):
        store.admit(newcomer(expires=clock() + DAY), 1, 0)
    assert [instance.id for instance in store.instances(APP, "alice")] == [alice.id]


# Messages that no instance sends


def test_a_message_from_nobody_online_is_in_both_logs(store: Store, clock: Clock) -> None:
    store.import_account(APP, "alice")
    store.import_account(APP, "bob")
    sent, received = store.deliver(APP, "alice", "bob", "hi", "m", copy=True)
    assert sent is not None
    assert received is not None
    assert (sent.sender, sent.to, sent.text, sent.time, sent.instance) == ("alice", "bob", "hi", clock(), "")
    assert store.history(APP, "alice", 0, 10) == [sent]
    assert store.history(APP, "bob", 0, 10) == [received]
    assert read_seq(store, "bob") == 0


def test_without_a_copy_only_the_receiver_has_it(store: Store) -> None:
    store.import_account(APP, "alice")
    store.import_account(APP, "bob")
    sent, received = store.deliver(APP, "alice", "bob", "hi", "m", copy=False)
    assert (sent, store.history(APP, "alice", 0, 10)) == (None, [])
    assert store.history(APP, "bob", 0, 10) == [received]


def test_a_sender_that_is_no_account_has_no_log(store: Store) -> None:
    store.import_account(APP, "bob")
    sent, received = store.deliver(APP, "administrator", "bob", "hi", "m", copy=True)
    assert (sent, store.history(APP, "administrator", 0, 10)) == (None, [])
    assert received is not None


def test_a_receiver_that_is_no_account_is_refused(store: Store) -> None:
    store.import_account(APP, "alice")
    with pytest.raises(NoSuchAccount):
        store.deliver(APP, "alice", "bob", "hi", "m", copy=True)
    assert store.history(APP, "alice", 0, 10) == []


def test_the_same_message_again_is_the_same_message(store: Store) -> None:
    store.import_account(APP, "alice")
    store.import_account(APP, "bob")
    first = store.deliver(APP, "alice", "bob", "hi", "m", copy=True)
    assert store.deliver(APP, "alice", "bob", "hi", "m", copy=True) == first
    assert len(store.history(APP, "bob", 0, 10)) == 1


def test_somebody_who_writes_to_himself_has_one_copy(store: Store) -> None:
    store.import_account(APP, "alice")
    sent, received = store.deliver(APP, "alice", "alice", "hi", "m", copy=False)
    assert received is None
    assert store.history(APP, "alice", 0, 10) == [sent]
