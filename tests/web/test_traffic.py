"""What a browser transfers, from the button of the login page until the tab is ready: few requests, and few bytes."""

from __future__ import annotations

import gzip
import http.client
import re
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.browser import Person
from tests.support.server import ROOT, Server
from tests.support.wire import Answer, get, log_in
from tests.web.conftest import MakePerson, NewWindow

COLD, WARM = 60 * 1024, 8 * 1024
"""Largest numbers of bytes, with the headers of the answers and the frames: in a browser that knows nothing, from the
login page on; in one that has logged in before, from the button on."""


class Traffic:
    """What a page asks the server for, other than from its cache, and how many bytes come back."""

    def __init__(self, page: Page) -> None:
        self.asked: list[str] = []
        self.bytes = 0
        self._waiting: dict[str, str] = {}
        line = page.context.new_cdp_session(page)
        for name, take in (
            ("requestWillBeSent", self._sent),
            ("requestServedFromCache", self._cached),
            ("responseReceived", self._answered),
            ("loadingFinished", self._finished),
            ("webSocketHandshakeResponseReceived", self._upgraded),
            ("webSocketFrameReceived", self._received),
        ):
            line.on(f"Network.{name}", take)
        line.send("Network.enable")

    def _sent(self, event: dict[str, Any]) -> None:
        if "redirectResponse" in event:
            self._finish(event["requestId"], event["redirectResponse"]["encodedDataLength"])
        if event["request"]["url"].startswith("http"):
            path = "/" + event["request"]["url"].split("/", 3)[3]
            self._waiting[event["requestId"]] = f"{event['request']['method']} {path}"

    def _cached(self, event: dict[str, Any]) -> None:
        self._waiting.pop(event["requestId"], None)

    def _answered(self, event: dict[str, Any]) -> None:
        if event["response"].get("fromDiskCache"):
            self._cached(event)

    def _finished(self, event: dict[str, Any]) -> None:
        self._finish(event["requestId"], event["encodedDataLength"])

    def _finish(self, request: str, size: float) -> None:
        if request in self._waiting:
            self.asked.append(self._waiting.pop(request))
            self.bytes += int(size)

    def _upgraded(self, event: dict[str, Any]) -> None:
        self.asked.append("socket")
        self.bytes += sum(len(name) + len(value) + 4 for name, value in event["response"]["headers"].items())

    def _received(self, event: dict[str, Any]) -> None:
        self.bytes += len(event["response"]["payloadData"].encode()) + 4


def logs_in_again(alice: Person) -> Traffic:
    """A login of a browser that has logged in before."""
    alice.logs_in("before").closes()
    tab = alice.fills_in("again")
    traffic = Traffic(tab.page)
    tab.page.click("#login")
    tab.is_ready()
    return traffic


def test_a_login_takes_three_requests_from_the_button_until_the_tab_is_ready(person: MakePerson) -> None:
    traffic = logs_in_again(person("alice"))
    assert [re.sub(r"[0-9a-f]{34}", "…", one) for one in traffic.asked] == ["POST /login", "GET /im/…/", "socket"]
    assert traffic.bytes < WARM


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_login_transfers_little_also_in_a_browser_that_knows_nothing(
    language: str, server: Server, person: MakePerson, new_window: NewWindow
) -> None:
    alice = person("alice", window=new_window(locale=language))
    page = alice.window.new_page()
    traffic = Traffic(page)
    page.goto(f"{server.address}/login?userID={alice.user_id}")
    page.fill("#userSig", server.user_sig(alice.user_id))
    page.click("#login")
    page.wait_for_selector("[data-state=ready]")
    assert [one for one in traffic.asked if one.startswith("GET /static/")], "nothing was in the cache"
    assert traffic.bytes < COLD


def test_all_that_a_page_needs_to_be_ready_comes_in_one_frame(server: Server) -> None:
    bob = log_in(server, "first-frame-b")
    alice = log_in(server, "first-frame-a")
    alice.goes_online()
    assert alice.posts("messages", {"to": bob.user_id, "text": "hello"}).status == 303
    stream = bob.goes_online()
    assert len(stream.frames) == 1
    for part in ('<section id="instances"', ">hello<", 'data-state="ready"', 'data-event="sdkStateReady"'):
        assert part in stream.frames[0]


# Static files


def addresses(answer: Answer) -> list[str]:
    """Of the static files of a page."""
    return re.findall(r'(?:href|src)="(/static/[^"]+)"', answer.body)


def raw(server: Server, path: str, **headers: str) -> Answer:
    return get(server, path, headers=headers)


def test_every_static_file_of_a_page_is_kept_by_browsers_as_long_as_its_content_stays(server: Server) -> None:
    pages = [get(server, "/login"), log_in(server, "static").gets()]
    found = {address for page in pages for address in addresses(page)}
    assert {re.split(r"[/?]", address)[2] for address in found} == {
        "icon.svg", "tim.css", "htmx-4.0.1.min.js", "hx-ws-4.0.1.min.js"
    }  # fmt: skip
    for address in found:
        answer = raw(server, address)
        assert (answer.status, answer.header("Cache-Control")) == (200, "public, max-age=31536000, immutable"), address
        assert "Cookie" not in answer.header("Vary")


@pytest.mark.parametrize("path", ["/static/tim.css", "/static/tim.css?v=0123456789abcdef"])
def test_an_address_without_the_hash_of_the_content_is_asked_for_again_each_time(path: str, server: Server) -> None:
    first = raw(server, path)
    assert (first.status, first.header("Cache-Control")) == (200, "no-cache")
    again = raw(server, path, **{"If-None-Match": first.header("ETag")})
    assert (again.status, again.body) == (304, "")


@pytest.mark.parametrize("path", ["/static/", "/static/none.css", "/static/..%2fapp.py", "/static/../app.py"])
def test_nothing_but_the_static_files_is_below_static(path: str, server: Server) -> None:
    assert raw(server, path).status == 404


def unpacked(server: Server, path: str, coding: str, cookie: str = "") -> tuple[bytes, bool]:
    """What comes back for an Accept-Encoding, and whether it was compressed on the way."""
    line = http.client.HTTPConnection("127.0.0.1", server.port)
    with closing(line):
        line.request("GET", path, headers={"Accept-Encoding": coding, "Cookie": cookie})
        answer = line.getresponse()
        data = answer.read()
    assert answer.status == 200
    packed = answer.headers["Content-Encoding"] == "gzip"
    return gzip.decompress(data) if packed else data, packed


@pytest.mark.parametrize("name", sorted(file.name for file in (ROOT / "static").iterdir()))
def test_a_static_file_is_compressed_for_those_who_can_unpack_it(name: str, server: Server) -> None:
    whole = (ROOT / "static" / name).read_bytes()
    for coding, packed in (("gzip, br", True), ("identity", False), ("gzip;q=0", False)):
        assert unpacked(server, f"/static/{name}", coding) == (whole, packed)
    assert "Accept-Encoding" in raw(server, f"/static/{name}").header("Vary")


def test_a_page_is_compressed_unless_it_has_messages_whose_length_would_tell_what_is_in_them(server: Server) -> None:
    alice, bob = log_in(server, "compressed-a"), log_in(server, "compressed-b")
    before, packed = unpacked(server, bob.path, "gzip", bob.cookie)
    assert packed and before.endswith(b"</html>")
    assert "Accept-Encoding" in bob.gets().header("Vary")
    alice.goes_online()
    assert alice.posts("messages", {"to": bob.user_id, "text": "hello"}).status == 303
    after, packed = unpacked(server, bob.path, "gzip", bob.cookie)
    assert b">hello<" in after and not packed
