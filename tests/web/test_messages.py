"""Texts from one account to another: they arrive, they stay, they are text, and nobody sends who is out."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from playwright.sync_api import Route, expect

from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.waiting import until
from tests.support.wire import Element, Socket, elements, log_in
from tests.web.conftest import MakePerson, MakeServer
from tim.model import MESSAGES_A_MINUTE
from tim.rules import MINUTE

LIMIT = 12 * 1024
NASTY = [
    "<script>window.ran = 'script'</script>",
    "<img src=x onerror=\"window.ran = 'image'\">",
    "</p></li></ol><h1 id=injected>out of the list</h1>",
    '<div hx-get="/nowhere" hx-trigger="load" hx-swap-oob="true" id="sdk-state">swapped</div>',
    '<hx-partial hx-target="#login-user" hx-swap="innerHTML">somebody else</hx-partial>',
    '<div hx-ws:connect="/nowhere" hx-on:load="window.ran = 1">x</div>',
    '"><svg onload="window.ran = 1">',
    "{{ 7 * 7 }} {% raw %} ${7*7} &lt;b&gt; &amp;amp;",
    "<!-- <title>owned</title> --><title>owned</title>",
    "<style>* { display: none }</style>",
    '<a href="javascript:window.ran = 1">click</a>',
    '<meta http-equiv="refresh" content="0;url=/nowhere">',
    '{"target": "#login-user", "payload": "<b>x</b>"}',
]


@pytest.fixture
def two_places(shared_server: Callable[[int], Server]) -> Server:
    return shared_server(2)


def test_a_text_reaches_every_tab_of_its_receiver_and_of_its_sender(two_places: Server, person: MakePerson) -> None:
    alice, bob = person("alice", on=two_places), person("bob", on=two_places)
    hers, hers_too = alice.logs_in("hers"), alice.logs_in("hers too")
    his, his_too = bob.logs_in("his"), bob.logs_in("his too")
    hers.sends(bob.user_id, "hello bob")
    for tab in (hers, hers_too, his, his_too):
        tab.reads("hello bob")
        message = tab.page.locator("[data-message]")
        assert message.get_attribute("data-from") == alice.user_id
        assert message.get_attribute("data-to") == bob.user_id
    his_too.sends(alice.user_id, "hello alice")
    for tab in (hers, hers_too, his, his_too):
        tab.reads("hello bob", "hello alice")
    # The field is empty for the next one, and the receiver stays.
    expect(hers.page.locator("#text")).to_have_value("")
    expect(hers.page.locator("#to")).to_have_value(bob.user_id)
    # Everybody is told of what others sent, and nobody of what the tab itself did.
    assert his.events() == ["sdkStateReady", "onMessageReceived", "onMessageReceived"]
    assert his_too.events() == ["sdkStateReady", "onMessageReceived"]
    assert hers.events() == ["sdkStateReady", "onMessageReceived"]
    for tab in (hers, hers_too, his, his_too):
        tab.is_quiet()


def test_texts_to_somebody_who_is_out_are_there_when_he_is_next_ready(person: MakePerson) -> None:
    alice, bob = person("alice"), person("bob")
    bob.logs_in().logs_out()
    hers = alice.logs_in()
    for n in range(3):
        hers.sends(bob.user_id, f"missed {n}")
        hers.reads(*(f"missed {m}" for m in range(n + 1)))
    his = bob.logs_in()
    his.reads("missed 0", "missed 1", "missed 2")
    expect(his.page.locator("[data-unread]")).to_have_count(3)
    expect(his.page.locator("#unread")).to_have_text("")  # they are in view
    assert his.events() == ["onMessageReceived", "sdkStateReady"]
    his.reloads()
    his.is_ready()
    his.reads("missed 0", "missed 1", "missed 2")
    expect(his.page.locator("[data-unread]")).to_have_count(0)


def test_an_acknowledged_text_survives_a_kill(make_server: MakeServer, person: MakePerson) -> None:
    server = make_server()
    alice = log_in(server, "alice")
    bob = person("bob", on=server)
    his = bob.logs_in()
    stream = alice.goes_online()
    assert alice.posts("messages", {"to": bob.user_id, "text": "to be kept"}).status == 303
    server.kill()
    assert stream.is_closed()
    server.start()
    his.is_ready()
    his.reads("to be kept")
    alice.goes_online().hears("to be kept")


def test_texts_sent_all_at_once_arrive_in_one_order_everywhere_each_once(roomy: Server) -> None:
    senders = [log_in(roomy, f"crowd-{n}") for n in range(4)]
    receivers = [log_in(roomy, "crowded") for _ in range(3)]
    streams = [receiver.goes_online() for receiver in receivers]
    lines = [sender.goes_online() for sender in senders]
    each = 15

    def send(n: int) -> None:
        for m in range(each):
            answer = senders[n].posts("messages", {"to": "crowded", "text": f"[{n} {m}]"})
            assert answer.status == 303

    threads = [threading.Thread(target=send, args=(n,)) for n in range(len(senders))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = []
    for stream in streams:
        until(lambda stream=stream: _heard(stream) >= len(senders) * each, "some are missing")  # type: ignore[misc]
        seen.append([text for frame in stream.frames for text in _texts(frame)])
    assert seen[0] == seen[1] == seen[2]
    for n in range(len(senders)):
        assert [text for text in seen[0] if text.startswith(f"[{n} ")] == [f"[{n} {m}]" for m in range(each)]
    assert len(lines) == len(senders)


def _heard(stream: Socket) -> int:
    stream.hears_more(0.05)
    return sum(len(_texts(frame)) for frame in stream.frames)


def _texts(html: str) -> list[str]:
    return [found.text for found in elements(html) if found.attributes.get("class") == "text"]


# Refused


def test_a_text_may_have_twelve_kibibytes_and_not_one_more(server: Server, person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    fits = "é" * (LIMIT // 2)
    tab.sends(alice.user_id, fits)
    tab.reads(fits)
    tab.sends(alice.user_id, fits + "!")
    error = tab.page.locator("#send-error")
    expect(error).to_contain_text("80002")
    expect(tab.page.locator("#text")).to_have_value(fits + "!")
    expect(tab.page.locator("#to")).to_have_value(alice.user_id)
    assert tab.texts() == [fits]
    expect(tab.page.locator("#text")).to_be_focused()
    tab.page.fill("#text", "shorter")
    tab.page.click("#send")
    tab.reads(fits, "shorter")
    expect(error).to_be_hidden()


def test_a_double_click_sends_once_and_the_next_text_can_be_typed_at_once(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    tab.page.fill("#to", alice.user_id)
    tab.page.fill("#text", "once")
    tab.page.dblclick("#send")
    tab.reads("once")
    expect(tab.page.locator("#text")).to_be_focused()
    tab.page.keyboard.type("twice")
    tab.page.click("#send")
    tab.reads("once", "twice")


def test_a_text_too_large_for_a_request_stays_where_it_was_typed(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    far_too_long = "漢" * 8000  # 24 KB, and three times that in a request
    tab.sends(alice.user_id, far_too_long)
    expect(tab.page.locator("#send-error")).to_contain_text("80002")
    expect(tab.page.locator("#text")).to_have_value(far_too_long)
    tab.sends(alice.user_id, "in parts, then")
    tab.reads("in parts, then")
    expect(tab.page.locator("#send-error")).to_be_hidden()


@pytest.mark.parametrize(
    ("to", "text", "refusal"),
    [
        ("somebody-unheard-of", "x", (404, "20003")),
        ("not a user", "x", (400, "70402")),
        ("", "x", (400, "70402")),
        ("u" * 33, "x", (400, "70402")),
        ("refused", "", (400, "70402")),
        ("refused", " \n ", (400, "70402")),
        ("refused", "x" * (LIMIT + 1), (413, "80002")),
        ("refused", "二" * (LIMIT // 3) + "二", (413, "80002")),
    ],
)
@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_a_refused_text_comes_back_with_its_code_and_is_kept_in_the_field(
    to: str, text: str, refusal: tuple[int, str], htmx: bool, server: Server
) -> None:
    status, code = refusal
    tab = log_in(server, "refused")
    stream = tab.goes_online()
    answer = tab.posts("messages", {"to": to, "text": text}, htmx=htmx)
    assert answer.status == status
    found = {one.attributes.get("id"): one for one in elements(answer.body)}
    assert code in found["send-error"].text
    assert found["to"].attributes["value"] == to
    assert found["text"].text == text
    wrong = "to" if to != "refused" else "text"
    for field in ("to", "text"):
        marks = {name: found[field].attributes.get(name, "") for name in ("aria-invalid", "aria-describedby")}
        assert marks == dict.fromkeys(marks, "") | (
            {"aria-invalid": "true", "aria-describedby": "send-error"} if field == wrong else {}
        )
        assert ("autofocus" in found[field].attributes) is (field == wrong)
    stream.hears_nothing(0.2)


def number_in(page: str) -> str:
    """What tells the next message of the form apart."""
    return next(one.attributes["value"] or "" for one in elements(page) if one.attributes.get("name") == "number")


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_a_form_that_is_sent_again_after_a_failure_is_one_message(
    htmx: bool, server: Server, person: MakePerson
) -> None:
    name = f"repeated-{htmx}"
    tab, receiver = log_in(server, "repeats"), log_in(server, name)
    tab.goes_online()
    stream = receiver.goes_online()
    number = number_in(tab.gets().body)
    failed = tab.posts("messages", {"to": "somebody-unheard-of", "text": "x", "number": number}, htmx=htmx)
    assert number_in(failed.body) == number, "it may have reached the store, as far as the page knows"
    for _ in range(3):
        sent = tab.posts("messages", {"to": name, "text": "once", "number": number}, htmx=htmx)
        assert sent.status == (200 if htmx else 303)
    after = number_in(sent.body if htmx else tab.gets().body)
    assert after != number
    for text, same in (("once", after), ("another", number)):
        assert tab.posts("messages", {"to": name, "text": text, "number": same}, htmx=htmx).status < 400
    stream.hears("another")
    assert [text for frame in stream.frames for text in _texts(frame)][-3:] == ["once", "once", "another"]
    stream.hears_nothing(0.2)
    for bad in ("x" * 32, "0" * 33, "\ud800".encode(errors="surrogatepass").decode("latin-1")):
        refused = tab.posts("messages", {"to": name, "text": "kept", "number": bad}, htmx=htmx)
        assert (refused.status, "70402" in refused.body, "kept" in refused.body) == (400, True, True)
        assert len(number_in(refused.body)) == 32
    stream.leaves()


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_who_sends_too_much_keeps_what_was_typed_and_is_told_when_to_try_again(htmx: bool, server: Server) -> None:
    tab = log_in(server, "hasty")
    tab.goes_online()
    form = {"to": "hasty", "text": "kept"}
    for _ in range(MESSAGES_A_MINUTE):
        assert tab.posts("messages", form).status == 303
    refused = tab.posts("messages", form, htmx=htmx)
    assert refused.status == 429
    assert 0 < int(refused.header("Retry-After")) <= MINUTE
    found = {one.attributes.get("id"): one for one in elements(refused.body)}
    assert "60007" in found["send-error"].text
    assert refused.header("Retry-After") in found["send-error"].text
    assert (found["to"].attributes["value"], found["text"].text) == ("hasty", "kept")


def test_a_request_far_too_large_is_refused_before_it_is_read(server: Server) -> None:
    before = len(server.log())
    tab = log_in(server, "huge")
    tab.goes_online()
    assert tab.posts("messages", {"to": "huge", "text": "x" * 200_000}).status == 413
    server.has_no_traceback(since=before)


def test_after_a_login_has_returned_the_evicted_tab_sends_nothing(server: Server) -> None:
    for n in range(10):
        old = log_in(server, "overtaken")
        stream = old.goes_online()
        new = log_in(server, "overtaken")  # has returned
        for htmx in (False, True):
            answer = old.posts("messages", {"to": "overtaken", "text": f"too late {n}"}, htmx=htmx)
            assert (answer.header("HX-Redirect") or answer.location).startswith("/login?"), answer.status
        line = new.goes_online()
        assert "too late" not in "".join(line.frames)
        assert stream.is_closed() == 4001


def test_the_composer_of_an_evicted_page_leads_to_the_login_page(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    tab.page.fill("#to", alice.user_id)
    tab.page.fill("#text", "a last word")
    # Its line is dead to the world, so that what it hears, it hears as the answer to what it sends.
    tab.page.evaluate("document.querySelector('#line').remove()")
    alice.logs_in_by_script()
    tab.page.click("#send")
    tab.is_kicked_out("multipleAccount")


# Text is text


def test_hostile_texts_do_nothing_in_a_browser(two_places: Server, person: MakePerson) -> None:
    alice, bob = person("alice", on=two_places), person("bob", on=two_places)
    his = bob.logs_in()
    hers = alice.logs_in()
    for n, text in enumerate(NASTY):
        hers.sends(bob.user_id, text)
        hers.reads(*NASTY[: n + 1])  # as it arrives over the stream
    his.reads(*NASTY)
    for tab in (hers, his):
        tab.reloads()
        tab.is_ready()
        tab.reads(*NASTY)  # as it stands in the page
        assert tab.page.evaluate("window.ran") is None
        assert tab.page.locator("#injected").count() == 0
        assert tab.page.locator("#messages").locator("script, img, svg, style, meta, a, hx-partial").count() == 0
        assert "owned" not in tab.page.title()
        assert tab.page.locator("#login-user").inner_text() == tab.user_id
        tab.is_quiet()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
_names = itertools.count()


@given(text=TEXT | st.lists(st.sampled_from(NASTY) | TEXT, min_size=1, max_size=4).map("".join))
@example(text=NASTY[0])
@example(text="\nstarts with a line break")
@example(text="tab\tand\x0bother\x7fcontrols\x1b[31m")
@example(text="مرحبا \u202e reversed 👨‍👩‍👧‍👦 \U0010ffff")
def test_any_text_is_one_text_in_page_fragment_and_field(shared_server: Callable[[int], Server], text: str) -> None:
    assume(text.strip() and "\r" not in text)
    server = shared_server(3)
    user = f"texts-{next(_names)}"
    tab = log_in(server, user)
    stream = tab.goes_online()
    assert tab.posts("messages", {"to": user, "text": text}).status == 303
    frame = stream.hears("data-message")
    page = tab.gets().body
    refused = tab.posts("messages", {"to": f"not-{user}", "text": text}).body
    for html in (frame, page):
        before, rest = html.split('<p class="text" dir="auto">')
        assert _shape(html) == _shape(before + '<p class="text" dir="auto">plain</p>' + rest.partition("</p>")[2])
        (found,) = (one for one in elements(html) if one.attributes.get("class") == "text")
        assert found.text == text
    (field,) = (one for one in elements(refused) if one.tag == "textarea")
    assert field.text.removeprefix("\n") == text  # a parser drops the first line break of a textarea
    tab.posts("logout")


def _shape(html: str) -> list[tuple[str, tuple[str, ...]]]:
    def of(one: Element) -> tuple[str, tuple[str, ...]]:
        return one.tag, tuple(one.attributes)

    return [of(one) for one in elements(html)]


def test_nothing_can_be_typed_that_the_answer_to_a_message_would_wipe_out(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    held: list[Route] = []
    tab.page.route("**/messages", lambda route: held.append(route))  # noqa: PLW0108 - Playwright wants a function
    tab.sends(alice.user_id, "first")
    expect(tab.page.locator("#send")).to_be_disabled()
    for field in ("#to", "#text"):
        expect(tab.page.locator(field)).to_be_disabled()
    while not held:
        tab.page.wait_for_timeout(10)  # the fields are disabled a moment before the request is on its way
    held[0].continue_()
    tab.page.unroute("**/messages")
    expect(tab.page.locator("#text")).to_be_focused()
    tab.page.keyboard.type("second")
    tab.page.click("#send")
    tab.reads("first", "second")


def test_a_form_whose_message_got_no_answer_can_be_sent_again(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    tab.page.route("**/messages", lambda route: route.abort())
    tab.sends(alice.user_id, "first")
    expect(tab.page.locator("#send")).to_be_enabled()
    expect(tab.page.locator("#text")).to_have_value("first")
    expect(tab.page.locator("#to")).to_be_enabled()
    tab.page.unroute("**/messages")
    tab.page.click("#send")
    tab.reads("first")


def test_a_page_without_its_connection_says_so_and_keeps_what_was_typed(
    roomy: Server, make_proxy: Callable[[Server], Proxy], person: MakePerson
) -> None:
    proxy = make_proxy(roomy)
    alice = person("alice", on=roomy, through=proxy.address)
    tab = alice.logs_in()
    page = tab.page
    page.fill("#to", alice.user_id)
    page.fill("#text", "typed before")
    proxy.cuts()
    tab.is_reconnecting()
    expect(page.locator("#send")).to_be_disabled()
    expect(page.locator("#send-hint")).to_contain_text("The connection is lost")
    expect(page.locator("[data-self] .not-connected")).to_be_visible()
    expect(page.locator("[data-self] .is")).to_be_hidden()
    page.locator("#text").press_sequentially(" and while it was lost")
    for button in (".language button", "#logout"):
        page.click(button)
        expect(page.locator("#no-answer")).to_contain_text("The server did not answer")
        assert "/im/" in page.url, "the page is still there"
    proxy.passes()
    tab.is_ready()
    expect(page.locator("#no-answer")).to_be_hidden()
    expect(page.locator("#send-hint")).to_be_hidden()
    expect(page.locator("[data-self] .is")).to_be_visible()
    page.click("#send")
    tab.reads("typed before and while it was lost")
    tab.logs_out()


def test_any_line_breaks_and_scripts_of_the_world_look_the_same_after_the_journey(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    texts = [
        "two\nlines",
        "你好，世界",
        "Ελληνικά עברית العربية",
        "👩‍🚀🏳️‍🌈",
        "  indented  ",
        "a\u200bb\u202ec\ufeffd",
        "e\u0301",
    ]
    for text in texts:
        tab.sends(alice.user_id, text)
        until(lambda text=text: text in tab.texts(), lambda text=text: f"{text!r} not in {tab.texts()}")  # type: ignore[misc]
    tab.reloads()
    tab.is_ready()
    assert tab.texts() == texts
