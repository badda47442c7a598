"""Ready means ready: only after everything that waited has been delivered, and once for each time a tab attaches."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from tests.support.server import Server
from tests.support.waiting import until
from tests.support.wire import Socket, element, elements, instances_in, log_in
from tests.web.conftest import MakePerson
from tim.tab import HISTORY


def _state(html: str) -> str | None:
    found = element(html, "sdk-state")
    return None if found is None else found.attributes["data-state"]


def _order(stream: Socket) -> str:
    """All frames so far, in the order in which the page puts them into place."""
    return "\n".join(stream.frames)


def test_a_tab_is_not_ready_before_its_stream_is_attached(server: Server) -> None:
    tab = log_in(server, "early")
    page = tab.gets()
    assert _state(page.body) == "not-ready"
    assert "sdkStateReady" not in page.body
    assert tab.instances() == {tab.instance: "detached"}
    refused = tab.posts("messages", {"to": "early", "text": "too early"})
    assert refused.status == 409
    assert "2999" in refused.body
    assert "too early" in refused.body


def test_a_page_goes_from_not_ready_to_ready_and_logs_it(person: MakePerson) -> None:
    tab = person("alice").logs_in()
    assert tab.states() == ["not-ready", "ready"]
    assert tab.events() == ["sdkStateReady"]


def test_ready_comes_after_the_list_and_the_unread_messages(server: Server) -> None:
    bob = log_in(server, "waits")
    bob.posts("logout")
    alice = log_in(server, "writes")
    alice.goes_online()
    for n in range(3):
        assert alice.posts("messages", {"to": "waits", "text": f"unread {n}"}).status == 303
    back = log_in(server, "waits")
    stream = back.goes_online()
    said = _order(stream)
    ready = said.index('data-state="ready"')
    places = [said.index(what) for what in (f'data-instance="{back.instance}"', "unread 0", "unread 1", "unread 2")]
    assert max(places) < ready
    assert instances_in(said[:ready]) == {back.instance: "online"}
    assert said[:ready].count("data-unread") == 3
    assert "3 unread" in said[:ready]
    # And what the SDK tells its page comes in the same order.
    assert re.findall(r'data-event="(\w+)"', said) == ["onMessageReceived", "sdkStateReady"]


def test_ready_is_said_once_each_time_a_tab_attaches(server: Server) -> None:
    tab = log_in(server, "once")
    for n in range(3):
        stream = tab.goes_online()
        assert tab.posts("messages", {"to": "once", "text": f"something happens {n}"}).status == 303
        stream.hears(f"something happens {n}")
        stream.hears_nothing(0.3)
        assert _order(stream).count('data-state="ready"') == 1
        assert _order(stream).count("sdkStateReady") == 1
        stream.leaves()


def test_messages_are_unread_until_they_have_been_shown_once(server: Server) -> None:
    alice, bob = log_in(server, "sender-of-one"), log_in(server, "shown-once")
    alice.goes_online()
    alice.posts("messages", {"to": "shown-once", "text": "look at this"})
    first = bob.goes_online()
    assert "data-unread" in _order(first)
    first.leaves()
    again = bob.goes_online()
    assert "look at this" in _order(again)
    assert "data-unread" not in _order(again)
    assert "onMessageReceived" not in _order(again)


def _texts(html: str) -> list[str]:
    return [found.text for found in elements(html) if found.attributes.get("class") == "text"]


def _new(html: str) -> list[str]:
    """The texts in or for the part of a page that each of its streams fills anew."""
    return _texts(html.partition("#new-messages" if "#new-messages" in html else 'id="new-messages"')[2])


def test_a_stream_sends_what_its_page_does_not_show_as_read(server: Server) -> None:
    alice, bob = log_in(server, "page-writer"), log_in(server, "page-reader")
    alice.goes_online()

    def says(text: str) -> None:
        assert alice.posts("messages", {"to": "page-reader", "text": text}).status == 303

    says("unread")
    page = bob.gets().body
    assert (_texts(page), _new(page)) == (["unread"], ["unread"])
    says("between page and stream")
    first = bob.goes_online(page)
    assert _new(_order(first)) == _texts(_order(first)) == ["unread", "between page and stream"]
    assert "2 unread" in _order(first)
    says("to an open stream")
    first.hears("to an open stream")
    first.leaves()

    again = bob.goes_online(page)  # the same page, connected again or taken from the browser's cache
    assert _new(_order(again)) == ["unread", "between page and stream", "to an open stream"]
    assert "data-unread" not in _order(again)
    again.leaves()
    reloaded = bob.gets().body
    assert (len(_texts(reloaded)), _new(reloaded)) == (3, [])
    stream = bob.goes_online(reloaded)
    assert _texts(_order(stream)) == [], "the page has them"
    says("the last one")
    assert _new(stream.hears("the last one")) == ["the last one"]


@pytest.mark.parametrize("number", ["", "-1", "x", "9" * 16, "\u0663"])
def test_a_stream_replaces_all_messages_of_a_page_that_names_no_number(number: str, server: Server) -> None:
    tab = log_in(server, f"number-{len(number)}-{number[:1].encode().hex()}")
    tab.goes_online().leaves()
    line = tab.goes_online()
    assert tab.posts("messages", {"to": tab.user_id, "text": "hello"}).status == 303
    line.hears("hello")
    address = f'<div id="stream" hx-ws:connect="{tab.path}events?read={quote(number)}">'
    [frame] = [frame for frame in tab.goes_online(address).frames if "hello" in frame]
    assert 'hx-swap-oob="innerHTML target:#messages ' in frame


def test_a_stream_replaces_all_messages_of_a_page_that_lacks_too_many(roomy: Server) -> None:
    tabs = [log_in(roomy, "talkative") for _ in range(2)]
    page = tabs[0].gets().body
    for tab in tabs:
        tab.goes_online()
    for n in range(HISTORY + 1):
        assert tabs[n % 2].posts("messages", {"to": "talkative", "text": f"[{n}]"}).status == 303
    [frame] = [frame for frame in tabs[0].goes_online(page).frames if 'class="text"' in frame]
    assert 'hx-swap-oob="innerHTML target:#messages ' in frame
    assert _texts(frame) == [f"[{n}]" for n in range(1, HISTORY + 1)]


def test_from_ready_on_messages_can_be_sent(server: Server) -> None:
    tab = log_in(server, "prompt")
    stream = tab.goes_online()
    assert tab.posts("messages", {"to": "prompt", "text": "now"}).status == 303
    assert "now" in stream.hears("data-message")


def test_a_tab_that_detached_is_not_ready_any_more(server: Server) -> None:
    tab = log_in(server, "leaves-and-writes")
    stream = tab.goes_online()
    stream.leaves("reset")
    # The line's end is heard at once, though not in no time.
    until(lambda: tab.instances() == {tab.instance: "detached"}, "a dropped line is still online")
    refused = tab.posts("messages", {"to": "leaves-and-writes", "text": "with no line"})
    assert (refused.status, "2999" in refused.body) == (409, True)
