"""On a single Redis a message is in both logs at once, also where an older node has begun to write it in two steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.actors import APP, DAY, Clock, newcomer
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.redis_watch import Watch
from tim.errors import NoSuchAccount, StoreUnavailable
from tim.model import Instance
from tim.store.redis.connection import Connection
from tim.store.redis.engine import RedisStore
from tim.store.redis.messages import Messages
from tim.timing import DEFAULT

Open = Callable[..., RedisStore]


@pytest.fixture
def server(make_redis: Callable[..., RedisServer], clock: Clock) -> RedisServer:
    return make_redis(clock=clock)


@pytest.fixture
def store(server: RedisServer, open_redis: Open) -> RedisStore:
    """Alice and bob exist."""
    store = open_redis(server.url, "node-1")
    for user in ("alice", "bob"):
        store.import_account(APP, user)
    return store


@pytest.fixture
def alice(store: RedisStore) -> Instance:
    view, _ = store.enter(newcomer(expires=store.now() + DAY), 1, node="node-1")
    return view.instance


@pytest.fixture
def begun(
    server: RedisServer, open_redis: Open, alice: Instance, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """`begun("m")`: a node that writes in two steps has died between the two of them."""

    def begun(id: str) -> None:
        def is_away(*_: object, **__: object) -> None:
            raise StoreUnavailable("it is away")

        with monkeypatch.context() as older:
            older.setattr(Connection, "_joins_shards", lambda _: False)
            older.setattr(Messages, "_copy", is_away)
            assert open_redis(server.url).append(APP, alice.id, "bob", "hello", id)[1] is None

    return begun


def is_in_both_logs_once(store: RedisStore, server: RedisServer, id: str) -> bool:
    logs = [[message.id for message in store.history(APP, user, 0, 10)] for user in ("alice", "bob")]
    return logs == [[id], [id]] and server.keys("*:outbox") == set()


def test_a_message_is_one_call(store: RedisStore, server: RedisServer, alice: Instance) -> None:
    store.append(APP, alice.id, "bob", "hello", "before")  # so that it has the script
    with Watch(server) as watch:
        watch.asked()
        store.append(APP, alice.id, "bob", "hello", "m")
        assert dict(watch.cost().calls) == {"append": 1}


def test_a_message_is_in_both_logs_as_it_is_returned(store: RedisStore, server: RedisServer, alice: Instance) -> None:
    sent, received = store.append(APP, alice.id, "bob", "hello", "m")
    assert (store.history(APP, "alice", 0, 10), store.history(APP, "bob", 0, 10)) == ([sent], [received])
    assert store.append(APP, alice.id, "bob", "hello", "m") == (sent, received)
    assert is_in_both_logs_once(store, server, "m")


def test_a_message_to_nobody_is_in_no_log(store: RedisStore, alice: Instance) -> None:
    with pytest.raises(NoSuchAccount):
        store.append(APP, alice.id, "nobody", "hello", "m")
    assert store.history(APP, "alice", 0, 10) == []


def test_a_message_that_was_begun_in_two_steps_is_finished_when_it_is_sent_again(
    store: RedisStore, server: RedisServer, alice: Instance, begun: Callable[[str], None]
) -> None:
    begun("m")
    assert store.history(APP, "bob", 0, 10) == []
    sent, received = store.append(APP, alice.id, "bob", "hello", "m")
    assert received is not None
    assert received.time == sent.time
    assert is_in_both_logs_once(store, server, "m")


def test_a_message_that_was_begun_in_two_steps_is_finished_by_a_sweep(
    store: RedisStore, server: RedisServer, clock: Clock, begun: Callable[[str], None]
) -> None:
    begun("m")
    clock.advance(DEFAULT.outbox_age)
    store.sweep()
    assert is_in_both_logs_once(store, server, "m")


def test_a_receiver_that_was_deleted_meanwhile_gets_no_copy_when_it_is_sent_again(
    store: RedisStore, server: RedisServer, alice: Instance, begun: Callable[[str], None]
) -> None:
    begun("m")
    store.delete_account(APP, "bob")
    sent, received = store.append(APP, alice.id, "bob", "hello", "m")
    assert (sent.id, received) == ("m", None)
    assert store.history(APP, "bob", 0, 10) == []
    assert server.keys("*:outbox") == set()


def test_a_cluster_is_known_as_one(
    store: RedisStore, make_redis_cluster: Callable[..., RedisCluster], open_redis: Open, clock: Clock
) -> None:
    cluster = open_redis(make_redis_cluster(clock=clock).url)
    assert [vars(each)["_connection"].joins_shards for each in (store, cluster)] == [True, False]
