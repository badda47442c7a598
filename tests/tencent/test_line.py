"""Bad lines and restarts: a page comes back by itself, keeps its seat, and misses nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.administrator import Administrator
from tests.support.proxy import Proxy
from tests.support.sdk_page import NET_STATE, NOT_READY, SDKPage
from tests.support.sdk_site import SDK
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
    sdk: SDK, open_page: OpenPage, account: Account, server: Server, make_proxy: MakeProxy
) -> None:
    line, alice = make_proxy(server), account("alice")
    page, other = open_page(sdk, through=line), open_page(sdk)
    page.logs_in(alice)
    other.logs_in(account("bob"))
    other.sends(alice, "before")
    page.reads("before")
    before = logins(page)
    line.swallows()
    other.sends(alice, "into the hole 1")
    other.sends(alice, "into the hole 2")
    page.starts_to_send(other.user_id, "out of the hole")
    # The SDK finds out by a ping that is not answered, after 14 seconds; it then asks for a new line.
    page.hears(NET_STATE, patience=25)
    line.passes()
    comes_back(page, before)
    page.reads("before", "into the hole 1", "into the hole 2")
    assert other.sends(alice, "after")["code"] == 0
    page.reads("before", "into the hole 1", "into the hole 2", "after")
    until(lambda: page.late() is not None, "the message sent into the hole neither arrives nor fails")
    late = page.late()
    assert late is not None
    assert other.texts() == (["out of the hole"] if late["code"] == 0 else [])
    assert Administrator(server).seats(alice) == ["Online"]


def test_a_restart_of_the_server_keeps_the_session(
    sdk: SDK, open_page: OpenPage, account: Account, make_server: MakeServer
) -> None:
    server, alice = make_server(), account("alice")
    page = open_page(sdk, on=server)
    page.logs_in(alice)
    before = logins(page)
    server.kill()
    server.start()
    comes_back(page, before)
    assert Administrator(server).seats(alice) == ["Online"]
    assert page.sends(alice, "still me")["code"] == 0
    assert page.heard(NOT_READY) == []
    assert page.heard("kickedOut") == []


def test_a_page_that_waits_long_for_its_user_comes_back_by_itself_and_logs_in(
    sdk: SDK, open_page: OpenPage, account: Account, make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server(timing=Timing(lobby=2))
    page = open_page(sdk, on=server)
    until(lambda: page.page.evaluate("1") and len(page.sockets) >= 3, "it does not come back", 40)
    page.logs_in(account("alice"))
    assert page.sends(page.user_id, "to myself")["code"] == 0
    server.has_no_traceback()
