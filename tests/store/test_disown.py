"""What every store promises of "that wasn't me": who is ended by it, who is not, and that it works once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.actors import APP, DAY, GRACE, Clock, newcomer
from tests.support.engines import ONE_OF_EACH_KIND
from tests.support.seats import NODE, log_in, reason
from tests.support.waiting import PATIENCE
from tim.audit import EVICTED, KICKED, LOGIN, NOT_ME, REVOKED, AuditFilter, Entry
from tim.ends import LOGGED_OUT, TYPES, UNKNOWN, Gone
from tim.errors import InstanceGone, UserSigRevoked
from tim.model import Disowned, Instance
from tim.rules import ENDS_KEPT, NOT_ME_LIFE
from tim.seat_errors import NotDisplaced
from tim.store.base import Store

ENDED = TYPES.KICKED_OUT_REST_API


def test_the_displaced_one_ends_the_login_that_displaced_it(store: Store, clock: Clock) -> None:
    owner = log_in(store, clock)
    clock.advance(5.25)
    thief = log_in(store, clock, limit=1, browser="Opera")
    clock.advance(1)
    done = store.disown(owner.id)
    assert [each.id for each in done.ended] == [thief.id]
    assert done == Disowned(0.75, done.ended)
    assert store.get(thief.id).gone == done.ended[0].gone == Gone(ENDED, clock(), owner.client)
    assert {each.id for each in store.renew(NODE)} == {owner.id, thief.id}, "its stream gets the notice"
    assert store.get(owner.id).disowned
    assert reason(store, owner) == TYPES.KICKED_OUT_MULT_ACCOUNT, "its own end stays as it is"
    assert store.instances(APP, "alice") == []


def test_it_ends_all_that_logged_in_later_and_never_an_older_one(store: Store, clock: Clock) -> None:
    oldest, owner = log_in(store, clock, limit=2), log_in(store, clock, limit=2)
    store.detach(owner.id, owner.stream)
    clock.advance(1)
    thief = log_in(store, clock, limit=2, browser="Opera")
    later = [log_in(store, clock, limit=9, attached=attached) for attached in (True, False)]
    bob = log_in(store, clock, "bob")
    assert [each.id for each in store.disown(owner.id).ended] == [thief.id, *(each.id for each in later)]
    assert [each.id for each in store.instances(APP, "alice")] == [oldest.id]
    assert reason(store, bob) is None


@pytest.mark.parametrize("noticed", [False, True])
def test_it_ends_a_younger_one_that_is_away_and_could_come_back(store: Store, clock: Clock, noticed: bool) -> None:
    owner = log_in(store, clock)
    thief = log_in(store, clock, limit=1, browser="Opera")
    store.detach(thief.id, thief.stream)
    clock.advance(GRACE + 1)
    if noticed:
        store.sweep()
    assert [each.id for each in store.disown(owner.id).ended] == [thief.id]
    with pytest.raises(InstanceGone):
        store.attach(thief.id, NODE, 10)


def test_an_older_one_that_has_come_back_and_taken_the_seat_stays(store: Store, clock: Clock) -> None:
    """Its generation is a new one, and its login is not."""
    oldest = log_in(store, clock, limit=2)
    store.detach(oldest.id, oldest.stream)
    clock.advance(GRACE + 1)
    store.sweep()
    owner = log_in(store, clock, limit=2)
    oldest = store.attach(oldest.id, NODE, 2).instance
    assert oldest.generation > owner.generation
    thief = log_in(store, clock, limit=2, browser="Opera")
    assert reason(store, owner) == TYPES.KICKED_OUT_MULT_ACCOUNT
    assert [each.id for each in store.disown(owner.id).ended] == [thief.id]
    assert [each.id for each in store.instances(APP, "alice")] == [oldest.id]


def test_the_usersigs_made_or_used_until_then_are_revoked(store: Store, clock: Clock) -> None:
    owner, thief = log_in(store, clock), newcomer(expires=clock() + DAY)
    ahead = clock() + 30
    store.admit(thief, 1, ahead)
    left = store.disown(owner.id).left
    for made in (clock() - DAY, clock(), ahead):
        with pytest.raises(UserSigRevoked):
            store.admit(newcomer(expires=clock() + DAY), 1, made)
    clock.advance(left)
    store.admit(newcomer(expires=clock() + DAY), 1, clock())


def test_it_works_once_and_the_second_time_changes_nothing(store: Store, clock: Clock) -> None:
    owner = log_in(store, clock)
    log_in(store, clock, limit=1, browser="Opera")
    store.disown(owner.id)
    clock.advance(1)
    again = log_in(store, clock)
    assert store.disown(owner.id) == Disowned(0, [], again=True)
    assert reason(store, again) is None
    store.admit(newcomer(expires=clock() + DAY), 2, clock())


def test_it_works_for_ten_minutes(store: Store, clock: Clock) -> None:
    early, late = log_in(store, clock, "alice"), log_in(store, clock, "bob")
    for user in ("alice", "bob"):
        log_in(store, clock, user, limit=1)
    clock.advance(NOT_ME_LIFE - 1)
    assert len(store.disown(early.id).ended) == 1
    clock.advance(1)
    with pytest.raises(NotDisplaced, match="within 10 minutes"):
        store.disown(late.id)
    assert len(store.instances(APP, "bob")) == 1


def test_who_was_not_evicted_by_a_login_disowns_none(store: Store, clock: Clock) -> None:
    live, out, signed_out, kicked = (log_in(store, clock) for _ in range(4))
    store.remove(out.id, Gone(LOGGED_OUT, 0))
    store.sign_out(live.id, signed_out.id)
    store.remove(kicked.id, Gone(ENDED, 0, live.client))
    surplus = log_in(store, clock)
    store.detach(surplus.id, surplus.stream)
    assert [each.id for each in store.enforce(APP, "alice", 1, "console admin")] == [surplus.id]
    for each in (live, out, signed_out, kicked, surplus):
        with pytest.raises(NotDisplaced, match="no other login"):
            store.disown(each.id)
    with pytest.raises(InstanceGone):
        store.disown(newcomer(expires=0).id)
    assert [each.id for each in store.instances(APP, "alice")] == [live.id]
    store.admit(newcomer(expires=clock() + DAY), 2, clock())


def test_whom_it_has_ended_cannot_say_it_in_turn(store: Store, clock: Clock) -> None:
    owner = log_in(store, clock)
    thief = log_in(store, clock, limit=1, browser="Opera")
    store.disown(owner.id)
    with pytest.raises(NotDisplaced):
        store.disown(thief.id)


@pytest.mark.parametrize("engine", ONE_OF_EACH_KIND, ids=str, indirect=True)
def test_no_number_of_later_ends_keeps_the_owner_from_saying_it(store: Store, clock: Clock) -> None:
    owner = log_in(store, clock)
    thieves = []
    for _ in range(ENDS_KEPT + 3):
        clock.advance(0.25)
        thieves.append(log_in(store, clock, limit=1, attached=False))
        if len(thieves) == 1:
            store.detach(owner.id, owner.stream)
    assert [reason(store, each) for each in thieves[-4:-1]] == [UNKNOWN] * 3, "the newest make room"
    assert [each.id for each in store.disown(owner.id).ended] == [thieves[-1].id]
    clock.advance(NOT_ME_LIFE)
    last = log_in(store, clock, limit=1, attached=False)
    log_in(store, clock, limit=1, attached=False)
    assert reason(store, last) == TYPES.KICKED_OUT_MULT_ACCOUNT, "now the oldest do"


def test_a_press_spares_those_that_came_after_an_earlier_press_and_their_usersigs(store: Store, clock: Clock) -> None:
    """A thief that has evicted its own tabs, one by the other, could otherwise keep the owner out with each of them."""
    thieves = [log_in(store, clock, limit=1, browser="Opera") for _ in range(4)]
    owner = log_in(store, clock, limit=1)
    clock.advance(1)
    assert [each.id for each in store.disown(thieves[2].id).ended] == [owner.id], "the first press is a whole one"
    clock.advance(1)
    back, made = log_in(store, clock), clock()
    for thief in reversed(thieves):
        assert store.disown(thief.id) == Disowned(0, [], again=True)
    assert reason(store, back) is None
    assert store.get(thieves[2].id).disowned and not store.get(thieves[0].id).disowned
    store.admit(newcomer(expires=clock() + DAY), 2, made)
    assert store.counters(APP)["not-me:"] == 1
    # Who is evicted after that press has its own.
    log_in(store, clock, limit=1, browser="Opera")
    clock.advance(1)
    assert len(store.disown(back.id).ended) == 1
    with pytest.raises(UserSigRevoked):
        store.admit(newcomer(expires=clock() + DAY), 2, made)


def test_a_press_after_that_of_a_younger_one_ends_what_is_in_between(store: Store, clock: Clock) -> None:
    owner = log_in(store, clock, limit=2)
    stays, evicted = (log_in(store, clock, limit=2, browser="Opera") for _ in range(2))
    store.detach(evicted.id, evicted.stream)
    log_in(store, clock, limit=2, browser="Opera")
    clock.advance(1)
    store.disown(evicted.id)
    clock.advance(1)
    back = log_in(store, clock)
    assert [each.id for each in store.disown(owner.id).ended] == [stays.id]
    assert [each.id for each in store.instances(APP, "alice")] == [back.id]
    store.admit(newcomer(expires=clock() + DAY), 2, clock())


def test_the_audit_has_who_said_it_and_what_it_ended(store: Store, clock: Clock) -> None:
    owner = log_in(store, clock)
    clock.advance(1)
    thief = log_in(store, clock, limit=1, browser="Opera")
    later = log_in(store, clock)
    clock.advance(1)
    store.disown(owner.id)
    entries = store.audit(APP, AuditFilter("alice"), limit=5).entries
    assert [(each.kind, each.instance, each.by) for each in entries] == [
        (KICKED, later.id, owner.id),
        (KICKED, thief.id, owner.id),
        (REVOKED, "", ""),
        (NOT_ME, owner.id, thief.id),
        (LOGIN, later.id, ""),
    ]
    said = entries[3]
    assert said == Entry(said.id, clock(), NOT_ME, "alice", owner.id, owner.client.browser, owner.client.address,
                         words="ended 2 instances", by=thief.id)  # fmt: skip
    assert store.counters(APP)["not-me:"] == 1
    [eviction] = store.audit(APP, AuditFilter("alice", frozenset({EVICTED}))).entries
    assert eviction.by == thief.id


def test_the_audit_says_so_where_nothing_was_left_to_end(store: Store, clock: Clock) -> None:
    owner = log_in(store, clock)
    thief = log_in(store, clock, limit=1, browser="Opera")
    store.remove(thief.id, Gone(LOGGED_OUT, 0))
    clock.advance(1)
    assert store.disown(owner.id).ended == []
    [said] = store.audit(APP, AuditFilter("alice", frozenset({NOT_ME}))).entries
    assert (said.words, said.by) == ("ended 0 instances", "")


def test_of_many_that_say_it_at_once_one_does_it(store: Store, clock: Clock, rounds: int) -> None:
    """Also while others log in: what is there afterwards has logged in after it."""
    for _ in range(3 * rounds):
        owner = log_in(store, clock)
        log_in(store, clock, limit=1, browser="Opera")
        start = threading.Barrier(6)

        def says(id: str = owner.id, start: threading.Barrier = start) -> Disowned:
            start.wait(PATIENCE)
            return store.disown(id)

        def logs_in(start: threading.Barrier = start) -> Instance:
            start.wait(PATIENCE)
            return store.admit(newcomer(expires=clock() + DAY), 10)[0]

        with ThreadPoolExecutor(6) as pool:
            said = [pool.submit(says) for _ in range(3)]
            came = [pool.submit(logs_in) for _ in range(3)]
        [done] = [each.result() for each in said if not each.result().again]
        ended = {each.id for each in done.ended}
        live = {each.id for each in store.instances(APP, "alice")}
        assert not ended & live
        assert {each.result().id for each in came} <= ended | live
        store.kick_account(APP, "alice")
        clock.advance(1)
