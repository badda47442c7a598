"""A replica takes over, and the old master stays up: no call and no hint goes to it any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest

from tests.support.actors import APP, DAY, newcomer
from tests.support.ports import free_port
from tests.support.redis_line import RedisLine
from tests.support.redis_server import HOST, RedisServer
from tests.support.waiting import PATIENCE, until
from tim.errors import StoreUnavailable
from tim.model import Instance
from tim.store.hints import Ended, Hint
from tim.store.redis.engine import RedisStore
from tim.store.redis.sockets import REPLICA

Open = Callable[..., RedisStore]


class Pair:
    """A master with a replica, and an address that leads to the master."""

    def __init__(self, master: RedisServer, replica: RedisServer, line: RedisLine) -> None:
        self.master, self.replica, self.line = master, replica, line
        with replica.client() as client:
            client.replicaof(HOST, master.port)
            until(lambda: client.info("replication")["master_link_status"] == "up", "it should copy its master")

    def demotes(self) -> None:
        """The master becomes the replica of somebody who is not there, and its connections stay open."""
        with self.replica.client() as client:
            until(lambda: self._offset(client) == self._offset(self.master.client()), "it should have copied all")
        with self.master.client() as client:
            client.replicaof(HOST, free_port())

    def promotes(self) -> None:
        """The replica becomes a master, to which the address leads."""
        with self.replica.client() as client:
            client.replicaof("NO", "ONE")
        self.line.leads_to(self.replica.port)

    def _offset(self, client: object) -> int:
        found: int = client.info("replication")["master_repl_offset"]  # type: ignore[attr-defined]
        return found


def log_in(store: RedisStore, user: str) -> Instance:
    """The account's only instance, whose stream is open at node-1."""
    admitted, _ = store.admit(newcomer(user, expires=time.time() + DAY), 1)
    return store.attach(admitted.id, "node-1", 1).instance


def listened_to(server: RedisServer) -> bool:
    with server.client() as client:
        return bool(client.pubsub_shardchannels())


@pytest.fixture
def pair(make_redis: Callable[..., RedisServer], make_redis_line: Callable[[RedisServer], RedisLine]) -> Iterator[Pair]:
    master = make_redis(repl_diskless_sync_delay="0", save="3600 1", replica_ignore_disk_write_errors="yes")
    replica = make_redis()
    yield Pair(master, replica, make_redis_line(master))


@pytest.mark.parametrize("disk", [True, False], ids=["with its disk", "without its disk"])
def test_the_next_call_reaches_the_new_master(disk: bool, pair: Pair, open_redis: Open) -> None:
    store = open_redis(pair.line.url, "node-1")
    alice = log_in(store, "alice")
    if not disk:
        pair.master.loses_its_disk()
        with pytest.raises(StoreUnavailable, match="MISCONF"):
            log_in(store, "bob")
    pair.demotes()
    pair.promotes()
    bob = log_in(store, "bob")
    assert {each.id for each in store.instances(APP, "alice")} == {alice.id}
    assert {each.id for each in open_redis(pair.replica.url).instances(APP, "bob")} == {bob.id}


def test_a_call_to_every_shard_reaches_it_too(pair: Pair, open_redis: Open) -> None:
    store = open_redis(pair.line.url, "node-1")
    pair.demotes()
    pair.promotes()
    assert store.sweep() == []


def test_and_its_hints_arrive(pair: Pair, open_redis: Open) -> None:
    store = open_redis(pair.line.url, "node-1")
    hints: SimpleQueue[Hint] = SimpleQueue()
    store.listen("node-1", hints.put, lambda: None)
    until(lambda: listened_to(pair.master), "it should listen")
    alice = log_in(store, "alice")
    pair.demotes()
    pair.promotes()
    assert store.renew("node-1", set()) == []
    until(lambda: listened_to(pair.replica), "it should listen to the new master")
    log_in(open_redis(pair.replica.url, "node-2"), "alice")
    while not isinstance(hint := hints.get(timeout=PATIENCE), Ended):
        pass
    assert hint.instance == alice.id


def test_while_none_has_taken_over_every_call_says_so(
    pair: Pair, open_redis: Open, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_redis(pair.line.url, "node-1")
    store.listen("node-1", lambda _: None, lambda: None)
    until(lambda: listened_to(pair.master), "it should listen")
    log_in(store, "alice")
    pair.demotes()
    for call in (lambda: log_in(store, "bob"), store.sweep, lambda: store.accounts(APP, ["alice"])):
        with pytest.raises(StoreUnavailable, match="it is a replica"):
            call()
    tried = pair.line.accepted
    until(lambda: pair.line.accepted > tried + 3, "it should try to listen again")
    assert [line for line in caplog.messages if "hints:" in line] == ["hints: " + REPLICA]
    pair.promotes()
    log_in(store, "bob")
    until(lambda: listened_to(pair.replica), "it should listen to the new master")
