"""What was given up does not happen afterwards, when a Redis that stood still goes on with what it had been sent."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.conftest import Opens
from tests.support.actors import APP, GRACE, newcomer
from tests.support.livetab import LiveTab
from tests.support.redis_server import RedisServer
from tests.support.site import Site, instances, messages
from tests.support.waiting import until
from tests.support.wire import browser_cookie, post_login
from tim.errors import StoreUnavailable
from tim.store import open_store
from tim.timing import Timing

AT_ONCE = 12
"""People who log in or write at the same time, so that Redis stops in the middle of something of somebody's."""
A_MOMENT = 0.1
"""Seconds within which a process has stopped that is told to."""


def test_a_command_that_reaches_redis_too_late_is_not_carried_out(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(redis.url, grace=GRACE, clock=time.time, timing=Timing(redis_timeout=0.5))
    store.join("node")
    first, second = (newcomer(expires=time.time() + 1000) for _ in range(2))
    store.admit(first, 1)
    store.attach(first.id, "node", 1)
    commands: list[Callable[[], object]] = [
        lambda: store.admit(second, 1),
        lambda: store.append(APP, first.id, "alice", "too late", "an id"),
        lambda: store.kick_account(APP, "alice"),
    ]
    redis.pauses()
    for command in commands:
        with pytest.raises(StoreUnavailable):
            command()
    redis.goes_on()
    # It takes the connections one after the other, so what they sent has been read when another's is answered.
    for _ in range(3):
        redis.client().ping()
    assert [instance.id for instance in store.instances(APP, "alice")] == [first.id]
    assert store.get(first.id).online
    assert store.history(APP, "alice", 0, 10) == []
    store.close()


def test_what_was_answered_503_when_redis_stood_still_does_not_happen_when_it_goes_on(site: Site, opens: Opens) -> None:
    server = site.far
    users = [f"busy-{n}" for n in range(AT_ONCE)]
    browser, signatures = browser_cookie(server), {user: server.user_sig(user) for user in users}
    writers = [opens(server, f"writer-{n}") for n in range(AT_ONCE)]
    reader = opens(server, "reader")
    busy: set[str] = set()  # who has logged in or written once, and goes on with it

    def logs_in_again_and_again(user: str) -> None:
        while (answer := post_login(server, user, signatures[user], cookie=browser)).status == 303:
            busy.add(user)
        assert answer.status == 503

    def writes_again_and_again(writer: LiveTab) -> str:
        for n in itertools.count():
            text = f"{n} from {writer.user_id}"
            answer = writer.sends(reader.user_id, text)
            if answer is None or answer.status != 200:
                assert answer is not None and answer.status == 503
                return text
            busy.add(writer.user_id)
        raise AssertionError

    with ThreadPoolExecutor(2 * AT_ONCE) as threads:
        logins = [threads.submit(logs_in_again_and_again, user) for user in users]
        talks = [threads.submit(writes_again_and_again, writer) for writer in writers]
        try:
            until(lambda: len(busy) == 2 * AT_ONCE, lambda: f"only {busy} are busy")
        finally:
            site.redis.pauses()  # they end then, which the pool waits for
        stopped = time.time() + A_MOMENT
    refused = {talk.result() for talk in talks}
    for login in logins:
        login.result()
    site.redis.goes_on()

    # What Redis did before it stopped may have been done though nobody got to hear of it.
    last = writers[0].sends
    until(lambda: (answer := last(reader.user_id, "it goes on")) and answer.status == 200, "it does not go on")
    for user in users:
        assert all(instance.since < stopped for instance in instances(site.redis, user))
    for said in messages(site.redis, reader.user_id):
        assert said.text not in refused or said.time < stopped
    for tab in (*writers, reader):
        tab.was_never_told_to_go()
