"""Every UserID that the vendor's SDKs let through works on each face, whatever its signs mean elsewhere."""

from __future__ import annotations

import pytest

from tests.support.administrator import Administrator
from tests.support.fleet import Fleet
from tests.support.sdk_script import Script, text_message
from tests.support.wire import element, get, log_in

ODD = [
    "alice@example.com",
    "+8613800138000",
    "a:b:1",
    "a/b?c=d&e#f%20g;h",
    "{1}{0}",
    "'\"<b>&amp;\\`",
    "..",
    "~!$^*()_[]|,.=",
    "%00%ff",
]


@pytest.mark.parametrize("user", ODD)
def test_an_account_with_an_odd_name_logs_in_writes_and_is_kicked(fleet: Fleet, user: str) -> None:
    here, there, _ = fleet
    admin, friend = Administrator(here), f"{user[:20]}~friend"
    tab = log_in(here, user)
    stream = tab.goes_online()
    page = Script(there)
    page.logs_in(friend)
    assert page.asks("openim.sendmsg", text_message(user, "hello"))["ErrorCode"] == 0
    stream.hears("hello")
    tab.posts("messages", {"to": friend, "text": "hello back"})
    row = page.hears_push("im_open_push.msg_push")["EventArray"][0]["C2cMsgArray"][0]
    assert row["From_Account"] == user
    shown = element(tab.gets().body, "login-user")
    assert shown is not None
    assert shown.text == user
    assert admin.seats(user) == ["Online"]
    admin.kicks(user)
    assert stream.is_closed() == 4004
    back = tab.gets()
    field = element(get(here, back.location).body, "userID")
    assert field is not None
    assert field.attributes["value"] == user
