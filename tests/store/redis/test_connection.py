"""Calls that arrive late, are repeated, or find no scripts: each is carried out once or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.actors import APP, DAY, Clock, newcomer
from tests.support.redis_line import RedisLine
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.verbs import CHANGING, EVERYTHING, world
from tim.errors import StoreUnavailable
from tim.model import Instance
from tim.store.redis.connection import Connection
from tim.store.redis.engine import RedisStore
from tim.timing import Timing

Open = Callable[..., RedisStore]
Servers = RedisServer | RedisCluster
HOUR = 3600.0


@pytest.fixture
def store(servers: Servers, open_redis: Open) -> RedisStore:
    return open_redis(servers.url)


@pytest.fixture
def distant(line: RedisLine, open_redis: Open) -> RedisStore:
    """The store behind a proxy."""
    return open_redis(line.url)


# Deadlines


@pytest.mark.parametrize("verb", CHANGING)
def test_a_call_past_its_deadline_is_not_carried_out(
    verb: str, servers: Servers, store: RedisStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = world(servers, store, clock)
    before = servers.holds()
    with monkeypatch.context() as late:
        late.setattr(Connection, "deadline", lambda *_: int(clock() * 1e6) - 1)
        with pytest.raises(StoreUnavailable):
            CHANGING[verb](at)
    assert servers.holds() == before
    CHANGING[verb](at)
    assert servers.holds() != before, "so there was something to do"


def test_a_paused_server_does_not_carry_out_calls_that_were_given_up(
    server: RedisServer, open_redis: Open, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = world(server, open_redis(server.url, timing=Timing(redis_timeout=0.5)), clock)
    before = server.holds()
    began = {verb: change for verb, change in CHANGING.items() if verb != "append"}  # it reads first
    with ThreadPoolExecutor(len(began)) as pool:
        server.pauses()
        calls = [pool.submit(change, at) for change in began.values()]
        assert all(isinstance(call.exception(), StoreUnavailable) for call in calls)
        clock.advance(3)
        server.goes_on()
    asked = at.store.get(at.online.id)  # commands are read in the order of arrival
    assert asked.online
    assert server.holds() == before


@pytest.mark.parametrize("jump", [HOUR, 30 * DAY, -HOUR])
def test_no_call_fails_when_the_servers_clock_jumps(
    jump: float, servers: Servers, store: RedisStore, clock: Clock
) -> None:
    for call in EVERYTHING.values():
        at = world(servers, store, clock)
        clock.advance(jump)
        call(at)


def test_no_call_fails_when_the_clocks_of_a_cluster_differ(
    make_redis_cluster: Callable[..., RedisCluster], open_redis: Open, clock: Clock
) -> None:
    cluster = make_redis_cluster(clock=clock)
    store = open_redis(cluster.url)
    for call in EVERYTHING.values():
        at = world(cluster, store, clock)
        for hours, node in enumerate(cluster.nodes, -1):
            node.shows(clock() + hours * HOUR)
        call(at)
    for n in range(20):
        user = f"user-{n}"
        store.import_account(APP, user)
        sent, received = store.deliver(APP, "alice", user, "hello", user, copy=True)
        assert store.history(APP, user, 0, 10) == [received]
        assert sent is not None
        assert received is not None
        assert sent.time == received.time


# Scripts that Redis does not have


@pytest.mark.parametrize("verb", EVERYTHING)
def test_every_verb_works_after_script_flush(verb: str, servers: Servers, store: RedisStore, clock: Clock) -> None:
    answer = EVERYTHING[verb](world(servers, store, clock))
    then = servers.holds()
    at = world(servers, store, clock)
    servers.forgets_scripts()
    assert EVERYTHING[verb](at) == answer
    assert servers.holds() == then


# Lost replies


OF_EVERY_SHARD = {
    *("attached", "online", "renew", "sweep", "due_events", "event_queue", "retry_events"),
    *("audit", "counters", "minutes", "live_accounts", "search", "number", "crowded"),
}
"""Verbs that call every shard; only a few of their replies are lost here, one at a time."""


def numbers(verb: str) -> Iterable[int]:
    """Which of its replies are lost, one at a time, as far as it gets so many."""
    return (0, 1, 40) if verb in OF_EVERY_SHARD else itertools.count()


@pytest.fixture
def lose(line: RedisLine) -> Callable[..., bool]:
    """`lose(call, 2)`: makes the call and loses its third reply; False where there is none."""

    def lose(call: Callable[[], object], nth: int, times: int = 1) -> bool:
        before = line.dropped
        line.drops_replies(times, after=nth)
        call()
        was_lost = line.dropped > before
        line.passes()
        return was_lost

    return lose


@pytest.mark.parametrize("verb", sorted(EVERYTHING.keys() - {"attach", "enter"}))
def test_a_call_repeated_after_a_lost_reply_is_carried_out_once(
    verb: str, server: RedisServer, distant: RedisStore, clock: Clock, lose: Callable[..., bool]
) -> None:
    for _ in range(2):  # the second time it has all the scripts
        EVERYTHING[verb](world(server, distant, clock))
    then = server.holds()
    for nth in numbers(verb):
        at = world(server, distant, clock)
        if not lose(lambda at=at: EVERYTHING[verb](at), nth):
            break
        assert server.holds() == then
    assert nth > 0


def test_an_attach_repeated_after_a_lost_reply_supersedes_its_first_stream(
    server: RedisServer, distant: RedisStore, clock: Clock, lose: Callable[..., bool]
) -> None:
    at = world(server, distant, clock)
    assert lose(lambda: distant.attach(at.closed.id, "node-1", 10), 0)
    opened = distant.get(at.closed.id)
    assert (opened.online, opened.generation, opened.stream) == (True, at.closed.generation, 2)
    assert distant.attached("node-1") == {at.online.id: 1, at.closed.id: 2}
    assert distant.detach(at.closed.id, 1) is False
    assert distant.detach(at.closed.id, 2) is True


def test_who_enters_again_after_a_lost_reply_has_one_seat_and_a_newer_stream(
    server: RedisServer, distant: RedisStore, clock: Clock, lose: Callable[..., bool]
) -> None:
    CHANGING["enter"](world(server, distant, clock))  # so that it has the script
    at = world(server, distant, clock)
    new = newcomer(expires=clock() + DAY)
    assert lose(lambda: distant.enter(new, 2, node="node-1"), 0)
    assert [each.id for each in distant.instances(APP, "alice")] == [at.online.id, new.id]
    assert distant.attached("node-1") == {at.online.id: 1, new.id: 2}


def test_a_sign_out_of_all_others_repeated_after_a_lost_reply_returns_what_it_ended_at_first(
    server: RedisServer, distant: RedisStore, clock: Clock, lose: Callable[..., bool]
) -> None:
    CHANGING["sign_out_others"](world(server, distant, clock))  # so that it has the script
    at = world(server, distant, clock)
    ended: list[Instance] = []
    assert lose(lambda: ended.extend(distant.sign_out_others(at.online.id)), 0)
    assert ended == [distant.get(at.closed.id)]


@pytest.mark.parametrize(
    "verb", ["admit", "enter", "attach", "detach", "remove", "append", "deliver", "disown", "kick_account"]
)
def test_a_connection_that_breaks_twice_is_store_unavailable_and_the_call_may_be_repeated(
    verb: str, server: RedisServer, distant: RedisStore, line: RedisLine, clock: Clock
) -> None:
    for _ in range(2):
        CHANGING[verb](world(server, distant, clock))
    then = server.holds()
    at = world(server, distant, clock)
    line.drops_replies(2)
    with pytest.raises(StoreUnavailable):
        CHANGING[verb](at)
    assert line.dropped == 2, "it is sent twice, and not three times"
    line.passes()
    CHANGING[verb](at)
    if verb not in ("enter", "attach", "kick_account"):  # a second stream; a second kick, which is in the audit as well
        assert server.holds() == then
