"""Hints between Redis and a node are lost: what was decided holds all the same, once, and arrives in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.faults.conftest import Opens
from tests.support.actors import APP, Clock, Person
from tests.support.engines import PATIENT
from tests.support.inside import store_of
from tests.support.redis_line import RedisLine
from tests.support.redis_server import RedisServer
from tests.support.site import HEALED, Site, instances, texts
from tests.support.wire import get
from tim import Backend
from tim.errors import StoreUnavailable
from tim.model import Limits
from tim.store.redis.connection import Connection
from tim.store.redis.scripts import SCRIPTS
from tim.timing import DEFAULT


@pytest.fixture(autouse=True)
def whole_again(site: Site) -> Iterator[None]:
    """A test that fails leaves no fault to the next one."""
    yield
    site.line.passes()


def test_with_every_hint_lost_a_kick_is_heard_in_time_and_a_message_with_the_next_one(site: Site, opens: Opens) -> None:
    victim, reader = opens(site.far, "victim"), opens(site.far, "reader")
    writer = opens(site.near, "writer")
    site.line.drops_hints()
    newcomer = opens(site.near, "victim")
    writer.says(reader.user_id, "unheard")
    victim.is_told("multipleAccount", HEALED)
    assert victim.events.count("kickedOut") == 1
    assert site.line.dropped > 0, "no hint was lost, so nothing was tried"
    assert reader.messages == []
    site.line.passes()
    writer.says(reader.user_id, "heard")
    reader.reads("unheard", "heard")
    for tab in (reader, newcomer):
        tab.was_never_cut()


def test_a_server_that_was_cut_off_catches_up_with_what_others_have_done_meanwhile(site: Site, opens: Opens) -> None:
    victim, reader = opens(site.far, "victim-cut"), opens(site.far, "reader-cut")
    writer = opens(site.near, "writer-cut")
    site.line.swallows()
    newcomer = opens(site.near, "victim-cut")
    writer.says(reader.user_id, "meanwhile")
    newcomer.stays(ready=True, seconds=1)
    assert get(site.far, "/readyz").status == 503
    site.line.passes()
    victim.is_told("multipleAccount", HEALED)
    reader.reads("meanwhile", patience=HEALED)
    for tab in (reader, newcomer):
        tab.was_never_cut()


def test_a_reply_that_is_lost_and_asked_for_again_is_one_login_one_eviction_one_message(
    site: Site, opens: Opens
) -> None:
    first, friend = opens(site.far, "alice"), opens(site.far, "bob")
    friend.says(first.user_id, "hello")  # from now on Redis knows all scripts
    first.reads("hello")

    site.line.drops_replies(1, of=SCRIPTS["admit"].sha)
    second = opens(site.far, "alice")
    first.is_told("multipleAccount")
    [admitted] = instances(site.redis, "alice")
    assert (admitted.id, admitted.generation) == (second.id, 2)

    site.line.drops_replies(1, of=SCRIPTS["append"].sha)
    second.says(friend.user_id, "again")
    friend.reads("hello", "again")
    assert texts(site.redis, "bob") == texts(site.redis, "alice") == friend.messages

    site.line.drops_replies(1, of=SCRIPTS["attach"].sha)
    third = opens(site.far, "alice")
    site.line.drops_replies(1, of=SCRIPTS["remove"].sha)
    assert third.script.posts("logout").status == 303
    third.is_told("loggedOut")
    assert instances(site.redis, "alice") == []
    assert site.line.dropped >= 4, "not all of them were lost"
    friend.was_never_cut()


def test_a_redis_that_has_forgotten_the_scripts_is_told_them_again(site: Site, opens: Opens) -> None:
    first, friend = opens(site.far, "alice-script"), opens(site.near, "bob-script")
    site.redis.forgets_scripts()
    first.says(friend.user_id, "hello")
    friend.reads("hello")
    site.redis.forgets_scripts()
    second = opens(site.near, "alice-script")
    first.is_told("multipleAccount")
    for tab in (second, friend):
        tab.was_never_cut()


@pytest.fixture
def two_nodes(
    make_redis: Callable[..., RedisServer],
    make_redis_line: Callable[[RedisServer], RedisLine],
    make_backend: Callable[..., Backend],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[RedisLine, Backend, Backend]:
    """A line to Redis that can fail, a node on that line and one that is not; each writes a message as in a cluster."""
    monkeypatch.setattr(Connection, "_joins_shards", lambda _: False)
    server = make_redis(clock=clock)
    line = make_redis_line(server)
    return line, make_backend(line.url), make_backend(server.url)


def test_a_message_whose_writer_died_between_the_two_logs_gets_into_both_once(
    two_nodes: tuple[RedisLine, Backend, Backend], clock: Clock
) -> None:
    line, dying, alive = two_nodes
    alice, bob = Person(dying, "alice").logs_in(), Person(alive, "bob").logs_in()
    alice.says("bob", "first")
    line.drops_replies(2, of=SCRIPTS["append"].sha)
    with pytest.raises(StoreUnavailable):
        dying.send(store_of(dying).instances(APP, "alice")[0].id, "bob", "last words")
    clock.advance(DEFAULT.outbox_age - 1)
    alive.renew()
    bob.reads("first")
    clock.advance(1)
    for _ in range(3):
        alive.renew()
    bob.reads("first", "last words")
    for user in ("alice", "bob"):
        assert [message.text for message in store_of(alive).history(APP, user, 0, 10)] == ["first", "last words"]


def test_a_message_counts_as_sent_as_soon_as_it_is_sure_to_arrive(
    two_nodes: tuple[RedisLine, Backend, Backend], clock: Clock
) -> None:
    line, writing, reading = two_nodes
    alice, bob = Person(writing, "alice").logs_in(), Person(reading, "bob").logs_in()
    alice.says("bob", "first")
    line.drops_replies(2, of=SCRIPTS["deliver"].sha)
    alice.says("bob", "second")
    assert line.dropped == 2
    clock.advance(DEFAULT.outbox_age)
    for _ in range(2):
        reading.renew()
    bob.reads("first", "second")
    alice.says("bob", "third")
    bob.reads("first", "second", "third")


def test_limits_that_are_lost_with_all_else_are_those_of_the_start_again(
    make_redis: Callable[..., RedisServer], make_backend: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_redis()
    backend = make_backend(server.url, limit=2, timing=replace(PATIENT, settings_age=0))
    backend.save_limits(Limits(online_web_instances=5))
    assert backend.limits() == Limits(online_web_instances=5)
    server.forgets_everything()
    assert backend.limits() == Limits(online_web_instances=2)
