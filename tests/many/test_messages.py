"""Texts between tabs at different servers: each arrives once, in one order, and counts as read for all."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

from tests.support.fleet import Fleet
from tests.support.server import APP
from tests.support.waiting import until
from tests.support.wire import ScriptTab, Socket, element, log_in, path_of
from tim.store.base import Store

Account = Callable[[str], str]
CROWD, EACH = 6, 10
"""Senders, and texts of each."""


def sends(tab: ScriptTab, to: str, text: str) -> None:
    assert tab.posts("messages", {"to": to, "text": text}).status == 303


def unread(stream: Socket) -> str:
    """What the tab says of unread texts when it opens."""
    found = element(stream.hears('id="unread"'), "unread")
    assert found is not None
    return found.text


def texts(stream: Socket) -> list[str]:
    """The texts the tab has been shown so far, oldest first."""
    return re.findall(r'<p class="text" dir="auto">([^<]*)</p>', "".join(stream.frames))


def test_a_text_sent_at_one_is_pushed_to_every_tab_at_the_others(fleet: Fleet, account: Account) -> None:
    a, b, c = fleet
    alice, bob = account("alice"), account("bob")
    tabs = [log_in(server, user) for user in (alice, bob) for server in (a, b)]
    streams = [tab.at(server).goes_online() for tab, server in zip(tabs, (a, b, a, b), strict=True)]
    hers, _, his, _ = tabs
    sends(hers.at(c), bob, "hello bob")
    sends(his.at(c), alice, "hello alice")
    for stream in streams:
        stream.hears("hello alice")
        assert texts(stream) == ["hello bob", "hello alice"]
    # Everybody is told of what others sent, and nobody of what the tab itself did.
    heard = ["".join(stream.frames).count('data-event="onMessageReceived"') for stream in streams]
    assert heard == [1, 2, 1, 2]


def test_what_one_tab_was_shown_at_one_is_unread_at_none(fleet: Fleet, account: Account) -> None:
    a, b, c = fleet
    alice, bob = account("alice"), account("bob")
    log_in(a, bob).posts("logout")
    hers = log_in(c, alice)
    hers.goes_online()
    for n in range(2):
        sends(hers, bob, f"missed {n}")
    first = log_in(a, bob)
    at_a = first.at(b).goes_online()
    assert unread(at_a) == "2 unread"
    second = log_in(b, bob)
    at_c = second.at(c).goes_online()
    assert unread(at_c) == ""
    sends(hers.at(a), bob, "seen by both")
    for stream in (at_a, at_c):
        stream.hears("seen by both")
        assert texts(stream) == ["missed 0", "missed 1", "seen by both"]
    for tab, stream in ((first, at_a), (second, at_c)):
        stream.leaves()
        until(lambda tab=tab: tab.instances()[tab.instance] == "detached", "it should be detached")  # type: ignore[misc]
    sends(hers.at(b), bob, "missed by both")
    back = second.at(a).goes_online()
    assert unread(back) == "1 unread"
    assert unread(first.at(c).goes_online()) == ""
    assert texts(back) == ["missed 0", "missed 1", "seen by both", "missed by both"]


def test_what_a_crowd_sends_everywhere_at_once_comes_to_all_in_one_order_each_once(
    fleet: Fleet, account: Account
) -> None:
    bob = account("bob")
    receivers = [log_in(fleet[n], bob).at(fleet[n + 1]) for n in range(2)]
    streams = [tab.goes_online() for tab in receivers]
    senders = [log_in(fleet[n % 3], account("sender")) for n in range(CROWD)]
    lines = [tab.at(fleet[n // 2]).goes_online() for n, tab in enumerate(senders)]

    def talk(n: int) -> None:
        for m in range(EACH):
            sends(senders[n].at(fleet[(n + m) % 3]), bob, f"[{n} {m}]")

    threads = [threading.Thread(target=talk, args=(n,)) for n in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def have_all() -> bool:
        for stream in streams:
            stream.hears_more(0.05)
        return all(len(texts(stream)) >= CROWD * EACH for stream in streams)

    until(have_all, "some are missing")
    one, other = map(texts, streams)
    assert one == other
    assert sorted(one) == sorted(f"[{n} {m}]" for n in range(CROWD) for m in range(EACH))
    for n in range(CROWD):
        own = [text for text in one if text.startswith(f"[{n} ")]
        assert own == [f"[{n} {m}]" for m in range(EACH)], "whoever sends one after the other is read so"
    for tab in receivers:
        page = tab.at(fleet[0]).gets().body
        assert re.findall(r'<p class="text" dir="auto">([^<]*)</p>', page) == one
    assert [line.code for line in lines] == [None] * CROWD


def test_nothing_is_accepted_anywhere_that_an_evicted_tab_posts_after_the_login_has_returned(
    fleet: Fleet, account: Account, store: Store
) -> None:
    a, b, c = fleet
    alice, bob = account("alice"), account("bob")
    log_in(a, bob)
    old, other = log_in(a, alice), log_in(a, alice)
    old.at(b).goes_online()
    other.at(b).goes_online()
    over = threading.Event()
    tried: list[tuple[float, str, bool]] = []

    def talk(tab: ScriptTab, name: str) -> None:
        n = 0
        while not over.is_set():
            began, text = time.monotonic(), f"{name} {n}"
            answer = tab.posts("messages", {"to": bob, "text": text})
            tried.append((began, text, path_of(answer.location) == tab.path))
            n += 1

    threads = [threading.Thread(target=talk, args=(old.at(c), name)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    until(lambda: len(tried) > 20, "it should be sending")
    log_in(a, alice)
    returned = time.monotonic()
    so_far = len(tried)
    until(lambda: len(tried) > so_far + 20, "it should go on trying")
    over.set()
    for thread in threads:
        thread.join()
    accepted = {text: began for began, text, accepted in tried if accepted}
    assert len(accepted) >= 20
    assert max(accepted.values()) < returned
    assert sorted(message.text for message in store.history(APP, bob, 0, len(tried))) == sorted(accepted)
