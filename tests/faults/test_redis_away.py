"""Redis is away: logins are told to come later, nobody is kicked or ready falsely, and all heals when it is back."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.conftest import Opens
from tests.support.displaced import Displaced
from tests.support.livetab import LiveTab
from tests.support.server import Server
from tests.support.site import CUT, ENDED, HEALED, KILLED, PAUSED, SWALLOWED, Outage, Site, texts
from tests.support.waiting import until
from tests.support.wire import Answer, browser_cookie, element, get, log_in, post_login
from tim.codes import STORE_UNAVAILABLE
from tim.ends import LOGGED_OUT
from tim.timing import DEFAULT

QUICK = 5.0
"""Seconds within which every answer has to come, whatever Redis does."""
ALIVE = 1.0
"""Seconds within which a server has to say that it is alive."""


def timed(ask: Callable[[], Answer]) -> tuple[Answer, float]:
    """An answer, and the seconds it took."""
    began = time.monotonic()
    return ask(), time.monotonic() - began


def asks_all_at_once(**asked: Callable[[], Answer]) -> dict[str, Answer]:
    """The answers, each of which has to come quickly."""
    with ThreadPoolExecutor() as threads:
        futures = {name: threads.submit(timed, ask) for name, ask in asked.items()}
    took = {name: future.result()[1] for name, future in futures.items()}
    assert max(took.values()) < QUICK, took
    assert took["alive"] < ALIVE, took
    return {name: future.result()[0] for name, future in futures.items()}


def login(server: Server, user_id: str, **headers: str) -> Callable[[], Answer]:
    browser, sig = browser_cookie(server), server.user_sig(user_id)
    return lambda: post_login(server, user_id, sig, headers=headers, cookie=browser)


def goes_on(sender: LiveTab, receiver: LiveTab, text: str) -> None:
    """One can write to the other again, within the time that is promised."""
    until(lambda: (answer := sender.sends(receiver.user_id, text)) and answer.status == 200, "cannot be sent", HEALED)
    until(lambda: receiver.messages[-1:] == [text], "does not arrive", HEALED)


@pytest.mark.parametrize("outage", [KILLED, PAUSED, SWALLOWED, CUT], ids=str)
def test_while_redis_is_away_all_is_refused_and_nothing_lost(
    site: Site, outage: Outage, opens: Opens, rounds: int
) -> None:
    server, users = (
        site.far,
        [f"{name}-{outage.name.replace(' ', '-')}" for name in ("alice", "bob", "carol", "dave", "eve")],
    )
    alice, bob, leaver = (opens(server, user) for user in users[:3])
    newcomer = log_in(server, users[3])
    displaced = Displaced.at(server, users[4])
    alice.says(bob.user_id, "before")
    bob.reads("before")

    outage.begins(site)
    leaver.leaves()
    new_tab = opens(server, newcomer)
    message = {"to": bob.user_id, "text": "refused"}
    answers = asks_all_at_once(
        login=login(server, users[0]),
        login_by_htmx=login(server, users[0], **{"HX-Request": "true"}),
        message=lambda: alice.script.posts("messages", message, htmx=True),
        not_me=displaced.says,
        page=bob.script.gets,
        login_page=lambda: get(server, "/login"),
        alive=lambda: get(server, "/healthz"),
        ready=lambda: get(server, "/readyz"),
    )
    for name in ("login", "login_by_htmx"):
        assert answers[name].status == 503
        assert int(answers[name].header("Retry-After")) > 0
        error = element(answers[name].body, "login-error")
        assert error is not None and str(STORE_UNAVAILABLE) in error.text
    for name in ("message", "page", "ready"):
        assert answers[name].status == 503, name
    assert str(STORE_UNAVAILABLE) in answers["message"].body
    assert answers["not_me"].status == 503
    assert displaced.proof in answers["not_me"].body, "one click tries again"
    assert answers["login_page"].status == answers["alive"].status == 200
    # In a long run, for longer than a node may be silent that is not held to be dead.
    new_tab.stays(ready=False, seconds=1 if rounds == 1 else DEFAULT.lease + 5)
    assert new_tab.readies == 0
    outage.ends(site)
    back = time.monotonic()

    for tab in (alice, bob, new_tab):
        tab.is_ready(patience=HEALED)
    goes_on(alice, bob, "after")
    goes_on(bob, new_tab, "welcome")
    until(lambda: leaver.script.instances() == {leaver.id: "detached"}, "who has left is still there", HEALED)
    assert time.monotonic() - back < HEALED
    for tab in (alice, bob, new_tab):
        tab.was_never_told_to_go()
        assert tab.script.instances() == {tab.id: "online"}, "who was refused has got in"
    assert "1 session was ended" in displaced.says().body, "what was refused was not done"
    assert texts(site.redis, bob.user_id) == ["before", "after", "welcome"]
    server.has_no_traceback()


def test_a_pause_that_is_shorter_than_a_call_may_take_is_not_noticed(site: Site, opens: Opens) -> None:
    alice, bob = opens(site.far, "alice-short"), opens(site.far, "bob-short")
    with ThreadPoolExecutor() as threads:
        site.redis.pauses()
        admitted = threads.submit(login(site.far, "carol-short"))
        said = threads.submit(alice.says, bob.user_id, "patience")
        time.sleep(1)
        site.redis.goes_on()
    assert admitted.result().status == 303
    said.result()
    bob.reads("patience")
    for tab in (alice, bob):
        tab.was_never_cut()


def test_over_a_slow_line_everything_works_slowly(site: Site, opens: Opens) -> None:
    first, writer, friend = (
        opens(site.far, "alice-slow"),
        opens(site.far, "bob-slow"),
        opens(site.near, "carol-slow"),
    )
    site.line.delays(requests=0.3, replies=0.3)
    try:
        with ThreadPoolExecutor() as threads:
            said = threads.submit(writer.says, friend.user_id, "slowly")
            second = opens(site.far, "alice-slow")
        said.result()
        first.is_told("multipleAccount")
        friend.reads("slowly")
        friend.says(second.user_id, "I see")
        second.reads("I see")
        for tab in (second, writer, friend):
            tab.was_never_cut()
    finally:
        site.line.delays()


def test_redis_may_restart_again_and_again(site: Site, opens: Opens, rounds: int) -> None:
    alice, bob = opens(site.far, "alice-again"), opens(site.near, "bob-again")
    taken: list[str] = []
    for n in range(2 * rounds):
        outage = (ENDED, KILLED)[n % 2]
        outage.begins(site)
        outage.ends(site)
        taken.append(f"message {n}")
        goes_on(alice, bob, taken[-1])
    assert texts(site.redis, bob.user_id) == texts(site.redis, alice.user_id) == taken
    for tab in (alice, bob):
        tab.was_never_told_to_go()
        tab.is_ready()
        assert tab.script.instances() == {tab.id: "online"}


def test_a_redis_that_is_full_takes_nothing_new_and_sends_nobody_away(site: Site, opens: Opens) -> None:
    alice, bob, carol = (opens(site.far, f"{name}-full") for name in ("alice", "bob", "carol"))
    with site.redis.client() as admin:
        admin.config_set("maxmemory", "1")
        try:
            assert login(site.far, alice.user_id)().status == 503
            refused = alice.sends(bob.user_id, "refused")
            assert refused is not None and refused.status == 503
            assert carol.script.posts("logout").status == 303
            carol.is_told(LOGGED_OUT)
        finally:
            admin.config_set("maxmemory", "0")
    goes_on(alice, bob, "room again")
    assert bob.messages == ["room again"]
    for tab in (alice, bob):
        tab.was_never_cut()
