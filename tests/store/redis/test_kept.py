"""Which keys a Redis keeps, and for how long: when the audit has expired too, only the accounts are left."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.support.actors import APP, DAY, Clock, new_id, newcomer
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.redis_watch import Watch
from tim.ends import LOGGED_OUT, Gone
from tim.errors import IMError
from tim.model import AppSettings, Instance, Limits
from tim.rules import ENDS_KEPT, MINUTE, MINUTES_KEPT, PAUSE, REMEMBERED, WINDOW, shard_of
from tim.store.redis.engine import RedisStore
from tim.store.redis.shards import PREFIXES
from tim.timing import DEFAULT

Open = Callable[..., RedisStore]
Servers = RedisServer | RedisCluster
LOG_SLACK = 3600
USERS = [f"user-{n}" for n in range(30)]


@pytest.fixture
def store(servers: Servers, open_redis: Open) -> RedisStore:
    return open_redis(servers.url, "node-1", "node-2")


def log_in(store: RedisStore, user: str = "alice", *, life: float = 365 * DAY, limit: int = 2) -> Instance:
    admitted, _ = store.admit(newcomer(user, expires=store.now() + life), limit)
    return store.attach(admitted.id, "node-1", limit).instance


def time_passes(store: RedisStore, clock: Clock, seconds: float) -> None:
    """Let time pass; then both nodes renew, and close the streams of ended instances."""
    clock.advance(seconds)
    for node in ("node-1", "node-2"):
        for ended in store.renew(node):
            store.detach(ended.id, ended.stream)
    store.sweep()


def test_one_call_ends_few_of_the_many_instances_that_are_due_and_a_sweep_all(store: RedisStore, clock: Clock) -> None:
    """As calls for all shards come at once, and nobody else is served meanwhile."""
    users = [user for user in (f"user-{n}" for n in range(2000)) if shard_of(APP, user) == 0][:25]
    for user in users:
        store.admit(newcomer(user, expires=store.now() + 1), 1)
    clock.advance(2)
    more, ended, _ = vars(store)["_scripts"].call(0, "sweep", 30_000_000, 10_000_000, 10**15, 1000, 1000)
    assert (more, len(ended)) == (1, 10)
    assert len(store.sweep()) == 15


def a_busy_day(store: RedisStore, clock: Clock, things: int) -> None:
    """So many random acts: logins and evictions, reloads, messages, kicks, expiries, wrong UserSigs."""
    chance = random.Random(things)
    tabs: list[Instance] = []
    for nth in range(things):
        user = chance.choice(USERS)
        tabs.append(log_in(store, user, life=chance.choice([100, DAY / 2, 30 * DAY])))
        tab = chance.choice(tabs)
        with suppress(IMError):  # it may have ended
            tab = store.attach(tab.id, chance.choice(["node-1", "node-2"]), 2).instance
            store.append(APP, tab.id, chance.choice(USERS[: len(tabs)]), "hello", new_id())
            store.deliver(APP, "administrator", tab.user, "hello", new_id(), copy=True)
            store.mark_read(APP, tab.user, 1000)
            if chance.random() < 0.3:
                store.detach(tab.id, tab.stream)
        if chance.random() < 0.2:
            store.remove(tab.id, Gone(LOGGED_OUT, 0))
        if chance.random() < 0.05:
            store.kick_account(APP, user)
        if chance.random() < 0.02:
            store.delete_account(APP, user)
        for _ in range(chance.choice([0, 0, 1, 25])):
            store.count_failure(f"account/{APP}/{user}", 20)
        if nth % 20 == 0:
            time_passes(store, clock, 20 * DAY / things)
    for tab in tabs:
        store.detach(tab.id, store.get(tab.id).stream)


def test_months_after_a_busy_day_only_the_accounts_are_left(
    store: RedisStore, servers: Servers, clock: Clock, rounds: int
) -> None:
    store.save_settings(APP, AppSettings(Limits(2)), "console admin")
    left = []
    for things in (150 * rounds, 150 * rounds):
        a_busy_day(store, clock, things)
        assert len(servers.keys("*")) > 300
        # In steps: an instance may be away for as long as it is remembered, and then its end is remembered.
        for _ in range(4):
            time_passes(store, clock, 4 * DAY)
        # The last UserSigs end after 30 days, and their entries in the audit are kept for as long again.
        for _ in range(3):
            time_passes(store, clock, 31 * DAY)
        found = servers.keys("*")
        audit = {key for key in found if kind_of(key) == "audit"}
        with servers.client() as client:
            assert {client.xlen(key) for key in audit} == {0}
        left.append({key for key in found - audit if kind_of(key) != "counts"})
    accounts = {f"{PREFIXES[shard_of(APP, user)]}:account:{APP}:{user}" for user in USERS}
    nodes = {f"{prefix}:{name}" for prefix in PREFIXES for name in ("nodes", "swept")}
    assert left == [accounts | nodes | {f"{PREFIXES[0]}:settings:{APP}"}] * 2
    # A deleted account keeps its revoked UserSigs and its last generation.
    fields = {"exists", "generation", "revoked_before", "revoked", "early", "seq", "read_seq", "bytes", "log_until"}
    with servers.client() as client:
        assert all(set(client.hkeys(key)) <= fields for key in accounts)


def kind_of(key: str) -> str:
    return key.split(":")[2]


def test_a_dead_node_leaves_no_keys(store: RedisStore, servers: Servers, clock: Clock) -> None:
    time_passes(store, clock, 5)
    before = servers.keys("*")
    for n in range(20):
        store.join(f"short-{n}")
        tab = log_in(store)
        store.attach(tab.id, f"short-{n}", 2)
    store.kick_account(APP, "alice")
    store.delete_account(APP, "alice")
    for _ in range(8):
        time_passes(store, clock, 5)
    time_passes(store, clock, REMEMBERED + 1)
    kept = (f"account:{APP}:alice", f"audited:{APP}:alice", "audit", f"counts:{APP}")
    assert servers.keys("*") == before | {f"{PREFIXES[shard_of(APP, 'alice')]}:{name}" for name in kept}
    with servers.client() as client:
        for prefix in PREFIXES:
            assert set(client.zrange(f"{prefix}:nodes", 0, -1)) == {"node-1", "node-2"}


def test_keys_that_expire_have_the_right_time_to_live(store: RedisStore, servers: Servers, clock: Clock) -> None:
    alice = log_in(store)
    store.append(APP, alice.id, "alice", "hello", new_id())
    for _ in range(21):
        store.count_failure("account/alice", 20)
    expected = {
        "log": clock() + REMEMBERED + LOG_SLACK,
        "ids": clock() + REMEMBERED + LOG_SLACK,
        "rate": clock() + MINUTE,
        "failures": clock() + WINDOW,
        "pause": clock() + PAUSE,
        "minute": clock() + MINUTES_KEPT + MINUTE,
    }
    found = {}
    for key, (_, expires) in servers.holds().items():
        if expires > 0:
            found[kind_of(key)] = expires / 1000
    assert found == pytest.approx(expected, abs=0.01)
    clock.advance(LOG_SLACK)
    store.append(APP, alice.id, "alice", "hello", new_id())
    clock.advance(REMEMBERED)
    assert "log" in {kind_of(key) for key in servers.keys("*")}, "its last message is still remembered"
    clock.advance(LOG_SLACK + 1)
    assert not {key for key in servers.keys("*") if kind_of(key) in expected}


def test_a_log_written_every_day_holds_the_last_seven_days(store: RedisStore, servers: Servers, clock: Clock) -> None:
    alice = log_in(store)
    for _ in range(30):
        for n in range(3):
            store.append(APP, alice.id, "alice", f"{n}", new_id())
        time_passes(store, clock, DAY)
        alice = store.attach(alice.id, "node-1", 2).instance
    prefix = PREFIXES[shard_of(APP, "alice")]
    with servers.client() as client:
        assert client.xlen(f"{prefix}:log:{APP}:alice") == client.hlen(f"{prefix}:ids:{APP}:alice") == 3 * 8
    assert [each.seq for each in store.history(APP, "alice", 0, 100)] == list(range(70, 91))


def test_a_reply_is_kept_as_long_as_its_call_may_be_repeated(
    make_redis: Callable[..., RedisServer], open_redis: Open
) -> None:
    server = make_redis()
    store = open_redis(server.url, "node-1")
    store.count_failure("pair/alice", 20)
    (key,) = server.keys("*:reply:*")
    with server.client() as client:
        assert 2 * DEFAULT.redis_timeout < client.pttl(key) / 1000 <= 10


@pytest.mark.parametrize("servers", ["redis"], indirect=True)
def test_a_login_that_evicts_costs_the_same_however_many_notices_are_pending(
    servers: RedisServer, open_redis: Callable[..., RedisStore]
) -> None:
    store = open_redis(servers.url)
    store.join("node-1")

    def enters() -> str:
        view, _ = store.enter(newcomer(expires=store.now() + DAY), 1, node="node-1")
        return view.instance.id

    enters()
    with Watch(servers) as watch:
        enters()
        watch.asked()
        enters()
        few = watch.cost().within
        gone = [enters() for _ in range(ENDS_KEPT + 100)]
        watch.asked()
        enters()
        assert watch.cost().within <= few + 4, "it looks for an old end, at the evicted one, and drops two old entries"
    store.renew("node-1", gone)
    assert len(servers.keys("*:instance:*")) == ENDS_KEPT + 1
