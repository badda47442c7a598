"""Bad lines and restarts: a page comes back by itself, keeps its seat, and misses nothing."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.administrator import Administrator
from tests.support.proxy import Proxy
from tests.support.sdk_page import NET_STATE, NOT_READY, SDKPage
from tests.support.sdk_site import SDK, SDKS
from tests.support.server import Server
from tests.support.waiting import until
from tests.tencent.conftest import Account, OpenPage
from tests.web.conftest import MakeServer
from tim.timing import Timing

MakeProxy = Callable[[Server], Proxy]


def logins(page: SDKPage) -> int:
    """How often it has logged in, by itself or not."""
    return len([frame for frame in page.frames if not frame.sent and frame.command == "im_open_status.wslogin"])


def comes_back(page: SDKPage, before: int, patience: float = 40) -> None:
    until(lambda: page.page.evaluate("1") and logins(page) > before, lambda: f"{page} stays away", patience)


def test_a_page_whose_line_was_cut_comes_back_and_keeps_its_seat(
    sdk: SDK, open_page: OpenPage, account: Account, roomy: Server, make_proxy: MakeProxy
) -> None:
    line, alice = make_proxy(roomy), account("alice")
    page, other = open_page(sdk, on=roomy, through=line), open_page(sdk, on=roomy)
    page.logs_in(alice)
    other.logs_in(account("bob"))
    before = logins(page)
    line.cuts()
    other.sends(alice, "while it was cut")
    line.passes()
    comes_back(page, before)
    page.reads("while it was cut")
    assert page.sends(other.user_id, "back again")["code"] == 0
    other.reads("back again")
    assert page.heard(NOT_READY) == []
    assert Administrator(roomy).seats(alice) == ["Online"]


def test_what_a_dead_line_swallowed_is_told_once_after_it(
    open_page: OpenPage, account: Account, server: Server, make_proxy: MakeProxy
) -> None:
    # Both SDKs at the same time: each finds out by a ping that is not answered, after 14 seconds.
    lines = [make_proxy(server) for _ in SDKS]
    pages = [open_page(sdk, through=line) for sdk, line in zip(SDKS, lines, strict=True)]
    friends = [open_page(sdk) for sdk in SDKS]
    for page, friend in zip(pages, friends, strict=True):
        page.logs_in(account("alice"))
        friend.logs_in(account("bob"))
        friend.sends(page.user_id, "before")
        page.reads("before")
    before = [logins(page) for page in pages]
    for page, friend, line in zip(pages, friends, lines, strict=True):
        line.swallows()
        friend.sends(page.user_id, "into the hole 1")
        friend.sends(page.user_id, "into the hole 2")
        page.starts_to_send(friend.user_id, "out of the hole")
    for page, line in zip(pages, lines, strict=True):
        page.hears(NET_STATE, patience=25)
        line.passes()  # it asks for a new one
    for page, friend, count in zip(pages, friends, before, strict=True):
        comes_back(page, count)
        page.reads("before", "into the hole 1", "into the hole 2")
        assert friend.sends(page.user_id, "after")["code"] == 0
        page.reads("before", "into the hole 1", "into the hole 2", "after")
        until(lambda page=page: page.late(), "the message sent into the hole neither arrives nor fails")  # type: ignore[misc]
        late = page.late()
        assert late is not None
        assert friend.texts() == (["out of the hole"] if late["code"] == 0 else [])
        assert Administrator(server).seats(page.user_id) == ["Online"]


def test_a_restart_of_the_server_keeps_the_session(
    open_page: OpenPage, account: Account, make_server: MakeServer
) -> None:
    server = make_server()
    pages = [open_page(sdk, on=server) for sdk in SDKS]
    for page in pages:
        page.logs_in(account("alice"))
    before = [logins(page) for page in pages]
    server.kill()
    server.start()
    for page, count in zip(pages, before, strict=True):
        comes_back(page, count)
        assert Administrator(server).seats(page.user_id) == ["Online"]
        assert page.sends(page.user_id, "still me")["code"] == 0
        assert page.heard(NOT_READY) == []
        assert page.heard("kickedOut") == []


def test_a_page_that_waits_long_for_its_user_comes_back_by_itself_and_logs_in(
    open_page: OpenPage, account: Account, make_server: MakeServer
) -> None:
    server = make_server(timing=Timing(lobby=2))
    pages = [open_page(sdk, on=server) for sdk in SDKS]
    for page in pages:
        until(lambda page=page: page.page.evaluate("1") and len(page.sockets) >= 3, "it does not come back", 40)  # type: ignore[misc]
        page.logs_in(account("alice"))
        assert page.sends(page.user_id, "to myself")["code"] == 0
    server.has_no_traceback()
