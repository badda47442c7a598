"""What other processes decide is heard at once, on a single Redis and on a cluster, and for ever.

Words may be lost while a line is broken; then the listener says so as soon as it listens again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.actors import APP, DAY, Clock, new_id, newcomer, until
from tests.support.redis_line import RedisLine
from tests.support.redis_server import RedisCluster, RedisServer
from tim.ends import LOGGED_OUT, Client, Gone
from tim.errors import StoreUnavailable
from tim.model import Instance
from tim.rules import SHARDS, shard_of
from tim.store.hints import Hint
from tim.store.redis.engine import RedisStore

Open = Callable[..., RedisStore]
Servers = RedisServer | RedisCluster
SOMEBODY = Client("Chrome", "198.51.100.1")


class Ears:
    """Everything that a process hears as the node `name`, from the moment it listens."""

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
    """Somebody else's process, which is node-1."""
    return Ears(open_redis(servers.url, "node-1"), "node-1")


@pytest.fixture
def store(servers: Servers, open_redis: Open) -> RedisStore:
    """The process that decides; it is nobody who has streams."""
    return open_redis(servers.url, "node-2")


def log_in(store: RedisStore, node: str = "node-1", user: str = "alice", limit: int = 10) -> Instance:
    admitted, _ = store.admit(newcomer(user, expires=store.now() + DAY), limit)
    return store.attach(admitted.id, node, limit)


CHANGED = Hint(APP, "alice")


# What is heard


def test_an_instance_that_has_ended_is_told_of_with_why_and_by_whom(ears: Ears, store: RedisStore) -> None:
    tab, _ = log_in(ears.store), log_in(ears.store)
    ears.hears()
    removed = store.remove(tab.id, Gone(LOGGED_OUT, 0, SOMEBODY))
    assert removed is not None
    ears.hears(Hint(APP, "alice", instance=tab.id, gone=removed.gone), CHANGED)


def test_an_evicted_one_is_told_of_and_so_is_the_change_for_those_that_stay(ears: Ears, store: RedisStore) -> None:
    old, stays = log_in(ears.store), log_in(ears.store)
    ears.hears()
    _, evicted = store.admit(newcomer(browser="", expires=store.now() + DAY), 2)
    assert [each.id for each in evicted] == [old.id]
    ears.hears(Hint(APP, "alice", instance=old.id, gone=evicted[0].gone), CHANGED)
    store.kick_account(APP, "alice")
    gone = store.get(stays.id).gone
    ears.hears(Hint(APP, "alice", instance=stays.id, gone=gone))


def test_a_message_is_told_as_it_stands_in_the_log(ears: Ears, store: RedisStore) -> None:
    log_in(ears.store, user="bob")
    alice = log_in(store, "node-2")
    sent, received = store.append(APP, alice.id, "bob", 'a "quote", \0, é and 😀', new_id())
    assert received is not None
    ears.hears(Hint(APP, "bob", message=received))
    assert sent.text == received.text == 'a "quote", \0, é and 😀'


def test_a_stream_that_was_opened_elsewhere_is_told_to_where_it_was(ears: Ears, store: RedisStore) -> None:
    tab = log_in(ears.store)
    ears.hears()
    moved = store.attach(tab.id, "node-2", 10)
    ears.hears(Hint(APP, "alice", instance=tab.id, stream=moved.stream))


def test_that_the_list_has_changed_is_told_for_each_that_comes_or_goes(ears: Ears, store: RedisStore) -> None:
    log_in(ears.store)
    ears.hears()
    other = log_in(store, "node-2")
    ears.hears(CHANGED, CHANGED)
    store.detach(other.id, other.stream)
    ears.hears(CHANGED)


def test_nobody_is_told_what_he_does_himself_but_ends(ears: Ears) -> None:
    tab, other = log_in(ears.store), log_in(ears.store)
    ears.store.append(APP, tab.id, "alice", "hello", new_id())
    ears.store.detach(other.id, other.stream)
    ears.hears()
    removed = ears.store.remove(tab.id, Gone(LOGGED_OUT, 0))
    assert removed is not None
    # Told twice is told once: a process whose call was answered too late hears of it all the same.
    ears.hears(Hint(APP, "alice", instance=tab.id, gone=removed.gone))


def test_what_happens_in_any_part_of_the_store_is_heard(ears: Ears, store: RedisStore) -> None:
    one_each = {shard_of(APP, f"user-{n}"): f"user-{n}" for n in range(SHARDS * 20)}
    assert len(one_each) == SHARDS
    tabs = [log_in(ears.store, user=user) for user in one_each.values()]
    ended = [store.remove(tab.id, Gone(LOGGED_OUT, 0)) for tab in tabs]
    ears.hears(*(Hint(APP, each.user, instance=each.id, gone=each.gone) for each in ended if each))


# Lines that break


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds takes tenths of them."""
    monkeypatch.setattr("tim.store.redis.listener.PAUSE", 0.05)
    monkeypatch.setattr("tim.store.redis.listener.SILENCE", 0.3)


@pytest.fixture(params=["redis", "redis-cluster"])
def own(
    request: pytest.FixtureRequest,
    make_redis: Callable[..., RedisServer],
    make_redis_cluster: Callable[..., RedisCluster],
    clock: Clock,
) -> Servers:
    """A Redis, and then a cluster, that a test may stop; it keeps what it was told."""
    return (make_redis if request.param == "redis" else make_redis_cluster)(clock=clock, append_only=True)


def hears_of_a_logout(ears: Ears, store: RedisStore) -> None:
    tab = log_in(ears.store, user=new_id())
    removed = store.remove(tab.id, Gone(LOGGED_OUT, 0))
    assert removed is not None
    ears.hears(Hint(APP, tab.user, instance=tab.id, gone=removed.gone))


@contextmanager
def once_more(ears: Ears) -> Iterator[None]:
    """What happens here makes it listen anew."""
    times = ears.times
    yield
    ears.listens_again(times + 1)


def test_it_listens_again_after_each_of_twenty_restarts_and_says_so(own: Servers, open_redis: Open) -> None:
    ears, store = Ears(open_redis(own.url, "node-1"), "node-1"), open_redis(own.url, "node-2")
    for _ in range(20 if isinstance(own, RedisServer) else 3):
        with once_more(ears):
            own.kill()
            own.start()
        hears_of_a_logout(ears, store)


def test_it_tries_as_often_as_it_takes_and_nobody_else_runs_short_of_connections(
    make_redis: Callable[..., RedisServer],
    make_redis_line: Callable[[RedisServer], RedisLine],
    open_redis: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tim.store.redis.listener.PAUSE", 0.001)
    server = make_redis()
    line = make_redis_line(server)
    ears, store = Ears(open_redis(line.url, "node-1"), "node-1"), open_redis(server.url, "node-2")
    line.cuts()
    until(lambda: line.accepted > 200, "it should try again and again")
    with pytest.raises(StoreUnavailable):
        ears.store.get(new_id())
    with once_more(ears):
        line.passes()
    hears_of_a_logout(ears, store)


def test_it_outlives_a_redis_of_which_nothing_is_left(
    own: Servers, open_redis: Open, caplog: pytest.LogCaptureFixture
) -> None:
    ears, store = Ears(open_redis(own.url, "node-1"), "node-1"), open_redis(own.url, "node-2")
    own.kill()
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            store.get(new_id())
    until(lambda: "hints: " in caplog.text, "it should notice")
    with once_more(ears):
        own.start()
    hears_of_a_logout(ears, store)


def test_one_server_of_a_cluster_that_was_away_is_heard_again(
    make_redis_cluster: Callable[..., RedisCluster], open_redis: Open, clock: Clock
) -> None:
    cluster = make_redis_cluster(clock=clock, append_only=True)
    ears, store = Ears(open_redis(cluster.url, "node-1"), "node-1"), open_redis(cluster.url, "node-2")
    for server in cluster.nodes:
        with once_more(ears):
            server.kill()
            server.start()
        cluster.is_whole()
        for _ in range(6):
            hears_of_a_logout(ears, store)


def test_a_line_that_is_silent_is_given_up_and_made_anew(
    make_redis: Callable[..., RedisServer], make_redis_line: Callable[[RedisServer], RedisLine], open_redis: Open
) -> None:
    server = make_redis()
    line = make_redis_line(server)
    ears, store = Ears(open_redis(line.url, "node-1"), "node-1"), open_redis(server.url, "node-2")
    lines = line.accepted
    line.swallows()
    until(lambda: line.accepted > lines, "it should try a new line")
    with once_more(ears):
        line.passes()
    hears_of_a_logout(ears, store)


def test_a_line_on_which_nothing_is_said_is_kept(servers: Servers, open_redis: Open) -> None:
    ears, store = Ears(open_redis(servers.url, "node-1"), "node-1"), open_redis(servers.url, "node-2")
    threading.Event().wait(1)
    assert ears.times == 1
    hears_of_a_logout(ears, store)


def test_it_listens_though_redis_refused_it_for_a_while(
    make_redis: Callable[..., RedisServer], open_redis: Open, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_redis()
    ears, store = Ears(open_redis(server.url, "node-1"), "node-1"), open_redis(server.url, "node-2")
    admin = server.client()
    with once_more(ears):
        admin.config_set("requirepass", "hunter2")
        admin.client_kill_filter(_type="pubsub")
        until(lambda: "Authentication" in caplog.text, "it should be refused")
        admin.config_set("requirepass", "")
    hears_of_a_logout(ears, store)


def test_a_closed_one_stops(servers: Servers, open_redis: Open) -> None:
    def listening() -> int:
        return sum(thread.name == "tim-hints" for thread in threading.enumerate())

    before = listening()
    ears = Ears(open_redis(servers.url, "node-1"), "node-1")
    assert listening() == before + 1
    ears.store.close()
    until(lambda: listening() <= before, "its thread should end")
