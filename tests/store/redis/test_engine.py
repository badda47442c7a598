"""Nodes and their leases: when a node is dead, what becomes of its streams, and how it joins again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.actors import APP, DAY, GRACE, Clock, new_id, newcomer
from tests.support.redis_line import RedisLine
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.waiting import until
from tim.codes import STORE_UNAVAILABLE
from tim.ends import AWAY, LOGGED_OUT, TYPES, UNKNOWN, Client, Gone
from tim.errors import InstanceGone, NodeForgotten, StoreUnavailable
from tim.model import Instance
from tim.rules import REMEMBERED, SHARDS
from tim.store.redis.engine import RedisStore
from tim.store.redis.scripts import SCRIPTS
from tim.timing import DEFAULT

Open = Callable[..., RedisStore]
Servers = RedisServer | RedisCluster
PERIOD = 5.0
"""Seconds between two renewals of a node."""


@pytest.fixture
def one(servers: Servers, open_redis: Open) -> RedisStore:
    """The store as node-1 has it."""
    return open_redis(servers.url, "node-1")


@pytest.fixture
def two(servers: Servers, open_redis: Open) -> RedisStore:
    """The store as node-2 has it."""
    return open_redis(servers.url, "node-2")


@pytest.fixture
def passes(clock: Clock) -> Callable[..., list[Instance]]:
    """`passes(60, two)`: a minute passes in which node-2 renews and sweeps as ever, and node-1 does not.

    Returns what the sweeps have ended.
    """

    def passes(seconds: float, *alive: RedisStore, names: tuple[str, ...] = ("node-2",)) -> list[Instance]:
        ended: list[Instance] = []
        until = clock() + seconds
        while clock() < until:
            clock.now = min(until, clock() + PERIOD)
            for store, name in zip(alive, names, strict=True):
                store.renew(name)
                ended += store.sweep()
        return ended

    return passes


Passes = Callable[..., list[Instance]]


def log_in(store: RedisStore, node: str = "node-1", user: str = "alice", limit: int = 10) -> Instance:
    admitted, _ = store.admit(newcomer(user, expires=store.now() + 365 * DAY), limit)
    return store.attach(admitted.id, node, limit).instance


# A node that is dead


def test_the_streams_of_a_node_are_detached_when_its_lease_runs_out(
    one: RedisStore, two: RedisStore, passes: Passes, clock: Clock
) -> None:
    tab, other = log_in(one), log_in(two, "node-2")
    passes(DEFAULT.lease - 0.001, two)
    assert two.get(tab.id).online
    passes(0.001, two)
    assert two.get(tab.id).detached_at == clock()
    assert two.attached("node-1") == {}
    assert two.instances(APP, "alice") == [two.get(tab.id), other], "it keeps its seat, and its place in the order"


def test_a_stream_detached_with_its_node_keeps_its_seat_for_the_grace_time(
    one: RedisStore, two: RedisStore, passes: Passes, clock: Clock
) -> None:
    tab = log_in(one)
    passes(DEFAULT.lease, two)
    assert passes(GRACE - 0.001, two) == []
    assert two.get(tab.id).gone is None
    assert [(each.id, each.gone) for each in passes(0.001, two)] == [(tab.id, Gone(AWAY, clock()))]


def test_an_instance_of_a_dead_node_is_evicted_before_any_that_is_online(
    one: RedisStore, two: RedisStore, passes: Passes
) -> None:
    old, dead = log_in(two, "node-2"), log_in(one)
    passes(DEFAULT.lease, two)
    _, evicted = two.admit(newcomer(expires=two.now() + DAY), 2)
    assert [each.id for each in evicted] == [dead.id]
    assert two.get(old.id).online


def test_an_instance_of_a_dead_node_attaches_elsewhere_with_its_seat_and_age(
    one: RedisStore, two: RedisStore, passes: Passes
) -> None:
    tab = log_in(one)
    passes(DEFAULT.lease + GRACE - 1, two)
    back = two.attach(tab.id, "node-2", 1).instance
    assert (back.generation, back.since, back.online) == (tab.generation, tab.since, True)
    assert back.stream > tab.stream
    passes(GRACE * 2, two)
    assert two.get(tab.id) == back


def test_a_late_detach_by_a_dead_node_changes_nothing(one: RedisStore, two: RedisStore, passes: Passes) -> None:
    tab = log_in(one)
    passes(DEFAULT.lease, two)
    buried = two.get(tab.id)
    passes(10, two)
    assert one.detach(tab.id, tab.stream) is False
    assert two.get(tab.id) == buried


def test_a_node_that_renews_in_time_stays_alive(one: RedisStore, two: RedisStore, passes: Passes) -> None:
    tab = log_in(one)
    for _ in range(6):
        passes(DEFAULT.lease - 0.001, two)
        assert one.renew("node-1") == []
    assert two.get(tab.id) == tab


def test_many_nodes_that_die_at_once_are_all_removed(
    one: RedisStore, two: RedisStore, passes: Passes, clock: Clock
) -> None:
    dead = [f"dead-{n}" for n in range(20)]
    for node in dead:
        one.join(node)
    tabs = [log_in(one, node, f"user-{n}") for n, node in enumerate(dead)]
    passes(DEFAULT.lease, two)
    assert {two.get(tab.id).detached_at for tab in tabs} == {clock()}


def test_a_clock_set_back_does_not_prolong_a_lease(
    one: RedisStore, two: RedisStore, passes: Passes, clock: Clock
) -> None:
    tab = log_in(one)
    passes(1, two)
    clock.advance(-3600)
    passes(DEFAULT.lease + 5, two)
    assert not two.get(tab.id).online


# Its pending notices


def test_pending_notices_of_a_dead_node_go_and_the_ends_stay_for_their_time(
    one: RedisStore, two: RedisStore, passes: Passes, clock: Clock, servers: Servers
) -> None:
    tab = log_in(one)
    gone = Gone(TYPES.KICKED_OUT_REST_API, clock(), Client("Chrome", "198.51.100.1"))
    two.remove(tab.id, gone)
    assert len(servers.keys("*:notices:node-1")) == 1
    passes(DEFAULT.lease, two)
    assert servers.keys("*:notices:*") == set()
    clock.advance(REMEMBERED - DEFAULT.lease - 1)
    passes(1, two)
    assert two.get(tab.id).gone == gone
    passes(0.001, two)
    assert two.get(tab.id).gone == Gone(UNKNOWN, clock())
    assert servers.keys(f"*{tab.id}*") == set()


# A node that is forgotten


def test_a_removed_node_is_forgotten_until_it_joins_again(one: RedisStore, two: RedisStore, passes: Passes) -> None:
    tab = log_in(one)
    passes(DEFAULT.lease, two)
    for _ in range(2):
        with pytest.raises(NodeForgotten):
            one.renew("node-1")
        with pytest.raises(NodeForgotten) as refused:
            one.attach(tab.id, "node-1", 10)
        assert isinstance(refused.value, StoreUnavailable)
        assert refused.value.code == STORE_UNAVAILABLE
    one.join("node-1")
    assert one.renew("node-1") == []
    assert one.attach(tab.id, "node-1", 10).instance.online


def test_a_node_learns_that_it_is_forgotten_though_one_reply_is_lost(
    make_redis: Callable[..., RedisServer],
    make_redis_line: Callable[[RedisServer], RedisLine],
    open_redis: Open,
    passes: Passes,
    clock: Clock,
) -> None:
    server = make_redis(clock=clock)
    line = make_redis_line(server)
    one, two = open_redis(line.url, "node-1"), open_redis(server.url, "node-2")
    passes(DEFAULT.lease, two)
    line.drops_replies(1, after=1)  # the clock is looked at first
    with pytest.raises(NodeForgotten):
        one.renew("node-1")
    assert line.dropped == 1


def test_a_node_looks_for_what_it_has_missed_after_a_reply_that_was_lost(
    make_redis: Callable[..., RedisServer],
    make_redis_line: Callable[[RedisServer], RedisLine],
    open_redis: Open,
) -> None:
    line = make_redis_line(make_redis())
    one = open_redis(line.url, "node-1")
    missed: list[str] = []
    one.listen("node-1", lambda _: None, lambda: missed.append("hints"))
    until(lambda: missed, "it does not listen")
    first = log_in(one, limit=1)
    one.attach(first.id, "node-1", 1)
    assert len(missed) == 1
    line.drops_replies(1, of=SCRIPTS["admit"].sha)
    second = newcomer(expires=one.now() + DAY)
    assert one.admit(second, 1) == (one.get(second.id), []), "the first attempt has ended the other"
    assert one.get(first.id).gone is not None
    assert len(missed) == 2
    line.drops_replies(1, after=1)  # the clock is looked at first
    [told] = one.renew("node-1")
    assert told.id == first.id
    assert len(missed) == 3


def test_attaching_at_a_node_that_has_not_joined_changes_nothing(two: RedisStore, servers: Servers) -> None:
    admitted, _ = two.admit(newcomer(expires=two.now() + DAY), 1)
    before = servers.holds()
    with pytest.raises(NodeForgotten):
        two.attach(admitted.id, "stranger", 1)
    with pytest.raises(NodeForgotten):
        two.renew("stranger")
    assert servers.holds() == before
    two.remove(admitted.id, Gone(LOGGED_OUT, 0))
    with pytest.raises(InstanceGone):
        two.attach(admitted.id, "node-2", 1)


def test_renewals_return_all_ended_instances_though_they_are_many(one: RedisStore, two: RedisStore) -> None:
    tabs = {log_in(one, limit=10_000).id for _ in range(250)}
    two.kick_account(APP, "alice")
    told: set[str] = set()
    while len(told) < len(tabs):
        ended = one.renew("node-1")
        assert {each.gone and each.gone.reason for each in ended} == {TYPES.KICKED_OUT_REST_API}
        new = {each.id for each in ended} - told
        assert len(new) > 0
        for each in ended:
            one.detach(each.id, each.stream)
        told |= new
    assert told == tabs


# Redis that was away


def test_after_a_silence_of_all_nodes_only_those_that_stay_silent_are_removed(
    one: RedisStore, two: RedisStore, passes: Passes, clock: Clock
) -> None:
    one.join("node-3")
    here, there = log_in(one), log_in(one, "node-3")
    passes(5, one, two, names=("node-1", "node-2"))
    clock.advance(10 * 60)
    two.renew("node-2")
    assert two.sweep() == []
    passes(DEFAULT.lease - 0.001, two)
    assert one.renew("node-1") == []
    assert two.get(there.id).online, "a fresh lease, from the moment when the first node renewed again"
    passes(0.001, two)
    assert two.get(there.id).detached_at == clock()
    assert two.get(here.id) == here


def test_a_redis_that_was_stopped_for_minutes_removes_no_node(
    make_redis: Callable[..., RedisServer], open_redis: Open, passes: Passes, clock: Clock
) -> None:
    server = make_redis(clock=clock, append_only=True)
    one, two = open_redis(server.url, "node-1"), open_redis(server.url, "node-2")
    tab = log_in(one)
    passes(20, two)
    server.stops()
    for store, node in ((one, "node-1"), (two, "node-2")):
        with pytest.raises(StoreUnavailable):
            store.renew(node)
    clock.advance(300)
    server.start()
    two.renew("node-2")
    assert two.sweep() == []
    assert one.renew("node-1") == []
    assert two.get(tab.id) == tab


def test_after_flushall_every_id_is_unknown_and_logins_start_anew(
    one: RedisStore, two: RedisStore, servers: Servers
) -> None:
    tab = log_in(one)
    servers.forgets_everything()
    unknown = Gone(UNKNOWN, one.now())
    with pytest.raises(NodeForgotten):
        one.renew("node-1")
    with pytest.raises(InstanceGone) as refused:
        one.attach(tab.id, "node-1", 10)
    assert refused.value.gone.reason == one.get(tab.id).gone.reason == UNKNOWN  # type: ignore[union-attr]
    with pytest.raises(InstanceGone):
        one.append(APP, tab.id, "alice", "hello", new_id())
    assert one.detach(tab.id, tab.stream) is False
    assert one.remove(tab.id, unknown) is None
    assert one.instances(APP, "alice") == two.sweep() == []
    assert one.accounts(APP, ["alice"]) == set()
    one.join("node-1")
    again = log_in(one)
    assert two.instances(APP, "alice") == [again]


def test_each_shard_knows_each_node(one: RedisStore, two: RedisStore, servers: Servers) -> None:
    assert len(servers.keys("tim:{*}:nodes")) == SHARDS
