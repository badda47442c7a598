"""The vendor's SDK logs in, is refused, and logs out."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.support.administrator import Administrator
from tests.support.sdk_page import NOT_READY, READY
from tests.support.sdk_site import SDK
from tests.support.server import APP, SDK_KEY, Server
from tests.support.waiting import until
from tests.tencent.conftest import Account, OpenPage
from tim import usersig


def test_login_resolves_with_the_documented_data_and_the_sdk_is_ready(
    sdk: SDK, open_page: OpenPage, account: Account, admin: Administrator
) -> None:
    page, alice = open_page(sdk), account("alice")
    data = page.logs_in(alice)
    assert (data["actionStatus"], data["errorCode"], data["errorInfo"]) == ("OK", 0, "")
    assert data["a2Key"]
    assert re.fullmatch("[12][0-9]{17}", data["tinyID"])
    assert type(data["instanceID"]) is int
    assert data["instanceID"] > 0
    assert data["helloInterval"] > 0
    assert abs(data["timeStamp"] - time.time()) < 5
    assert len(page.heard(READY)) == 1
    assert admin.seats(alice) == ["Online"]


def test_a_second_login_in_the_page_changes_nothing(
    sdk: SDK, open_page: OpenPage, account: Account, server: Server, admin: Administrator
) -> None:
    page, alice = open_page(sdk), account("alice")
    page.logs_in(alice)
    again = page.tries_to_log_in(alice, server.user_sig(alice))
    assert again == {
        "code": 0,
        "data": {"actionStatus": "OK", "errorCode": 0, "errorInfo": "", "repeatLogin": True},
    }
    assert len(page.sent("im_open_status.wslogin")) == 1
    assert admin.seats(alice) == ["Online"]


def test_logout_frees_the_seat_and_the_page_may_log_in_again(
    sdk: SDK, open_page: OpenPage, account: Account, admin: Administrator
) -> None:
    page, alice = open_page(sdk), account("alice")
    page.logs_in(alice)
    page.logs_out()
    page.hears(NOT_READY)
    assert admin.seats(alice) == []
    assert page.sends(alice, "after logout")["code"] == 3005
    page.logs_in(account("bob"))
    assert admin.seats(page.user_id) == ["Online"]


def test_a_refused_login_rejects_with_its_code_and_a_message_that_helps(
    sdk: SDK, open_page: OpenPage, account: Account, server: Server
) -> None:
    page, alice = open_page(sdk), account("alice")
    now = time.time()
    good = server.user_sig(alice)
    refused = {
        70001: usersig.make(SDK_KEY, APP, alice, now=now - 100, expire=50),
        70003: good[:-20],
        70009: usersig.make("another key of another app", APP, alice, now=now),
        70013: server.user_sig("somebody-else"),
        70014: usersig.make(SDK_KEY, APP + 1, alice, now=now),
    }
    words = {70001: "expired", 70003: "truncated", 70009: "key", 70013: "UserID", 70014: str(APP + 1)}
    for code, user_sig in refused.items():
        settled = page.tries_to_log_in(alice, user_sig)
        assert settled["code"] == code
        assert words[code] in settled["message"]
    assert page.heard("kickedOut") == []
    page.logs_in(alice)


def test_an_app_that_is_not_served_here_is_refused(
    sdk: SDK, open_page: OpenPage, account: Account, server: Server
) -> None:
    page, alice = open_page(sdk), account("alice")
    page.opens(SDKAppID=APP + 1)
    settled = page.tries_to_log_in(alice, usersig.make(SDK_KEY, APP + 1, alice, now=time.time()))
    assert settled["code"] == 70020
    assert str(APP + 1) in settled["message"]


def test_text_frames_are_spoken_where_the_sdk_asks_for_them(sdk: SDK, open_page: OpenPage, account: Account) -> None:
    page = open_page(sdk)
    page.opens(devMode=True)
    page.logs_in(account("alice"))
    assert "/info?" in page.sockets[-1].url


@pytest.mark.parametrize("how", ["reload", "close"])
def test_a_page_that_is_gone_frees_its_seat_at_once(
    sdk: SDK, open_page: OpenPage, account: Account, roomy: Server, how: str
) -> None:
    page, alice = open_page(sdk, on=roomy), account("alice")
    seats = Administrator(roomy).seats
    before = page.logs_in(alice)
    if how == "close":
        page.page.close()
        until(lambda: seats(alice) == [], lambda: f"the seat is still taken: {seats(alice)}", 3)
        return
    page.reloads()
    until(lambda: seats(alice) == [], lambda: f"the old seat is still taken: {seats(alice)}", 3)
    after: dict[str, Any] = page.logs_in(alice)
    assert seats(alice) == ["Online"]
    assert after["instanceID"] != before["instanceID"]
    assert after["tinyID"] == before["tinyID"]
