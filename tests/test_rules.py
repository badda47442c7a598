"""Who leaves, and what has become of an instance: properties of pure functions."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.actors import APP
from tim.ends import AWAY, IDLE, LIFE, LOGGED_OUT, TYPES, USERSIG, Client, Gone
from tim.model import AppSettings, Choice, Instance
from tim.rules import ASK, EVICT, REJECT, displaced_by, ended, leaving, making_room, newcomers, with_lives
from tim.seat_errors import AtLimit

GRACE = 60.0
SOMEBODY = Client("Firefox", "203.0.113.7")
TIMES = st.floats(0, 2e9)


def instance(generation: int = 1, *, detached_at: float | None = None, expires: float = 3e9) -> Instance:
    return Instance(
        f"{generation:032x}", APP, "alice", SOMEBODY, 0, expires, generation=generation, detached_at=detached_at
    )


@st.composite
def accounts(draw: st.DrawFn) -> list[Instance]:
    """The live instances of one account, in any order, some of them detached."""
    generations = draw(st.lists(st.integers(1, 1000), unique=True, max_size=14))
    return [instance(each, detached_at=draw(st.none() | TIMES)) for each in generations]


# Admission


@given(accounts(), st.integers(1, 10))
def test_exactly_as_many_leave_as_the_newcomer_needs(live: list[Instance], limit: int) -> None:
    out = leaving(live, limit)
    assert len(out) == max(0, len(live) + 1 - limit)
    assert len({each.id for each in out}) == len(out)
    assert all(each in live for each in out), "nobody leaves who was not there, least of all the newcomer"


@given(accounts(), st.integers(1, 10))
def test_the_detached_leave_first_and_then_the_oldest(live: list[Instance], limit: int) -> None:
    out = leaving(live, limit)
    for stays in (each for each in live if each not in out):
        for goes in out:
            if goes.online == stays.online:
                assert goes.generation < stays.generation
            else:
                assert not goes.online, "no live tab leaves while a closed one stays"


@given(accounts(), st.integers(1, 10))
def test_they_leave_in_an_order_that_one_more_place_only_shortens(live: list[Instance], limit: int) -> None:
    assert leaving(live, limit + 1) == leaving(live, limit)[: len(leaving(live, limit + 1))]


@given(accounts(), st.integers(1, 10))
def test_the_order_they_are_looked_at_in_changes_nothing(live: list[Instance], limit: int) -> None:
    assert leaving(reversed(live), limit) == leaving(live, limit) == leaving(iter(live), limit)


@given(st.lists(st.sampled_from(["login", "detach", "logout"]), max_size=60), st.integers(1, 10), st.data())
def test_nobody_is_lost_and_nobody_counted_twice(steps: list[str], limit: int, data: st.DataObject) -> None:
    live: list[Instance] = []
    logins = logouts = evictions = 0
    for step in steps:
        if step == "login":
            out = leaving(live, limit)
            logins, evictions = logins + 1, evictions + len(out)
            live = [each for each in live if each not in out] + [instance(logins)]
        elif live:
            chosen = data.draw(st.integers(0, len(live) - 1))
            if step == "logout":
                logouts += 1
                del live[chosen]
            else:
                live[chosen] = replace(live[chosen], detached_at=1.0)
        assert len(live) <= limit
        assert logins - logouts - evictions == len(live)


# At the limit


ADMISSIONS = (accounts().map(lambda live: sorted(live, key=lambda each: each.generation)), st.integers(1, 10))


def choices(live: list[Instance]) -> st.SearchStrategy[Choice]:
    """Choices from exactly this list."""
    ids = [each.id for each in live]
    return st.builds(Choice, st.just(tuple(ids)), st.frozensets(st.sampled_from(ids)) if ids else st.just(frozenset()))


@given(*ADMISSIONS, st.none() | st.just(Choice((), frozenset())))
def test_by_default_who_comes_evicts(live: list[Instance], limit: int, choice: Choice | None) -> None:
    assert making_room(live, limit, EVICT, choice) == leaving(live, limit)


@given(*ADMISSIONS, st.data())
def test_who_is_rejected_ends_nobody_whatever_it_chooses(live: list[Instance], limit: int, data: st.DataObject) -> None:
    choice = data.draw(st.none() | choices(live))
    if len(live) < limit:
        assert making_room(live, limit, REJECT, choice) == []
    else:
        with pytest.raises(AtLimit) as refused:
            making_room(live, limit, REJECT, choice)
        assert (refused.value.instances, refused.value.limit) == (live, limit)


@given(*ADMISSIONS, st.data())
def test_a_choice_ends_the_chosen_alone_and_only_if_that_is_enough(
    live: list[Instance], limit: int, data: st.DataObject
) -> None:
    choice = data.draw(choices(live))
    chosen = [each for each in live if each.id in choice.ending]
    if len(live) - len(chosen) < limit:
        assert making_room(live, limit, ASK, choice) == chosen
    else:
        with pytest.raises(AtLimit):
            making_room(live, limit, ASK, choice)


@given(*ADMISSIONS, st.data())
def test_a_choice_from_another_list_ends_nobody(live: list[Instance], limit: int, data: st.DataObject) -> None:
    choice = data.draw(choices(live))
    seen = data.draw(st.permutations(choice.seen) | st.just([*choice.seen, "another"]) | st.just([*choice.seen[1:]]))
    if tuple(seen) == choice.seen:
        return
    for other in (None, Choice(tuple(seen), frozenset(seen) | choice.ending)):
        if len(live) < limit:
            assert making_room(live, limit, ASK, other) == []
        else:
            with pytest.raises(AtLimit):
                making_room(live, limit, ASK, other)


def test_an_unknown_policy_is_a_fault() -> None:
    with pytest.raises(ValueError, match="'Evict' is no policy"):
        making_room([], 1, "Evict")


def test_who_is_rejected_is_told_where_the_account_is_online_and_of_three_at_most() -> None:
    live = [replace(instance(n, detached_at=9.0 if n == 2 else None), since=86399.0) for n in range(1, 6)]
    named = replace(live[0], name="Desk")
    one, many = AtLimit([named], 1).message, AtLimit(live, 5).message
    assert "(Online Web Instances: 1)" in one
    assert "Desk at 203.0.113.7 since 1970-01-01 23:59 UTC" in one
    assert "more" not in one
    assert many.count("Firefox at 203.0.113.7") == 3
    assert many.count("closed but still seated") == 1
    assert "and 2 more" in many


# The end


@given(TIMES, TIMES)
def test_an_attached_instance_ends_when_its_user_sig_does(expires: float, now: float) -> None:
    gone = ended(instance(expires=expires), now=now, grace=GRACE)
    assert gone == (Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, expires) if expires <= now else None)


@given(TIMES, TIMES, TIMES, st.floats(0, 1e6))
def test_a_detached_instance_ends_by_what_comes_first(
    detached_at: float, expires: float, now: float, grace: float
) -> None:
    gone = ended(instance(detached_at=detached_at, expires=expires), now=now, grace=grace)
    away_at = detached_at + grace
    if now < min(away_at, expires):
        assert gone is None
    elif expires <= away_at:
        assert gone == Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, expires)
    else:
        assert gone == Gone(AWAY, away_at)


@given(TIMES, TIMES, TIMES, st.floats(0, 1e9))
def test_what_has_ended_stays_ended_for_the_same_reason(
    detached_at: float, expires: float, now: float, later: float
) -> None:
    one = instance(detached_at=detached_at, expires=expires)
    gone = ended(one, now=now, grace=GRACE)
    if gone is not None:
        assert ended(one, now=now + later, grace=GRACE) == gone
        assert ended(replace(one, gone=gone), now=now + later, grace=GRACE) == gone


LIVES = st.tuples(TIMES, st.just(0.0) | TIMES, st.just(0) | st.integers(1, 10**7), TIMES)
"""The end of a UserSig and of a session life, an idle life, and the last action."""


def with_these(lives: tuple[float, float, int, float]) -> Instance:
    expires, lasts_until, idle_life, active_at = lives
    one = instance(expires=expires)
    return replace(one, lasts_until=lasts_until, idle_life=idle_life, active_at=active_at)


@given(LIVES, TIMES)
def test_an_attached_instance_ends_when_the_shortest_of_its_lives_does(
    lives: tuple[float, float, int, float], now: float
) -> None:
    expires, lasts_until, idle_life, active_at = lives
    ends = {USERSIG: expires}
    ends |= {LIFE: lasts_until} if lasts_until else {}
    ends |= {IDLE: active_at + idle_life} if idle_life else {}
    one = with_these(lives)
    assert one.ends_at == ends[one.expiry_cause] == min(ends.values())
    gone = ended(one, now=now, grace=GRACE)
    assert gone == (Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, one.ends_at) if one.ends_at <= now else None)
    assert replace(one, gone=gone).expiry_cause == one.expiry_cause


@given(LIVES, TIMES)
def test_an_action_never_brings_the_end_nearer(lives: tuple[float, float, int, float], now: float) -> None:
    one = with_these(lives)
    if now >= one.active_at:
        assert replace(one, active_at=now).ends_at >= one.ends_at


def test_one_that_was_ended_as_expired_before_its_time_has_its_user_sig_as_the_cause() -> None:
    idle = replace(instance(), active_at=100, idle_life=50)
    assert idle.expiry_cause == IDLE
    kicked = Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, 149.0)
    assert replace(idle, gone=kicked).expiry_cause == USERSIG


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_login_has_the_lives_of_the_app(session_life: int, idle_life: int) -> None:
    settings = AppSettings(session_life=session_life, idle_life=idle_life)
    newcomer = replace(instance(), since=1000)
    its = with_lives(newcomer, settings)
    assert its == replace(newcomer, lasts_until=session_life and 1000 + session_life, idle_life=idle_life)


@given(TIMES)
def test_an_end_that_was_written_down_is_the_end(now: float) -> None:
    gone = Gone(LOGGED_OUT, 17.0, SOMEBODY)
    assert ended(replace(instance(expires=0), gone=gone), now=now, grace=GRACE) == gone


def test_the_bounds_belong_to_the_end() -> None:
    detached = instance(detached_at=100.0)
    assert ended(detached, now=math.nextafter(160.0, 0), grace=GRACE) is None
    assert ended(detached, now=160.0, grace=GRACE) == Gone(AWAY, 160.0)
    both = instance(detached_at=100.0, expires=160.0)
    assert ended(both, now=160.0, grace=GRACE) == Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, 160.0)


@given(accounts(), TIMES, TIMES)
def test_who_comes_back_too_late_was_displaced_by_the_newest(
    live: list[Instance], since: float, away_at: float
) -> None:
    newest = replace(instance(2000), since=since, client=Client("Chrome", "198.51.100.1"))
    gone = displaced_by([*live, newest], away_at)
    assert (gone.reason, gone.by) == (TYPES.KICKED_OUT_MULT_ACCOUNT, newest.client)
    assert gone.at >= away_at, "nobody loses a seat before giving it up"
    assert displaced_by([newest, *live], away_at) == gone


def test_online_is_who_has_a_stream_and_has_not_ended() -> None:
    assert instance().online
    assert not instance(detached_at=1.0).online
    assert not replace(instance(), gone=Gone(LOGGED_OUT, 1.0)).online


# New logins, for those that stay


@given(st.lists(st.integers(0, 8), min_size=1, max_size=8), st.data())
def test_a_newcomer_is_younger_and_known_to_none_that_are_as_old(vouched: list[int], data: st.DataObject) -> None:
    live = [replace(instance(n), ordinal=n, vouched=by) for n, by in enumerate(vouched, 1)]
    shuffled = data.draw(st.permutations(live))
    for this in live:
        new = newcomers(this, shuffled)
        assert new == sorted(new, key=lambda each: each.ordinal)
        for other in live:
            known = other.ordinal <= this.ordinal or (other.vouched > 0 and other.vouched <= this.ordinal)
            assert (other in new) is not known


def test_it_was_me_by_a_younger_one_hides_no_login_from_an_older_one() -> None:
    oldest, stranger, its_second = (replace(instance(n), ordinal=n) for n in (1, 2, 3))
    said_by_the_stranger = replace(its_second, vouched=stranger.ordinal)
    live = [oldest, stranger, said_by_the_stranger]
    assert newcomers(oldest, live) == [stranger, said_by_the_stranger]
    assert newcomers(stranger, live) == []
    assert newcomers(its_second, live) == []
