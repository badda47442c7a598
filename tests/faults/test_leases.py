"""Nodes that were silent for so long that they were held to be dead, on a Redis whose time the test sets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.actors import APP, GRACE, ATab, Clock, Person
from tests.redis_line import RedisLine
from tests.redis_server import RedisServer
from tim import EVENT, TYPES, Backend
from tim.errors import StoreUnavailable
from tim.store.connection import SCRIPTS
from tim.store.redis import LEASE, UNSENT

STEP = LEASE / 3
"""Seconds; those who live renew that often."""


@pytest.fixture
def server(make_redis: Callable[..., RedisServer], clock: Clock) -> RedisServer:
    return make_redis(clock=clock)


@pytest.fixture
def line(server: RedisServer, make_redis_line: Callable[[RedisServer], RedisLine]) -> RedisLine:
    return make_redis_line(server)


@pytest.fixture
def nodes(server: RedisServer, make_backend: Callable[..., Backend]) -> tuple[Backend, Backend]:
    """Two nodes, which renew when the test says so; two places for each account."""
    return make_backend(server.url, limit=2), make_backend(server.url, limit=2)


def pass_time(clock: Clock, seconds: float, *alive: Backend) -> None:
    """Let so many seconds pass, in which only these nodes renew."""
    for _ in range(round(seconds / STEP)):
        clock.advance(STEP)
        for node in alive:
            node.renew()


def online(node: Backend, user: str) -> list[bool]:
    """Of each live instance of the account, oldest first, whether it is online."""
    return [instance.online for instance in node.store.instances(APP, user)]


def has_heard_nothing_bad(tab: ATab) -> None:
    assert tab.heard(EVENT.KICKED_OUT, EVENT.SDK_NOT_READY) == []
    assert tab.sdk.is_ready()


@pytest.mark.parametrize("silence", [LEASE, LEASE + GRACE], ids=["detached", "away"])
def test_a_node_that_was_held_to_be_dead_comes_back_with_its_tabs(
    silence: float, nodes: tuple[Backend, Backend], clock: Clock
) -> None:
    silent, alive = nodes
    alice = Person(silent, "alice").logs_in()
    pass_time(clock, silence, alive)
    assert online(alive, "alice") == ([False] if silence == LEASE else [])
    silent.renew()
    assert online(alive, "alice") == [True]
    has_heard_nothing_bad(alice)
    alice.says("alice", "I was asleep")
    pass_time(clock, 2 * LEASE, *nodes)
    assert online(alive, "alice") == [True]


def test_a_node_that_was_held_to_be_dead_hears_who_has_the_seats_of_its_tabs(
    nodes: tuple[Backend, Backend], clock: Clock
) -> None:
    silent, alive = nodes
    alice = Person(silent, "alice").logs_in()
    pass_time(clock, LEASE + GRACE, alive)
    for name in ("B", "C"):
        Person(alive, "alice").logs_in(name)
    silent.renew()
    alice.is_kicked_out(TYPES.KICKED_OUT_MULT_ACCOUNT)
    assert online(alive, "alice") == [True, True]


def test_a_message_whose_writer_died_between_the_two_logs_gets_into_both_once(
    server: RedisServer,
    make_redis_line: Callable[[RedisServer], RedisLine],
    make_backend: Callable[..., Backend],
    clock: Clock,
) -> None:
    line = make_redis_line(server)
    dying, alive = make_backend(line.url), make_backend(server.url)
    alice, bob = Person(dying, "alice").logs_in(), Person(alive, "bob").logs_in()
    alice.says("bob", "first")
    line.drops_replies(2, of=SCRIPTS["append"].sha)
    with pytest.raises(StoreUnavailable):
        dying.send(dying.store.instances(APP, "alice")[0].id, "bob", "last words")
    clock.advance(UNSENT - 1)
    alive.renew()
    bob.reads("first")
    clock.advance(1)
    for _ in range(3):
        alive.renew()
    bob.reads("first", "last words")
    for user in ("alice", "bob"):
        assert [message.text for message in alive.store.history(APP, user, 0, 10)] == ["first", "last words"]
