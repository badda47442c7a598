"""The page of the webhook: its receiver, its queue, the newest attempts, and two buttons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.support.accessible import fits_everywhere, passes_axe
from tests.support.console import open_console, sign_in
from tests.support.receiver import TOKEN, AReceiver, Reply, running_receiver
from tests.support.server import VIEWER_TOKEN, Server
from tests.support.waiting import until
from tests.support.wire import element, log_in
from tests.web.conftest import NewWindow

LARGE, TELEPHONE = ViewportSize(width=1920, height=1080), ViewportSize(width=360, height=740)


@pytest.fixture(scope="module")
def receiver() -> Iterator[AReceiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture(scope="module")
def hooked(not_quick: None, receiver: AReceiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that reports to `receiver`."""
    home = tmp_path_factory.mktemp("hooked")
    server = Server(home, WEBHOOK_URL=receiver.url, WEBHOOK_TOKEN=TOKEN, WEBHOOK_ALLOW_LOCAL="1").start()
    yield server
    server.stop()


def shown(page: str, id: str) -> str:
    found = element(page, id)
    assert found, f"the page has no #{id}"
    return " ".join(found.text.split())


def test_without_a_webhook_it_says_how_to_set_one(server: Server) -> None:
    page = sign_in(server).gets("/webhook").body
    assert "TIM_WEBHOOK_URL" in shown(page, "no-receiver")
    assert not element(page, "send-test-event")
    assert shown(page, "waiting") == shown(page, "dropped") == "0"


def test_a_test_event_shows_how_it_went(hooked: Server, receiver: AReceiver) -> None:
    operator = sign_in(hooked)
    answer = operator.posts("/webhook/test")
    assert answer.location == "/console/webhook?done=test"
    assert shown(operator.gets("/webhook?done=test").body, "tested").startswith("The test event was accepted in ")
    assert [call.action for call in receiver.calls("administrator")] == ["Test"]
    receiver.reply = lambda _: Reply(403)
    operator.posts("/webhook/test")
    assert shown(operator.gets("/webhook?done=test").body, "tested") == "The test event was not accepted: HTTP 403."
    receiver.reply = lambda _: Reply()


def test_the_newest_attempts_and_the_queue_are_shown_live(hooked: Server, receiver: AReceiver) -> None:
    receiver.reply = lambda call: Reply(body=b'{"ErrorCode":7}') if call.user == "mallory-hook" else Reply()
    log_in(hooked, "mallory-hook")
    log_in(hooked, "alice-hook")
    operator = sign_in(hooked)
    until(lambda: "alice-hook" in operator.gets("/webhook/live").body, "the log does not show it")
    page = operator.gets("/webhook").body
    assert shown(page, "waiting") == "1"
    assert "ErrorCode 7" in shown(page, "deliveries")
    assert f"http://127.0.0.1:{receiver.port}" == shown(page, "receiver")
    assert "key=1" not in page, "the path of the receiver may be a secret"
    receiver.reply = lambda _: Reply()
    assert operator.posts("/webhook/retry").location == "/console/webhook?done=retry"
    until(lambda: shown(operator.gets("/webhook/live").body, "waiting") == "0", "it is not tried again")


def test_the_page_with_attempts_is_for_everybody(hooked: Server, receiver: AReceiver, new_window: NewWindow) -> None:
    longest = "W" * 32
    receiver.reply = lambda call: Reply(body=b"no JSON") if call.user == longest else Reply()
    log_in(hooked, longest)
    page = open_console(new_window(), hooked, path="/webhook")
    page.click("#send-test-event")
    expect(page.locator("#tested")).to_contain_text("accepted")
    expect(page.locator("#deliveries")).to_contain_text("the answer is no JSON object")
    passes_axe(page, "webhook", LARGE, TELEPHONE)
    fits_everywhere(page, "webhook")
    receiver.reply = lambda _: Reply()


def test_a_viewer_reads_and_has_no_buttons(hooked: Server) -> None:
    page = sign_in(hooked, VIEWER_TOKEN).gets("/webhook").body
    assert element(page, "deliveries")
    assert not element(page, "send-test-event")
    assert not element(page, "retry-now")


def test_the_token_is_on_no_page(hooked: Server) -> None:
    operator = sign_in(hooked)
    assert all(TOKEN not in operator.gets(path).body for path in ("/webhook", "/webhook/live"))
    assert TOKEN not in Path(hooked.log_file).read_text()


SETTINGS = {
    "online-web-instances": "1",
    "policy": "evict",
    "failures-per-account": "20",
    "failures-per-address": "100",
}


def test_a_receiver_that_is_saved_gets_the_next_login(hooked: Server, receiver: AReceiver) -> None:
    operator = sign_in(hooked)
    assert "TIM_WEBHOOK_URL holds" in operator.gets("/settings").body
    with running_receiver() as other:
        form = SETTINGS | {"webhook-url": other.url, "webhook-token": "another-token", "version": "0"}
        assert operator.posts("/settings", form).status == 303
        log_in(hooked, "carol-hook")
        until(lambda: other.calls("carol-hook"), "it gets nothing")
        assert other.calls("carol-hook")[0].is_signed("another-token")
        assert not receiver.calls("carol-hook")
        page = operator.gets("/webhook").body
        assert shown(page, "receiver") == f"http://127.0.0.1:{other.port}"
    # Without a saved address the one of the start holds again.
    assert operator.posts("/settings", SETTINGS | {"webhook-url": "", "version": "1"}).status == 303
    log_in(hooked, "dave-hook")
    until(lambda: receiver.calls("dave-hook"), "it gets nothing")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://localhost/", "http://169.254.169.254/"])
def test_an_address_of_this_machine_is_refused_when_it_is_reviewed_and_when_it_is_saved(
    server: Server, url: str
) -> None:
    form = SETTINGS | {"webhook-url": url, "webhook-token": "a-token", "version": "0"}
    for path in ("/settings/review", "/settings"):
        answer = sign_in(server).posts(path, form)
        assert answer.status == 400
        assert "TIM_WEBHOOK_ALLOW_LOCAL" in answer.body
        typed = element(answer.body, "webhook-url")
        assert typed and typed.attributes["value"] == url, "what was typed is kept"
