"""A process that lost touch with the store: what it makes up for when it is back, stream by stream.

`here` is that process: it does not renew while `there` does, until it is held to be dead, or its words and hints get
lost. Its own streams stay open all the time, as nobody tells it anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.actors import APP, GRACE, Clock, Person
from tests.support.engines import MORTAL
from tests.support.inside import store_of
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.waiting import until
from tim import EVENT, TYPES, Backend, Client
from tim.ends import CLOSE_CODES, CLOSE_MOVED, LOGGED_OUT, UNKNOWN, Gone
from tim.errors import InstanceGone, StoreUnavailable
from tim.mailbox import End, InstancesChanged, Missed, Stream
from tim.model import Instance, Limits, Message
from tim.tab import Tab
from tim.web.lobby import Lobby
from tim.web.tencent.connection import Page

# What a verb does on one server and on a cluster is told in `tests/store`.
pytestmark = pytest.mark.parametrize("servers", ["redis-cluster"], indirect=True)
Servers = RedisServer | RedisCluster
Open = Callable[[Backend, Instance], Stream]
Silence = Callable[..., None]
CHROME = Client("Chrome", "198.51.100.1")


@pytest.fixture
def here(settled: Callable[[str], Backend], servers: Servers) -> Backend:
    return settled(servers.url)


@pytest.fixture
def there(settled: Callable[[str], Backend], servers: Servers) -> Backend:
    return settled(servers.url)


@pytest.fixture
def alice(here: Backend) -> Iterator[Person]:
    """Somebody who opens tabs here."""
    alice = Person(here, "alice")
    yield alice
    alice.leaves()


@pytest.fixture
def silence(there: Backend, clock: Clock) -> Silence:
    """`silence()`: nobody hears of `here` for so long that it is held to be dead."""

    def silence(seconds: float = MORTAL.lease) -> None:
        end = clock() + seconds
        while clock() < end:
            clock.now = min(end, clock() + 5)
            there.renew()

    return silence


def log_in(backend: Backend, user: str = "alice") -> Instance:
    """Somebody who has logged in and has not opened a stream."""
    return backend.login(APP, user, backend.user_sig(user, 30 * 86400), CHROME)


def end_of(stream: Stream) -> End:
    """The end that waits in it."""
    ends = [item for item in stream.take() if isinstance(item, End)]
    assert len(ends) == 1
    return ends[0]


# Held to be dead, and not dead


def test_streams_that_are_attached_again_are_counted(here: Backend, alice: Person, silence: Silence) -> None:
    alice.logs_in("A")
    here.renew()
    assert "reconciled:" not in here.status().counts
    silence()
    here.renew()
    assert here.status().counts["reconciled:"] == 1


def test_its_streams_are_attached_again_and_nobody_has_noticed(here: Backend, alice: Person, silence: Silence) -> None:
    tabs = [alice.logs_in("A"), alice.logs_in("B")]
    before = alice.instances()
    silence()
    assert not any(instance.online for instance in alice.instances())
    here.renew()
    assert [(each.id, each.generation, each.since, each.online) for each in alice.instances()] == [
        (each.id, each.generation, each.since, True) for each in before
    ]
    for _ in range(5):
        silence(MORTAL.lease - 1)
        here.renew()
    alice.has_tabs("A", "B")
    for tab in tabs:
        tab.is_ready()
        tab.says("alice", "still here")
        assert tab.heard(EVENT.SDK_NOT_READY, EVENT.KICKED_OUT) == []


@pytest.mark.parametrize(
    "reason",
    [TYPES.KICKED_OUT_MULT_ACCOUNT, TYPES.KICKED_OUT_REST_API, TYPES.KICKED_OUT_USERSIG_EXPIRED, LOGGED_OUT],
)
def test_who_has_ended_meanwhile_hears_the_true_reason(
    reason: str, here: Backend, there: Backend, silence: Silence, open_stream: Open
) -> None:
    tab = here.login(APP, "alice", here.user_sig("alice", 200), CHROME)
    stream = open_stream(here, tab)
    silence()
    if reason == TYPES.KICKED_OUT_MULT_ACCOUNT:
        log_in(there)
        log_in(there)
    elif reason == TYPES.KICKED_OUT_REST_API:
        there.admin().kick("alice")
    elif reason == LOGGED_OUT:
        there.logout(tab.id)
    else:
        silence(100)
    assert stream.take().count(Missed()) == 0, "it has not heard anything yet"
    here.renew()
    gone = store_of(there).get(tab.id).gone
    assert gone is not None
    assert gone.reason == reason
    assert end_of(stream) == End(CLOSE_CODES[reason], gone)


def test_who_was_away_too_long_takes_a_seat_again_where_one_is_free(
    here: Backend, there: Backend, silence: Silence, open_stream: Open
) -> None:
    tab = log_in(here)
    stream = open_stream(here, tab)
    silence(MORTAL.lease + GRACE)
    assert store_of(there).get(tab.id).gone is not None
    here.renew()
    back = store_of(there).get(tab.id)
    assert back.online
    assert (back.since, back.generation > tab.generation) == (tab.since, True)
    assert not any(isinstance(item, End) for item in stream.take())


def test_who_was_away_too_long_and_finds_no_seat_hears_who_has_it(
    here: Backend, there: Backend, silence: Silence, open_stream: Open
) -> None:
    stream = open_stream(here, log_in(here))
    silence(MORTAL.lease + GRACE)
    seated = [open_stream(there, log_in(there)) for _ in range(2)]
    here.renew()
    end = end_of(stream)
    assert end.gone is not None
    assert (end.gone.reason, end.gone.by) == (TYPES.KICKED_OUT_MULT_ACCOUNT, CHROME)
    assert all(store_of(there).get(each.instance).online for each in seated), "nobody has left for it"


def test_a_tab_that_went_elsewhere_meanwhile_is_told_that_it_has_moved(
    here: Backend, there: Backend, silence: Silence, open_stream: Open
) -> None:
    tab = log_in(here)
    old = open_stream(here, tab)
    silence()
    new = open_stream(there, tab)
    here.renew()
    assert end_of(old) == End(CLOSE_MOVED)
    here.detach(old)
    assert not any(isinstance(item, End) for item in new.take())
    assert store_of(there).get(tab.id).stream == new.number
    assert store_of(there).get(tab.id).online


def test_who_left_meanwhile_is_not_brought_back(
    here: Backend, there: Backend, silence: Silence, open_stream: Open
) -> None:
    tab = log_in(here)
    stream = open_stream(here, tab)
    silence()
    buried = store_of(there).get(tab.id)
    here.detach(stream)
    here.renew()
    assert store_of(there).get(tab.id) == buried


def test_who_left_while_the_store_was_away_and_has_ended_since_leaves_no_notice(
    here: Backend, there: Backend, servers: Servers, open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = log_in(here)
    stream = open_stream(here, tab)

    def is_away(id: str, stream: int) -> bool:
        raise StoreUnavailable("it has gone away")

    with monkeypatch.context() as patch:
        patch.setattr(store_of(here), "detach", is_away)
        here.detach(stream)
    there.logout(tab.id)
    here.renew()
    here.renew()
    assert servers.keys("*:notices:*") == set()


def test_readers_get_what_they_missed_and_each_once(
    here: Backend, there: Backend, alice: Person, silence: Silence, open_stream: Open
) -> None:
    tab, reader = alice.logs_in("A"), Tab.open(here, log_in(here).id, lambda: None)
    reader.waiting()
    reader.become_ready()
    bob = open_stream(there, log_in(there, "bob"))
    there.send(bob.instance, "alice", "before")
    until(lambda: tab.texts() == ["before"], "the hint should come")
    until(reader.read, "and to the other one")
    silence()
    for n in range(3):
        there.send(bob.instance, "alice", f"missed {n}")
    assert tab.texts() == ["before"]
    here.renew()
    news = reader.read()
    assert [item.text for item in news if isinstance(item, Message)] == ["missed 0", "missed 1", "missed 2"]
    assert InstancesChanged() in news, "its list of instances may be another one"
    there.send(bob.instance, "alice", "after")
    tab.reads("before", "missed 0", "missed 1", "missed 2", "after")
    reader.close()


def test_a_store_that_has_forgotten_everything_ends_every_stream_as_unknown(
    here: Backend, servers: Servers, clock: Clock, open_stream: Open
) -> None:
    streams = [open_stream(here, log_in(here, user)) for user in ("alice", "bob", "carol")]
    servers.forgets_everything()
    here.renew()
    assert [end_of(stream).gone for stream in streams] == [Gone(UNKNOWN, clock())] * 3


def test_after_a_silence_of_everybody_all_goes_on_as_before(here: Backend, alice: Person, clock: Clock) -> None:
    tab = alice.logs_in("A")
    before = alice.instances()
    clock.advance(600)
    here.renew()
    assert alice.instances() == before
    assert tab.heard(EVENT.SDK_NOT_READY) == []


def test_one_with_much_to_make_up_for_is_not_held_to_be_dead_meanwhile(
    here: Backend, there: Backend, silence: Silence, open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    tabs = [log_in(here, f"user-{n}") for n in range(40)]
    for tab in tabs:
        open_stream(here, tab)
    silence()
    attach = store_of(here).attach_again

    def takes_a_second(*words: Any) -> Instance | None:
        silence(1)
        return attach(*words)

    monkeypatch.setattr("tim.reconcile.AT_A_TIME", 5)
    monkeypatch.setattr(store_of(here), "attach_again", takes_a_second)
    here.renew()
    assert all(store_of(there).get(tab.id).online for tab in tabs)


# Interleavings


def test_a_tab_that_leaves_while_it_is_attached_again_is_detached(
    here: Backend, there: Backend, silence: Silence, open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = log_in(here)
    stream = open_stream(here, tab)
    silence()
    attach = store_of(here).attach_again

    def attaches_and_the_tab_leaves(*words: Any) -> Instance | None:
        attached = attach(*words)
        here.detach(stream)
        return attached

    monkeypatch.setattr(store_of(here), "attach_again", attaches_and_the_tab_leaves)
    here.renew()
    assert not store_of(there).get(tab.id).online


def test_a_tab_that_comes_while_the_store_is_asked_stays(
    here: Backend, there: Backend, silence: Silence, open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab, attached = log_in(here), store_of(here).attached

    def comes_meanwhile(node: str) -> dict[str, int]:
        open_stream(here, tab)
        return attached(node)

    silence()
    monkeypatch.setattr(store_of(here), "attached", comes_meanwhile)
    here.renew()
    assert store_of(there).get(tab.id).online


def test_one_that_stands_still_before_it_looks_who_is_due_ends_no_stream_of_its_own(
    here: Backend, silence: Silence, clock: Clock, open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = log_in(here)
    stream = open_stream(here, tab)

    sweep = store_of(here).sweep

    def stands_still() -> list[Instance]:
        silence()
        clock.advance(GRACE)  # and before anybody else finds that the time of the tab is over
        return sweep()

    with monkeypatch.context() as patch:
        patch.setattr(store_of(here), "sweep", stands_still)
        here.renew()
    here.renew()
    assert store_of(here).get(tab.id).online
    assert not any(isinstance(item, End) for item in stream.take())


def test_a_tab_that_moved_elsewhere_meanwhile_stays_there(
    here: Backend, there: Backend, silence: Silence, open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = log_in(here)
    old = open_stream(here, tab)
    silence()
    attached, moved = store_of(here).attached, []

    def lists_and_the_tab_moves(node: str) -> dict[str, int]:
        streams = attached(node)
        moved.append(open_stream(there, tab))
        return streams

    monkeypatch.setattr(store_of(here), "attached", lists_and_the_tab_moves)
    here.renew()
    assert end_of(old).code == CLOSE_MOVED
    assert [item for item in moved[0].take() if isinstance(item, End)] == []
    assert store_of(there).get(tab.id).stream == moved[0].number


def test_one_that_was_evicted_meanwhile_signs_nobody_out(
    here: Backend, there: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.save_limits(Limits(online_web_instances=2))
    there.save_limits(Limits(online_web_instances=2))
    mine, other = log_in(here), log_in(here)
    sign_out = store_of(here).sign_out

    def is_evicted_first(id: str, target: str) -> Instance | None:
        log_in(there)
        return sign_out(id, target)

    monkeypatch.setattr(store_of(here), "sign_out", is_evicted_first)
    with pytest.raises(InstanceGone):
        here.peers.sign_out(mine.id, other.id)
    assert store_of(there).get(other.id).gone is None


def test_limits_that_are_saved_elsewhere_change_the_lists_that_are_open_here(
    here: Backend, there: Backend, open_stream: Open
) -> None:
    stream, other = open_stream(here, log_in(here)), open_stream(there, log_in(there, "bob"))
    stream.take()
    other.take()
    there.save_limits(Limits(online_web_instances=7))
    assert other.take() == [InstancesChanged()]
    here.renew()
    assert InstancesChanged() in stream.take()
    assert here.limits() == Limits(online_web_instances=7)


def test_limits_that_are_saved_elsewhere_are_shown_at_once(
    servers: Servers, settled: Callable[[str], Backend], open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = settled(servers.url), settled(servers.url)
    stream = open_stream(here, log_in(here))
    stream.take()
    there.save_limits(Limits(online_web_instances=7))
    until(lambda: InstancesChanged() in stream.take(), "the list should change with no renewal due")
    assert here.limits() == Limits(online_web_instances=7)


def test_one_whose_page_has_come_back_elsewhere_is_not_ended_by_its_connection_here(
    here: Backend, there: Backend
) -> None:
    old, new = (Page(backend, Lobby(), "203.0.113.7", lambda: None) for backend in (here, there))
    ticket = here.verify(APP, "alice", here.user_sig("alice"), CHROME.address)
    tab, _ = old.log_in(ticket, CHROME, None)
    new.serve_again(tab.id)
    old.log_out()  # it has not been told yet that it has moved
    assert store_of(there).get(tab.id).online
    new.log_out()
    gone = store_of(there).get(tab.id).gone
    assert gone is not None
    assert gone.reason == LOGGED_OUT
    for page in (old, new):
        page.close()


def test_who_moved_elsewhere_and_has_ended_there_hears_the_true_reason(
    here: Backend, there: Backend, silence: Silence, open_stream: Open
) -> None:
    tab = log_in(here)
    stream = open_stream(here, tab)
    silence()
    open_stream(there, tab)
    there.logout(tab.id)
    here.renew()
    assert end_of(stream).code == CLOSE_CODES[LOGGED_OUT]
