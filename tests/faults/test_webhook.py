"""The webhook with several nodes: each event arrives, each account's in order, whichever node is killed meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.faults.conftest import MakeGunicorn
from tests.support.actors import APP
from tests.support.gunicorn import Gunicorn, connections, has_ended
from tests.support.receiver import TOKEN, AReceiver, Call, Reply, running_receiver
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tests.support.wire import log_in
from tim.state_change import LOGIN, EventQueue
from tim.store.redis.engine import RedisStore
from tim.timing import DETACH_GRACE, Timing

QUICK = Timing(webhook_timeout=4.0, webhook_lease=5.0, webhook_look=0.5, webhook_pause=0.1)


@pytest.fixture
def receiver() -> Iterator[AReceiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture
def server(redis: RedisServer, receiver: AReceiver, make_gunicorn: MakeGunicorn) -> Gunicorn:
    """Four nodes that report to `receiver`."""
    hook = {"WEBHOOK_URL": receiver.url, "WEBHOOK_TOKEN": TOKEN, "WEBHOOK_ALLOW_LOCAL": "1"}
    server: Gunicorn = make_gunicorn(redis.port, workers=4, timing=QUICK, **hook)
    return server


@pytest.fixture
def store(redis: RedisServer) -> Iterator[RedisStore]:
    opened = RedisStore(redis.url, grace=DETACH_GRACE)
    yield opened
    opened.close()


def sends_to(server: Gunicorn, receiver: AReceiver) -> list[int]:
    """The processes that have a connection to the receiver."""
    return [pid for pid in server.workers() if any(port == receiver.port for _, port in connections(pid))]


def test_an_event_whose_sender_is_killed_is_sent_by_another_node_before_the_next_one(
    server: Gunicorn, receiver: AReceiver, store: RedisStore
) -> None:
    hold = threading.Event()

    def reply(call: Call) -> Reply:
        if len(receiver.calls()) == 1:
            hold.wait(20)
        return Reply()

    receiver.reply = reply
    tab = log_in(server, "alice")
    until(lambda: sends_to(server, receiver), "nobody sends")
    [sender] = sends_to(server, receiver)
    server.kills_worker(sender)
    until(lambda: has_ended(sender), "it goes on")
    hold.set()
    tab.posts("logout")
    until(lambda: len(receiver.accepted("alice")) == 2, lambda: f"{receiver.calls()}")
    until(lambda: store.event_queue(APP) == EventQueue(0, 0), "something is left")
    first, second, *_ = calls = receiver.calls("alice")
    assert (first.delivery, first.body) == (second.delivery, second.body)
    assert list(dict.fromkeys(call.action for call in calls)) == ["Login", "Logout"]
    assert calls[-1].action == "Logout"


def test_four_nodes_send_the_events_of_each_account_one_by_one_while_nodes_are_killed(
    server: Gunicorn, receiver: AReceiver, store: RedisStore, rounds: int
) -> None:
    users = [f"user-{n}" for n in range(6)]
    under_way: Counter[str] = Counter()
    most: Counter[str] = Counter()
    lock = threading.Lock()

    def reply(call: Call) -> Reply:
        with lock:
            under_way[call.user] += 1
            most[call.user] = max(most[call.user], under_way[call.user])
            fails = len(receiver.calls()) % 7 == 0
        threading.Event().wait(0.05)
        with lock:
            under_way[call.user] -= 1
        return Reply(500) if fails else Reply()

    def acts(user: str) -> None:
        for _ in range(6 * rounds):
            with suppress(AssertionError, OSError, ValueError):  # its worker may be killed
                log_in(server, user)

    receiver.reply = reply
    with ThreadPoolExecutor(len(users)) as pool:
        acting = [pool.submit(acts, user) for user in users]
        for number in (6, 18):
            until(lambda: len(receiver.calls()) >= number, "nobody sends")  # noqa: B023
            server.kills_worker(next(iter(sends_to(server, receiver) or server.workers())))
            until(lambda: len(server.workers()) == 4, "the worker is not replaced")
        for one in acting:
            one.result()
    until(lambda: store.event_queue(APP).waiting == 0, lambda: f"{store.event_queue(APP)}", patience=60)
    assert store.event_queue(APP) == EventQueue(0, 0)
    for user in users:
        events = [call.event for call in receiver.accepted(user)]
        assert len(events) >= 3 * rounds
        assert {event["Info"]["Action"] for event in events} == {LOGIN}
        assert [len(event["KickedDevice"]) for event in events] == [0] + [1] * (len(events) - 1)
        times = [event["EventTime"] for event in events]
        assert times == sorted(times)
        assert most[user] == 1, "two nodes have sent for one account at the same time"
        [live] = store.instances(APP, user)
        assert live.generation == len(events), "one event for each login, neither more nor fewer"
