"""Text messages between the vendor's SDK and ours, each way, each once."""

from __future__ import annotations

import pytest

from tests.support.administrator import Administrator
from tests.support.browser import Person
from tests.support.sdk_script import text_message
from tests.support.sdk_site import NEW, OLD, SDK
from tests.support.server import Server
from tests.support.waiting import until
from tests.tencent.conftest import Account, OpenPage
from tests.web.conftest import NewWindow
from tim.web.tencent.commands import TEXT_TOO_LONG


def test_pages_of_both_versions_write_to_each_other(open_page: OpenPage, account: Account) -> None:
    old, new = open_page(OLD), open_page(NEW)
    old.logs_in(account("alice"))
    new.logs_in(account("bob"))
    for n in range(3):
        sent = old.sends(new.user_id, f"to the new one {n}")
        assert sent["code"] == 0
        assert new.sends(old.user_id, f"to the old one {n}")["code"] == 0
    new.reads(*[f"to the new one {n}" for n in range(3)])
    old.reads(*[f"to the old one {n}" for n in range(3)])
    arrived, message = new.messages()[-1], sent["data"]["message"]
    assert arrived["flow"] == "in"
    assert arrived["from"] == old.user_id
    assert arrived["conversationID"] == f"C2C{old.user_id}"
    assert (arrived["ID"], arrived["time"]) == (message["ID"], message["time"]), "one message, one ID"


def test_a_page_of_the_sdk_and_a_tab_of_ours_write_to_each_other(
    sdk: SDK, open_page: OpenPage, account: Account, server: Server, new_window: NewWindow
) -> None:
    page, alice = open_page(sdk), account("alice")
    page.logs_in(alice)
    bob = Person(server, new_window(), "bob")
    tab = bob.logs_in()
    assert page.sends(bob.user_id, "from the SDK <b>&")["code"] == 0
    tab.reads("from the SDK <b>&")
    tab.sends(alice, "from htmx <i>&")
    page.reads("from htmx <i>&")


def test_the_senders_other_instances_get_a_copy_and_the_sending_one_does_not(
    sdk: SDK, open_page: OpenPage, account: Account, roomy: Server, new_window: NewWindow
) -> None:
    alice, bob = Person(roomy, new_window(), "alice"), account("bob")
    sending, other = open_page(sdk, on=roomy), open_page(sdk, on=roomy)
    sending.logs_in(alice.user_id)
    other.logs_in(alice.user_id)
    tab = alice.logs_in()
    receiving = open_page(sdk, on=roomy)
    receiving.logs_in(bob)
    assert sending.sends(bob, "hello")["code"] == 0
    other.reads("hello")
    copy = other.messages()[0]
    assert (copy["flow"], copy["from"], copy["to"]) == ("out", alice.user_id, bob)
    assert copy["conversationID"] == f"C2C{bob}"
    tab.reads("hello")
    receiving.reads("hello")
    tab.sends(bob, "from the tab")
    other.reads("hello", "from the tab")
    sending.reads("from the tab")


def test_what_waited_is_told_once_at_the_next_login(sdk: SDK, open_page: OpenPage, account: Account) -> None:
    page, bob = open_page(sdk), account("bob")
    page.logs_in(bob)
    page.logs_out()
    alice = open_page(sdk)
    alice.logs_in(account("alice"))
    assert [alice.sends(bob, text)["code"] for text in ("one", "two")] == [0, 0]
    page.logs_in(bob)
    page.reads("one", "two")
    page.reloads()
    page.logs_in(bob)
    alice.sends(bob, "three")
    page.reads("three")


def test_a_message_that_cannot_be_sent_rejects_with_the_reason(sdk: SDK, open_page: OpenPage, account: Account) -> None:
    page = open_page(sdk)
    page.logs_in(account("alice"))
    refused = page.sends("nobody-of-this-name", "hello")
    assert refused["code"] == 20003
    assert "nobody-of-this-name" in refused["message"]
    assert page.sends(page.user_id, "x" * 12_289)["code"] in (80002, 2104), "the SDK may refuse it by itself"
    call = "data => settled(sdk.sendMessage(sdk.createCustomMessage(data)))"
    custom = {
        "to": page.user_id,
        "conversationType": "C2C",
        "payload": {"data": "d", "description": "", "extension": ""},
    }
    refused = page.page.evaluate(call, custom)
    assert refused["code"] == 90010
    assert "TIMTextElem" in refused["message"]


@pytest.mark.parametrize("size", [70_000, 2**21])
def test_a_message_far_too_long_is_refused_and_its_page_goes_on(
    size: int, sdk: SDK, open_page: OpenPage, account: Account
) -> None:
    page = open_page(sdk)
    page.logs_in(account("alice"))
    page.starts_to_send(page.user_id, "é" * size)
    until(page.late, "it is not answered")
    assert page.late() == {"code": 80002, "message": TEXT_TOO_LONG}
    call = "data => settled(sdk.sendMessage(sdk.createCustomMessage(data)))"
    payload = {"data": "x" * size, "description": "", "extension": ""}
    custom = {"to": page.user_id, "conversationType": "C2C", "payload": payload}
    assert page.page.evaluate(call, custom)["code"] == 80002
    assert page.sends(page.user_id, "short")["code"] == 0
    assert len(page.sockets) == 1


def test_an_administrators_message_arrives(
    sdk: SDK, open_page: OpenPage, account: Account, admin: Administrator
) -> None:
    page, alice = open_page(sdk), account("alice")
    page.logs_in(alice)
    assert admin.calls("openim/sendmsg", text_message(alice, "maintenance at noon"))["ErrorCode"] == 0
    page.reads("maintenance at noon")
    assert page.messages()[0]["from"] == "administrator"
