"""A tab is one tab, whichever servers serve its page, its stream and its forms; and its end is its end on all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.displaced import Displaced
from tests.support.fleet import Fleet
from tests.support.waiting import always, until
from tests.support.wire import ScriptTab, Socket, element, log_in, login_page_of, path_of
from tim.ends import CLOSE_MOVED

Account = Callable[[str], str]
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
EVICTED, KICKED, LOGGED_OUT = 4001, 4004, 4005
"""The codes of the table in `tim.events`, as a client has them."""


def test_a_page_from_one_a_stream_from_another_and_a_message_by_a_third_are_one_tab(
    fleet: Fleet, account: Account
) -> None:
    a, b, c = fleet
    tab = log_in(a, account("alice"))
    since = tab.since()
    stream = tab.at(b).goes_online()
    assert tab.at(c).posts("messages", {"to": tab.user_id, "text": "from the third"}).status == 303
    assert "from the third" in stream.hears("data-message")
    for server in fleet:
        assert tab.at(server).instances() == {tab.instance: "online"}
        assert tab.at(server).since() == since
        assert "from the third" in tab.at(server).gets().body


def test_a_kick_that_one_decides_is_heard_at_another_and_explained_by_a_third(fleet: Fleet, account: Account) -> None:
    a, b, _ = fleet
    alice = account("alice")
    first, second = log_in(a, alice), log_in(a, alice)
    stream, other = first.at(b).goes_online(), second.at(b).goes_online()
    third = log_in(a, alice, headers={"User-Agent": FIREFOX, "X-Forwarded-For": "198.51.100.7"})
    assert stream.is_closed() == EVICTED
    last = stream.frames[-1]
    assert 'data-type="' not in last, "why stands on the login page, for this tab alone"
    assert last.index('data-state="kicked-out"') < last.index("kickedOut") < last.index("sdkStateNotReady")
    assert "multipleAccount" in last
    for server in fleet:
        notice = element(login_page_of(first.at(server)), "kicked-out")
        assert notice is not None
        assert notice.attributes["data-type"] == "multipleAccount"
        assert "Firefox 140 on Windows" in notice.text
        assert "198.51.100.7" in notice.text
        again = first.at(server).attaches()
        assert again.is_closed() == EVICTED
        assert not any('data-state="ready"' in frame for frame in again.frames)
        assert list(second.at(server).instances()) == [second.instance, third.instance]
    other.hears_nothing(0.2)


def test_a_login_that_is_disowned_at_one_ends_at_another_and_once_for_all(fleet: Fleet, account: Account) -> None:
    a, b, c = fleet
    alice = account("alice")
    owner, other, thief = (log_in(server, alice) for server in fleet)
    streams = [other.at(c).goes_online(), thief.at(a).goes_online()]
    page = login_page_of(owner.at(b))
    said = Displaced(owner.at(b), thief, "", page).says()
    assert "2 sessions were ended" in said.body
    assert [stream.is_closed() for stream in streams] == [KICKED, KICKED]
    assert "already said" in Displaced(owner.at(c), thief, "", page).says().body


@pytest.mark.parametrize("how", ["by itself", "by another tab"])
def test_after_a_logout_on_one_no_request_of_that_tab_works_on_any(how: str, fleet: Fleet, account: Account) -> None:
    a, b, c = fleet
    alice = account("alice")
    tab, other = log_in(a, alice), log_in(c, alice)
    stream, line = tab.at(b).goes_online(), other.at(b).goes_online()
    if how == "by itself":
        assert tab.at(a).posts("logout").status == 303
    else:
        assert other.at(a).posts(f"instances/{tab.instance}/logout").status == 303
    for server in fleet:
        here = tab.at(server)
        for answer in (
            here.gets(),
            here.posts("messages", {"to": alice, "text": "from the dead"}),
            here.posts(f"instances/{other.instance}/logout"),
            here.posts("logout"),
        ):
            assert answer.status == 303
            assert path_of(answer.location).startswith("/login"), answer.location
        again = here.attaches()
        assert again.is_closed() == LOGGED_OUT
        assert not any('data-state="ready"' in frame for frame in again.frames)
        page = other.at(server).gets().body
        assert other.at(server).instances() == {other.instance: "online"}
        assert "from the dead" not in page
    assert stream.is_closed() == LOGGED_OUT
    assert "kickedOut" not in "".join(stream.frames)
    line.hears_nothing(0.2)


def test_of_one_tab_that_is_open_at_two_the_newer_page_has_it_and_they_take_turns(
    fleet: Fleet, account: Account
) -> None:
    a, b, c = fleet
    tab = log_in(a, account("alice"))
    since = tab.since()
    older = tab.at(a).goes_online()
    for server in (b, c, a, b):
        newer = tab.at(server).goes_online()
        assert older.is_closed() == CLOSE_MOVED
        assert 'data-state="moved"' in older.frames[-1]
        older.leaves()
        newer.hears_nothing(0.2)
        assert tab.at(c).instances() == {tab.instance: "online"}
        older = newer
    assert tab.at(a).since() == since


def test_a_tab_that_moves_to_another_keeps_its_seat_and_its_age(fleet: Fleet, account: Account) -> None:
    a, b, c = fleet
    alice = account("alice")
    older, younger = log_in(a, alice), log_in(b, alice)
    since = older.since()
    line = younger.at(c).goes_online()
    for server in (b, c, a):
        stream = older.at(server).goes_online()
        stream.leaves("reset")
        until(lambda: list(older.at(c).instances().values()) == ["detached", "online"], "it should be detached")
        assert list(older.at(server).instances()) == [older.instance, younger.instance]
        assert older.at(c).since() == since
    older.at(c).goes_online()
    assert list(older.at(a).instances().values()) == ["online", "online"]
    line.hears_nothing(0.2)


def test_the_list_of_tabs_changes_at_one_when_something_happens_at_another(fleet: Fleet, account: Account) -> None:
    a, b, c = fleet
    alice = account("alice")
    stream = log_in(a, alice).at(a).goes_online()
    other = log_in(b, alice)
    stream.hears(other.instance)
    line = other.at(c).goes_online()
    stream.hears(f'data-instance="{other.instance}" data-state="online"')
    assert other.at(b).posts("name", {"name": "my laptop"}).status == 303
    until_heard(stream, lambda list_: "my laptop" in list_ and 'id="new-login"' in list_)
    line.leaves()
    until_heard(stream, lambda list_: f'data-instance="{other.instance}" data-state="detached"' in list_)
    assert other.at(b).posts("logout").status == 303
    until_heard(stream, lambda list_: other.instance not in list_)


def until_heard(stream: Socket, right: Callable[[str], bool]) -> None:
    """Wait until the newest frame is the right one."""

    def newest_is_right() -> bool:
        stream.hears_more(0.05)
        return right(stream.frames[-1])

    until(newest_is_right, lambda: f"the newest frame is {stream.frames[-1]}")


def test_of_two_that_sign_each_other_out_at_once_exactly_one_stays(fleet: Fleet, account: Account) -> None:
    with ThreadPoolExecutor(2) as people:
        for _ in range(10):
            alice = account("alice")
            tabs = [log_in(server, alice) for server in fleet[:2]]
            list(people.map(lambda tab: tab.posts("instances/logout"), tabs))
            [stays] = [tab for tab in tabs if tab.gets().status == 200]
            assert list(stays.at(fleet[2]).instances()) == [stays.instance]


def test_of_a_crowd_that_logs_in_everywhere_at_once_two_tabs_stay_and_all_others_hear_why(
    fleet: Fleet, account: Account
) -> None:
    alice = account("alice")
    start = threading.Barrier(24)
    came: dict[str, tuple[ScriptTab, Socket]] = {}

    def come(n: int) -> None:
        start.wait()
        tab = log_in(fleet[n % 3], alice)
        came[tab.instance] = tab, tab.at(fleet[n // 8]).attaches()

    threads = [threading.Thread(target=come, args=(n,)) for n in range(start.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(came) == start.parties

    def staying() -> dict[str, str]:
        for _, stream in came.values():
            stream.hears_more(0.005)
        return {instance: "online" for instance, (_, stream) in came.items() if stream.code is None}

    until(lambda: len(staying()) == 2, "two should stay")
    always(lambda: len(staying()) == 2, "two should stay", 0.5)
    for instance, (tab, stream) in came.items():
        heard = "".join(stream.frames)
        if stream.code is None:
            assert "kickedOut" not in heard
            for server in fleet:
                assert tab.at(server).instances() == staying()
        else:
            assert stream.code == EVICTED
            assert heard.count('data-event="kickedOut"') == heard.count('data-event="sdkStateReady"') <= 1, instance
