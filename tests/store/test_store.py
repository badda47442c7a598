"""What every store promises, whichever engine it runs on: one suite for all of them.

A promise that is broken here is broken for a person: two tabs where one may be, a tab that is thrown out by its
own reload, a message that is lost or said twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.actors import APP, DAY, GRACE, Clock, new_id, newcomer, read_seq
from tests.support.engines import ONE_OF_EACH_KIND, Engine
from tests.support.waiting import PATIENCE
from tim.ends import AWAY, LOGGED_OUT, TYPES, UNKNOWN, Client, Gone
from tim.errors import InstanceGone, NoSuchAccount, NoSuchInstance, NotReady, StoreUnavailable, TooManyMessages
from tim.model import Instance, Message, View
from tim.rules import ENDS_KEPT, NEWEST, REJECT, REMEMBERED, instance_id
from tim.seat_errors import AtLimit
from tim.store.base import Store

NODE = "node-1"
MULT_ACCOUNT = TYPES.KICKED_OUT_MULT_ACCOUNT
EXPIRED = TYPES.KICKED_OUT_USERSIG_EXPIRED
LogIn = Callable[..., Instance]


@pytest.fixture
def log_in(store: Store, clock: Clock) -> LogIn:
    """`log_in("alice", limit=2)`: admitted, and attached unless said otherwise."""

    def log_in(
        user: str = "alice",
        *,
        limit: int = 10,
        life: float = 365 * DAY,
        attached: bool = True,
        browser: str = "Firefox",
    ) -> Instance:
        admitted, _ = store.admit(newcomer(user, browser=browser, expires=clock() + life), limit)
        return store.attach(admitted.id, NODE, limit).instance if attached else admitted

    return log_in


def reason(store: Store, instance: Instance) -> str | None:
    gone = store.get(instance.id).gone
    return None if gone is None else gone.reason


def why_not(attempt: Callable[[], object]) -> Gone:
    """What the instance ended of, by the words of the refusal."""
    with pytest.raises(InstanceGone) as refused:
        attempt()
    return refused.value.gone


def live(store: Store, user: str = "alice") -> list[str]:
    return [instance.id for instance in store.instances(APP, user)]


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


# attach and detach


def test_an_attached_instance_is_online_with_its_first_stream(store: Store, log_in: LogIn, clock: Clock) -> None:
    admitted = log_in(attached=False)
    attached = store.attach(admitted.id, NODE, 1).instance
    assert attached == replace(admitted, stream=attached.stream, detached_at=None, node=NODE)
    assert attached.stream > 0
    assert attached.online
    assert store.get(admitted.id) == attached
    assert store.instances(APP, "alice") == [attached]


def test_stream_numbers_grow_with_each_attach(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    numbers = [tab.stream]
    for _ in range(3):
        numbers.append(store.attach(tab.id, NODE, 10).instance.stream)
    store.detach(tab.id, numbers[-1])
    numbers.append(store.attach(tab.id, NODE, 10).instance.stream)
    assert numbers == sorted(set(numbers))


def test_a_reload_keeps_the_seat_and_its_age_and_evicts_nobody(store: Store, log_in: LogIn, clock: Clock) -> None:
    reloading, other = log_in(limit=2), log_in(limit=2)
    for _ in range(50):
        clock.advance(1)
        assert store.detach(reloading.id, reloading.stream)
        clock.advance(1)
        again = store.attach(reloading.id, NODE, 2).instance
        assert (again.generation, again.since) == (reloading.generation, reloading.since)
        reloading = again
    assert live(store) == [reloading.id, other.id]


def test_the_late_detach_of_an_older_stream_changes_nothing(store: Store, log_in: LogIn, clock: Clock) -> None:
    # A reload: the page's new socket is open before its old one has closed.
    old = log_in()
    new = store.attach(old.id, NODE, 1).instance
    assert store.detach(old.id, old.stream) is False
    assert store.get(old.id) == new
    clock.advance(GRACE * 2)
    assert reason(store, new) is None
    assert store.detach(new.id, new.stream) is True
    assert store.get(new.id).detached_at == clock()


def test_a_second_detach_of_the_same_stream_changes_nothing(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in()
    assert store.detach(tab.id, tab.stream)
    left_at = clock()
    clock.advance(30)
    assert store.detach(tab.id, tab.stream) is False
    assert store.get(tab.id).detached_at == left_at


def test_a_detach_of_a_stream_that_never_was_changes_nothing(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    assert store.detach(tab.id, tab.stream + 1) is False
    assert store.detach(new_id(), 1) is False
    assert store.get(tab.id).online


def test_a_detach_of_one_that_has_ended_does_not_bring_it_back(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    store.remove(tab.id, Gone(LOGGED_OUT, 0))
    assert store.detach(tab.id, tab.stream) is False
    assert reason(store, tab) == LOGGED_OUT


def test_a_detached_seat_is_kept_for_the_grace_time_and_not_longer(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in()
    store.detach(tab.id, tab.stream)
    clock.advance(GRACE - 0.001)
    assert live(store) == [tab.id]
    clock.advance(0.001)
    assert live(store) == []
    assert store.get(tab.id).gone == Gone(AWAY, clock())


def test_a_seat_that_nobody_ever_attached_is_kept_for_the_grace_time(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in(attached=False)
    clock.advance(GRACE - 1)
    assert live(store) == [tab.id]
    clock.advance(1)
    assert reason(store, tab) == AWAY


def test_an_attached_instance_stays_however_long_it_is_silent(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in()
    clock.advance(30 * DAY)
    assert store.sweep() == []
    assert live(store) == [tab.id]


def test_nobody_can_attach_what_nobody_knows(store: Store) -> None:
    unknown = new_id()
    assert why_not(lambda: store.attach(unknown, NODE, 1)).reason == UNKNOWN
    assert why_not(lambda: store.append(APP, unknown, "alice", "hello", new_id())).reason == UNKNOWN
    gone = store.get(unknown).gone
    assert gone is not None
    assert gone.reason == UNKNOWN


# coming back


@pytest.fixture(params=[False, True], ids=["noticed-late", "swept"])
def pass_grace(store: Store, clock: Clock, request: pytest.FixtureRequest) -> Callable[[], None]:
    """Let the grace time pass, with and without somebody who writes down what that means."""

    def pass_grace() -> None:
        clock.advance(GRACE + 1)
        if request.param:
            store.sweep()

    return pass_grace


def test_who_was_away_comes_back_as_the_newest_where_there_is_room(
    store: Store, log_in: LogIn, pass_grace: Callable[[], None]
) -> None:
    away, other = log_in(), log_in()
    store.detach(away.id, away.stream)
    pass_grace()
    assert reason(store, away) == AWAY
    back = store.attach(away.id, NODE, 2).instance
    assert back.generation > other.generation
    assert back.stream > away.stream
    assert back.online
    assert store.get(away.id) == back
    assert live(store) == [other.id, away.id]
    assert store.detach(away.id, away.stream) is False, "its stream from before is void"


def test_who_was_away_evicts_nobody_and_hears_for_ever_who_has_its_seat(
    store: Store, log_in: LogIn, clock: Clock, pass_grace: Callable[[], None]
) -> None:
    away = log_in(limit=1)
    store.detach(away.id, away.stream)
    pass_grace()
    other = log_in(limit=1, browser="Chrome")
    gone = why_not(lambda: store.attach(away.id, NODE, 1))
    assert (gone.reason, gone.by) == (MULT_ACCOUNT, other.client)
    assert live(store) == [other.id]
    # The seat falls free, and time passes: it is told the same all the same.
    store.remove(other.id, Gone(LOGGED_OUT, 0))
    for _ in range(3):
        clock.advance(DAY)
        store.sweep()
        assert why_not(lambda: store.attach(away.id, NODE, 1)) == gone
        assert store.get(away.id).gone == gone


def test_the_reason_of_who_found_no_seat_is_kept_however_old_the_login_that_has_it(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    # Two tabs have been open for ten days. One is away, and meanwhile the app allows only one.
    away, _ = log_in(limit=2), log_in(limit=2)
    clock.advance(10 * DAY)
    store.detach(away.id, away.stream)
    clock.advance(GRACE + 1)
    gone = why_not(lambda: store.attach(away.id, NODE, 1))
    assert gone.reason == MULT_ACCOUNT
    store.sweep()
    clock.advance(DAY)
    store.sweep()
    assert why_not(lambda: store.attach(away.id, NODE, 1)) == gone


def test_whose_user_sig_ran_out_while_it_was_away_does_not_come_back(
    store: Store, log_in: LogIn, clock: Clock, pass_grace: Callable[[], None]
) -> None:
    away = log_in(life=300)
    store.detach(away.id, away.stream)
    pass_grace()
    assert reason(store, away) == AWAY
    clock.advance(300)
    assert why_not(lambda: store.attach(away.id, NODE, 10)).reason in (AWAY, EXPIRED)
    assert live(store) == []


def test_what_an_attach_was_refused_for_once_it_is_refused_for_ever(store: Store, log_in: LogIn, clock: Clock) -> None:
    # Away, then expired: the first attempt finds an empty account, the second a taken seat.
    away = log_in(life=300)
    store.detach(away.id, away.stream)
    clock.advance(400)
    gone = why_not(lambda: store.attach(away.id, NODE, 1))
    log_in(limit=1)
    assert why_not(lambda: store.attach(away.id, NODE, 1)).reason == gone.reason
    store.remove(away.id, Gone(LOGGED_OUT, 0))
    assert why_not(lambda: store.attach(away.id, NODE, 1)).reason == gone.reason


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


# sweep and renew


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


# cut


def test_a_cut_is_for_an_open_stream_alone_and_changes_nothing(store: Store, log_in: LogIn, clock: Clock) -> None:
    online, closed, expired = log_in(), log_in(attached=False), log_in(life=GRACE)
    before = store.instances(APP, "alice")
    assert store.cut(online.id) == online
    assert store.cut(closed.id) is None
    assert store.cut(new_id()) is None
    assert store.instances(APP, "alice") == before
    clock.advance(GRACE)
    assert store.cut(expired.id) is None


# attaching again


def test_a_stream_is_opened_again_only_where_no_later_one_was(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    again = store.attach_again(tab.id, NODE, 10, tab.stream)
    assert again is not None
    assert again.stream == tab.stream + 1
    later = store.attach(tab.id, NODE, 10).instance
    assert store.attach_again(tab.id, NODE, 10, again.stream) is None
    assert store.get(tab.id) == later, "nothing was done"


def test_a_stream_of_one_that_has_ended_is_not_opened_again(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    later = store.attach(tab.id, NODE, 10).instance
    store.remove(tab.id, Gone(LOGGED_OUT, 0))
    for stream in (tab.stream, later.stream):
        reason = why_not(lambda stream=stream: store.attach_again(tab.id, NODE, 10, stream)).reason  # type: ignore[misc]
        assert reason == LOGGED_OUT


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


# names, and "it was me"


def test_an_instance_has_the_name_that_it_was_given_last(store: Store, log_in: LogIn) -> None:
    tab, other = log_in(), log_in()
    for name in ("笔记本 at work", "my laptop", ""):
        renamed = store.rename(tab.id, name)
        assert renamed == replace(tab, name=name)
        assert store.instances(APP, "alice") == [renamed, other]


def test_a_name_stays_with_an_instance_that_was_away(store: Store, log_in: LogIn, clock: Clock) -> None:
    mine, tab = log_in(), log_in()
    store.rename(tab.id, "my laptop")
    store.vouch(mine.id, tab.id)
    store.detach(tab.id, tab.stream)
    clock.advance(GRACE)
    store.sweep()
    back = store.attach(tab.id, NODE, 10).instance
    assert (back.name, back.ordinal, back.vouched) == ("my laptop", tab.ordinal, mine.ordinal)


def test_it_was_me_is_kept_of_the_oldest_that_has_said_it(store: Store, log_in: LogIn) -> None:
    oldest, older, newcomer = log_in(), log_in(), log_in()
    for by, kept in ((older, older), (oldest, oldest), (older, oldest)):
        assert store.vouch(by.id, newcomer.id) == replace(newcomer, vouched=kept.ordinal)
        assert store.get(newcomer.id).vouched == kept.ordinal
    assert store.get(older.id) == older


def test_nobody_says_it_was_me_of_one_that_has_ended(store: Store, log_in: LogIn) -> None:
    mine, other = log_in(), log_in()
    store.remove(other.id, Gone(LOGGED_OUT, 0))
    ended = store.get(other.id)
    assert store.vouch(mine.id, other.id) is None
    assert store.get(other.id) == ended


def test_nobody_says_it_was_me_of_a_login_of_another_account_or_an_unknown_one(store: Store, log_in: LogIn) -> None:
    mine, foreign = log_in(), log_in("bob")
    for wrong in (foreign.id, instance_id(APP, "alice", "f" * 32)):
        with pytest.raises(NoSuchInstance):
            store.vouch(mine.id, wrong)
    assert store.get(foreign.id) == foreign


def test_one_that_is_away_signs_nobody_out_and_changes_no_name(store: Store, log_in: LogIn, clock: Clock) -> None:
    away = log_in(attached=False)
    clock.advance(GRACE)
    other = log_in()
    for call in (
        lambda: store.sign_out_others(away.id),
        lambda: store.rename(away.id, "my laptop"),
        lambda: store.vouch(away.id, other.id),
    ):
        assert why_not(call).reason == AWAY
    assert store.instances(APP, "alice") == [other]


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


# messages


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


# What a tab shows


def test_a_view_is_what_get_instances_and_history_return(store: Store, log_in: LogIn, clock: Clock) -> None:
    alice, closed, bob = log_in("alice"), log_in("alice"), log_in("bob")
    store.detach(closed.id, closed.stream)
    assert store.view(alice.id, 100) == View(alice, store.instances(APP, "alice"), 0, 0, [])
    store.remove(bob.id, Gone(LOGGED_OUT, 0))
    for n in range(5):
        store.append(APP, alice.id, "bob", str(n), new_id())
    store.mark_read(APP, "bob", 3)
    back = log_in("bob", attached=False)
    log = store.history(APP, "bob", 0, 100)
    assert store.view(back.id, 100) == View(back, [back], 5, 3, log)
    assert store.view(back.id, 2).messages == log[-2:]
    assert store.view(back.id, 0).messages == []
    clock.advance(REMEMBERED + 1)
    later = log_in("bob", attached=False)
    assert store.view(later.id, 100) == View(later, [later], 5, 3, []), "what is not remembered is not shown"


def test_a_view_is_of_an_instance_that_is_live_or_may_come_back(store: Store, log_in: LogIn, clock: Clock) -> None:
    out, away, expired, stays = log_in(), log_in(), log_in(life=50), log_in()
    store.remove(out.id, Gone(LOGGED_OUT, 0))
    store.detach(away.id, away.stream)
    clock.advance(GRACE)
    for swept in (False, True):
        assert store.view(away.id, 0) == View(store.get(away.id), [stays], 0, 0, []), swept
        for gone in (out, expired):
            with pytest.raises(InstanceGone) as refused:
                store.view(gone.id, 0)
            assert refused.value.instance == store.get(gone.id)
        store.sweep()


def test_who_opens_a_stream_gets_the_view_after_it(store: Store, log_in: LogIn, clock: Clock) -> None:
    alice, bob = log_in("alice", attached=False), log_in("bob")
    view = store.attach(alice.id, NODE, 10)
    assert view == View(store.get(alice.id), [view.instance], 0, 0, [])
    assert view.instance.online
    store.detach(alice.id, view.instance.stream)
    clock.advance(GRACE)
    store.append(APP, bob.id, "alice", "hello", new_id())
    other = log_in("alice")
    back = store.attach(alice.id, NODE, 2, 0, 10)
    assert back.instance.generation > other.generation
    log = store.history(APP, "alice", 0, 10)
    assert back == View(store.get(alice.id), [other, back.instance], 1, 0, log, returned=True)


def test_who_opens_a_stream_gets_the_messages_that_its_page_lacks_and_the_unread_ones(
    store: Store, log_in: LogIn
) -> None:
    alice, bob = log_in("alice"), log_in("bob", attached=False)
    for n in range(5):
        store.append(APP, alice.id, "bob", str(n), new_id())
    store.mark_read(APP, "bob", 3)

    def numbers(after: int, most: int) -> list[int]:
        view = store.attach(bob.id, NODE, 10, after, most)
        assert (view.newest, view.read_seq) == (5, 3), "opening a stream does not mark anything as read"
        return [message.seq for message in view.messages]

    assert numbers(0, 100) == [1, 2, 3, 4, 5]
    assert numbers(2, 100) == [3, 4, 5]
    assert numbers(2, 2) == [4, 5]
    assert numbers(3, 100) == numbers(4, 100) == numbers(5, 100) == numbers(NEWEST, 100) == [4, 5]
    assert numbers(0, 0) == []
    store.append(APP, alice.id, "bob", "arrives", new_id())  # read, as a stream is open
    view = store.attach(bob.id, NODE, 10, NEWEST, 100)
    assert (view.newest, view.read_seq, view.messages) == (6, 6, [])


# Refusals carry the instance


def test_the_refusal_of_an_ended_instance_carries_it_as_get_returns_it(store: Store, log_in: LogIn) -> None:
    log_in("bob")
    tab, other = log_in(limit=2), log_in(limit=2)
    log_in(limit=1, browser="Chrome")
    ended = store.get(tab.id)
    assert ended.gone is not None
    assert ended.gone.by is not None
    for call in (
        lambda: store.attach(tab.id, NODE, 1),
        lambda: store.view(tab.id, 1),
        lambda: store.append(APP, tab.id, "bob", "too late", new_id()),
        lambda: store.sign_out(tab.id, other.id),
        lambda: store.sign_out_others(tab.id),
        lambda: store.rename(tab.id, "my laptop"),
        lambda: store.vouch(tab.id, other.id),
    ):
        with pytest.raises(InstanceGone) as refused:
            call()
        assert refused.value.instance == ended
        assert refused.value.gone == ended.gone


def test_the_refusal_of_an_instance_that_has_just_expired_carries_its_end(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    log_in("bob")
    tab = log_in(life=100)
    clock.advance(100)  # no sweep has written the end yet
    with pytest.raises(InstanceGone) as refused:
        store.append(APP, tab.id, "bob", "too late", new_id())
    assert refused.value.instance == store.get(tab.id)
    assert refused.value.gone.reason == EXPIRED


def test_the_refusal_of_an_unknown_instance_carries_its_id(store: Store) -> None:
    unknown = newcomer(expires=DAY).id
    for call in (
        lambda: store.attach(unknown, NODE, 1),
        lambda: store.view(unknown, 1),
        lambda: store.append(APP, unknown, "bob", "hello", new_id()),
        lambda: store.sign_out(unknown, unknown),
        lambda: store.sign_out_others(unknown),
        lambda: store.rename(unknown, "my laptop"),
        lambda: store.vouch(unknown, unknown),
    ):
        with pytest.raises(InstanceGone) as refused:
            call()
        assert refused.value.instance == store.get(unknown)
        assert refused.value.gone.reason == UNKNOWN


# close


def test_calls_under_way_while_the_store_closes_are_refused(engine: Engine, tmp_path: Path, clock: Clock) -> None:
    store = engine.open(tmp_path, clock)
    calling = threading.Barrier(9)

    def calls_until_refused() -> None:
        store.instances(APP, "alice")
        calling.wait(PATIENCE)
        with pytest.raises(StoreUnavailable):
            while True:
                store.instances(APP, "alice")

    with ThreadPoolExecutor(8) as pool:
        callers = [pool.submit(calls_until_refused) for _ in range(8)]
        calling.wait(PATIENCE)
        store.close()
        for caller in callers:
            caller.result()
