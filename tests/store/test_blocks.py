"""What every store promises of an account that operators block or unblock, or whose UserSigs they revoke."""

from __future__ import annotations

import pytest

from tests.support.actors import APP, DAY, GRACE, Clock, newcomer
from tests.support.seats import NODE, log_in, reason
from tim.codes import ACCOUNT_BLOCKED
from tim.ends import LOGGED_OUT, TYPES, Gone
from tim.errors import AccountBlocked, BlockChanged, InstanceGone, UserSigRevoked
from tim.model import Account, Block
from tim.store.base import Store

KICKED = TYPES.KICKED_OUT_REST_API
OPERATOR = "console admin"


# Blocks


def test_a_block_ends_every_instance_of_the_account_and_of_no_other(store: Store, clock: Clock) -> None:
    live = [log_in(store, clock) for _ in range(3)]
    store.detach(live[0].id, live[0].stream)
    left = log_in(store, clock)
    store.remove(left.id, Gone(LOGGED_OUT, 0))
    store.detach(left.id, left.stream)
    bob = log_in(store, clock, "bob")
    ended = store.block(APP, "alice", clock() + DAY, "spam", OPERATOR)
    assert {instance.id for instance in ended} == {instance.id for instance in live}
    assert {reason(store, instance) for instance in live} == {KICKED}
    assert (reason(store, left), reason(store, bob)) == (LOGGED_OUT, None)
    assert {instance.id for instance in store.renew(NODE)} == {instance.id for instance in live[1:]}


@pytest.mark.parametrize("swept", [False, True])
def test_an_instance_that_was_away_does_not_come_back_after_a_block(store: Store, clock: Clock, swept: bool) -> None:
    alice = log_in(store, clock)
    store.detach(alice.id, alice.stream)
    clock.advance(GRACE + 1)
    if swept:
        store.sweep()
    store.block(APP, "alice", None, "", OPERATOR)
    store.unblock(APP, "alice", OPERATOR)
    with pytest.raises(InstanceGone) as refused:
        store.attach(alice.id, NODE, 10)
    assert refused.value.gone.reason == KICKED


def test_only_the_block_that_was_shown_is_replaced(store: Store, clock: Clock) -> None:
    alice = log_in(store, clock)
    store.block(APP, "bob", None, "", OPERATOR, shown=0)
    with pytest.raises(BlockChanged):
        store.block(APP, "alice", None, "", OPERATOR, shown=clock())
    assert reason(store, alice) is None
    first = clock()
    store.block(APP, "alice", None, "spam", OPERATOR, shown=0)
    clock.advance(1)
    for shown in (0, first - 1):
        with pytest.raises(BlockChanged):
            store.block(APP, "alice", clock() + DAY, "", OPERATOR, shown=shown)
    assert store.account(APP, "alice").block == Block(None, "spam", first, OPERATOR)
    store.block(APP, "alice", clock() + DAY, "less", OPERATOR, shown=first)
    clock.advance(DAY)
    store.block(APP, "alice", None, "again", OPERATOR, shown=0)


def test_only_the_block_that_was_shown_is_lifted(store: Store, clock: Clock) -> None:
    first = clock()
    store.block(APP, "alice", None, "spam", OPERATOR)
    clock.advance(1)
    store.block(APP, "alice", None, "threats", OPERATOR)
    for shown in (0, first):
        with pytest.raises(BlockChanged):
            store.unblock(APP, "alice", OPERATOR, shown=shown)
    assert store.account(APP, "alice").block == Block(None, "threats", clock(), OPERATOR)
    assert store.unblock(APP, "alice", OPERATOR, shown=clock())
    assert not store.unblock(APP, "alice", OPERATOR, shown=clock()), "it is unblocked, whoever has done it"


def test_a_login_of_a_blocked_account_is_refused_until_when_and_why(store: Store, clock: Clock) -> None:
    at, until = clock(), clock() + 3600
    store.block(APP, "alice", until, "spam; call 555-0100", OPERATOR)
    clock.advance(3599.5)
    with pytest.raises(AccountBlocked) as refused:
        log_in(store, clock)
    assert refused.value.code == ACCOUNT_BLOCKED
    assert refused.value.block == Block(until, "spam; call 555-0100", at, OPERATOR)
    assert "until 2025-06-15 16:07 UTC (spam; call 555-0100)" in refused.value.message
    assert store.instances(APP, "alice") == []
    assert not store.account(APP, "alice").exists
    log_in(store, clock, "bob")
    clock.advance(0.5)
    log_in(store, clock)
    assert store.account(APP, "alice") == Account("alice", True, None, 0)


def test_a_block_without_an_end_or_a_reason_says_so(store: Store, clock: Clock) -> None:
    store.block(APP, "alice", None, "", OPERATOR)
    clock.advance(3650 * DAY)
    with pytest.raises(AccountBlocked) as refused:
        log_in(store, clock)
    assert refused.value.message == "this account is blocked; ask the operator of this service"


def test_a_block_takes_the_place_of_the_one_before(store: Store, clock: Clock) -> None:
    store.block(APP, "alice", None, "for good", OPERATOR)
    store.block(APP, "alice", clock() + 10, "a moment", "REST administrator")
    assert store.account(APP, "alice").block == Block(clock() + 10, "a moment", clock(), "REST administrator")
    clock.advance(10)
    log_in(store, clock)


def test_an_unblocked_account_logs_in_again_with_the_same_usersig(store: Store, clock: Clock) -> None:
    made = clock()
    log_in(store, clock)
    store.block(APP, "alice", None, "", OPERATOR)
    assert store.unblock(APP, "alice", OPERATOR) is True
    assert store.unblock(APP, "alice", OPERATOR) is False
    log_in(store, clock, made=made)


def test_a_block_that_has_ended_is_none(store: Store, clock: Clock) -> None:
    store.block(APP, "alice", clock() + 10, "", OPERATOR)
    clock.advance(10)
    assert store.account(APP, "alice").block is None
    assert store.unblock(APP, "alice", OPERATOR) is False


def test_a_block_outlives_the_account(store: Store, clock: Clock) -> None:
    log_in(store, clock)
    store.block(APP, "alice", None, "", OPERATOR)
    store.delete_account(APP, "alice")
    with pytest.raises(AccountBlocked):
        log_in(store, clock)
    store.import_account(APP, "alice")
    with pytest.raises(AccountBlocked):
        log_in(store, clock)


def test_a_repeated_login_that_was_admitted_before_the_block_is_told_its_end(store: Store, clock: Clock) -> None:
    asked = newcomer(expires=clock() + DAY)
    store.admit(asked, 10)
    store.block(APP, "alice", None, "", OPERATOR)
    admitted, _ = store.admit(asked, 10)
    assert admitted.gone is not None
    assert admitted.gone.reason == KICKED


# Revoked UserSigs


def test_revoking_usersigs_leaves_the_instances_and_refuses_what_was_made_before(store: Store, clock: Clock) -> None:
    clock.now = 1_750_000_000.4
    alice = log_in(store, clock)
    assert store.revoke(APP, "alice", OPERATOR) == pytest.approx(0.6, abs=1e-6)
    assert store.account(APP, "alice") == Account("alice", True, None, 1_750_000_001)
    with pytest.raises(UserSigRevoked):
        log_in(store, clock, made=1_750_000_000)
    log_in(store, clock, made=1_750_000_001)
    log_in(store, clock, "bob", made=0)
    assert reason(store, alice) is None


def test_a_revocation_reaches_a_usersig_that_was_used_and_is_dated_later(store: Store, clock: Clock) -> None:
    expires, ahead = clock() + DAY, clock() + 59
    store.admit(newcomer(expires=expires), 10, ahead)
    store.revoke(APP, "alice", OPERATOR)
    with pytest.raises(UserSigRevoked):
        store.admit(newcomer(expires=expires), 10, ahead)


def test_of_a_blocked_account_a_revoked_usersig_does_not_learn_of_the_block(store: Store, clock: Clock) -> None:
    store.block(APP, "alice", None, "spam", OPERATOR)
    store.revoke(APP, "alice", OPERATOR)
    with pytest.raises(UserSigRevoked):
        log_in(store, clock, made=0)


def test_an_account_that_does_not_exist_is_shown_as_such(store: Store) -> None:
    assert store.account(APP, "nobody") == Account("nobody", False, None, 0)
