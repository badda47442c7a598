"""Every store decides as the rules do: on any account, also where two things happen in the same microsecond."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.actors import APP, GRACE, Clock, new_id, newcomer
from tests.support.engines import ONE_OF_EACH_KIND, with_nodes
from tim.ends import AWAY, TYPES, Gone
from tim.errors import InstanceGone
from tim.model import Choice, Instance
from tim.rules import ASK, MAX_INSTANCES, REJECT, displaced_by, ended, leaving, making_room
from tim.seat_errors import AtLimit
from tim.store.base import Store

pytestmark = pytest.mark.parametrize("engine", ONE_OF_EACH_KIND, ids=str, indirect=True)
SECOND = 1_000_000
# Microseconds; few of them, so that many are the same, or the grace time apart, or just not.
MOMENTS = st.builds(
    lambda second, more: max(0, second * SECOND + more),
    st.sampled_from([0, 1, 59, 60, 61, 120]),
    st.sampled_from([-1, 0, 0, 1]),
)
ANY_STORE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True, slots=True)
class Life:
    """When, in microseconds, an instance comes, opens its stream, sends, closes it, and its UserSig ends.

    And in seconds its session life and its idle life; 0 for none.
    """

    comes: int
    opens: int | None
    sends: int | None
    closes: int | None
    expires: int
    session_life: int
    idle_life: int


@st.composite
def lives(draw: st.DrawFn) -> Life:
    comes, opens, sends, closes = sorted(draw(st.tuples(MOMENTS, MOMENTS, MOMENTS, MOMENTS)))
    opened = draw(st.booleans())
    sent, closed = (opened and draw(st.booleans()) for _ in range(2))
    return Life(
        comes,
        opens if opened else None,
        sends if sent else None,
        closes if closed else None,
        draw(MOMENTS | st.just(10**6 * SECOND)),
        draw(st.sampled_from([0, 0, 1, 59, 60, 61])),
        draw(st.sampled_from([0, 0, 1, 59, 60])),
    )


@pytest.fixture
def account(store: Store, clock: Clock) -> Account:
    return Account(store, clock)


class Account:
    """One account after the other, each with the instances that have lived so."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.user = ""
        self.known: list[Instance] = []

    def begins(self, all_lives: list[Life], now: int) -> None:
        """An account that nobody has touched since these lives, though some of them are over at `now`."""
        self.user = new_id()
        begin = (round(self.clock()) + 1000) * SECOND
        self.clock.now = begin / SECOND
        with_nodes(self.store)
        steps = []
        for n, life in enumerate(all_lives):
            steps += [(life.comes, 0, n)]
            steps += [(life.opens, 1, n)] if life.opens is not None else []
            steps += [(life.sends, 2, n)] if life.sends is not None else []
            steps += [(life.closes, 3, n)] if life.closes is not None else []
        known: dict[int, Instance] = {}
        for moment, step, n in sorted(steps):
            self.clock.now = (begin + moment) / SECOND
            if step == 0:
                known[n], evicted = self.store.admit(self.asks(all_lives[n], begin), 100)
                assert evicted == []
            elif self.now_of(known[n]) is None:
                if step == 1:
                    known[n] = self.store.attach(known[n].id, "node-1", 100).instance
                elif step == 2:
                    self.store.append(APP, known[n].id, self.user, "hello", new_id())
                    known[n] = acted(known[n], self.clock())
                else:
                    assert self.store.detach(known[n].id, known[n].stream)
                    known[n] = replace(known[n], detached_at=self.clock(), node="")
        self.clock.now = max((begin + now) / SECOND, self.clock())
        self.known = sorted(known.values(), key=lambda each: each.generation)

    def asks(self, life: Life, begin: int) -> Instance:
        """What is to be admitted now, for a life that is counted from `begin`."""
        now = self.clock()
        asked = newcomer(self.user, expires=(begin + life.expires) / SECOND, since=now)
        return replace(asked, lasts_until=life.session_life and now + life.session_life, idle_life=life.idle_life)

    def now_of(self, instance: Instance) -> Gone | None:
        """What the rules say has become of it by now."""
        return ended(instance, now=self.clock(), grace=GRACE)

    def live(self) -> list[Instance]:
        """Who is logged in by the rules, oldest first."""
        return [instance for instance in self.known if self.now_of(instance) is None]


def acted(instance: Instance, now: float) -> Instance:
    """The instance, which has done something itself at `now`."""
    return replace(instance, active_at=now) if instance.idle_life else instance


ALL_LIVES = st.lists(lives(), max_size=12)
LIMITS = st.integers(1, MAX_INSTANCES)


@ANY_STORE
@given(all_lives=ALL_LIVES, now=MOMENTS)
def test_who_is_live_and_what_the_others_ended_of(account: Account, all_lives: list[Life], now: int) -> None:
    account.begins(all_lives, now)
    assert account.store.instances(APP, account.user) == account.live()
    for instance in account.known:
        assert account.store.get(instance.id) == replace(instance, gone=account.now_of(instance))


@ANY_STORE
@given(all_lives=ALL_LIVES, now=MOMENTS, limit=LIMITS)
def test_who_has_to_leave_for_a_newcomer_and_in_which_order(
    account: Account, all_lives: list[Life], now: int, limit: int
) -> None:
    account.begins(all_lives, now)
    store, live = account.store, account.live()
    out = leaving(live, limit)
    asked = newcomer(account.user, expires=account.clock() + 1000)
    admitted, evicted = store.admit(asked, limit)
    gone = Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, account.clock(), asked.client)
    assert evicted == [replace(instance, gone=gone) for instance in out]
    assert store.instances(APP, account.user) == [*(each for each in live if each not in out), admitted]
    for instance in account.known:
        fate = gone if instance in out else account.now_of(instance)
        assert store.get(instance.id) == replace(instance, gone=fate), "who was away was not evicted"


@ANY_STORE
@given(all_lives=ALL_LIVES, now=MOMENTS, limit=LIMITS, policy=st.sampled_from([REJECT, ASK, ASK]), data=st.data())
def test_who_may_come_at_the_limit_and_who_leaves_by_its_choice(
    account: Account, all_lives: list[Life], now: int, limit: int, *, policy: str, data: st.DataObject
) -> None:
    account.begins(all_lives, now)
    store, live = account.store, account.live()
    ids = [each.id for each in account.known]
    seen = data.draw(st.just([each.id for each in live]) | (st.lists(st.sampled_from(ids)) if ids else st.just([])))
    ending = data.draw(st.frozensets(st.sampled_from(ids))) if ids else frozenset[str]()
    choice = data.draw(st.none() | st.just(Choice(tuple(seen), ending)))
    asked = newcomer(account.user, expires=account.clock() + 1000)
    try:
        out = making_room(live, limit, policy, choice)
    except AtLimit:
        with pytest.raises(AtLimit) as refused:
            store.admit(asked, limit, policy=policy, choice=choice)
        assert (refused.value.instances, refused.value.limit) == (live, limit)
        assert store.instances(APP, account.user) == live
    else:
        admitted, evicted = store.admit(asked, limit, policy=policy, choice=choice)
        assert [each.id for each in evicted] == [each.id for each in out]
        assert store.instances(APP, account.user) == [*(each for each in live if each not in out), admitted]


@ANY_STORE
@given(all_lives=ALL_LIVES, now=MOMENTS, limit=LIMITS)
def test_who_comes_back_and_who_hears_that_another_has_the_seat(
    account: Account, all_lives: list[Life], now: int, limit: int
) -> None:
    account.begins(all_lives, now)
    store, live = account.store, account.live()
    for instance in account.known:
        fate = account.now_of(instance)
        try:
            back = store.attach(instance.id, "node-2", limit).instance
        except InstanceGone as refused:
            assert fate is not None
            if fate.reason != AWAY:
                assert refused.gone == fate
            elif instance.ends_at <= account.clock():
                assert refused.gone == Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, instance.ends_at)
            else:
                assert len(live) >= limit
                assert refused.gone == displaced_by(live, fate.at)
            assert store.get(instance.id).gone == refused.gone
        else:
            assert fate is None or (fate.reason == AWAY and len(live) < limit)
            newest = max((each.generation for each in account.known), default=0)
            assert back == replace(
                acted(instance, account.clock()),
                stream=instance.stream + 1,
                detached_at=None,
                node="node-2",
                generation=instance.generation if fate is None else back.generation,
            )
            assert fate is None or back.generation > newest
            live = sorted([each for each in live if each.id != back.id] + [back], key=lambda each: each.generation)
        assert store.instances(APP, account.user) == live
