"""An account that an operator has blocked is refused at every door, and its tabs end at once, at every server."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.administrator import Administrator
from tests.support.fleet import Fleet, tries
from tests.support.redis_server import RedisServer
from tests.support.sdk_script import Script
from tests.support.server import ADMINISTRATOR, APP, SDK_KEY
from tests.support.wire import element, log_in
from tim import Backend
from tim.errors import AccountBlocked
from tim.store.base import Store

Account = Callable[[str], str]
OPERATOR = "console admin"


@contextmanager
def blocked(store: Store, user: str, words: str = "") -> Iterator[None]:
    store.block(APP, user, time.time() + 3600, words, OPERATOR)
    yield
    store.unblock(APP, user, OPERATOR)


def test_a_block_ends_the_tabs_of_the_account_at_every_server_at_once(
    fleet: Fleet, account: Account, store: Store
) -> None:
    a, b, _ = fleet
    alice, bob = account("alice"), account("bob")
    tabs = [log_in(server, alice).goes_online() for server in (a, b)]
    other = log_in(a, bob).goes_online()
    with blocked(store, alice):
        assert [tab.is_closed() for tab in tabs] == [4004, 4004]
        assert other.code is None


def test_the_form_and_the_socket_of_the_sdk_say_until_when_and_why(
    fleet: Fleet, account: Account, store: Store
) -> None:
    alice = account("alice")
    with blocked(store, alice, "<b>spam</b> & more"):
        for server in fleet:
            answer = tries(server, alice, "198.51.100.9", server.user_sig(alice))
            shown = element(answer.body, "login-error")
            assert answer.status == 403
            assert shown is not None
            assert shown.text.startswith("70051")
            assert "UTC (<b>spam</b> & more)" in shown.text
            assert element(answer.body, "userID").attributes["value"] == alice  # type: ignore[union-attr]
            refused = Script(server).tries_to_log_in(alice, server.user_sig(alice))
            assert refused["ErrorCode"] == 70051
            assert "until 2" in refused["ErrorInfo"]
            assert "spam" in refused["ErrorInfo"]
    assert tries(fleet[0], alice, "198.51.100.9", fleet[0].user_sig(alice)).status == 303


def test_a_page_of_the_sdk_is_kicked_out_and_its_a2_is_refused(fleet: Fleet, account: Account, store: Store) -> None:
    alice = account("alice")
    page = Script(fleet[0])
    page.logs_in(alice)
    with blocked(store, alice):
        notice = page.hears_push("im_open_status.stat_forceoffline")["EventArray"][0]["C2cNotifyMsgArray"][0]
        assert notice["KickoutMsgNotify"]["KickType"] == 3
        assert page.asks("im_open_status.wshello")["KickType"] == 3


def test_the_python_sdk_raises(redis: RedisServer, account: Account, store: Store) -> None:
    backend, alice = Backend(redis.url, sdk_app_id=APP, secret_key=SDK_KEY), account("alice")
    try:
        with blocked(store, alice, "spam"):
            with pytest.raises(AccountBlocked) as refused:
                backend.create(APP).login(alice, backend.user_sig(alice))
            assert refused.value.block.words == "spam"
    finally:
        backend.close()


def test_an_administrator_that_is_blocked_cannot_call_the_rest_api(fleet: Fleet, store: Store) -> None:
    admin = Administrator(fleet[0])
    with blocked(store, ADMINISTRATOR):
        answer = admin.calls("im_open_login_svc/account_import", {"UserID": secrets.token_hex(4)})
        assert (answer["ActionStatus"], answer["ErrorCode"]) == ("FAIL", 70051)
    assert admin.calls("im_open_login_svc/account_import", {"UserID": secrets.token_hex(4)})["ErrorCode"] == 0
