"""A socket in a greenlet: one wait for frames, for `wake` and for pings; one write for what is ready together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.event
import pytest

from tests.support.ends import LONG, SOON, Ends
from tests.support.frames import frame
from tim.timing import Timing
from tim.web import framing
from tim.web.inbound import BURST, INBOX_FRAMES
from tim.web.websocket import LeftRequest

PING, HELLO = framing.ping(), frame(framing.TEXT, b"hello")


@pytest.fixture
def ends() -> Iterator[Ends]:
    both = Ends()
    both.ws.send("first")
    both.is_greeted(framing.message("first"))
    yield both
    gevent.spawn(both.close).get(timeout=LONG)


def test_a_handshake_is_answered_once_its_request_has_ended() -> None:
    def run() -> None:
        both, ended = Ends(), gevent.event.Event()
        with pytest.raises(LeftRequest):
            both.ws.go_on(ended.set)
        both.peer.settimeout(0)
        with pytest.raises(BlockingIOError):
            both.peer.recv(4096)
        assert ended.wait(LONG)
        both.is_greeted()
        both.peer.close()

    gevent.spawn(run).get(timeout=LONG)


def test_a_handshake_that_is_refused_late_is_answered_with_the_close_frame() -> None:
    both = Ends(Timing(socket_close=0.01))
    gevent.spawn(both.ws.hang_up, 1013, "").get(timeout=LONG)
    both.is_greeted(framing.close(1013))
    both.peer.close()
    both.ours.close()


def test_a_wait_ends_with_a_message_a_wake_or_its_time(ends: Ends) -> None:
    ws = ends.ws

    def run() -> None:
        assert not ws.wait(0)
        ends.peer.send(HELLO)
        assert ws.wait(LONG)
        assert ws.input_buffer.pop() == "hello"
        gevent.spawn(ws.wake)
        assert ws.wait(LONG)
        assert not ws.wait(0)
        ws.wake()  # while it does not wait
        ws.wake()
        assert ws.wait(LONG)
        assert not ws.wait(0)

    gevent.spawn(run).get(timeout=LONG)


def test_a_message_is_read_beside_a_wake(ends: Ends) -> None:
    def run() -> None:
        ends.peer.send(HELLO)
        ends.ws.wake()
        assert ends.ws.wait(LONG)
        assert ends.ws.input_buffer == ["hello"]

    gevent.spawn(run).get(timeout=LONG)


def test_a_late_wake_disturbs_no_other_wait_of_the_greenlet(ends: Ends) -> None:
    other = gevent.event.Event()

    def run() -> None:
        ends.peer.send(HELLO)
        gevent.spawn(ends.ws.wake)
        gevent.spawn(ends.ws.wake)
        assert ends.ws.wait(LONG)
        gevent.spawn_later(0.01, other.set)
        assert other.wait(LONG), "the wake has ended this wait instead"

    gevent.spawn(run).get(timeout=LONG)


def test_what_is_ready_together_is_one_write(ends: Ends) -> None:
    gevent.spawn(ends.ws.send_all, ["a", b"b", "c"]).get(timeout=LONG)
    assert ends.peer.recv(4096) == framing.message("a") + framing.message(b"b") + framing.message("c")


def test_a_silent_peer_is_pinged_once_and_then_closed(ends: Ends) -> None:
    def run() -> None:
        while ends.ws.connected:
            ends.ws.wait(LONG)

    gevent.spawn(run).get(timeout=LONG)
    assert ends.peer.recv(4096) == PING
    assert ends.peer.recv(4096) == framing.close(1008, "the peer has not answered a ping")


def test_a_peer_that_sends_anything_is_not_pinged(ends: Ends) -> None:
    def run() -> None:
        for _ in range(12):
            ends.peer.send(HELLO)
            gevent.sleep(SOON / 4)
            assert ends.ws.wait(LONG)
        ends.peer.settimeout(0)
        with pytest.raises(BlockingIOError):
            ends.peer.recv(4096)

    gevent.spawn(run).get(timeout=LONG)


def test_a_pong_that_arrived_while_the_handler_was_busy_counts(ends: Ends) -> None:
    def run() -> None:
        assert not ends.ws.wait(1.5 * SOON)
        assert ends.peer.recv(4096) == PING
        ends.peer.send(frame(framing.PONG, b""))
        gevent.sleep(2 * SOON)  # as a slow store makes it
        assert not ends.ws.wait(0.01)
        assert ends.ws.connected

    gevent.spawn(run).get(timeout=LONG)


def test_no_more_is_read_than_the_inbox_holds_and_the_rest_later(ends: Ends) -> None:
    ws, most = ends.ws, 3 * INBOX_FRAMES

    def run() -> None:
        ends.peer.send(HELLO * most)
        handled = 0
        while handled < most:
            assert ws.wait(LONG)
            assert len(ws.input_buffer) == INBOX_FRAMES
            assert not ws.wait(0.01), "it has room for more"
            handled += len(ws.input_buffer)
            ws.input_buffer.clear()

    gevent.spawn(run).get(timeout=LONG)


def test_a_peer_over_its_rate_is_read_on_later(ends: Ends) -> None:
    ws = ends.ws

    def run() -> None:
        handled = 0
        for _ in range(11):
            ends.peer.send(HELLO * (BURST // 10))
        while handled < BURST * 1.1:
            assert ws.wait(LONG)
            handled += len(ws.input_buffer)
            ws.input_buffer.clear()
        assert ws.connected

    gevent.spawn(run).get(timeout=LONG)


def test_a_closed_socket_has_no_descriptor_left() -> None:
    def run() -> None:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        both, ended = Ends(), gevent.event.Event()

        def serve() -> None:
            both.ws.hang_up(1000, "")
            ended.set()

        with pytest.raises(LeftRequest):
            both.ws.go_on(serve)
        both.ours.close()  # as the server does after the request
        both.is_greeted()
        assert both.peer.recv(4096) == framing.close(1000)
        both.peer.send(frame(framing.CLOSE, (1000).to_bytes(2)))
        assert ended.wait(LONG)
        assert both.ws.peer_closed
        both.peer.close()
        gevent.idle()
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208

    gevent.spawn(run).get(timeout=LONG)


def test_a_failure_behind_the_request_ends_in_a_close_frame_and_not_in_the_process() -> None:
    def run() -> None:
        for failure in (SystemExit, RuntimeError("fails")):
            both = Ends()

            def fail(failure: Any = failure) -> None:
                raise failure

            with pytest.raises(LeftRequest):
                both.ws.go_on(fail)
            both.ours.close()
            both.is_greeted()
            assert both.peer.recv(4096) == framing.close(1011)
            both.peer.close()

    gevent.spawn(run).get(timeout=LONG)
