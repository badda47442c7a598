"""A Redis that does not answer, refuses or is full: that is said soon, nothing is done by halves, and it heals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import redis

from tests.support.actors import APP, DAY, Clock, newcomer
from tests.support.redis_line import RedisLine
from tests.support.redis_server import HOST, RedisServer
from tests.support.verbs import EVERYTHING, world
from tim.codes import STORE_UNAVAILABLE
from tim.errors import StoreUnavailable
from tim.model import Instance
from tim.store.redis.engine import RedisStore
from tim.store.redis.slots import AT_ONCE
from tim.timing import Timing

Open = Callable[..., RedisStore]
PASSWORD = "hunter2"
KINDS = {"a script": "get", "a command": "accounts", "a script on each part": "attached"}


@pytest.fixture
def admin(server: RedisServer) -> Iterator[redis.Redis]:
    """Who was there before the password was, and is not asked for it."""
    with server.client() as admin:
        admin.config_set("requirepass", PASSWORD)
        yield admin


@pytest.fixture
def distant(line: RedisLine, open_redis: Open, admin: redis.Redis) -> RedisStore:
    """The store at the other end of the line, behind a password."""
    return open_redis(f"redis://:{PASSWORD}@{HOST}:{line.port}/0", "node-1")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def is_unavailable(store: RedisStore, what: str) -> str:
    """That call is refused; what stands in the log of it. Everybody else hears neither of the server nor why."""
    id = newcomer(expires=0).id
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: store.get(id),
        "accounts": lambda: store.accounts(APP, ["alice"]),
        "attached": lambda: store.attached("node-1"),
        "renew": lambda: store.renew("node-1"),
        "sweep": store.sweep,
    }
    with pytest.raises(StoreUnavailable) as refused:
        calls[what]()
    assert refused.value.code == STORE_UNAVAILABLE
    assert HOST not in refused.value.message
    return str(refused.value)


def log_in(store: RedisStore, user: str) -> Instance:
    admitted, _ = store.admit(newcomer(user, expires=store.now() + DAY), 10)
    return store.attach(admitted.id, "node-1", 10).instance


# Away


@pytest.mark.parametrize("what", KINDS.values(), ids=KINDS)
def test_a_line_that_is_cut_is_a_store_that_is_not_available_by_its_name_and_without_its_password(
    what: str, distant: RedisStore, line: RedisLine
) -> None:
    line.cuts()
    for _ in range(3):
        with within(1):
            said = is_unavailable(distant, what)
        assert f"{HOST}:{line.port}" in said
        assert PASSWORD not in said
    line.passes()
    assert distant.attached("node-1") == {}


def test_a_password_that_has_changed_is_not_said_either(
    distant: RedisStore, line: RedisLine, admin: redis.Redis
) -> None:
    admin.config_set("requirepass", "another")
    line.breaks()
    said = is_unavailable(distant, "get")
    assert f"{HOST}:{line.port}" in said
    assert PASSWORD not in said
    admin.config_set("requirepass", PASSWORD)
    assert distant.attached("node-1") == {}


def test_a_line_that_swallows_everything_is_noticed_in_seconds(distant: RedisStore, line: RedisLine) -> None:
    verbs = [*KINDS.values(), "renew", "sweep"]
    line.swallows()
    with within(5), ThreadPoolExecutor(len(verbs)) as pool:
        said = list(pool.map(lambda verb: is_unavailable(distant, verb), verbs))
    assert all(f"{HOST}:{line.port}" in words for words in said)
    line.passes()
    assert distant.attached("node-1") == {}


def test_a_server_that_stands_still_is_noticed_in_seconds_by_each_of_many(
    open_redis: Open, server: RedisServer
) -> None:
    store = open_redis(server.url, "node-1")
    server.pauses()
    with within(5), ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: is_unavailable(store, "get"), range(AT_ONCE)))
    server.goes_on()
    assert store.attached("node-1") == {}


# Many at once


def test_only_so_many_calls_are_under_way_at_a_time_and_the_others_wait_their_turn(
    distant: RedisStore, line: RedisLine
) -> None:
    before = line.accepted
    line.delays(replies=0.05)
    with ThreadPoolExecutor(4 * AT_ONCE) as pool:
        answers = list(pool.map(lambda _: distant.accounts(APP, ["alice"]), range(4 * AT_ONCE)))
    assert answers == [set()] * len(answers)
    assert line.accepted - before <= AT_ONCE


def test_who_waits_too_long_for_his_turn_is_told_so(
    line: RedisLine, open_redis: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tim.store.redis.slots.AT_ONCE", 2)
    store = open_redis(line.url, timing=Timing(redis_queue=0.1))
    line.swallows()
    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(lambda _: is_unavailable(store, "get"), range(3)))
    assert sum(f"2 calls to {HOST}:{line.port} are waiting already" in each for each in said) == 1
    line.passes()
    store.join("node-1")


# Full


@contextmanager
def full(server: RedisServer) -> Iterator[None]:
    """It has no room for anything new."""
    server.client().config_set("maxmemory", "1kb")  # less than it takes when it is empty
    yield
    server.client().config_set("maxmemory", "0")


NEEDS_ROOM = {
    "admit",
    "enter",
    "attach",
    "append",
    "deliver",
    "mark_read",
    "count_failure",
    "import_account",
    "note",
    "count",
    "rename",
    "vouch",
    # Here, this one is after a login.
    "disown",
}


@pytest.mark.parametrize("call", sorted(EVERYTHING))
def test_a_full_store_refuses_what_is_new_as_a_whole_and_does_all_that_makes_room(
    call: str, server: RedisServer, open_redis: Open, clock: Clock
) -> None:
    store = open_redis(server.url)
    answer = EVERYTHING[call](world(server, store, clock))
    then = server.holds()
    at = world(server, store, clock)
    before = server.holds()
    server.forgets_scripts()
    with full(server):
        if call in NEEDS_ROOM:
            with pytest.raises(StoreUnavailable):
                EVERYTHING[call](at)
        else:
            assert EVERYTHING[call](at) == answer
        assert server.holds() == (before if call in NEEDS_ROOM else then)
    if call in NEEDS_ROOM:
        EVERYTHING[call](at)
        assert server.holds() == then


def test_one_that_fills_up_loses_nothing_and_heals_when_there_is_room(
    make_redis: Callable[..., RedisServer], open_redis: Open, clock: Clock
) -> None:
    server = make_redis(clock=clock, maxmemory="4mb")
    store = open_redis(server.url, "node-1")
    alice, bob = (log_in(store, user) for user in ("alice", "bob"))
    sent = 0
    with pytest.raises(StoreUnavailable):
        while sent < 10_000:
            clock.advance(1)  # so that it does not send too much
            store.append(APP, alice.id, "bob", "x" * 12_000, f"m-{sent}")
            sent += 1
    assert sent > 10
    for _ in range(3):
        clock.advance(5)
        assert store.renew("node-1") == []
        assert store.sweep() == []
    assert [store.get(each.id) for each in (alice, bob)] == [alice, bob], "nobody has been sent away for it"
    server.client().config_set("maxmemory", "8mb")
    store.sweep()
    assert [each.id for each in store.history(APP, "bob", 0, 10_000)] == [f"m-{n}" for n in range(sent)]
    log_in(store, "carol")
    store.append(APP, alice.id, "bob", "there is room again", "m")
