"""What the lives of an app cost a Redis: nothing where it has none."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from tests.support.actors import APP, Clock, new_id, newcomer
from tests.support.engines import PATIENT
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.redis_watch import Watch
from tim.rules import shard_of
from tim.store.redis.engine import RedisStore
from tim.store.redis.shards import key

ACTS = ("admit", "attach", "append", "sign_out", "detach")


def commands(store: RedisStore, watch: Watch, user: str, *, session_life: int, idle_life: int) -> dict[str, list[str]]:
    """The commands in the script of each verb, where an instance of the account has these lives."""
    now = time.time()
    lasts_until = session_life and now + session_life
    one = replace(newcomer(user, expires=now + 1000, since=now), lasts_until=lasts_until, idle_life=idle_life)
    other = newcomer(user, expires=now + 1000)
    store.admit(other, 10)
    message_id = new_id()
    tab = one

    def attach() -> None:
        nonlocal tab
        tab = store.attach(one.id, "node-1", 10).instance

    found = {}
    does: tuple[Callable[[], object], ...] = (
        lambda: store.admit(one, 10),
        attach,
        lambda: store.append(APP, one.id, user, "hello", message_id),
        lambda: store.sign_out(one.id, other.id),
        lambda: store.detach(one.id, tab.stream),
    )
    for verb, act in zip(ACTS, does, strict=True):
        watch.asked()
        act()
        found[verb] = sorted(next(each.within for each in watch.asked() if each.name == verb))
    return found


def test_without_lives_no_verb_writes_more_and_with_them_an_action_writes_one_field(
    make_redis: Callable[..., RedisServer], open_redis: Callable[..., RedisStore]
) -> None:
    server = make_redis()
    store = open_redis(server.url, "node-1")
    with Watch(server) as watch:
        without = commands(store, watch, "alice", session_life=0, idle_life=0)
        session = commands(store, watch, "bob", session_life=100, idle_life=0)
        idle = commands(store, watch, "carol", session_life=100, idle_life=100)
    assert session == without
    more = {"append", "sign_out"}
    assert idle == {verb: sorted([*without[verb], "HSET"] if verb in more else without[verb]) for verb in ACTS}


def test_one_that_acts_all_the_time_is_put_off_once_in_each_idle_life(
    servers: RedisServer | RedisCluster, open_redis: Callable[..., RedisStore], clock: Clock
) -> None:
    store = open_redis(servers.url, "node-1", timing=PATIENT)
    began = clock()
    asked = replace(newcomer(expires=began + 10_000), idle_life=100)
    tab = store.attach(store.admit(asked, 1)[0].id, "node-1", 1).instance
    looked_at = set()
    for _ in range(50):
        clock.advance(10)
        store.look_at_clock()
        store.append(APP, tab.id, "alice", "hello", new_id())
        assert store.sweep() == []
        with servers.client() as client:
            looked_at.add(client.zscore(key(shard_of(APP, "alice"), "due"), tab.id) / 1e6 - began)
    assert sorted(looked_at) == [100, 200, 300, 400, 500, 600]
