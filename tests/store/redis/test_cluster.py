"""A store on three servers: its shards are spread evenly, and it works while they move or one server is away."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from redis.crc import key_slot

from tests.support.actors import APP, DAY, Clock, newcomer
from tests.support.redis_server import HOST, SLOTS, RedisCluster, RedisServer
from tests.support.verbs import EVERYTHING, world
from tests.support.waiting import until
from tim.ends import LOGGED_OUT, Gone
from tim.errors import StoreUnavailable
from tim.model import Instance
from tim.rules import SHARDS, shard_of
from tim.store.hints import Ended, Hint
from tim.store.redis.connection import Connection
from tim.store.redis.engine import RedisStore
from tim.store.redis.shards import PREFIXES
from tim.timing import Timing

Open = Callable[..., RedisStore]
SOON = 4.0
"""Seconds within which a call succeeds or fails though servers are silent: two timeouts at most."""


@pytest.fixture
def cluster(make_redis_cluster: Callable[..., RedisCluster], clock: Clock) -> RedisCluster:
    return make_redis_cluster(clock=clock)


def log_in(store: RedisStore, node: str = "node-1", user: str = "alice") -> Instance:
    admitted, _ = store.admit(newcomer(user, expires=store.now() + DAY), 10)
    return store.attach(admitted.id, node, 10).instance


def user_in(shard: int) -> str:
    """An account in this shard."""
    return next(user for user in (f"user-{n}" for n in range(100 * SHARDS)) if shard_of(APP, user) == shard)


# Where the shards are


def test_each_shard_lies_in_its_own_64th_of_the_slots() -> None:
    slots = [key_slot(prefix.encode()) for prefix in PREFIXES]
    assert [slot * SHARDS // SLOTS for slot in slots] == list(range(SHARDS))


def test_each_of_three_servers_holds_a_third(servers: RedisServer | RedisCluster) -> None:
    connection = Connection(servers.url)
    held = list(connection.servers().values())
    connection.close()
    assert sorted(shard for shards in held for shard in shards) == list(range(SHARDS))
    assert sorted(map(len, held)) == ([21, 21, 22] if isinstance(servers, RedisCluster) else [64])


def test_all_keys_of_an_account_lie_in_one_shard(cluster: RedisCluster, open_redis: Open, clock: Clock) -> None:
    store = open_redis(cluster.url)
    for call in EVERYTHING.values():
        call(world(cluster, store, clock))
        keys = cluster.keys("*")
        assert {key.partition("}")[0] + "}" for key in keys} == set(PREFIXES)
        for key in keys:
            _, _, *rest = key.split(":")
            if rest[-2:-1] == [str(APP)] and rest[0] != "minute":  # which ends with a time, not with an account
                assert key.startswith(PREFIXES[shard_of(APP, rest[-1])])


def test_a_renewal_costs_one_call_a_shard_however_many_tabs_there_are(cluster: RedisCluster, open_redis: Open) -> None:
    store = open_redis(cluster.url, "node-1")
    store.sweep()

    def costs() -> list[Counter[str]]:
        for node in cluster.nodes:
            node.client().config_resetstat()
        store.renew("node-1")
        store.sweep()
        counted = []
        for node in cluster.nodes:
            stats = node.client().info("commandstats")
            counted.append(Counter({name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}))
            del counted[-1]["config|resetstat"], counted[-1]["info"]
        return counted

    before = costs()
    assert [counted["evalsha"] for counted in before] == [2 * shards for shards in (21, 22, 21)]
    for tabs in (10, 2000):
        for n in range(tabs):
            log_in(store, user=f"user-{n}")
        assert costs() == before


# A shard that moves


class Move:
    """Moves the slot of a shard to another server key by key, as `redis-cli --cluster reshard` does."""

    def __init__(self, cluster: RedisCluster, shard: int) -> None:
        self._nodes = cluster.nodes
        self._prefix = PREFIXES[shard]
        self._slot = key_slot(self._prefix.encode())
        self._old = cluster.holder(self._prefix)
        self._new = self._nodes[self._nodes.index(self._old) - 1]

    def begins(self) -> None:
        self._says(self._new, "IMPORTING", self._old)
        self._says(self._old, "MIGRATING", self._new)

    def takes_half_of_the_keys(self) -> None:
        keys = sorted(self._old.keys(f"{self._prefix}:*"))
        for key in keys[: -(-len(keys) // 2)]:
            self._old.client().migrate(HOST, self._new.port, key, 0, 5000)

    def ends(self) -> None:
        while self._old.keys(f"{self._prefix}:*"):
            self.takes_half_of_the_keys()
        for node in (self._new, self._old, *self._nodes):
            self._says(node, "NODE", self._new)

    def _says(self, node: RedisServer, what: str, of: RedisServer) -> None:
        with node.client() as client, of.client() as other:
            client.cluster("SETSLOT", self._slot, what, other.cluster("MYID"))


OF_ALICE = (
    *("admit", "enter", "attach", "detach", "remove", "append", "kick_account", "delete_account", "get", "instances"),
    *("block", "revoke", "enforce", "sign_out", "sign_out_others", "take_event"),
)


def test_a_shard_that_is_being_moved_is_unavailable_and_unchanged(
    cluster: RedisCluster, open_redis: Open, clock: Clock
) -> None:
    store = open_redis(cluster.url)
    at = world(cluster, store, clock)
    move = Move(cluster, shard_of(APP, "alice"))

    def holds() -> dict[str, object]:
        prefix = PREFIXES[shard_of(APP, "alice")]
        return {key: value for key, value in cluster.holds().items() if key.startswith(prefix)}

    before = holds()
    for step in (move.begins, move.takes_half_of_the_keys):
        step()
        for verb in OF_ALICE:
            with pytest.raises(StoreUnavailable, match="being moved"):
                EVERYTHING[verb](at)
        assert store.renew("node-1") == []
        store.sweep()
        assert store.count_failure("another shard", 20) == 0
    move.ends()
    assert holds() == before
    clock.advance(1)
    assert store.renew("node-1") == []
    assert holds() != before, "the renewal has found its new server"
    assert store.get(at.online.id) == at.online
    for verb, call in EVERYTHING.items():
        if verb not in OF_ALICE:
            call(at)
    EVERYTHING["append"](at)


def test_calls_and_hints_go_on_while_shards_move(cluster: RedisCluster, open_redis: Open) -> None:
    here, there = open_redis(cluster.url, "node-1"), open_redis(cluster.url)
    heard: list[Hint] = []
    listens = Counter[str]()
    here.listen("node-1", heard.append, lambda: listens.update(["times"]))
    until(lambda: listens["times"], "it should listen")
    stop = threading.Event()

    def come_and_go() -> int:
        times = 0
        for n in itertools.count():
            if stop.is_set():
                return times
            with suppress(StoreUnavailable):
                tab = log_in(there, user=f"user-{n % 1000}")
                assert there.remove(tab.id, Gone(LOGGED_OUT, 0)) is not None
                times += 1
        raise AssertionError

    moved = (0, 20, 40, 63)
    with ThreadPoolExecutor(2) as pool:
        coming = [pool.submit(come_and_go) for _ in range(2)]
        try:
            for shard in moved:
                move = Move(cluster, shard)
                move.begins()
                move.takes_half_of_the_keys()
                move.ends()
        finally:
            stop.set()
        assert all(each.result() > 0 for each in coming)
    until(lambda: listens["times"] > 1, "it should have subscribed again")
    for shard in moved:

        def is_heard(shard: int = shard) -> bool:
            tab = log_in(there, user=user_in(shard))
            there.remove(tab.id, Gone(LOGGED_OUT, 0))
            time.sleep(0.1)
            return any(isinstance(hint, Ended) and hint.instance == tab.id for hint in heard)

        # The last shard may just have moved; hints are lost until the listener subscribes there again.
        until(is_heard, "no hint of it arrives")


# Servers that are away


def test_while_one_server_is_silent_the_others_serve_their_shards(
    cluster: RedisCluster, open_redis: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_redis(cluster.url, "node-1", timing=Timing(redis_timeout=0.5))
    tabs = [log_in(store, user=user_in(shard)) for shard in range(0, SHARDS, 9)]
    silent = cluster.nodes[1]
    silent.pauses()
    answered = []
    for tab in tabs:
        if cluster.holder(PREFIXES[shard_of(APP, tab.user)]) is silent:
            with soon(), pytest.raises(StoreUnavailable):
                store.get(tab.id)
        else:
            answered.append(store.get(tab.id) == tab)
    assert answered == [True] * 6
    with soon():
        assert store.renew("node-1") == []
    with soon():
        assert store.sweep() == []
    silent.goes_on()
    assert [store.get(tab.id) for tab in tabs] == tabs
    assert store.renew("node-1") == []


def test_a_cluster_that_is_down_fails_calls_soon(cluster: RedisCluster, open_redis: Open) -> None:
    store = open_redis(cluster.url, "node-1")
    tab = log_in(store)
    slot = 12  # of no shard
    assert slot not in map(key_slot, (prefix.encode() for prefix in PREFIXES))
    for node in cluster.nodes:
        node.client().cluster("DELSLOTS", slot)
    until(lambda: "fail" in str(cluster.nodes[2].client().cluster("INFO")), "a slot that nobody has is a failure")
    for call in (lambda: store.renew("node-1"), store.sweep, lambda: store.get(tab.id)):
        with soon(), pytest.raises(StoreUnavailable):
            call()
    cluster.nodes[0].client().cluster("ADDSLOTS", slot)
    cluster.is_whole()
    assert store.get(tab.id) == tab
    assert store.renew("node-1") == []


@contextmanager
def soon() -> Iterator[None]:
    """The call succeeds or fails within SOON."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SOON
