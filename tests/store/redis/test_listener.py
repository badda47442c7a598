"""Hints of other nodes arrive at once, on a single Redis and on a cluster, through any outage.

Words may be lost while a line is broken; then the listener says so as soon as it listens again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.actors import APP, DAY, Clock, new_id, newcomer
from tests.support.redis_line import RedisLine
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.waiting import until
from tim.ends import LOGGED_OUT, Client, Gone
from tim.errors import StoreUnavailable
from tim.model import Instance
from tim.rules import SHARDS, shard_of
from tim.store.hints import AccountChanged, Attached, Ended, Hint, Written
from tim.store.redis.engine import RedisStore
from tim.timing import Timing

Open = Callable[..., RedisStore]
Servers = RedisServer | RedisCluster
IMPATIENT = Timing(hints_retry=0.05, hints_ping=0.3)
"""What takes seconds takes tenths of them."""
SOMEBODY = Client("Chrome", "198.51.100.1")


class Ears:
    """Collects the hints for the node `name`, from the moment it listens."""

    def __init__(self, store: RedisStore, name: str) -> None:
        self.store = store
        self.name = name
        self._heard: list[Hint] = []
        self._missed = 0
        store.listen(name, self._heard.append, self._count)
        self.listens_again(1)

    def _count(self) -> None:
        self._missed += 1

    @property
    def times(self) -> int:
        """How often it has begun to listen."""
        return self._missed

    def listens_again(self, times: int) -> None:
        """Wait until it has begun to listen so often."""
        until(lambda: self._missed >= times, f"it should listen for the {times}. time, not the {self._missed}.")

    def hears(self, *hints: Hint) -> None:
        """Wait until it has heard these and no others since the last call, in any order."""
        until(lambda: len(self._heard) >= len(hints), f"heard {self._heard} and not {hints}")
        heard, self._heard[:] = list(self._heard), []
        assert sorted(heard, key=repr) == sorted(hints, key=repr)


@pytest.fixture
def ears(servers: Servers, open_redis: Open) -> Ears:
    """Another node, which is node-1."""
    return Ears(open_redis(servers.url, "node-1", timing=IMPATIENT), "node-1")


@pytest.fixture
def store(servers: Servers, open_redis: Open) -> RedisStore:
    """The node that acts; it has no streams."""
    return open_redis(servers.url, "node-2")


def log_in(store: RedisStore, node: str = "node-1", user: str = "alice", limit: int = 10) -> Instance:
    admitted, _ = store.admit(newcomer(user, expires=store.now() + DAY), limit)
    return store.attach(admitted.id, node, limit).instance


CHANGED = AccountChanged(APP, "alice")


def end_of(ended: Instance) -> Ended:
    assert ended.gone is not None
    return Ended(APP, ended.user, ended.id, ended.gone)


# Hints


def test_the_hint_of_an_end_has_the_reason_and_the_client_that_caused_it(ears: Ears, store: RedisStore) -> None:
    tab, _ = log_in(ears.store), log_in(ears.store)
    ears.hears()
    removed = store.remove(tab.id, Gone(LOGGED_OUT, 0, SOMEBODY))
    assert removed is not None
    ears.hears(end_of(removed), CHANGED)


def test_an_eviction_sends_its_end_and_a_change_of_the_list(ears: Ears, store: RedisStore) -> None:
    old, stays = log_in(ears.store), log_in(ears.store)
    ears.hears()
    _, evicted = store.admit(newcomer(browser="", expires=store.now() + DAY), 2)
    assert [each.id for each in evicted] == [old.id]
    ears.hears(end_of(evicted[0]), CHANGED)
    store.kick_account(APP, "alice")
    ears.hears(end_of(store.get(stays.id)))


def test_the_hint_of_a_message_is_the_message_in_the_log(ears: Ears, store: RedisStore) -> None:
    log_in(ears.store, user="bob")
    alice = log_in(store, "node-2")
    sent, received = store.append(APP, alice.id, "bob", 'a "quote", \0, é and 😀', new_id())
    assert received is not None
    ears.hears(Written(APP, "bob", received))
    assert sent.text == received.text == 'a "quote", \0, é and 😀'


def test_a_stream_opened_elsewhere_is_sent_to_its_old_node(ears: Ears, store: RedisStore) -> None:
    tab = log_in(ears.store)
    ears.hears()
    moved = store.attach(tab.id, "node-2", 10).instance
    ears.hears(Attached(APP, "alice", tab.id, moved.stream))


def test_each_attach_and_detach_sends_a_change_of_the_list(ears: Ears, store: RedisStore) -> None:
    log_in(ears.store)
    ears.hears()
    other = log_in(store, "node-2")
    ears.hears(CHANGED, CHANGED)
    store.detach(other.id, other.stream)
    ears.hears(CHANGED)


def test_a_node_gets_no_hints_of_its_own_acts(ears: Ears, store: RedisStore) -> None:
    tab, other = log_in(ears.store), log_in(ears.store)
    ears.store.append(APP, tab.id, "alice", "hello", new_id())
    ears.store.detach(other.id, other.stream)
    removed = ears.store.remove(tab.id, Gone(LOGGED_OUT, 0))
    assert removed is not None
    ended = store.remove(log_in(ears.store).id, Gone(LOGGED_OUT, 0))
    assert ended is not None
    ears.hears(end_of(ended))
    # A node that got no reply to its own act learns of the end by its renewal.
    assert {each.id for each in ears.store.renew("node-1")} == {removed.id, ended.id}


def test_hints_arrive_from_every_shard(ears: Ears, store: RedisStore) -> None:
    one_each = {shard_of(APP, f"user-{n}"): f"user-{n}" for n in range(SHARDS * 20)}
    assert len(one_each) == SHARDS
    tabs = [log_in(ears.store, user=user) for user in one_each.values()]
    ended = [store.remove(tab.id, Gone(LOGGED_OUT, 0)) for tab in tabs]
    ears.hears(*(end_of(each) for each in ended if each))


# Broken connections


@pytest.fixture(params=["redis", "redis-cluster"])
def own(
    request: pytest.FixtureRequest,
    make_redis: Callable[..., RedisServer],
    make_redis_cluster: Callable[..., RedisCluster],
    clock: Clock,
) -> Servers:
    """A Redis, and then a cluster, that a test may stop; it keeps its data."""
    return (make_redis if request.param == "redis" else make_redis_cluster)(clock=clock, append_only=True)


def hears_of_a_logout(ears: Ears, store: RedisStore) -> None:
    tab = log_in(ears.store, user=new_id())
    removed = store.remove(tab.id, Gone(LOGGED_OUT, 0))
    assert removed is not None
    ears.hears(end_of(removed))


@contextmanager
def once_more(ears: Ears) -> Iterator[None]:
    """What happens here makes it listen anew."""
    times = ears.times
    yield
    ears.listens_again(times + 1)


def test_it_reconnects_after_each_of_many_restarts_and_reports_it(own: Servers, open_redis: Open, rounds: int) -> None:
    ears, store = Ears(open_redis(own.url, "node-1", timing=IMPATIENT), "node-1"), open_redis(own.url, "node-2")
    for _ in range(5 * rounds if isinstance(own, RedisServer) else 2):
        with once_more(ears):
            own.kill()
            own.start()
        hears_of_a_logout(ears, store)


def test_it_retries_without_using_up_the_connections_of_calls(
    make_redis: Callable[..., RedisServer],
    make_redis_line: Callable[[RedisServer], RedisLine],
    open_redis: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = make_redis()
    line = make_redis_line(server)
    ears, store = (
        Ears(open_redis(line.url, "node-1", timing=Timing(hints_retry=0.001, hints_ping=0.3)), "node-1"),
        open_redis(server.url, "node-2"),
    )
    line.cuts()
    until(lambda: line.accepted > 200, "it should try again and again")
    with pytest.raises(StoreUnavailable):
        ears.store.get(new_id())
    with once_more(ears):
        line.passes()
    hears_of_a_logout(ears, store)


def test_it_survives_a_redis_that_is_gone(own: Servers, open_redis: Open, caplog: pytest.LogCaptureFixture) -> None:
    ears, store = Ears(open_redis(own.url, "node-1", timing=IMPATIENT), "node-1"), open_redis(own.url, "node-2")
    own.kill()
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            store.get(new_id())
    until(lambda: "hints: " in caplog.text, "it should notice")
    with once_more(ears):
        own.start()
    hears_of_a_logout(ears, store)


def test_it_reconnects_to_each_server_of_a_cluster(
    make_redis_cluster: Callable[..., RedisCluster], open_redis: Open, clock: Clock
) -> None:
    cluster = make_redis_cluster(clock=clock, append_only=True)
    ears, store = Ears(open_redis(cluster.url, "node-1", timing=IMPATIENT), "node-1"), open_redis(cluster.url, "node-2")
    for server in cluster.nodes:
        with once_more(ears):
            server.kill()
            server.start()
        cluster.is_whole()
        for _ in range(6):
            hears_of_a_logout(ears, store)


def test_a_silent_connection_is_replaced(
    make_redis: Callable[..., RedisServer], make_redis_line: Callable[[RedisServer], RedisLine], open_redis: Open
) -> None:
    server = make_redis()
    line = make_redis_line(server)
    ears, store = Ears(open_redis(line.url, "node-1", timing=IMPATIENT), "node-1"), open_redis(server.url, "node-2")
    lines = line.accepted
    line.swallows()
    until(lambda: line.accepted > lines, "it should open a new connection")
    with once_more(ears):
        line.passes()
    hears_of_a_logout(ears, store)


def test_an_idle_connection_is_kept(servers: Servers, open_redis: Open) -> None:
    ears, store = Ears(open_redis(servers.url, "node-1", timing=IMPATIENT), "node-1"), open_redis(servers.url, "node-2")
    threading.Event().wait(1)
    assert ears.times == 1
    hears_of_a_logout(ears, store)


def test_it_reconnects_after_redis_has_refused_its_password(
    make_redis: Callable[..., RedisServer], open_redis: Open, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_redis()
    ears, store = Ears(open_redis(server.url, "node-1", timing=IMPATIENT), "node-1"), open_redis(server.url, "node-2")
    admin = server.client()
    with once_more(ears):
        admin.config_set("requirepass", "hunter2")
        admin.client_kill_filter(_type="pubsub")
        until(lambda: "Authentication" in caplog.text, "it should be refused")
        admin.config_set("requirepass", "")
    hears_of_a_logout(ears, store)


def test_what_redis_refuses_on_its_connection_is_a_line_for_each_outage(
    make_redis: Callable[..., RedisServer], open_redis: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """As PING is refused while Redis loads its file."""
    server = make_redis()
    ears = Ears(open_redis(server.url, "node-1", timing=IMPATIENT), "node-1")
    admin = server.client()
    for outage in (1, 2):
        admin.acl_setuser("default", commands=["-ping"], enabled=True, nopass=True)
        times = ears.times
        until(lambda times=times: ears.times > times + 1, "it should try again")  # type: ignore[misc]
        admin.acl_setuser("default", commands=["+ping"], enabled=True, nopass=True)
        refused = [record for record in caplog.records if record.getMessage().startswith("hints: ")]
        assert [record.exc_info for record in refused if record.exc_info] == []
        assert len(refused) >= outage


def test_close_ends_its_threads(servers: Servers, open_redis: Open) -> None:
    def listening() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name in ("tim-hints", "tim-socket")}

    before = listening()
    ears = Ears(open_redis(servers.url, "node-1", timing=IMPATIENT), "node-1")
    its = listening() - before
    assert len(its) > 1
    ears.store.close()
    until(lambda: not its & listening(), "its threads should end")
