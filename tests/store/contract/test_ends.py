"""How an instance ends, and how long that is remembered."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.store.contract.conftest import LogIn
from tests.support.actors import APP, GRACE, Clock, new_id
from tests.support.engines import ONE_OF_EACH_KIND
from tests.support.seats import NODE, live, reason, why_not
from tim.ends import AWAY, LOGGED_OUT, TYPES, UNKNOWN, Client, Gone
from tim.errors import NoSuchInstance
from tim.rules import ENDS_KEPT, NOT_ME_LIFE, instance_id
from tim.store.base import Store

MULT_ACCOUNT = TYPES.KICKED_OUT_MULT_ACCOUNT
EXPIRED = TYPES.KICKED_OUT_USERSIG_EXPIRED


# remove


def test_one_that_is_removed_is_gone_for_that_reason(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab, other = log_in(), log_in()
    by = Client("Chrome", "198.51.100.1")
    removed = store.remove(tab.id, Gone(TYPES.KICKED_OUT_REST_API, 0, by))
    assert removed is not None
    assert (removed.id, removed.gone) == (tab.id, Gone(TYPES.KICKED_OUT_REST_API, clock(), by))
    assert store.get(tab.id).gone == removed.gone
    assert why_not(lambda: store.attach(tab.id, NODE, 10)) == removed.gone
    assert live(store) == [other.id]


def test_removed_twice_is_removed_once_and_the_first_reason_stays(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in()
    store.remove(tab.id, Gone(LOGGED_OUT, 0))
    first = store.get(tab.id).gone
    clock.advance(10)
    assert store.remove(tab.id, Gone(TYPES.KICKED_OUT_REST_API, 0)) is None
    assert store.get(tab.id).gone == first
    assert store.remove(new_id(), Gone(LOGGED_OUT, 0)) is None


def test_whoever_was_evicted_or_expired_cannot_be_logged_out_instead(store: Store, log_in: LogIn, clock: Clock) -> None:
    evicted, expired = log_in(limit=1), log_in(limit=1, life=50)
    clock.advance(50)
    for tab, why in ((evicted, MULT_ACCOUNT), (expired, EXPIRED)):
        assert store.remove(tab.id, Gone(LOGGED_OUT, 0)) is None
        assert reason(store, tab) == why


def test_a_logout_of_one_that_is_away_makes_it_final(
    store: Store, log_in: LogIn, pass_grace: Callable[[], None]
) -> None:
    away = log_in()
    store.detach(away.id, away.stream)
    pass_grace()
    removed = store.remove(away.id, Gone(LOGGED_OUT, 0))
    assert removed is not None
    assert why_not(lambda: store.attach(away.id, NODE, 10)).reason == LOGGED_OUT
    assert live(store) == []
    assert store.remove(away.id, Gone(LOGGED_OUT, 0)) is None


# ending one that may go on elsewhere


def test_one_whose_stream_was_opened_again_is_not_ended_by_the_stream_before(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    later = store.attach(tab.id, NODE, 10).instance
    assert store.remove(tab.id, Gone(LOGGED_OUT, 0), tab.stream) is None
    assert store.get(tab.id) == later, "nothing was done"
    assert store.remove(tab.id, Gone(LOGGED_OUT, 0), later.stream) is not None
    assert reason(store, tab) == LOGGED_OUT


# signing another one out


def test_one_that_holds_signs_another_one_of_its_account_out(store: Store, log_in: LogIn, clock: Clock) -> None:
    mine, other = log_in(browser="Chrome"), log_in()
    ended = store.sign_out(mine.id, other.id)
    assert ended is not None
    assert ended.gone == Gone(LOGGED_OUT, clock(), mine.client)
    assert store.sign_out(mine.id, other.id) is None, "the first end stays"
    assert live(store) == [mine.id]


def test_one_that_was_evicted_signs_nobody_out(store: Store, log_in: LogIn) -> None:
    mine, other = log_in(limit=2), log_in(limit=2)
    log_in(limit=2)
    assert why_not(lambda: store.sign_out(mine.id, other.id)).reason == MULT_ACCOUNT
    assert other.id in live(store)


def test_nobody_is_signed_out_by_another_account_or_an_unknown_one(store: Store, log_in: LogIn) -> None:
    mine, foreign = log_in(), log_in("bob")
    for wrong in (foreign.id, instance_id(APP, "alice", "f" * 32)):
        with pytest.raises(NoSuchInstance):
            store.sign_out(mine.id, wrong)
    assert why_not(lambda: store.sign_out(instance_id(APP, "alice", "f" * 32), mine.id)).reason == UNKNOWN
    assert live(store, "bob") == [foreign.id]


def test_one_that_holds_signs_out_all_others_also_those_that_are_away(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    away, foreign = log_in(attached=False), log_in("bob")
    clock.advance(GRACE)
    mine, others = log_in(browser="Chrome"), [log_in(), log_in(attached=False)]
    ended = store.sign_out_others(mine.id)
    assert {each.id for each in ended} == {away.id, *(other.id for other in others)}
    assert {each.gone for each in ended} == {Gone(LOGGED_OUT, clock(), mine.client)}
    assert [store.get(each.id) for each in ended] == ended
    assert why_not(lambda: store.attach(away.id, NODE, 10)).reason == LOGGED_OUT, "it does not come back"
    assert (live(store), live(store, "bob")) == ([mine.id], [foreign.id])
    assert store.sign_out_others(mine.id) == []


# the ends that are kept


@pytest.mark.parametrize("engine", ONE_OF_EACH_KIND, ids=str, indirect=True)
def test_of_an_account_the_newest_ends_are_kept(store: Store, log_in: LogIn, clock: Clock) -> None:
    gone = []
    for _ in range(ENDS_KEPT + 3):
        clock.advance(2)
        gone.append(log_in(limit=1, attached=False))
    log_in(limit=1, attached=False)
    kinds = [reason(store, tab) for tab in gone]
    assert kinds == [UNKNOWN] * 3 + [MULT_ACCOUNT] * ENDS_KEPT


@pytest.mark.parametrize("engine", ONE_OF_EACH_KIND, ids=str, indirect=True)
def test_the_ends_of_others_do_not_push_out_one_that_may_come_back(store: Store, log_in: LogIn, clock: Clock) -> None:
    away = log_in(attached=False)
    clock.advance(GRACE)
    for _ in range(ENDS_KEPT + 3):
        clock.advance(1)
        store.remove(log_in(attached=False).id, Gone(LOGGED_OUT, 0))
    assert reason(store, away) == AWAY
    assert store.attach(away.id, NODE, 1).instance.online


@pytest.mark.parametrize("engine", ONE_OF_EACH_KIND, ids=str, indirect=True)
def test_of_those_that_are_away_the_newest_may_come_back(store: Store, log_in: LogIn, clock: Clock) -> None:
    gone = []
    for _ in range(ENDS_KEPT + 3):
        gone.append(log_in(attached=False))
        clock.advance(GRACE)
    log_in(attached=False)
    assert [reason(store, tab) for tab in gone] == [UNKNOWN] * 3 + [AWAY] * ENDS_KEPT


def test_an_end_that_its_stream_has_not_been_told_is_kept(store: Store, log_in: LogIn, clock: Clock) -> None:
    untold = log_in(limit=1)
    for _ in range(ENDS_KEPT + 3):
        clock.advance(1)
        log_in(limit=1, attached=False)
    assert reason(store, untold) == MULT_ACCOUNT
    assert [each.id for each in store.renew(NODE)] == [untold.id]


@pytest.mark.parametrize("engine", ONE_OF_EACH_KIND, ids=str, indirect=True)
def test_ends_that_streams_are_told_make_room_as_well(store: Store, log_in: LogIn, clock: Clock) -> None:
    gone = []
    for _ in range(ENDS_KEPT + 30):
        clock.advance(2)
        gone.append(log_in(limit=1))
    log_in(limit=1)
    assert UNKNOWN not in {reason(store, tab) for tab in gone}, "none has been told"
    store.renew(NODE, [tab.id for tab in gone[:-1]])
    store.detach(gone[-1].id, gone[-1].stream)
    assert [reason(store, tab) for tab in gone] == [UNKNOWN] * 30 + [MULT_ACCOUNT] * ENDS_KEPT


@pytest.mark.parametrize("engine", ONE_OF_EACH_KIND, ids=str, indirect=True)
def test_of_ends_within_ten_minutes_the_first_are_kept_in_whatever_order_they_are_told(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    gone = []
    for _ in range(ENDS_KEPT + 30):
        clock.advance(NOT_ME_LIFE / 1000)
        gone.append(log_in(limit=1))
    log_in(limit=1)
    for tab in Random(1).sample(gone, len(gone)):
        store.renew(NODE, [tab.id])
    assert [reason(store, tab) for tab in gone] == [MULT_ACCOUNT] * ENDS_KEPT + [UNKNOWN] * 30


def test_an_end_that_only_its_own_detach_has_told_makes_room(store: Store, log_in: LogIn, clock: Clock) -> None:
    clock.advance(2)
    untold = log_in(limit=1)
    for _ in range(ENDS_KEPT):
        clock.advance(2)
        log_in(limit=1, attached=False)
    log_in(limit=1, attached=False)
    assert reason(store, untold) == MULT_ACCOUNT
    store.detach(untold.id, untold.stream)
    assert reason(store, untold) == UNKNOWN
