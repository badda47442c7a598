"""The live streams of one process: bounded mailboxes, one last item, and who has moved."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.actors import APP
from tests.support.waiting import PATIENCE
from tim.ends import (
    AWAY,
    CLOSE_CODES,
    CLOSE_CUT,
    CLOSE_LATER,
    CLOSE_MOVED,
    CLOSE_RESTART,
    KICKS,
    LOGGED_OUT,
    TYPES,
    UNKNOWN,
    Gone,
)
from tim.hub import Hub
from tim.mailbox import MAILBOX, End, InstancesChanged, Missed, Stream
from tim.model import Message

GONE = Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, 0)
KICKED = End(CLOSE_CODES[TYPES.KICKED_OUT_MULT_ACCOUNT], GONE)
MOVED = End(CLOSE_MOVED)
RESTART = End(CLOSE_RESTART)
BEHIND = End(CLOSE_LATER)


@pytest.fixture
def hub() -> Hub:
    return Hub()


def open_stream(hub: Hub, instance: str = "tab-1", user: str = "alice") -> Stream:
    return entered(hub, instance, lambda: None, user)


def entered(hub: Hub, instance: str, wake: Callable[[], None], user: str = "alice", app: int = APP) -> Stream:
    """A stream of an instance of this account."""
    stream = hub.open(instance, wake)
    hub.enter(stream, app, user)
    return stream


def attached(hub: Hub, number: int, instance: str = "tab-1") -> Stream:
    """A stream that the store has given this number."""
    stream = open_stream(hub, instance)
    hub.attach(stream, number)
    return stream


def message(seq: int, text: str = "hello") -> Message:
    return Message(seq, f"{seq}", "bob", "alice", text, 0, "tab-of-bob")


# Who is told


def test_every_stream_of_the_account_is_told_and_nobody_elses(hub: Hub) -> None:
    one, two = open_stream(hub, "tab-1"), open_stream(hub, "tab-2")
    other = open_stream(hub, "tab-3", "bob")
    other_app = entered(hub, "tab-4", lambda: None, app=APP + 1)
    hub.post(APP, "alice", message(1))
    hub.post(APP, "nobody", message(2))
    assert one.take() == two.take() == [message(1)]
    assert other.take() == other_app.take() == []


def test_what_was_taken_does_not_come_again(hub: Hub) -> None:
    stream = open_stream(hub)
    hub.post(APP, "alice", message(1))
    hub.post(APP, "alice", message(2))
    assert stream.take() == [message(1), message(2)]
    assert stream.take() == []


def test_its_reader_is_woken_for_each_item_and_can_take_it_at_once(hub: Hub) -> None:
    taken: list[object] = []
    stream = entered(hub, "tab-1", lambda: taken.extend(stream.take()))
    hub.post(APP, "alice", message(1))
    hub.post(APP, "alice", InstancesChanged())
    hub.end("tab-1", GONE)
    assert taken == [message(1), InstancesChanged(), KICKED]


def test_a_reader_that_is_woken_may_ask_the_hub(hub: Hub) -> None:
    # A wake that is called under a lock of the hub would never return from here.
    seen: list[int] = []
    stream = entered(hub, "tab-1", lambda: seen.append(len(hub)))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(hub.post, APP, "alice", message(1)).result(PATIENCE)
        pool.submit(hub.close, stream).result(PATIENCE)
    assert seen == [1]


def test_a_change_that_waits_already_need_not_be_told_again(hub: Hub) -> None:
    stream = open_stream(hub)
    for _ in range(MAILBOX * 2):
        hub.post(APP, "alice", InstancesChanged())
    assert stream.take() == [InstancesChanged()]
    hub.post(APP, "alice", InstancesChanged())
    assert stream.take() == [InstancesChanged()]


# A cut


def test_a_cut_ends_the_stream_of_its_number_alone(hub: Hub) -> None:
    one, other, opening = attached(hub, 7), attached(hub, 3, "tab-2"), open_stream(hub)
    hub.cut("tab-1", 6)
    assert one.take() == []
    hub.cut("tab-1", 7)
    hub.cut("unknown", 7)
    assert one.take() == [End(CLOSE_CUT)]
    assert other.take() == opening.take() == []


# A stream whose account is not known yet


def test_a_stream_that_is_about_to_open_gets_the_end_of_its_instance(hub: Hub) -> None:
    stream = hub.open("tab-1", lambda: None)
    hub.end("tab-1", GONE)
    hub.enter(stream, APP, "alice")
    assert stream.take() == [KICKED]


def test_a_stream_that_gets_its_account_knows_whether_it_has_missed_anything_of_it(hub: Hub) -> None:
    hub.post(APP, "alice", message(1))
    first = hub.open("tab-1", lambda: None)
    hub.post(APP, "alice", message(2))
    second, other, other_app = (hub.open(f"tab-{n}", lambda: None) for n in (2, 3, 4))
    hub.enter(first, APP, "alice")
    hub.enter(second, APP, "alice")
    hub.enter(other, APP, "bob")
    hub.enter(other_app, APP + 1, "alice")
    assert [stream.take() for stream in (first, second, other, other_app)] == [[Missed()], [], [], []]
    hub.post(APP, "alice", message(3))
    assert first.take() == second.take() == [message(3)]


# The bound


def test_a_mailbox_holds_so_many_items_and_no_more(hub: Hub) -> None:
    stream = open_stream(hub)
    for seq in range(MAILBOX):
        hub.post(APP, "alice", message(seq))
    assert [item for item in stream.take() if item == BEHIND] == []
    for seq in range(MAILBOX + 1):
        hub.post(APP, "alice", message(seq))
    assert stream.take() == [BEHIND], "who is too slow is to come back for the whole state, not to read half of it"


def test_a_mailbox_that_overflows_is_counted_once() -> None:
    overflows: list[None] = []
    hub = Hub(lambda: overflows.append(None))
    stream = open_stream(hub)
    for seq in range(MAILBOX + 5):
        hub.post(APP, "alice", message(seq))
    hub.end("tab-1", GONE)
    assert (len(overflows), stream.take()) == (1, [BEHIND])


def test_a_slow_reader_does_not_spoil_it_for_the_others(hub: Hub) -> None:
    slow, quick = open_stream(hub, "tab-1"), open_stream(hub, "tab-2")
    read = []
    for seq in range(MAILBOX * 2):
        hub.post(APP, "alice", message(seq))
        read += quick.take()
    assert read == [message(seq) for seq in range(MAILBOX * 2)]
    assert slow.take() == [BEHIND]


def test_the_end_fits_into_a_full_mailbox(hub: Hub) -> None:
    stream = open_stream(hub)
    for seq in range(MAILBOX):
        hub.post(APP, "alice", message(seq))
    hub.end("tab-1", GONE)
    assert stream.take() == [KICKED]


# The end


@pytest.mark.parametrize("reason", [*sorted(KICKS), LOGGED_OUT, AWAY, UNKNOWN])
def test_an_end_says_why_and_closes_for_good(hub: Hub, reason: str) -> None:
    stream, other = open_stream(hub, "tab-1"), open_stream(hub, "tab-2")
    gone = Gone(reason, 17)
    hub.end("tab-1", gone)
    [end] = stream.take()
    assert isinstance(end, End)
    assert end.gone == gone
    assert 4000 <= end.code < 5000, "a code that says: do not come back"
    assert stream.over == (reason != AWAY), "one that is away may take a seat again"
    assert not other.over
    assert other.take() == []


def test_after_an_end_nothing_comes_and_what_waited_is_not_delivered(hub: Hub) -> None:
    stream = open_stream(hub)
    hub.post(APP, "alice", message(1))
    hub.end("tab-1", GONE)
    for end in (Gone(LOGGED_OUT, 1), GONE):
        hub.end("tab-1", end)
        hub.post(APP, "alice", message(2))
        hub.post(APP, "alice", InstancesChanged())
        hub.drain()
    assert stream.take() == [KICKED]
    hub.post(APP, "alice", message(3))
    hub.end("tab-1", Gone(LOGGED_OUT, 1))
    assert stream.take() == []


def test_who_ends_an_instance_without_a_stream_ends_nothing_else(hub: Hub) -> None:
    stream = open_stream(hub)
    hub.end("tab-9", GONE)
    assert stream.take() == []


# Moving


def test_the_older_stream_of_the_same_tab_hears_that_it_has_moved(hub: Hub) -> None:
    old = attached(hub, 1)
    new = attached(hub, 2)
    assert old.take() == [MOVED]
    assert new.take() == []


def test_two_streams_attached_in_one_order_and_told_in_the_other(hub: Hub) -> None:
    # Two pages of one tab open at once. The store attaches the first as 1 and the second as 2. Then the thread of
    # the second is quicker: it tells the hub first, and the first one's number is not known there yet.
    first, second = open_stream(hub), open_stream(hub)
    hub.attach(second, 2)
    assert first.take() == second.take() == [], "nobody is sent away as long as nobody is known to be older"
    hub.attach(first, 1)
    assert first.take() == [MOVED]
    assert second.take() == []


def test_of_many_streams_only_the_newest_stays(hub: Hub) -> None:
    streams = {number: open_stream(hub) for number in (3, 1, 5, 2, 4)}
    for number, stream in streams.items():
        hub.attach(stream, number)
    assert streams.pop(5).take() == []
    assert [stream.take() for stream in streams.values()] == [[MOVED]] * 4


def test_a_stream_of_another_tab_has_not_moved(hub: Hub) -> None:
    other = attached(hub, 1, "tab-2")
    attached(hub, 2, "tab-1")
    assert other.take() == []


def test_a_number_that_was_told_twice_moves_nobody(hub: Hub) -> None:
    stream = attached(hub, 1)
    hub.moved("tab-1", 1)
    assert stream.take() == []


# Stopping


def test_a_process_that_stops_sends_everybody_away_to_come_back(hub: Hub) -> None:
    streams = [open_stream(hub, f"tab-{n}", f"user-{n % 2}") for n in range(4)]
    hub.post(APP, "user-0", message(1))
    hub.drain()
    assert [stream.take() for stream in streams] == [[message(1), RESTART], [RESTART], [message(1), RESTART], [RESTART]]
    assert 1000 <= CLOSE_RESTART < 2000, "a code that says: come back"


def test_who_comes_while_it_stops_is_sent_away_as_well(hub: Hub) -> None:
    woken = threading.Event()
    hub.drain()
    stream = entered(hub, "tab-1", woken.set)
    assert woken.is_set()
    assert stream.take() == [RESTART]


# Leaving nothing behind


def test_closed_streams_leave_nothing_behind(hub: Hub) -> None:
    streams = [open_stream(hub, f"tab-{n % 20}", f"user-{n % 7}") for n in range(200)]
    assert len(hub) == 200
    for stream in streams:
        hub.close(stream)
        hub.close(stream)
    assert len(hub) == 0
    opening = hub.open("tab-1", lambda: None)
    hub.post(APP, "alice", message(1))
    hub.close(opening)
    hub.enter(opening, APP, "alice")
    assert all(vars(hub)[name] == {} for name in ("_by_instance", "_by_account", "_opening", "_posted"))


def test_a_closed_stream_is_told_nothing(hub: Hub) -> None:
    closed, other = open_stream(hub), open_stream(hub)
    hub.close(closed)
    hub.post(APP, "alice", message(1))
    hub.end("tab-1", GONE)
    assert closed.take() == []
    assert other.take() == [KICKED]


def test_it_is_full_when_one_more_would_be_too_many(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tim.hub.MAX_STREAMS", 2)
    one = open_stream(hub)
    assert not hub.full
    open_stream(hub)
    assert hub.full
    hub.close(one)
    assert not hub.full


# Many at once


def test_of_what_many_post_at_once_nothing_is_lost_doubled_or_torn(hub: Hub, rounds: int) -> None:
    posters, each = 8, 2000 * rounds
    woken = threading.Event()
    stream = entered(hub, "tab-1", woken.set)
    read: list[Message] = []
    room = threading.Semaphore(MAILBOX)  # posters do not outrun the reader, which is another test

    def post(poster: int) -> None:
        for seq in range(each):
            assert room.acquire(timeout=PATIENCE)
            hub.post(APP, "alice", message(seq, str(poster)))

    with ThreadPoolExecutor(posters) as pool:
        posting = [pool.submit(post, poster) for poster in range(posters)]
        while len(read) < posters * each:
            assert woken.wait(PATIENCE), "something waits and nobody was woken"
            woken.clear()
            for item in stream.take():
                assert isinstance(item, Message)
                read.append(item)
                room.release()
        for one in posting:
            one.result()
    for poster in range(posters):
        assert [item.seq for item in read if item.text == str(poster)] == list(range(each))


def test_with_many_at_once_the_end_is_last_and_there_is_one(hub: Hub, rounds: int) -> None:
    for _ in range(30 * rounds):
        stream = open_stream(hub)
        together = threading.Barrier(5)
        read: list[object] = []

        def post(together: threading.Barrier = together) -> None:
            together.wait()
            for seq in range(50):
                hub.post(APP, "alice", message(seq))

        def end(together: threading.Barrier = together) -> None:
            together.wait()
            hub.end("tab-1", GONE)

        with ThreadPoolExecutor(4) as pool:
            ways = [pool.submit(way) for way in (post, post, end, end)]
            together.wait()
            while not all(way.done() for way in ways):
                read += stream.take()
        read += stream.take()
        assert read.count(KICKED) == 1
        assert read[-1] == KICKED
        hub.close(stream)


def test_streams_that_open_and_close_while_others_post_leave_nothing_behind(hub: Hub, rounds: int) -> None:
    stop = threading.Event()

    def post() -> None:
        while not stop.is_set():
            hub.post(APP, "alice", InstancesChanged())
            hub.end("tab-0", GONE)
            hub.moved("tab-1", 1)

    def come_and_go(worker: int) -> None:
        for n in range(500 * rounds):
            hub.close(attached(hub, n, f"tab-{worker}"))

    with ThreadPoolExecutor(6) as pool:
        posting = [pool.submit(post) for _ in range(2)]
        for coming in [pool.submit(come_and_go, worker) for worker in range(4)]:
            coming.result()
        stop.set()
        for one in posting:
            one.result()
    assert len(hub) == 0
