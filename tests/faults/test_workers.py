"""Workers and masters that are killed, stopped and replaced: the tabs come back, and nobody has to log in again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.faults.conftest import Browses, MakeGunicorn, Opens
from tests.support.gunicorn import Gunicorn, connections, has_ended
from tests.support.livetab import LiveTab
from tests.support.redis_server import RedisServer
from tests.support.site import STOPPED
from tests.support.waiting import until


def one_on_each_worker(server: Gunicorn, opens: Opens) -> dict[int, list[LiveTab]]:
    """Two tabs, of accounts of their own, on each worker."""
    found: dict[int, list[LiveTab]] = {pid: [] for pid in server.workers()}
    n = 0
    while min(map(len, found.values())) < 2:
        n += 1
        tab = opens(server, f"user-{n}")
        found[server.worker_of(tab.stream)].append(tab)
        assert n < 40, "one worker gets no streams"
    return found


def seat(tab: LiveTab) -> tuple[str, str, list[str]]:
    """What a tab must not lose: its instance, its age, and that it is the only one of its account."""
    return tab.id, tab.script.since(), list(tab.script.instances())


def test_a_killed_worker_takes_no_seat_with_it_and_nobody_else_notices(
    redis: RedisServer, make_gunicorn: MakeGunicorn, opens: Opens
) -> None:
    server = make_gunicorn(redis.port)
    tabs = one_on_each_worker(server, opens)
    victim, spared = tabs
    seats = {tab: seat(tab) for tab in tabs[victim] + tabs[spared]}
    tabs[spared][0].says(tabs[victim][0].user_id, "before")
    tabs[victim][0].reads("before")

    server.kills_worker(victim)
    for tab in tabs[victim]:
        tab.is_not_ready()
    # While it is not there, others go on, and what they send to it is waiting for it.
    tabs[spared][0].says(tabs[victim][0].user_id, "meanwhile")
    for tab in tabs[victim]:
        tab.is_ready(times=2)
        tab.was_never_told_to_go()
    tabs[victim][0].reads("before", "meanwhile")
    tabs[victim][0].says(tabs[spared][1].user_id, "I am back")
    tabs[spared][1].reads("I am back")
    assert {tab: seat(tab) for tab in seats} == seats
    for tab in tabs[spared]:
        tab.was_never_cut()
    until(lambda: len(server.workers()) == 2, "the worker is not replaced")


def test_a_browser_comes_back_from_a_killed_worker_with_seat_and_age(
    redis: RedisServer, make_gunicorn: MakeGunicorn, browses: Browses
) -> None:
    server = make_gunicorn(redis.port)
    alice = browses(server, "alice")
    tab = alice.logs_in()
    kept = tab.instance, tab.since()

    def busy() -> list[int]:
        # The browser's other connections are idle, and closed after two seconds.
        return [pid for pid in server.workers() if any(port == server.port for port, _ in connections(pid))]

    until(lambda: len(busy()) == 1, "which worker has the stream?")
    server.kills_worker(busy()[0])
    tab.is_reconnecting()
    tab.is_ready()
    assert (tab.instance, tab.since()) == kept
    assert tab.states() == ["not-ready", "ready", "reconnecting", "ready"]
    assert "kickedOut" not in tab.events()
    tab.lists("online")
    tab.sends(alice.user_id, "still here")
    tab.reads("still here")


def test_the_orphans_of_a_killed_master_stop_and_a_new_one_takes_their_tabs(
    redis: RedisServer, make_gunicorn: MakeGunicorn, opens: Opens
) -> None:
    server = make_gunicorn(redis.port)
    tabs = [tab for some in one_on_each_worker(server, opens).values() for tab in some]
    seats = {tab: seat(tab) for tab in tabs}
    orphans = server.workers()
    server.kill()
    with ThreadPoolExecutor() as threads:
        stopped = threads.submit(until, lambda: all(map(has_ended, orphans)), "an orphan goes on", STOPPED)
        server.start()  # at once, on the same port
    stopped.result()
    for tab in tabs:
        tab.is_ready(times=2)
        tab.was_never_told_to_go()
    assert {tab: seat(tab) for tab in tabs} == seats
    tabs[0].says(tabs[-1].user_id, "hello")
    tabs[-1].reads("hello")
