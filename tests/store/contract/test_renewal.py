"""What a node does every few seconds: it writes down what is due, and hears what it has missed."""

from __future__ import annotations

import threading

from tests.store.contract.conftest import LogIn
from tests.support.actors import APP, DAY, GRACE, Clock, new_id, newcomer
from tests.support.seats import NODE, live, reason, why_not
from tests.support.waiting import PATIENCE
from tim.ends import AWAY, LOGGED_OUT, TYPES, UNKNOWN, Gone
from tim.model import Instance
from tim.store.base import Store

MULT_ACCOUNT = TYPES.KICKED_OUT_MULT_ACCOUNT
EXPIRED = TYPES.KICKED_OUT_USERSIG_EXPIRED


def test_a_sweep_ends_whose_user_sig_has_run_out(store: Store, log_in: LogIn, clock: Clock) -> None:
    attached, detached, stays = log_in(life=50), log_in(life=50), log_in()
    store.detach(detached.id, detached.stream)
    clock.advance(49)
    assert store.sweep() == []
    clock.advance(1)
    swept = store.sweep()
    assert {each.id for each in swept} == {attached.id, detached.id}
    assert [each.gone for each in swept] == [Gone(EXPIRED, clock())] * 2
    assert live(store) == [stays.id]
    assert store.sweep() == [], "each end is told once"


def test_a_sweep_is_soon_done_with_user_sigs_for_a_hundred_thousand_years(store: Store, log_in: LogIn) -> None:
    for _ in range(20):
        log_in(limit=20, life=1e13)
    swept: list[list[Instance]] = []
    sweep = threading.Thread(target=lambda: swept.append(store.sweep()), daemon=True)
    sweep.start()
    sweep.join(PATIENCE)
    assert swept == [[]]


def test_a_sweep_ends_who_stayed_away(store: Store, log_in: LogIn, clock: Clock) -> None:
    away, stays = log_in(), log_in()
    store.detach(away.id, away.stream)
    clock.advance(GRACE)
    assert [(each.id, each.gone) for each in store.sweep()] == [(away.id, Gone(AWAY, clock()))]
    clock.advance(100)
    assert store.sweep() == []
    assert live(store) == [stays.id]


def test_no_verb_of_an_expired_one_works_even_before_the_sweep(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in(life=50)
    clock.advance(50)
    gone = Gone(EXPIRED, clock())
    assert store.get(tab.id).gone == gone
    assert live(store) == []
    assert why_not(lambda: store.append(APP, tab.id, "alice", "hello", new_id())) == gone
    assert why_not(lambda: store.attach(tab.id, NODE, 10)) == gone


def test_the_reason_is_remembered_for_seven_days_and_then_forgotten(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in()
    store.detach(tab.id, tab.stream)
    store.remove(tab.id, Gone(LOGGED_OUT, 0))
    clock.advance(7 * DAY)
    store.sweep()
    assert reason(store, tab) == LOGGED_OUT
    clock.advance(1)
    store.sweep()
    assert reason(store, tab) == UNKNOWN
    assert why_not(lambda: store.attach(tab.id, NODE, 10)).reason == UNKNOWN


def test_the_reason_is_not_forgotten_before_its_stream_has_heard_it(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in()
    store.remove(tab.id, Gone(LOGGED_OUT, 0))
    clock.advance(30 * DAY)
    store.sweep()
    assert [each.id for each in store.renew(NODE)] == [tab.id]
    store.detach(tab.id, tab.stream)
    store.sweep()
    assert reason(store, tab) == UNKNOWN


def test_messages_live_for_seven_days(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in()
    store.append(APP, tab.id, "alice", "old", new_id())
    clock.advance(DAY)
    store.append(APP, tab.id, "alice", "new", new_id())
    clock.advance(6 * DAY)
    store.sweep()
    assert [each.text for each in store.history(APP, "alice", 0, 10)] == ["old", "new"]
    clock.advance(1)
    store.sweep()
    assert [each.text for each in store.history(APP, "alice", 0, 10)] == ["new"]
    sent, _ = store.append(APP, tab.id, "alice", "newest", new_id())
    assert sent.seq == 3, "a number is not used twice, though the message it had is forgotten"


def test_after_all_have_gone_and_time_has_passed_nothing_is_left(store: Store, log_in: LogIn, clock: Clock) -> None:
    tabs = [log_in(user, limit=2) for user in ("alice", "bob") for _ in range(10)]
    for tab in tabs:
        if reason(store, tab) is None:
            store.append(APP, tab.id, "bob", "hello", new_id())
    for tab in tabs:
        store.detach(tab.id, tab.stream)
    for _ in range(2):
        clock.advance(8 * DAY)
        store.sweep()
    assert {reason(store, tab) for tab in tabs} == {UNKNOWN}
    assert [store.history(APP, user, 0, 100) for user in ("alice", "bob")] == [[], []]
    assert store.renew(NODE) == []


def test_a_renewal_names_each_that_has_ended_until_it_is_detached(store: Store, log_in: LogIn, clock: Clock) -> None:
    evicted, kicked, expired, stays = log_in(), log_in(), log_in(life=50), log_in()
    assert store.renew(NODE) == []
    store.remove(kicked.id, Gone(TYPES.KICKED_OUT_REST_API, 0))
    store.admit(newcomer(expires=clock() + DAY), 3)
    clock.advance(50)
    store.sweep()
    fates = {evicted.id: MULT_ACCOUNT, kicked.id: TYPES.KICKED_OUT_REST_API, expired.id: EXPIRED}
    for _ in range(2):
        assert {each.id: each.gone and each.gone.reason for each in store.renew(NODE)} == fates
    store.detach(evicted.id, evicted.stream)
    store.detach(kicked.id, kicked.stream)
    assert [each.id for each in store.renew(NODE)] == [expired.id]
    store.detach(expired.id, expired.stream)
    assert store.renew(NODE) == []
    assert reason(store, stays) is None


def test_it_counts_who_is_online_by_node(store: Store, log_in: LogIn) -> None:
    assert store.online() == {}
    here, gone, moved, ended = (log_in("alice" if n < 2 else "bob") for n in range(4))
    log_in("carol", attached=False)
    assert store.online() == {NODE: 4}
    store.attach(moved.id, "node-2", 10)
    assert store.online() == {NODE: 3, "node-2": 1}
    store.detach(gone.id, gone.stream)
    store.remove(ended.id, Gone(LOGGED_OUT, 0))
    assert store.online() == {NODE: 1, "node-2": 1}
    store.remove(here.id, Gone(LOGGED_OUT, 0))
    assert store.online() == {"node-2": 1}


def test_a_renewal_names_none_of_whose_end_the_node_has_heard(store: Store, log_in: LogIn) -> None:
    heard, other, lives, away = log_in(), log_in(), log_in(), log_in()
    elsewhere = store.attach(log_in(attached=False).id, "node-2", 10).instance
    for tab in (heard, other, elsewhere):
        store.remove(tab.id, Gone(LOGGED_OUT, 0))
    names = [heard.id, lives.id, elsewhere.id, newcomer(expires=0).id]
    assert [each.id for each in store.renew(NODE, names)] == [other.id]
    assert [each.id for each in store.renew(NODE)] == [other.id]
    assert [each.id for each in store.renew("node-2")] == [elsewhere.id], "another node has to hear it itself"
    assert store.attached(NODE) == {lives.id: lives.stream, away.id: away.stream}
    assert reason(store, heard) == LOGGED_OUT


def test_a_renewal_names_nobody_of_another_node(store: Store, log_in: LogIn) -> None:
    here = log_in()
    moved = log_in()
    there = store.attach(moved.id, "node-2", 10).instance
    unattached = log_in(attached=False)
    for tab in (here, moved, unattached):
        store.remove(tab.id, Gone(LOGGED_OUT, 0))
    assert [each.id for each in store.renew(NODE)] == [here.id]
    assert [each.id for each in store.renew("node-2")] == [moved.id]
    store.detach(moved.id, moved.stream)
    assert [each.id for each in store.renew("node-2")] == [moved.id], "the older stream's detach says nothing of it"
    store.detach(moved.id, there.stream)
    assert store.renew("node-2") == []
