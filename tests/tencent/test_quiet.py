"""After its end a page is quiet: it pings, and says and hears nothing over and over."""

from __future__ import annotations

from tests.support.administrator import Administrator
from tests.support.sdk_page import NOT_READY, READY, SDKPage
from tests.support.sdk_script import Script
from tests.support.sdk_site import SDKS
from tests.support.server import Server
from tests.tencent.conftest import Account, OpenPage

WATCHED = 12
"""Seconds."""
PINGS = 4
"""What an SDK may send in that time: a ping or a hello every ten seconds, and a report or two."""


def test_no_page_makes_a_storm_of_frames(open_page: OpenPage, account: Account, roomy: Server) -> None:
    # All of them at the same time, as each has to be watched for long.
    ended: list[SDKPage] = []
    ready: list[SDKPage] = []
    for sdk in SDKS:
        ready.append(open_page(sdk, on=roomy))
        ready[-1].logs_in(account("alice"))
        for end in ("logout", "kick", "REST kick", "expiry", "refused"):
            ended.append(open_page(sdk, on=roomy))
            finish(ended[-1], end, account("alice"), roomy)
    pages = [*ended, *ready]
    for page in ended:
        if page.heard(READY):
            page.hears(NOT_READY)
    # What belongs to the end itself, a last log report say, is over soon.
    pages[0].page.wait_for_timeout(3000)
    before = [(len(page.sent()), len(page.heard())) for page in pages]
    pages[0].page.wait_for_timeout(WATCHED * 1000)
    for page, (frames, events) in zip(pages, before, strict=True):
        sent = [frame.command for frame in page.sent()[frames:]]
        assert len(sent) <= PINGS, (str(page), sent)
        if page in ended:
            assert set(sent) <= {"heartbeat.alive", "imopenstat.tim_web_report_v2"}, str(page)
            assert page.heard()[events:] == [], str(page)
    roomy.has_no_traceback()


def finish(page: SDKPage, end: str, alice: str, server: Server) -> None:
    """Bring the session of the page to this end."""
    if end == "refused":
        assert page.tries_to_log_in(alice, "nonsense")["code"] == 70003
        return
    page.logs_in(alice, expire=4 if end == "expiry" else 86400)
    if end == "logout":
        page.logs_out()
    elif end == "kick":
        for _ in range(3):
            Script(server).logs_in(alice)
        page.is_kicked_out("multipleAccount")
    elif end == "REST kick":
        Administrator(server).kicks(alice)
        page.is_kicked_out("REST_API_Kick")
