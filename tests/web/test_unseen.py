"""What a reader has not looked at yet is counted: in the title, beside the heading, and below older messages."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.support.server import Server
from tests.support.waiting import until
from tests.support.wire import element, log_in
from tests.web.conftest import MakePerson
from tim.web.unseen import Unseen


def of(*numbers: int) -> Unseen:
    unseen = Unseen()
    for number in numbers:
        unseen.add(number)
    return unseen


def test_a_report_covers_the_message_it_names_and_all_older_ones() -> None:
    unseen = of(3, 5, 8)
    assert len(unseen) == 3
    unseen.take_reports(['{"seen": 5, "headers": {}}'])
    assert len(unseen) == 1
    unseen.take_reports(['{"seen": 5}', '{"seen": 4}'])
    assert len(unseen) == 1
    unseen.take_reports([b'{"seen": 6}', '{"seen": 8}', '{"seen": 1}'])
    assert len(unseen) == 0


@pytest.mark.parametrize(
    "frame",
    [
        *("", "{}", "[]", "8", "null", '{"seen": "8"}', '{"seen": true}', '{"seen": 8.0}', '{"seen": -1}'),
        *('{"seen": [8]}', "[" * 4000, b"\xff", '{"seen": ' + "9" * 5000 + "}", '{"seen": 1e999}', '{"seen": NaN}'),
    ],
    ids=lambda frame: str(frame)[:20],
)
def test_a_frame_that_is_no_report_changes_nothing(frame: bytes | str) -> None:
    unseen = of(1, 8)
    unseen.take_reports([frame])
    assert len(unseen) == 2


def test_a_stream_counts_what_others_send_until_its_page_reports_it(roomy: Server) -> None:
    writer, reader, second = log_in(roomy, "counted"), log_in(roomy, "counts"), log_in(roomy, "counts")
    writer.goes_online()
    second.goes_online()
    stream = reader.goes_online()

    def unread(frame: str) -> tuple[str | None, ...]:
        texts = [found.text.strip() for id in ("unread", "to-newest") if (found := element(frame, id))]
        title = frame.partition("<title>")[2].partition(" ·")[0]
        return title, *texts

    assert writer.posts("messages", {"to": "counts", "text": "first"}).status == 303
    assert unread(stream.hears("first")) == ("(1) counts", "1 unread", "1 new message ↓")
    assert second.posts("messages", {"to": "counts", "text": "from another tab of its own"}).status == 303
    assert "(1)" not in stream.hears("from another tab of its own"), "the account has written that itself"
    assert writer.posts("messages", {"to": "counts", "text": "third"}).status == 303
    frame = stream.hears("third")
    assert unread(frame) == ("(2) counts", "2 unread", "2 new messages ↓")

    assert "hx-vals=seen:3>" in frame, "the third of the log"
    stream.writes('{"seen": "three"}')
    stream.writes(json.dumps({"seen": 3, "headers": {"HX-Request": "true"}}))

    def is_seen() -> bool:
        stream.hears_more(0.05)
        return unread(stream.frames[-1]) == ("counts", "")

    until(is_seen, lambda: stream.frames[-1])
    assert "data-state" not in stream.frames[-1]


def test_who_reads_older_messages_is_told_of_new_ones_and_stays_there(
    shared_server: Callable[[int], Server], person: MakePerson
) -> None:
    server = shared_server(2)
    writer = log_in(server, "writes-to-a-reader")
    writer.goes_online()
    alice = person("alice", on=server)
    page = (tab := alice.logs_in()).page
    for n in range(12):
        writer.posts("messages", {"to": alice.user_id, "text": f"text {n} " * 60})
    newest = page.locator("[data-message]").last
    expect(page.locator("[data-message]")).to_have_count(12)
    expect(newest).to_be_in_viewport()
    expect(page.locator("#unread")).to_be_empty()

    page.evaluate("document.querySelector('#talk').scrollTop = -document.querySelector('#talk').scrollHeight")
    expect(page.locator("[data-message]").first).to_be_in_viewport()
    page.evaluate("document.querySelector('#talk').scrollBy(0, 40)")
    place = "document.querySelectorAll('[data-message]')[2].getBoundingClientRect().top"
    before = page.evaluate(place)
    writer.posts("messages", {"to": alice.user_id, "text": "while you read"})
    link = page.locator("#to-newest")
    expect(link).to_be_visible()
    expect(link).to_have_text("1 new message ↓")
    expect(page.locator("#unread")).to_have_text("1 unread")
    assert page.title().startswith(f"(1) {alice.user_id} · ")
    assert abs(page.evaluate(place) - before) < 2, "pixels"
    assert tab.events()[-1] == "onMessageReceived"

    link.click()
    expect(page.locator("[data-message]").last).to_be_in_viewport()
    expect(link).to_have_count(0)
    expect(page.locator("#unread")).to_be_empty()
    assert page.title().startswith(f"{alice.user_id} · ")

    # A telephone, where the page itself scrolls too.
    page.set_viewport_size({"width": 360, "height": 400})
    page.evaluate("document.querySelector('#talk').scrollTop = -document.querySelector('#talk').scrollHeight")
    writer.posts("messages", {"to": alice.user_id, "text": "on a telephone"})
    link.click()
    expect(page.get_by_text("on a telephone", exact=True)).to_be_in_viewport()
    expect(link).to_have_count(0)
    writer.posts("messages", {"to": alice.user_id, "text": "who is there sees it come"})
    expect(page.get_by_text("who is there sees it come", exact=True)).to_be_in_viewport()
    expect(page.locator("#unread")).to_be_empty()

    page.click("#clear-events")
    expect(page.locator("#events [data-event]")).to_have_count(0)
    tab.is_quiet()
