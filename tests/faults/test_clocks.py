"""Two servers whose clocks are two hours apart: it makes no difference which of them a tab meets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.faults.conftest import Opens
from tests.support.balancer import Balancer
from tests.support.gunicorn import Gunicorn
from tests.support.redis_server import RedisServer
from tests.support.site import HEALED
from tests.support.waiting import always, until
from tests.support.wire import Answer, element, log_in, post, post_login

GRACE = 3.0
HOUR = 3600


@pytest.fixture(scope="module")
def door(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balancer]:
    """Where each connection is taken to the other server than the one before: one is fast, and one is slow."""
    home = tmp_path_factory.mktemp("clocks")
    redis = RedisServer().start()
    servers = [
        Gunicorn(home / f"{ahead}", redis.port, workers=1, ahead=ahead, DETACH_GRACE=str(GRACE)).start()
        for ahead in (-HOUR, HOUR)
    ]
    balancer = Balancer(*servers)
    yield balancer
    balancer.close()
    for server in servers:
        server.stop()
    redis.kill()


def try_to_log_in(door: Balancer, user_id: str, *, made: float, expire: int = 600) -> Answer:
    """The answer to a login with a UserSig that says it was made so many seconds from now."""
    return post_login(door, user_id, door.user_sig(user_id, expire, made=time.time() + made))


def test_a_tab_may_meet_either_server_with_each_request(door: Balancer, opens: Opens) -> None:
    # One more request each time, so that each of them meets each server.
    for odd in range(2):
        alice, bob = opens(door, f"alice-{odd}"), opens(door, f"bob-{odd}")
        for n in range(3):
            assert alice.script.gets().status == 200
            alice.says(bob.user_id, f"message {n}")
        bob.reads("message 0", "message 1", "message 2")
        assert alice.script.since() == alice.script.since()
        newcomer = opens(door, alice.user_id)
        alice.is_told("multipleAccount")
        assert alice.script.gets().location.startswith("/login")
        for tab in (bob, newcomer):
            tab.was_never_cut()
        bob.script.gets()


def test_both_servers_have_the_same_word_on_a_usersig(door: Balancer) -> None:
    for _ in range(2):
        assert try_to_log_in(door, "early", made=30).status == 303
        for made in (120, -700):
            refused = try_to_log_in(door, "early", made=made)
            error = element(refused.body, "login-error")
            assert refused.status == 401 and error is not None and "70001" in error.text


def test_both_servers_count_failures_together_and_wait_for_as_long(door: Balancer) -> None:
    refused = [post(door, "/login", {"userID": "guessed", "userSig": "wrong"}).status for _ in range(21)]
    assert refused == [401] * 20 + [429]
    for _ in range(2):
        answer = post(door, "/login", {"userID": "guessed", "userSig": "wrong"})
        assert answer.status == 429
        assert 50 < int(answer.header("Retry-After")) <= 60


def test_a_tab_keeps_its_seat_for_the_grace_time_and_no_longer(door: Balancer) -> None:
    tab = log_in(door, "grace")
    tab.goes_online().leaves()
    left = time.monotonic()
    until(lambda: tab.instances() == {tab.instance: "detached"}, "it is still online", HEALED)
    always(lambda: tab.instances() == {tab.instance: "detached"}, "its seat was given up", GRACE - 1.5)
    until(lambda: not tab.instances(), "its seat is kept", HEALED)
    assert time.monotonic() - left > GRACE - 0.5
