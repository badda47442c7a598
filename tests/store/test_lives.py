"""The lives that an app gives to a login: how long it lasts at most, and how long without an action of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.actors import APP, DAY, GRACE, Clock, new_id, newcomer
from tim.audit import EXPIRED, SERVER, AuditFilter
from tim.ends import AWAY, EXPIRY_WORDS, IDLE, LIFE, TYPES, USERSIG, Gone
from tim.errors import InstanceGone, NoSuchAccount, NoSuchInstance, NotReady
from tim.model import Instance
from tim.search import Search
from tim.state_change import LOGIN, LOGOUT
from tim.store.base import Store

NODE = "node-1"
LogIn = Callable[..., Instance]


@pytest.fixture
def log_in(store: Store, clock: Clock) -> LogIn:
    """`log_in(idle_life=100)`: admitted by an app with this idle life, and attached."""

    def log_in(user: str = "alice", *, session_life: int = 0, idle_life: int = 0, life: float = DAY) -> Instance:
        asked = newcomer(user, expires=clock() + life, since=clock())
        lasts_until = session_life and clock() + session_life
        admitted, _ = store.admit(replace(asked, lasts_until=lasts_until, idle_life=idle_life), 10)
        return store.attach(admitted.id, NODE, 10).instance

    return log_in


def expired(at: float) -> Gone:
    return Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, at)


def live(store: Store) -> list[str]:
    return [instance.id for instance in store.instances(APP, "alice")]


# The life of a session


def test_a_session_life_counts_from_the_login_by_the_time_of_the_store(store: Store, clock: Clock) -> None:
    for skew in (-3600, 0, 3600):
        asked = newcomer(expires=clock() + DAY, since=clock() + skew)
        admitted, _ = store.admit(replace(asked, lasts_until=asked.since + 100), 10)
        assert (admitted.lasts_until, admitted.ends_at) == (clock() + 100, clock() + 100)
        assert store.get(asked.id) == admitted


def test_a_session_ends_when_its_life_is_over_whatever_it_does(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab, other = log_in(session_life=100), log_in()
    for _ in range(9):
        clock.advance(10)
        tab = store.attach(tab.id, NODE, 10).instance
        store.append(APP, tab.id, "alice", "hello", new_id())
    clock.advance(9.5)
    assert store.sweep() == []
    clock.advance(0.5)
    assert live(store) == [other.id], "also before a sweep"
    assert [(each.id, each.gone) for each in store.sweep()] == [(tab.id, expired(clock()))]
    assert [each.id for each in store.renew(NODE)] == [tab.id]
    with pytest.raises(InstanceGone) as refused:
        store.attach(tab.id, NODE, 10)
    assert refused.value.gone == expired(clock())
    assert refused.value.instance.expiry_cause == LIFE


def test_of_several_lives_the_shortest_counts(store: Store, log_in: LogIn, clock: Clock) -> None:
    ends = {
        log_in(session_life=100, idle_life=200, life=300).id: (100, LIFE),
        log_in(session_life=300, idle_life=100, life=200).id: (100, IDLE),
        log_in(session_life=200, idle_life=300, life=100).id: (100, USERSIG),
        log_in(session_life=100, idle_life=100, life=100).id: (100, USERSIG),
    }
    began = clock()
    clock.advance(100)
    found = {each.id: (each.gone and each.gone.at - began, each.expiry_cause) for each in store.sweep()}
    assert found == ends
    assert {id: store.get(id).expiry_cause for id in ends} == {id: cause for id, (_, cause) in ends.items()}


# An idle life


def acts(store: Store, tab: Instance) -> dict[str, Callable[[], object]]:
    """What an instance does itself, by the name of the verb."""
    other = store.admit(newcomer(expires=store.now() + 9 * DAY), 10)[0].id
    return {
        "attach": lambda: store.attach(tab.id, NODE, 10),
        "append": lambda: store.append(APP, tab.id, "alice", "hello", new_id()),
        "append, again": lambda: store.append(APP, tab.id, "alice", "hello", "the same"),
        "rename": lambda: store.rename(tab.id, "my laptop"),
        "vouch": lambda: store.vouch(tab.id, other),
        "sign_out": lambda: store.sign_out(tab.id, other),
        "sign_out_others": lambda: store.sign_out_others(tab.id),
    }


@pytest.mark.parametrize("act", ["attach", "append", "append, again", "rename", "vouch", "sign_out", "sign_out_others"])
def test_what_an_instance_does_itself_puts_its_idle_end_off(
    store: Store, log_in: LogIn, clock: Clock, act: str
) -> None:
    tab = log_in(idle_life=100)
    do = acts(store, tab)[act]
    for _ in range(3):
        clock.advance(99)
        do()
        assert store.get(tab.id).ends_at == clock() + 100
        assert tab.id not in {each.id for each in store.sweep()}
    clock.advance(99.5)
    assert tab.id in live(store)
    clock.advance(0.5)
    assert tab.id not in live(store), "also before a sweep"
    assert [each.gone for each in store.sweep() if each.id == tab.id] == [expired(clock())]
    assert store.get(tab.id).expiry_cause == IDLE


def test_what_others_do_and_what_a_node_does_by_itself_puts_nothing_off(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    tab, other = log_in(idle_life=100), log_in()
    began = clock()
    clock.advance(50)
    tab = store.attach_again(tab.id, "node-2", 10, tab.stream) or tab
    store.append(APP, other.id, "alice", "hello", new_id())
    store.vouch(other.id, tab.id)
    store.view(tab.id, 10)
    store.mark_read(APP, "alice", 1)
    store.renew("node-2")
    for refused, why in (
        (lambda: store.append(APP, tab.id, "nobody", "hello", new_id()), NoSuchAccount),
        (lambda: store.sign_out(tab.id, "f" * 34), NoSuchInstance),
    ):
        with pytest.raises(why):
            refused()
    assert store.get(tab.id).ends_at == began + 100
    store.detach(tab.id, tab.stream)
    with pytest.raises(NotReady):
        store.append(APP, tab.id, "alice", "hello", new_id())
    assert store.get(tab.id).ends_at == began + 100


def test_one_that_is_idle_ends_for_that_though_it_was_away_or_would_be(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    began = clock()
    closes_late, was_away = log_in(idle_life=round(GRACE) + 40), log_in(idle_life=round(GRACE) + 40)
    store.detach(was_away.id, was_away.stream)
    clock.advance(GRACE)
    assert [(each.id, each.gone and each.gone.reason) for each in store.sweep()] == [(was_away.id, AWAY)]
    store.detach(closes_late.id, closes_late.stream)
    clock.advance(41)
    for tab in (closes_late, was_away):
        with pytest.raises(InstanceGone) as refused:
            store.attach(tab.id, NODE, 10)
        assert refused.value.gone == store.get(tab.id).gone == expired(began + GRACE + 40)
        assert refused.value.instance.expiry_cause == IDLE


def test_one_that_comes_back_has_its_whole_idle_life_again_and_no_more_of_its_session(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    tab = log_in(idle_life=100, session_life=1000)
    store.detach(tab.id, tab.stream)
    clock.advance(90)
    back = store.attach(tab.id, NODE, 10).instance
    assert (back.generation > tab.generation, back.ends_at) == (True, clock() + 100)
    assert back.lasts_until == tab.lasts_until


# What others learn of it


def test_the_list_and_its_number_know_only_who_is_live(store: Store, log_in: LogIn, clock: Clock) -> None:
    for lives in ({"session_life": 100}, {"idle_life": 100}, {}):
        log_in(**lives)
    acting = log_in(idle_life=100)
    for moment, number in ((99, 4), (1, 2)):
        clock.advance(moment)
        if moment == 99:
            store.append(APP, acting.id, "alice", "hello", new_id())
        assert store.number(APP, Search()) == number
        assert {each.id for each in store.search(APP, Search()).instances} == set(live(store))
        assert len(live(store)) == number


def test_the_audit_and_the_webhook_tell_of_the_end(store: Store, log_in: LogIn, clock: Clock) -> None:
    store.queue_events(APP, True)
    began = clock()
    lives = ({"session_life": 100}, {"idle_life": 100}, {"life": 100}, {"idle_life": 200})
    users = ("alice", "bob", "carol", "dave")
    tabs = [log_in(user, **its) for user, its in zip(users, lives, strict=True)]
    clock.advance(100)
    store.remove(tabs[3].id, Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, 0), actor="API")
    clock.advance(50)
    store.sweep()
    for user, cause in zip(users, (LIFE, IDLE, USERSIG, USERSIG), strict=True):
        [entry] = store.audit(APP, AuditFilter(user, frozenset({EXPIRED}))).entries
        assert (entry.at, entry.words) == (began + 100, EXPIRY_WORDS[cause])
        assert entry.actor == ("API" if user == "dave" else SERVER)
        reported = []
        while (event := store.take_event(APP, user, "sender", 10)) is not None:
            reported.append((event.action, event.at))
            store.event_sent(APP, user, "sender", event.id)
        assert reported == [(LOGIN, began), (LOGOUT, began + 100)]
