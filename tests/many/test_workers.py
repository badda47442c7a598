"""One gunicorn with three workers, as docs/operating.md runs it: nobody who uses it can tell that they are three."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from playwright.sync_api import expect

from tests.support.browser import Person
from tests.support.redis_server import RedisServer
from tests.support.server import Server
from tests.support.wire import log_in
from tests.web.conftest import NewWindow

WORKERS: Final = 3
ACCESS: Final = "--access-logfile - --access-logformat 'served by %(p)s: %(m)s %(U)s'"
TABS: Final = 40


@pytest.fixture(scope="module")
def server(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It allows one tab for each account, and logs which worker served what."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUNICORN_CMD_ARGS", ACCESS)
        made = Server(tmp_path_factory.mktemp("workers"), gevent=True, workers=WORKERS, STORE=redis.url)
        made.start()
    yield made
    made.stop()


def workers_of(server: Server, path: str) -> set[str]:
    """The processes that have served a path like this."""
    return set(re.findall(rf"served by <?(\d+)>?: \w+ {path}\s", server.log()))


def test_tabs_that_all_workers_serve_in_turn_are_one_tab_each(server: Server, account: Callable[[str], str]) -> None:
    evicted = []
    for _ in range(TABS):
        alice = account("alice")
        old = log_in(server, alice)
        stream = old.goes_online()
        assert old.posts("messages", {"to": alice, "text": "hello"}).status == 303
        stream.hears("hello")
        assert old.instances() == {old.instance: "online"}
        new = log_in(server, alice)
        evicted.append((old, stream, new))
    for old, stream, new in evicted:
        assert stream.is_closed() == 4001
        assert "multipleAccount" in stream.frames[-1]
        assert old.posts("messages", {"to": new.user_id, "text": "too late"}).location.startswith("/login")
        assert list(new.instances()) == [new.instance]
    for path in ("/login", "/im/[0-9a-f]+/", "/im/[0-9a-f]+/messages"):
        assert len(workers_of(server, path)) == WORKERS, path
    server.has_no_traceback()


def test_two_people_with_browsers_talk_and_the_second_tab_of_one_sends_the_first_away(
    server: Server, new_window: NewWindow
) -> None:
    alice, carol = Person(server, new_window(), "alice"), Person(server, new_window(), "carol")
    hers = carol.logs_in("hers")
    first = alice.logs_in("first")
    first.sends(carol.user_id, "hello carol")
    hers.reads("hello carol")
    second = alice.logs_in("second")
    notice = first.is_kicked_out("multipleAccount")
    expect(notice.locator(".by-browser")).to_contain_text("Chrome")
    expect(notice.locator(".by-address")).to_have_text("127.0.0.1")
    assert first.states() == ["not-ready", "ready", "kicked-out"]
    assert first.events() == ["sdkStateReady", "kickedOut", "sdkStateNotReady"]
    hers.sends(alice.user_id, "hello alice")
    second.reads("hello carol", "hello alice")
    second.sends(carol.user_id, "from the second")
    hers.reads("hello carol", "hello alice", "from the second")
    second.reloads()
    second.is_ready()
    second.lists("online")
    second.reads("hello carol", "hello alice", "from the second")
    first.page.fill("#userSig", server.user_sig(alice.user_id))
    first.page.click("#login")
    first.is_ready()
    second.is_kicked_out("multipleAccount")
    hers.stays("ready", 0.5)
    for tab in (first, second, hers):
        tab.is_quiet()
    server.has_no_traceback()
