"""The webhook of a node: each login and each end arrives, in order, whatever the receiver does meanwhile."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.actors import APP, KEY
from tests.support.engines import ONE_OF_EACH_KIND, PATIENT
from tests.support.inside import store_of
from tests.support.receiver import TOKEN, AReceiver, Call, Reply, running_receiver
from tests.support.redis_server import RedisCluster
from tests.support.waiting import always, until
from tim import Backend, Client
from tim.errors import StoreUnavailable
from tim.measures import WEBHOOK
from tim.receiver import receiver_at
from tim.state_change import DISCONNECT, LOGIN, LOGOUT, TEST, EventQueue
from tim.timing import Timing

QUICK = replace(PATIENT, webhook_timeout=5.0, webhook_lease=6.0, webhook_look=0.2, webhook_pause=0.05)
IMPATIENT = replace(QUICK, webhook_timeout=0.5, webhook_lease=2.0)
HERE = Client("Firefox", "203.0.113.7")
MakeBackend = Callable[..., Backend]


@pytest.fixture
def receiver() -> Iterator[AReceiver]:
    with running_receiver() as running:
        yield running


def opened(receiver: AReceiver, url: str, *, timing: Timing = QUICK, local: bool = True) -> Backend:
    hook = replace(receiver_at(receiver.url, TOKEN, local=True), local=local)
    return Backend(url, sdk_app_id=APP, secret_key=KEY, webhook=hook, timing=timing)


@pytest.fixture
def make(receiver: AReceiver) -> Iterator[MakeBackend]:
    """`make(url)`: a backend that reports to `receiver`, on the real clock."""
    made: list[Backend] = []

    def make(url: str = "sqlite://", **more: Any) -> Backend:
        made.append(opened(receiver, url, **more))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


def log_in(backend: Backend, user: str) -> str:
    return backend.login(APP, user, backend.user_sig(user), HERE).id


def flows(receiver: AReceiver, user: str, *actions: str) -> list[Call]:
    """Wait until exactly these events of the account were acknowledged, in this order. Returns them."""

    def found() -> list[str]:
        return [call.action for call in receiver.accepted(user)]

    until(lambda: len(found()) >= len(actions), lambda: f"only {found()}")
    assert found() == list(actions)
    return receiver.accepted(user)


def is_empty(backend: Backend, dropped: int = 0) -> None:
    until(lambda: backend.webhook.queue() == EventQueue(0, dropped), lambda: f"{backend.webhook.queue()}")


@pytest.fixture(params=ONE_OF_EACH_KIND, ids=str)
def url(request: pytest.FixtureRequest) -> str:
    """Where a store is whose clock is the machine's."""
    if request.param is ONE_OF_EACH_KIND[0]:
        return "sqlite://"
    cluster: RedisCluster = request.getfixturevalue("make_redis_cluster")()
    return cluster.url


def test_logins_and_ends_arrive_signed_and_in_order(url: str, make: MakeBackend, receiver: AReceiver) -> None:
    backend = make(url, timing=replace(QUICK, webhook_look=60.0))  # nothing waits for a look into the store
    log_in(backend, "alice")
    second = log_in(backend, "alice")
    backend.logout(second)
    first, evicting, logout = flows(receiver, "alice", LOGIN, LOGIN, LOGOUT)
    assert all(call.is_signed() for call in (first, evicting, logout))
    assert (first.path, first.query["key"], first.query["ClientIP"]) == ("/hook", "1", HERE.address)
    assert (len(first.event["KickedDevice"]), len(evicting.event["KickedDevice"])) == (0, 1)
    is_empty(backend)


def test_the_page_of_an_sdk_that_was_closed_is_disconnected(make: MakeBackend, receiver: AReceiver) -> None:
    backend = make()
    id = log_in(backend, "alice")
    view, stream = backend.attach(id, lambda: None)
    backend.logout(id, view.instance.stream)
    flows(receiver, "alice", LOGIN, DISCONNECT)
    backend.detach(stream)


def test_without_a_webhook_there_is_no_thread_and_no_queue(make: MakeBackend, receiver: AReceiver) -> None:
    backend = make()
    backend.webhook.configure(None)
    log_in(backend, "alice")
    assert backend.webhook.queue() == EventQueue(0, 0)
    assert receiver.calls() == []


# A receiver that fails


def test_what_happens_while_the_receiver_is_down_arrives_when_it_is_back(
    url: str, make: MakeBackend, receiver: AReceiver
) -> None:
    receiver.stop()
    backend = make(url)
    for user in ("alice", "bob"):
        backend.logout(log_in(backend, user))
    until(lambda: len(backend.webhook.deliveries()) >= 3, "nobody tries")
    assert backend.webhook.queue() == EventQueue(4, 0)
    assert {each.failure for each in backend.webhook.deliveries()} == {"Connection refused"}
    receiver.start()
    for user in ("alice", "bob"):
        flows(receiver, user, LOGIN, LOGOUT)
    is_empty(backend)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(after=1),
        Reply(pause=0.02),
        Reply(302, b"", (("Location", "/elsewhere"),)),
        Reply(body=b'{"ErrorCode":7}'),
        Reply(body=b"OK"),
    ],
    ids=["500", "silent", "slow", "redirects", "refuses", "lies"],
)
def test_each_other_answer_is_tried_again_under_the_same_delivery(
    make: MakeBackend, receiver: AReceiver, reply: Reply
) -> None:
    receiver.reply = lambda call: reply if len(receiver.calls(call.user)) < 3 else Reply()
    backend = make(timing=IMPATIENT)
    log_in(backend, "alice")
    is_empty(backend)
    calls = receiver.calls("alice")
    assert len(calls) >= 3
    assert len({(call.delivery, call.body, call.path) for call in calls}) == 1
    until(lambda: backend.webhook.deliveries()[:1] and not backend.webhook.deliveries()[0].failure, "not logged")
    attempts = [each.attempt for each in backend.webhook.deliveries()]
    assert attempts == [*range(len(attempts), 0, -1)]


def test_an_outage_is_two_lines_of_the_log_without_path_and_token(
    make: MakeBackend, receiver: AReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.reply = lambda _: Reply(500)
    with caplog.at_level(logging.INFO, "tim"):
        backend = make()
        for n in range(3):
            log_in(backend, f"user-{n}")
        until(lambda: len(receiver.calls()) >= 4, "nobody tries")
        receiver.reply = lambda _: Reply()
        is_empty(backend)
        lines = [line for line in caplog.messages if line.startswith("webhook")]
    where = f"receiver=http://127.0.0.1:{receiver.port}"
    assert lines == [f'webhook-away {where} why="HTTP 500"', f"webhook-back {where}"]


def test_an_event_that_is_refused_holds_up_its_account_alone(make: MakeBackend, receiver: AReceiver) -> None:
    receiver.reply = lambda call: Reply(body=b'{"ErrorCode":1}') if call.user == "mallory" else Reply()
    backend = make()
    for user in ("mallory", "alice", "bob"):
        backend.logout(log_in(backend, user))
    for user in ("alice", "bob"):
        flows(receiver, user, LOGIN, LOGOUT)
    until(lambda: len(receiver.calls("mallory")) >= 3, "nobody tries again")
    assert {call.action for call in receiver.calls("mallory")} == {LOGIN}, "its logout must not overtake its login"
    assert backend.webhook.queue() == EventQueue(2, 0)
    receiver.reply = lambda _: Reply()
    flows(receiver, "mallory", LOGIN, LOGOUT)


def test_a_receiver_that_is_down_is_tried_by_one_sender_now_and_then(make: MakeBackend, receiver: AReceiver) -> None:
    receiver.reply = lambda _: Reply(503)
    backend = make(timing=replace(QUICK, webhook_pause=0.2))
    for n in range(50):
        log_in(backend, f"user-{n}")
    until(lambda: len(receiver.calls()) >= 4, "nobody tries")
    before = len(receiver.calls())
    always(lambda: len(receiver.calls()) <= before + 2, "too many tries", 0.5)
    receiver.reply = lambda _: Reply()
    is_empty(backend)
    assert {call.user for call in receiver.calls()} == {f"user-{n}" for n in range(50)}


def test_a_login_never_waits_for_the_receiver(make: MakeBackend, receiver: AReceiver) -> None:
    backend = make()
    receiver.reply = lambda _: Reply(after=3)
    log_in(backend, "user-0")
    until(receiver.calls, "the first request is under way")
    for n in range(1, 30):
        log_in(backend, f"user-{n}")
    assert backend.webhook.queue().waiting == 30, "all logins have returned before one request has"
    receiver.reply = lambda _: Reply()


def test_an_address_of_this_machine_is_not_contacted_unless_allowed(make: MakeBackend, receiver: AReceiver) -> None:
    backend = make(local=False)
    log_in(backend, "alice")
    until(backend.webhook.deliveries, "nobody tries")
    assert "loopback or link-local" in backend.webhook.deliveries()[-1].failure
    assert receiver.calls() == []


# The queue outlives its senders


def test_events_that_were_queued_before_a_restart_are_sent_after_it(
    make: MakeBackend, receiver: AReceiver, tmp_path: Path
) -> None:
    receiver.stop()
    url = f"sqlite:///{tmp_path}/tim.db"
    with closing(opened(receiver, url)) as backend:
        backend.logout(log_in(backend, "alice"))
    receiver.start()
    again = make(url)
    flows(receiver, "alice", LOGIN, LOGOUT)
    is_empty(again)


def test_a_store_that_is_away_loses_no_event(
    make: MakeBackend, receiver: AReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = make(timing=IMPATIENT)
    failures = itertools.count()
    original = store_of(backend).event_sent

    def event_sent(app: int, user: str, sender: str, id: str) -> bool:
        if next(failures) < 2:
            raise StoreUnavailable("it is away")
        return original(app, user, sender, id)

    monkeypatch.setattr(store_of(backend), "event_sent", event_sent)
    backend.logout(log_in(backend, "alice"))
    flows(receiver, "alice", LOGIN, LOGOUT)
    is_empty(backend)
    assert len({call.delivery for call in receiver.calls("alice")}) == 2 < len(receiver.calls("alice"))


def test_a_store_that_was_emptied_reports_the_next_login(make: MakeBackend, receiver: AReceiver) -> None:
    backend = make()
    log_in(backend, "alice")
    is_empty(backend)
    assert backend.faults().forget()
    log_in(backend, "bob")
    flows(receiver, "bob", LOGIN)


# What an operator sees and does


def test_the_log_tells_each_attempt_with_status_and_duration(make: MakeBackend, receiver: AReceiver) -> None:
    backend = make()
    receiver.reply = lambda call: Reply(500 if len(receiver.calls()) == 1 else 200)
    began = time.time()
    log_in(backend, "alice")
    until(lambda: len(backend.webhook.deliveries()) == 2, "the log is not written")
    success, failed = backend.webhook.deliveries()
    assert (failed.user, failed.action, failed.status, failed.attempt, failed.failure) == (
        "alice", LOGIN, 500, 1, "HTTP 500",
    )  # fmt: skip
    assert (success.event, success.status, success.attempt, success.failure) == (failed.event, 200, 2, "")
    assert began - 1 <= failed.at <= success.at <= time.time() + 1
    assert 0 < success.seconds < QUICK.webhook_timeout

    def counted() -> dict[str, int]:
        return {name: number for name, number in backend.status().counts.items() if name.startswith(WEBHOOK)}

    expected = {f"{WEBHOOK}:delivered": 1, f"{WEBHOOK}:failed": 1}
    until(lambda: counted() == expected, lambda: f"{counted()}")


def test_an_attempt_is_written_down_and_counted_though_the_store_was_away_then(
    make: MakeBackend, receiver: AReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = make()
    with monkeypatch.context() as away:

        def unavailable(*_: object) -> None:
            raise StoreUnavailable("it is away")

        for verb in ("log_deliveries", "count"):
            away.setattr(store_of(backend), verb, unavailable)
        with pytest.raises(StoreUnavailable):
            backend.webhook.test()
    backend.webhook.test()
    assert [done.action for done in backend.webhook.deliveries()] == [TEST, TEST]
    assert backend.status().counts[f"{WEBHOOK}:delivered"] == 2


def test_a_test_event_is_sent_at_once_and_beside_the_queue(make: MakeBackend, receiver: AReceiver) -> None:
    backend = make()
    done = backend.webhook.test()
    assert (done.action, done.status, done.failure) == (TEST, 200, "")
    [call] = receiver.calls()
    assert (call.user, call.action, call.is_signed()) == ("administrator", TEST, True)
    assert backend.webhook.deliveries() == [done]
    receiver.stop()
    assert backend.webhook.test().failure == "Connection refused"
    assert backend.webhook.queue() == EventQueue(0, 0)


def test_an_operator_ends_all_pauses(make: MakeBackend, receiver: AReceiver) -> None:
    receiver.reply = lambda _: Reply(body=b'{"ErrorCode":1}')
    backend = make(timing=replace(QUICK, webhook_pause=600.0))
    log_in(backend, "alice")
    until(backend.webhook.deliveries, "nobody tries")
    receiver.reply = lambda _: Reply()
    backend.webhook.retry()
    flows(receiver, "alice", LOGIN)


def test_another_receiver_gets_what_waits(make: MakeBackend, receiver: AReceiver) -> None:
    receiver.stop()
    backend = make()
    log_in(backend, "alice")
    until(backend.webhook.deliveries, "nobody tries")
    with running_receiver() as other:
        backend.webhook.configure(receiver_at(other.url, "another-token", local=True))
        until(lambda: other.calls("alice"), "it gets nothing")
        assert other.calls("alice")[0].is_signed("another-token")
        is_empty(backend)
