"""A message whose node died between its two copies: a sweep writes the second one, once, and sends the hints."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.actors import APP, DAY, Clock, new_id, newcomer, read_seq
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.waiting import until
from tim.model import Instance, Message
from tim.rules import REMEMBERED, SHARDS, shard_of
from tim.store.hints import Hint, Written
from tim.store.redis.connection import Connection
from tim.store.redis.engine import RedisStore
from tim.store.redis.shards import PREFIXES
from tim.timing import DEFAULT, Timing

Open = Callable[..., RedisStore]
Servers = RedisServer | RedisCluster


@pytest.fixture(autouse=True)
def in_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs may lie on two servers, on a single Redis too."""
    monkeypatch.setattr(Connection, "_joins_shards", lambda _: False)


class Killed(BaseException):
    """The node was killed."""


@pytest.fixture
def writer(servers: Servers, open_redis: Open) -> RedisStore:
    """The node that alice is attached at."""
    return open_redis(servers.url, "node-1")


@pytest.fixture
def other(servers: Servers, open_redis: Open) -> RedisStore:
    return open_redis(servers.url, "node-2")


def log_in(store: RedisStore, user: str, node: str) -> Instance:
    admitted, _ = store.admit(newcomer(user, expires=store.now() + 365 * DAY), 10)
    return store.attach(admitted.id, node, 10).instance


@pytest.fixture
def dies_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[RedisStore, Instance, str], str]:
    """`dies_in(store, alice, "bob")`: alice writes to bob, and her node dies after the first of two steps.

    Returns the id of the message.
    """

    def dies(*words: Any, **more: Any) -> Message:
        raise Killed

    def dies_in(store: RedisStore, sender: Instance, to: str) -> str:
        id = new_id()
        with monkeypatch.context() as killed:
            killed.setattr(vars(store)["_messages"], "_copy", dies)
            with pytest.raises(Killed):
                store.append(APP, sender.id, to, "the last word", id)
        return id

    return dies_in


DiesIn = Callable[[RedisStore, Instance, str], str]


def log_of(store: RedisStore, user: str) -> list[str]:
    return [message.id for message in store.history(APP, user, 0, 100)]


def test_after_ten_seconds_another_node_writes_the_second_copy_once(
    writer: RedisStore, other: RedisStore, servers: Servers, dies_in: DiesIn, clock: Clock
) -> None:
    alice, _ = log_in(writer, "alice", "node-1"), log_in(other, "bob", "node-2")
    id = dies_in(writer, alice, "bob")
    clock.advance(DEFAULT.outbox_age - 0.001)
    other.sweep()
    assert (log_of(other, "alice"), log_of(other, "bob")) == ([id], [])
    clock.advance(0.001)
    for _ in range(3):
        other.sweep()
        clock.advance(DEFAULT.outbox_age)
    assert log_of(other, "bob") == [id]
    assert other.history(APP, "bob", 0, 10) == other.history(APP, "alice", 0, 10)
    assert servers.keys("*:outbox") == set()


def test_a_clock_set_back_does_not_delay_the_outbox(
    writer: RedisStore, other: RedisStore, servers: Servers, dies_in: DiesIn, clock: Clock
) -> None:
    alice, _ = log_in(writer, "alice", "node-1"), log_in(other, "bob", "node-2")
    other.sweep()
    id = dies_in(writer, alice, "bob")
    clock.advance(-3600)
    other.sweep()
    clock.advance(DEFAULT.outbox_age)
    other.sweep()
    assert log_of(other, "bob") == [id]
    assert servers.keys("*:outbox") == set()


def test_every_node_with_a_tab_of_the_receiver_is_notified_of_the_second_copy(
    writer: RedisStore, other: RedisStore, dies_in: DiesIn, clock: Clock
) -> None:
    heard: dict[str, list[Hint]] = {"node-1": [], "node-2": []}
    listens: list[str] = []
    for store, node in ((writer, "node-1"), (other, "node-2")):
        store.listen(node, heard[node].append, lambda node=node: listens.append(node))  # type: ignore[misc]
    until(lambda: len(listens) == 2, "they should listen")
    alice = log_in(writer, "alice", "node-1")
    for store, node in ((writer, "node-1"), (other, "node-2")):
        log_in(store, "bob", node)
    dies_in(writer, alice, "bob")
    clock.advance(DEFAULT.outbox_age)
    other.sweep()
    [message] = other.history(APP, "bob", 0, 10)
    for hints in heard.values():
        until(lambda hints=hints: Written(APP, "bob", message) in hints, "it should be notified")  # type: ignore[misc]
    assert read_seq(other, "bob") == message.seq, "a stream of the receiver is open"


def test_many_sweeps_at_once_write_the_second_copy_once(
    servers: Servers, writer: RedisStore, open_redis: Open, dies_in: DiesIn, clock: Clock
) -> None:
    alice = log_in(writer, "alice", "node-1")
    writer.import_account(APP, "bob")
    ids = [dies_in(writer, alice, "bob") for _ in range(10)]
    clock.advance(DEFAULT.outbox_age)
    sweepers = [open_redis(servers.url) for _ in range(6)]
    with ThreadPoolExecutor(len(sweepers)) as pool:
        list(pool.map(lambda store: store.sweep(), sweepers))
    assert sorted(log_of(writer, "bob")) == sorted(ids)
    assert [each.seq for each in writer.history(APP, "bob", 0, 100)] == list(range(1, 11))
    assert servers.keys("*:outbox") == set()


@pytest.mark.parametrize("swept", [False, True], ids=["before it was sent on", "after that"])
def test_a_message_sent_again_with_the_same_id_is_the_same_message(
    swept: bool, other: RedisStore, servers: Servers, dies_in: DiesIn, clock: Clock
) -> None:
    alice = log_in(other, "alice", "node-2")
    other.import_account(APP, "bob")
    id = dies_in(other, alice, "bob")
    clock.advance(DEFAULT.outbox_age)
    if swept:
        other.sweep()
    sent, received = other.append(APP, alice.id, "bob", "the last word", id)
    other.sweep()
    assert other.history(APP, "alice", 0, 10) == [sent]
    assert other.history(APP, "bob", 0, 10) == [received]
    assert servers.keys("*:outbox") == set()


def test_a_receiver_deleted_in_the_meantime_gets_no_copy(
    writer: RedisStore, other: RedisStore, servers: Servers, dies_in: DiesIn, clock: Clock
) -> None:
    alice = log_in(writer, "alice", "node-1")
    writer.import_account(APP, "bob")
    dies_in(writer, alice, "bob")
    other.delete_account(APP, "bob")
    clock.advance(DEFAULT.outbox_age)
    other.sweep()
    assert log_of(other, "bob") == []
    assert servers.keys("*:outbox") == set()


def test_a_receiver_deleted_between_the_two_steps_does_not_fail_the_send(
    writer: RedisStore, other: RedisStore, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, _ = log_in(writer, "alice", "node-1"), log_in(other, "bob", "node-2")
    messages = vars(writer)["_messages"]
    exists = messages.exists

    def answers_too_late(app: int, user: str) -> bool:
        found = bool(exists(app, user))
        other.delete_account(APP, "bob")
        return found

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(messages, "exists", answers_too_late)
        sent, received = writer.append(APP, alice.id, "bob", "hello", "m")
    assert (sent.text, received) == ("hello", None)
    assert servers.keys("*:outbox") == set()
    other.import_account(APP, "bob")
    assert writer.append(APP, alice.id, "bob", "hello", "m") == (sent, None), "sent again it is the same message"
    assert log_of(other, "bob") == []


def test_an_expired_message_gets_no_second_copy(
    writer: RedisStore, other: RedisStore, servers: Servers, dies_in: DiesIn, clock: Clock
) -> None:
    alice = log_in(writer, "alice", "node-1")
    writer.import_account(APP, "bob")
    dies_in(writer, alice, "bob")
    clock.advance(REMEMBERED + 1)  # in which no node swept
    other.sweep()
    assert log_of(other, "bob") == []
    assert servers.keys("*:outbox") == set()


def test_a_message_with_both_copies_leaves_the_outbox_empty(writer: RedisStore, servers: Servers) -> None:
    alice = log_in(writer, "alice", "node-1")
    writer.import_account(APP, "bob")
    for to in ("bob", "alice"):
        writer.append(APP, alice.id, to, "hello", new_id())
    assert servers.keys("*:outbox") == set()


def test_a_full_server_delays_only_its_own_receivers(
    make_redis_cluster: Callable[..., RedisCluster], open_redis: Open, dies_in: DiesIn, clock: Clock
) -> None:
    cluster = make_redis_cluster(clock=clock)
    writer, other = open_redis(cluster.url, "node-1"), open_redis(cluster.url, "node-2")
    alice, leaves = (log_in(writer, user, "node-1") for user in ("alice", "dora"))
    theirs = {cluster.holder(PREFIXES[shard_of(APP, user)]) for user in ("alice", "dora")}
    full = next(node for node in cluster.nodes if node not in theirs)
    users = {shard_of(APP, f"user-{n}"): f"user-{n}" for n in range(20 * SHARDS)}
    for user in users.values():
        writer.import_account(APP, user)
        dies_in(writer, alice, user)
    there = {user for part, user in users.items() if cluster.holder(PREFIXES[part]) is full}
    writer.detach(leaves.id, leaves.stream)
    full.client().config_set("maxmemory", "1kb")
    ended = []
    for _ in range(6):
        clock.advance(DEFAULT.outbox_age)
        writer.renew("node-1")
        ended += other.sweep()
    assert [each.id for each in ended] == [leaves.id], "the ended instance is returned all the same"
    for user in users.values():
        assert len(log_of(other, user)) == (user not in there)
    full.client().config_set("maxmemory", "0")
    other.sweep()
    for user in users.values():
        assert len(log_of(other, user)) == 1
    assert cluster.keys("*:outbox") == set()


# A message that no instance sends


def test_a_message_by_rest_gets_its_second_copy_though_its_node_died_after_the_first(
    writer: RedisStore, other: RedisStore, servers: Servers, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in ("alice", "bob"):
        other.import_account(APP, user)

    def dies(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as killed:
        killed.setattr(vars(writer)["_messages"], "_copy", dies)
        with pytest.raises(Killed):
            writer.deliver(APP, "alice", "bob", "hello", "m", copy=True)
    assert (log_of(other, "alice"), log_of(other, "bob")) == ([], ["m"])
    for _ in range(3):
        clock.advance(DEFAULT.outbox_age)
        other.sweep()
    assert other.history(APP, "alice", 0, 10) == other.history(APP, "bob", 0, 10) != []
    assert servers.keys("*:outbox") == set()


def test_a_message_by_rest_gets_its_second_copy_though_the_senders_server_was_away(
    make_redis_cluster: Callable[..., RedisCluster], open_redis: Open, clock: Clock
) -> None:
    cluster = make_redis_cluster(clock=clock)
    writer, other = open_redis(cluster.url, timing=Timing(redis_timeout=0.5)), open_redis(cluster.url)
    holders = {f"user-{n}": cluster.holder(PREFIXES[shard_of(APP, f"user-{n}")]) for n in range(20)}
    sender, to = "user-0", next(user for user, holder in holders.items() if holder is not holders["user-0"])
    for user in (sender, to):
        writer.import_account(APP, user)
    holders[sender].pauses()
    sent, received = writer.deliver(APP, sender, to, "hello", "m", copy=True)
    assert sent is None
    clock.advance(DEFAULT.outbox_age)  # so what the server reads when it goes on is too late
    holders[sender].goes_on()
    other.look_at_clock()
    assert log_of(other, sender) == []
    other.sweep()
    assert other.history(APP, sender, 0, 10) == other.history(APP, to, 0, 10) == [received]
    assert cluster.keys("*:outbox") == set()


def test_a_message_by_rest_delivered_again_is_the_same_message(writer: RedisStore, servers: Servers) -> None:
    for user in ("alice", "bob"):
        writer.import_account(APP, user)
    first = writer.deliver(APP, "alice", "bob", "hello", "m", copy=True)
    assert writer.deliver(APP, "alice", "bob", "hello", "m", copy=True) == first
    assert writer.deliver(APP, "nobody", "bob", "hello", "n", copy=True)[0] is None
    assert writer.deliver(APP, "bob", "bob", "hello", "o", copy=True)[1] is None
    assert [len(log_of(writer, user)) for user in ("alice", "bob")] == [1, 3]
    assert servers.keys("*:outbox") == set()
