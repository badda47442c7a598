"""Notifications between a node and the store get lost: what they announced happens all the same, a little later.

`here` speaks to Redis over a line that can fail, `there` does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.actors import APP, GRACE, Clock, Person
from tests.support.engines import MORTAL
from tests.support.inside import store_of
from tests.support.redis_line import RedisLine
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tim import TYPES, Backend, Client
from tim.ends import AWAY, CLOSE_CODES, CLOSE_MOVED, Gone
from tim.errors import NodeForgotten, StoreUnavailable
from tim.mailbox import End, InstancesChanged, Missed, Stream
from tim.model import Instance, Limits
from tim.rules import SHARDS

Open = Callable[[Backend, Instance], Stream]
CHROME = Client("Chrome", "198.51.100.1")
LOOKS_AT_THE_CLOCK = 1
"""Requests with which a renewal begins."""


@pytest.fixture
def here(line: RedisLine, settled: Callable[..., Backend]) -> Backend:
    # It reads its limits with each renewal alone, so that a test can count what else it asks.
    return settled(line.url, replace(MORTAL, settings_age=1e6))


@pytest.fixture
def there(server: RedisServer, settled: Callable[[str], Backend]) -> Backend:
    return settled(server.url)


def unavailable(*words: Any) -> Any:
    raise StoreUnavailable("it is away")


def log_in(backend: Backend, user: str = "alice") -> Instance:
    """Somebody who has logged in and has not opened a stream."""
    return backend.login(APP, user, backend.user_sig(user, 30 * 86400), CHROME)


def open_and_close(backend: Backend) -> None:
    """So that Redis has the scripts: that it has not is an answer too, and would be the one that is lost."""
    backend.detach(backend.attach(log_in(backend, "somebody").id, lambda: None)[1])


def becomes_detached(here: Backend, there: Backend, instance: Instance) -> None:
    """Nobody has its stream open any more, soon after a renewal."""

    def is_detached() -> bool:
        here.renew()
        return not store_of(there).get(instance.id).online

    until(is_detached, "it should be detached")


def lose_a_renewal(here: Backend, line: RedisLine, *, after: int = 0) -> None:
    """One whose scripts are run, but for the first `after` parts of it unanswered, and so are they when asked again."""
    before = line.dropped
    line.drops_replies(2 * SHARDS, after=LOOKS_AT_THE_CLOCK + after)
    with pytest.raises(StoreUnavailable):
        here.renew()
    assert line.dropped == before + 2
    line.passes()


# A stream that is closed or opened


def test_a_stream_that_closes_while_the_store_is_away_is_detached_when_it_is_back(
    here: Backend, there: Backend, line: RedisLine, open_stream: Open
) -> None:
    closes, stays = (log_in(here) for _ in range(2))
    stream, _ = open_stream(here, closes), open_stream(here, stays)
    line.cuts()
    here.detach(stream)
    assert store_of(there).get(closes.id).online
    line.passes()
    becomes_detached(here, there, closes)
    assert store_of(there).get(stays.id).online


def test_one_that_could_not_be_detached_is_detached_later(
    here: Backend, there: Backend, open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = log_in(here)
    stream = open_stream(here, tab)
    with monkeypatch.context() as away:
        away.setattr(store_of(here), "detach", unavailable)
        here.detach(stream)
    becomes_detached(here, there, tab)


def test_a_stream_whose_opening_was_not_answered_does_not_stay_open_in_the_store(
    here: Backend, there: Backend, line: RedisLine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_and_close(here)
    tab = log_in(here)
    line.drops_replies(2)
    with pytest.raises(StoreUnavailable):
        here.attach(tab.id, lambda: None)
    assert line.dropped == 2
    until(lambda: not store_of(there).get(tab.id).online, "nobody has it open")
    clock.advance(GRACE)
    gone = store_of(there).get(tab.id).gone
    assert gone is not None
    assert gone.reason == AWAY


def test_nor_does_it_where_the_tab_was_open_before_and_closes_later(
    here: Backend, there: Backend, line: RedisLine, open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A reload: the page opens its stream anew, which is not answered, and then its older one closes.
    open_and_close(here)
    tab = log_in(here)
    older = open_stream(here, tab)
    line.drops_replies(2)
    with pytest.raises(StoreUnavailable):
        here.attach(tab.id, lambda: None)
    until(
        lambda: older.number == store_of(there).get(tab.id).stream,
        "the one that is open here is what the store has open",
    )
    assert End(CLOSE_MOVED) not in older.take(), "no other page has it"
    here.detach(older)
    becomes_detached(here, there, tab)


def test_a_tab_whose_closing_was_answered_too_late_is_shown_as_closed_to_the_others(
    here: Backend, line: RedisLine, open_stream: Open
) -> None:
    open_and_close(here)
    closes, stays = (open_stream(here, log_in(here)) for _ in range(2))
    stays.take()
    line.drops_replies(1)
    here.detach(closes)
    assert line.dropped == 1
    assert stays.take() == [InstancesChanged()]


# Hints


def test_with_the_hint_lost_a_renewal_shows_the_limits_that_were_saved(
    here: Backend, there: Backend, line: RedisLine, open_stream: Open
) -> None:
    stream = open_stream(here, log_in(here))
    line.drops_hints()
    there.save_limits(Limits(online_web_instances=7))
    until(lambda: line.dropped, "the hint should be lost")
    stream.take()
    here.renew()
    assert InstancesChanged() in stream.take()


def test_with_every_hint_lost_a_renewal_says_who_has_ended(
    here: Backend, there: Backend, line: RedisLine, open_stream: Open
) -> None:
    line.drops_hints()
    streams = [open_stream(here, log_in(here)) for _ in range(2)]
    log_in(there)
    there.logout(streams[1].instance)
    until(lambda: line.dropped >= 2, "the hints should be lost")
    assert not any(isinstance(item, End) for stream in streams for item in stream.take())
    here.renew()
    gone = [store_of(there).get(stream.instance).gone for stream in streams]
    assert [stream.take()[-1] for stream in streams] == [End(CLOSE_CODES[each.reason], each) for each in gone if each]


def test_a_line_that_broke_makes_up_for_what_was_said_meanwhile_by_itself(
    here: Backend, there: Backend, line: RedisLine, open_stream: Open
) -> None:
    alice = Person(here, "alice")
    tab = alice.logs_in("A")
    bob = open_stream(there, log_in(there, "bob"))
    line.drops_hints()
    there.send(bob.instance, "alice", "missed")
    until(lambda: line.dropped, "the hint should be lost")
    assert tab.texts() == []
    line.passes()
    line.breaks()
    tab.reads("missed")
    line.drops_hints()
    store_of(there).remove(alice.instances()[0].id, Gone(TYPES.KICKED_OUT_REST_API, 0))
    line.passes()
    line.breaks()
    tab.is_kicked_out(TYPES.KICKED_OUT_REST_API)
    alice.leaves()


# The renewal


def silence(there: Backend, clock: Clock) -> None:
    """Nobody hears of `here` for so long that it is held to be dead."""
    end = clock() + MORTAL.lease
    while clock() < end:
        clock.advance(5)
        there.renew()


def test_one_that_was_forgotten_and_whose_joining_was_not_answered_attaches_its_streams_again(
    here: Backend, there: Backend, line: RedisLine, clock: Clock, open_stream: Open
) -> None:
    tab = log_in(here)
    open_stream(here, tab)
    silence(there, clock)
    lose_a_renewal(here, line, after=SHARDS)
    assert not store_of(there).get(tab.id).online
    here.renew()
    assert store_of(there).get(tab.id).online


def test_one_that_has_joined_again_and_then_got_no_answer_attaches_its_streams_again(
    here: Backend, there: Backend, line: RedisLine, clock: Clock, open_stream: Open
) -> None:
    tab = log_in(here)
    open_stream(here, tab)
    silence(there, clock)
    lose_a_renewal(here, line, after=2 * SHARDS)
    assert not store_of(there).get(tab.id).online
    here.renew()
    assert store_of(there).get(tab.id).online


def test_after_a_renewal_that_was_not_answered_it_looks_for_what_it_missed(
    here: Backend, there: Backend, line: RedisLine, open_stream: Open
) -> None:
    stream, bob = open_stream(here, log_in(here)), open_stream(there, log_in(there, "bob"))
    stream.take()
    line.drops_hints()
    there.send(bob.instance, "alice", "missed")
    until(lambda: line.dropped, "the hint should be lost")
    lose_a_renewal(here, line)
    assert stream.take() == []
    here.renew()
    assert stream.take() == [Missed()]


def test_who_is_told_to_come_again_finds_the_way_open_soon(
    here: Backend, there: Backend, clock: Clock, open_stream: Open
) -> None:
    silence(there, clock)
    tab = log_in(here)
    with pytest.raises(NodeForgotten):
        here.attach(tab.id, lambda: None)

    def comes_again() -> bool:
        try:
            open_stream(here, tab)
        except NodeForgotten:
            return False
        return True

    until(comes_again, "it should have joined again")
