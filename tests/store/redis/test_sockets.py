"""Connections to a server: no reply reaches another call, and a broken one costs a call at most one retry."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.support.actors import APP
from tests.support.redis_line import RedisLine
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tim.errors import StoreUnavailable
from tim.store.redis.engine import RedisStore
from tim.store.redis.sockets import Socket
from tim.timing import Timing

Open = Callable[..., RedisStore]
MANY = 8


class BrokenOff(BaseException):
    """What a greenlet is ended with."""


def exists(store: RedisStore, user: str) -> bool:
    return store.accounts(APP, [user]) == {user}


def opens_many(store: RedisStore) -> None:
    """It has connections that are idle now, a few at least."""
    barrier = Barrier(MANY)
    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(lambda _: barrier.wait() and exists(store, "alice"), range(MANY)))


def test_a_call_gets_through_after_a_restart_however_many_connections_were_idle(
    make_redis: Callable[..., RedisServer], open_redis: Open
) -> None:
    server = make_redis(append_only=True)
    store = open_redis(server.url)
    store.import_account(APP, "alice")
    opens_many(store)
    server.kill()
    server.start()
    assert exists(store, "alice")


def test_a_reply_that_comes_too_late_reaches_no_other_call(
    make_redis: Callable[..., RedisServer], make_redis_line: Callable[[RedisServer], RedisLine], open_redis: Open
) -> None:
    server = make_redis()
    line = make_redis_line(server)
    store = open_redis(line.url, timing=Timing(redis_timeout=0.2))
    store.import_account(APP, "alice")
    line.delays(replies=0.4)
    with pytest.raises(StoreUnavailable):
        exists(store, "alice")
    line.passes()
    assert not exists(store, "bob")
    assert exists(store, "alice")


@pytest.mark.parametrize("where", ["_reply", "exchange"])
def test_a_call_that_is_broken_off_leaves_no_reply_to_another(
    where: str, make_redis: Callable[..., RedisServer], open_redis: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_redis(make_redis().url)
    store.import_account(APP, "alice")
    does = getattr(Socket, where)

    def is_broken_off(self: Socket, *commands: object) -> None:
        if where == "exchange":
            does(self, *commands)
        raise BrokenOff

    with monkeypatch.context() as once:
        once.setattr(Socket, where, is_broken_off)
        with pytest.raises(BrokenOff):
            exists(store, "alice")
    assert not exists(store, "bob")
    assert exists(store, "alice")


def test_closing_ends_the_calls_that_are_under_way(make_redis: Callable[..., RedisServer], open_redis: Open) -> None:
    server = make_redis()
    store = open_redis(server.url, timing=Timing(redis_timeout=60, redis_queue=60))
    store.import_account(APP, "alice")
    server.pauses()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(exists, store, "alice")
        until(call.running, "it should have begun")
        store.close()
        assert isinstance(call.exception(timeout=10), StoreUnavailable)
    server.goes_on()
