"""What a store does with a login at the limit: evicts, refuses it, or ends what it has chosen."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.actors import APP, DAY, GRACE, Clock, newcomer
from tests.support.seats import NODE, log_in
from tim.audit import EVICTED, AuditFilter
from tim.ends import LOGGED_OUT, TYPES, Gone
from tim.errors import AccountBlocked, UserSigRevoked
from tim.model import Choice, Instance
from tim.rules import ASK, EVICT, REJECT
from tim.seat_errors import AtLimit
from tim.store.base import Store


def ids(instances: list[Instance]) -> list[str]:
    return [instance.id for instance in instances]


def live(store: Store) -> list[str]:
    return ids(store.instances(APP, "alice"))


def comes(store: Store, clock: Clock, limit: int, policy: str, choice: Choice | None = None) -> Instance:
    """Somebody new, who is admitted."""
    return store.admit(newcomer(expires=clock() + DAY), limit, policy=policy, choice=choice)[0]


def is_refused(store: Store, clock: Clock, limit: int, policy: str, choice: Choice | None = None) -> AtLimit:
    """Somebody new, who is refused, and nothing has changed."""
    before = store.instances(APP, "alice")
    asked = newcomer(expires=clock() + DAY)
    with pytest.raises(AtLimit) as refused:
        store.admit(asked, limit, policy=policy, choice=choice)
    assert store.instances(APP, "alice") == before
    assert store.get(asked.id).user == "", "there is no trace of the newcomer"
    assert refused.value.limit == limit
    return refused.value


def test_a_login_at_the_limit_is_refused_and_told_where_the_account_is_online(store: Store, clock: Clock) -> None:
    tabs = [log_in(store, clock) for _ in range(2)]
    refused = is_refused(store, clock, 2, REJECT)
    assert (refused.code, refused.instances) == (70053, tabs)
    store.remove(tabs[0].id, Gone(LOGGED_OUT, 0))
    admitted = comes(store, clock, 2, REJECT)
    assert live(store) == [tabs[1].id, admitted.id]


@pytest.mark.parametrize("policy", [REJECT, ASK])
def test_a_closed_tab_keeps_its_seat_for_the_grace_time(store: Store, clock: Clock, policy: str) -> None:
    tab = log_in(store, clock)
    store.detach(tab.id, tab.stream)
    clock.advance(GRACE - 1)
    [seated] = is_refused(store, clock, 1, policy).instances
    assert (seated.id, seated.online) == (tab.id, False)
    clock.advance(1)
    admitted = comes(store, clock, 1, policy)
    assert live(store) == [admitted.id]


@pytest.mark.parametrize("policy", [REJECT, ASK])
def test_an_admission_that_is_repeated_is_the_same_though_the_account_is_full(
    store: Store, clock: Clock, policy: str
) -> None:
    asked = newcomer(expires=clock() + DAY)
    admitted, _ = store.admit(asked, 1, policy=policy)
    assert store.admit(asked, 1, policy=policy) == (admitted, [])


@pytest.mark.parametrize("policy", [REJECT, ASK])
def test_who_may_not_log_in_is_not_told_where_the_account_is_online(store: Store, clock: Clock, policy: str) -> None:
    log_in(store, clock)
    _, _ = store.kick_account(APP, "alice")
    made, clock.now = clock(), clock() + 10
    log_in(store, clock)
    with pytest.raises(UserSigRevoked):
        store.admit(newcomer(expires=clock() + DAY), 1, made, policy)
    store.block(APP, "alice", None, "", "console admin")
    with pytest.raises(AccountBlocked):
        store.admit(newcomer(expires=clock() + DAY), 1, policy=policy)


def test_who_is_asked_ends_nobody_before_it_has_chosen(store: Store, clock: Clock) -> None:
    tabs = [log_in(store, clock) for _ in range(2)]
    assert is_refused(store, clock, 2, ASK).instances == tabs
    assert store.audit(APP, AuditFilter(kinds=frozenset({EVICTED}))).entries == []


def test_a_choice_ends_exactly_the_chosen_for_the_newcomer(store: Store, clock: Clock) -> None:
    store.queue_events(APP, True)
    tabs = [log_in(store, clock) for _ in range(4)]
    asked = newcomer(browser="Chrome on Android", expires=clock() + DAY)
    choice = Choice(tuple(ids(tabs)), frozenset({tabs[3].id, tabs[1].id}))
    admitted, evicted = store.admit(asked, 3, policy=ASK, choice=choice)
    gone = Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, clock(), asked.client)
    assert [(each.id, each.gone) for each in evicted] == [(tabs[1].id, gone), (tabs[3].id, gone)]
    assert live(store) == [tabs[0].id, tabs[2].id, admitted.id]
    entries = store.audit(APP, AuditFilter(kinds=frozenset({EVICTED}))).entries
    assert {(entry.instance, entry.by) for entry in entries} == {(each.id, asked.id) for each in evicted}
    for _ in tabs:  # their logins
        event = store.take_event(APP, "alice", "sender", 10)
        assert event is not None
        store.event_sent(APP, "alice", "sender", event.id)
    last = store.take_event(APP, "alice", "sender", 10)
    assert last is not None
    assert last.kicked == 2
    assert store.admit(asked, 3, policy=ASK, choice=choice) == (admitted, []), "its answer was lost"


def test_a_choice_of_too_few_ends_nobody(store: Store, clock: Clock) -> None:
    tabs = [log_in(store, clock) for _ in range(3)]
    seen = tuple(ids(tabs))
    both = " ".join(seen[:2])
    for few in (frozenset[str](), frozenset({tabs[0].id}), frozenset({tabs[0].id, "0" * 34}), frozenset({both})):
        is_refused(store, clock, 2, ASK, Choice(seen, few))


def test_a_choice_from_a_list_that_has_changed_ends_nobody(store: Store, clock: Clock) -> None:
    first, second = (log_in(store, clock) for _ in range(2))
    choice = Choice((first.id, second.id), frozenset({first.id}))
    third = log_in(store, clock)
    is_refused(store, clock, 2, ASK, choice)
    store.remove(third.id, Gone(LOGGED_OUT, 0))
    store.remove(second.id, Gone(LOGGED_OUT, 0))
    admitted = comes(store, clock, 2, ASK, choice)
    assert live(store) == [first.id, admitted.id], "there is room meanwhile"
    returned = [each.id for each in (first, admitted)]
    store.remove(first.id, Gone(LOGGED_OUT, 0))
    is_refused(store, clock, 1, ASK, Choice(tuple(returned), frozenset(returned)))


def test_one_that_came_back_in_between_is_seen_anew(store: Store, clock: Clock) -> None:
    first, second = (log_in(store, clock) for _ in range(2))
    choice = Choice((first.id, second.id), frozenset({first.id}))
    store.detach(first.id, first.stream)
    clock.advance(GRACE)
    back = store.attach(first.id, NODE, 2).instance
    assert back.generation > second.generation
    is_refused(store, clock, 2, ASK, choice)


def test_a_choice_matters_by_no_other_policy(store: Store, clock: Clock) -> None:
    first, second = (log_in(store, clock) for _ in range(2))
    choice = Choice((first.id, second.id), frozenset({second.id}))
    is_refused(store, clock, 2, REJECT, choice)
    admitted = comes(store, clock, 2, EVICT, choice)
    assert live(store) == [second.id, admitted.id]


@pytest.mark.parametrize("policy", [REJECT, ASK])
def test_of_many_who_come_at_once_as_many_are_admitted_as_fit(
    store: Store, clock: Clock, policy: str, rounds: int
) -> None:
    """By ASK each of them has chosen to end the one that was there before all of them; one of them does."""
    workers, limit = 8, 3
    old = log_in(store, clock)
    choice = Choice((old.id,), frozenset({old.id}))
    together = threading.Barrier(workers)

    def come(_: int) -> list[str]:
        together.wait()
        out = []
        for _ in range(2 * rounds):
            try:
                asked = newcomer(expires=clock() + DAY)
                evicted = store.admit(asked, limit, policy=policy, choice=choice)[1]
                out.append(" ".join(ids(evicted)))
            except AtLimit as full:
                assert len(full.instances) == limit
        return out

    with ThreadPoolExecutor(workers) as pool:
        replies = [reply for some in pool.map(come, range(workers)) for reply in some]
    if policy == REJECT:
        assert replies == [""] * (limit - 1)
    else:
        assert sorted(replies) == [""] * (limit - 1) + [old.id]
    assert len(live(store)) == limit
