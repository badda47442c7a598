"""What the events of a webhook cost a Redis is what the document says."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.support.actors import APP, newcomer
from tests.support.documents import row
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.redis_watch import Watch
from tim.rules import EVENTS_KEPT, SHARDS, shard_of
from tim.state_change import LOGIN, event_id
from tim.store.redis.engine import RedisStore
from tim.store.redis.shards import key

DOCUMENT = "docs/webhook.md"


def test_in_a_full_queue_the_oldest_event_of_the_same_account_makes_room(
    servers: RedisServer | RedisCluster, open_redis: Callable[..., RedisStore]
) -> None:
    store = open_redis(servers.url, "node-1")
    store.queue_events(APP, True)
    first, _ = store.admit(newcomer(expires=2e9), 2)
    with servers.client() as client:
        client.hset(key(shard_of(APP, "alice"), "event_queue", APP), "waiting", EVENTS_KEPT // SHARDS)
    store.admit(newcomer(expires=2e9), 2)
    other = next(user for n in range(1000) if shard_of(APP, user := f"user-{n}") == shard_of(APP, "alice"))
    store.admit(newcomer(other, expires=2e9), 1)
    assert store.event_queue(APP).dropped == 2
    left = store.take_event(APP, "alice", "sender", 10)
    assert left is not None
    assert left.id != event_id(first, LOGIN), "the newer one is kept"
    assert store.take_event(APP, other, "sender", 10) is None
    assert store.due_events(APP, 100) == []


def test_an_event_costs_what_the_document_says_and_no_webhook_costs_nothing(
    make_redis: Callable[..., RedisServer], open_redis: Callable[..., RedisStore]
) -> None:
    server = make_redis()
    store = open_redis(server.url)
    with Watch(server) as watch:

        def cost_of(act: Callable[[], object]) -> tuple[int, int]:
            watch.asked()
            act()
            cost = watch.cost()
            return cost.calls.total(), cost.within

        def log_in() -> object:
            return store.admit(newcomer(expires=time.time() + 1000), 1)

        def deliver() -> None:
            event = store.take_event(APP, "alice", "sender", 10)
            assert event is not None
            store.event_sent(APP, "alice", "sender", event.id)

        log_in()
        _, without = cost_of(log_in)
        store.queue_events(APP, True)
        log_in()
        _, within = cost_of(log_in)
        deliver()
        deliveries, commands = cost_of(deliver)
        log_in()
        looks, looking = cost_of(lambda: store.due_events(APP, 100))
    assert row(DOCUMENT, "without a webhook") == ["nothing"]
    assert row(DOCUMENT, "an event, in the script") == [f"{within - without} commands"]
    assert row(DOCUMENT, "its delivery") == [f"{deliveries} calls with {commands} commands"]
    # The account of this test is one more command where it lies.
    assert row(DOCUMENT, "each node") == [f"{looks} calls with {looking - 1} commands"]
