"""Times in words: cut to their largest unit, in both languages, and kept up to date on the page of an open tab."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.actors import Clock
from tests.support.browser import Person
from tests.support.redis_server import RedisServer
from tests.support.server import ROOT, Server
from tests.support.waiting import until
from tests.support.wire import log_in
from tim.timing import Timing
from tim.web.time_words import Shown, TimeWords

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("ahead", "english", "chinese"),
    [
        (0, "just now", "刚刚"),
        (-59.9, "just now", "刚刚"),
        (-60, "1 minute ago", "1 分钟前"),
        (-119, "1 minute ago", "1 分钟前"),
        (1 - HOUR, "59 minutes ago", "59 分钟前"),
        (-HOUR, "1 hour ago", "1 小时前"),
        (1 - DAY, "23 hours ago", "23 小时前"),
        (-2 * DAY, "2 days ago", "2 天前"),
        (-400 * DAY, "400 days ago", "400 天前"),
        (4.9, "just now", "刚刚"),
        (5.1, "in less than a minute", "不到 1 分钟后"),
        (61, "in 1 minute", "1 分钟后"),
        (3 * HOUR - 1, "in 2 hours", "2 小时后"),
        (180 * DAY + 5, "in 180 days", "180 天后"),
    ],
)
def test_a_time_is_told_by_its_distance_cut_to_the_largest_unit(ahead: float, english: str, chinese: str) -> None:
    for language, words in (("en", english), ("zh", chinese)):
        assert TimeWords(language, lambda: 1000.0).relative(1000.0 + ahead) == words


def test_a_time_has_changed_once_its_words_are_others_than_when_it_was_last_asked() -> None:
    shown, now = Shown(), 1000.0
    shown.add("a", 1000.0, "0")
    shown.add("b", 2000.0, "1000")

    def words(seconds: float) -> str:
        return str(round(seconds - now))

    assert shown.changed(words) == []
    now = 1001.0
    assert shown.changed(words) == [("a", "-1"), ("b", "999")]
    assert shown.changed(words) == []


@pytest.fixture(scope="module")
def later(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Clock]]:
    """A server that looks at the times of its pages each second, and the clock that it goes by."""
    clock = Clock(time.time())
    redis = RedisServer(clock=clock).start()
    home: Path = tmp_path_factory.mktemp("later")
    timing = Timing(ping_period=1.0, renewal_period=0.5)
    server = Server(home, timing=timing, STORE=redis.url, ONLINE_WEB_INSTANCES="3", DETACH_GRACE=str(DAY))
    yield server.start(), clock
    server.stop()
    redis.kill()


def test_an_open_page_goes_on_telling_how_long_ago_it_was(
    later: tuple[Server, Clock], person: Callable[..., Person]
) -> None:
    server, clock = later
    alice = person("alice", on=server)
    tab = alice.logs_in("A")
    card = tab.page.locator(f"#since-{tab.instance}")
    expect(card).to_have_text("just now")
    clock.advance(61)
    expect(card).to_have_text("1 minute ago")
    clock.advance(2 * HOUR)
    expect(card).to_have_text("2 hours ago")
    tab.is_quiet()


def test_a_stream_sends_no_time_but_those_that_read_otherwise(later: tuple[Server, Clock]) -> None:
    server, clock = later
    older = log_in(server, "old-and-new")
    clock.advance(2 * MINUTE + 50)
    until(lambda: ">2 minutes ago</time>" in older.gets().body, "the server has the new time")
    newer = log_in(server, "old-and-new")
    stream = newer.goes_online()
    stream.hears("{}")
    clock.advance(15)
    stream.hears("3 minutes ago")
    news = [frame for frame in stream.frames if frame.startswith("<time")]
    assert news == [f'<time id="since-{older.instance}" hx-swap-oob="innerHTML">3 minutes ago</time>']
    stream.leaves()


def test_each_time_on_a_page_has_the_whole_of_it_for_machines_and_on_hover() -> None:
    tags = [
        (file.name, tag)
        for file in (ROOT / "templates").rglob("*.html")
        for tag in re.findall(r"<time\b[^>]*>", file.read_text())
    ]
    assert tags
    for file, tag in tags:
        assert '|iso }}"' in tag and "title=" in tag, (file, tag)
