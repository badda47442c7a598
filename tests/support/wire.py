"""The server as a script meets it: requests, cookies and sockets, byte by byte, with no browser in between."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final, Literal, Protocol
from urllib.parse import urlencode, urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, RejectConnection, Request, TextMessage

from tests.support.waiting import PATIENCE

NEVER: Final = 1006
"""The code of a socket that went away without a close frame."""

TRUSTING: Final = ssl.create_default_context()
"""Takes whoever answers for the server under test."""
TRUSTING.check_hostname = False
TRUSTING.verify_mode = ssl.CERT_NONE


class Door(Protocol):
    """Where a script knocks: a server, or what stands in front of several."""

    @property
    def port(self) -> int: ...

    @property
    def address(self) -> str: ...

    def user_sig(self, user_id: str) -> str: ...


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        headers: names in lower case; a header that came more than once has more than one value.
    """

    status: int
    headers: dict[str, list[str]]
    body: str

    def header(self, name: str) -> str:
        """The header's value; empty where it is not there."""
        return ", ".join(self.headers.get(name.lower(), []))

    @property
    def location(self) -> str:
        return self.header("Location")

    def cookies(self) -> dict[str, str]:
        """Values of the cookies that are set, by name."""
        return {line.partition("=")[0]: line.partition("=")[2].partition(";")[0] for line in self.set_cookies()}

    def set_cookies(self) -> list[str]:
        """The Set-Cookie headers, whole."""
        return self.headers.get("set-cookie", [])


def ask(
    server: Door,
    method: str,
    path: str,
    form: dict[str, str] | None = None,
    *,
    cookie: str = "",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    follow: bool = False,
    source: str = "127.0.0.1",
) -> Answer:
    """Send one request, from the address `source`, and read its answer. Redirects are followed only where asked for."""
    sent = dict(headers or {})
    if cookie:
        sent["Cookie"] = cookie
    if form is not None:
        body = urlencode(form, errors="surrogatepass").encode()
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, PATIENCE, (source, 0))
    if server.address.startswith("https:"):
        connection = http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=PATIENCE, source_address=(source, 0), context=TRUSTING
        )
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        found: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            found.setdefault(name.lower(), []).append(value)
        answer = Answer(response.status, found, response.read().decode(errors="replace"))
    finally:
        connection.close()
    if follow and 300 <= answer.status < 400:
        return ask(server, "GET", answer.location, cookie=cookie)
    return answer


def get(server: Door, path: str, *, cookie: str = "", headers: dict[str, str] | None = None) -> Answer:
    return ask(server, "GET", path, cookie=cookie, headers=headers)


def post(
    server: Door, path: str, form: dict[str, str], *, cookie: str = "", headers: dict[str, str] | None = None
) -> Answer:
    return ask(server, "POST", path, form, cookie=cookie, headers=headers)


def browser_cookie(server: Door) -> str:
    """The Cookie header of a browser that has opened the login page once."""
    return f"browser={get(server, '/login').cookies()['browser']}"


def post_login(
    server: Door,
    user_id: str,
    user_sig: str | None = None,
    *,
    headers: dict[str, str] | None = None,
    cookie: str = "",
    source: str = "127.0.0.1",
) -> Answer:
    """A login by a script that does as a browser does: it sends the cookie that came with the form."""
    sig = server.user_sig(user_id) if user_sig is None else user_sig
    form = {"userID": user_id, "userSig": sig}
    sent = cookie or browser_cookie(server)
    return ask(server, "POST", "/login", form, cookie=sent, headers=headers, source=source)


def log_in(
    server: Door,
    user_id: str,
    user_sig: str | None = None,
    *,
    headers: dict[str, str] | None = None,
    browser: str = "",
) -> ScriptTab:
    """Log in without a browser, or in one that has this cookie; the login must succeed."""
    browser = browser or browser_cookie(server)
    answer = post_login(server, user_id, user_sig, headers=headers, cookie=browser)
    assert answer.status == 303, f"{answer.status}\n{answer.body}"
    return ScriptTab(server, user_id, answer.location.split("/")[-2], answer.cookies()["tab"], browser)


def login_page_of(tab: ScriptTab) -> str:
    """Where its server sends a tab that has ended, as its browser shows it."""
    ended = get(tab.server, tab.path, cookie=f"{tab.browser}; {tab.cookie}")
    assert ended.status == 303, ended.status
    cookies = ended.cookies()
    assert cookies.keys() == {"tab", "notice"}
    assert cookies["tab"] == ""
    return get(tab.server, path_of(ended.location), cookie=f"{tab.browser}; notice={cookies['notice']}").body


@dataclass
class ScriptTab:
    """A tab of an account that is held by a script: its instance and its cookie, and that of its browser."""

    server: Door
    user_id: str
    instance: str
    value: str
    browser: str = ""
    opened: list[Socket] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/im/{self.instance}/"

    @property
    def cookie(self) -> str:
        """The Cookie header."""
        return f"tab={self.value}"

    def at(self, server: Door) -> ScriptTab:
        """The same tab, whose next request goes to another server."""
        return ScriptTab(server, self.user_id, self.instance, self.value, self.browser, self.opened)

    def gets(self, path: str = "") -> Answer:
        """A page of this tab."""
        return get(self.server, self.path + path, cookie=self.cookie)

    def posts(self, path: str, form: dict[str, str] | None = None, *, htmx: bool = False) -> Answer:
        """One of this tab's forms."""
        headers = {"HX-Request": "true"} if htmx else {}
        return post(self.server, self.path + path, form or {}, cookie=self.cookie, headers=headers)

    def attaches(self, page: str = "") -> Socket:
        """Open its stream, or that of this page of it; it is ready, or refused, a frame or two later."""
        opened = Socket(self.server, stream_of(page) if page else self.path + "events", cookie=self.cookie)
        self.opened.append(opened)
        return opened

    def goes_online(self, page: str = "") -> Socket:
        """Open its stream, or that of this page of it, and wait until it is ready."""
        opened = self.attaches(page)
        opened.hears('data-state="ready"')
        return opened

    def instances(self) -> dict[str, str]:
        """State by id of the account's instances, as this tab's page lists them."""
        page = self.gets()
        assert page.status == 200, f"{page.status} {page.location}"
        return instances_in(page.body)

    def since(self) -> str:
        """When this tab's card says that it logged in."""
        found = re.search(rf'<time id="since-{self.instance}" datetime="([^"]+)"', self.gets().body)
        assert found
        return found[1]


def stream_of(page: str) -> str:
    """The address of the stream that a tab's page opens."""
    found = element(page, "stream")
    assert found
    return str(found.attributes["hx-ws:connect"])


def instances_in(html: str) -> dict[str, str]:
    """State by id of the instances that a page or fragment lists, in its order."""
    return dict(re.findall(r'data-instance="(\w+)"\s+data-state="(\w+)"', html))


def upgrade(path: str, host: str, *, headers: dict[str, str]) -> bytes:
    """The request that asks for a socket."""
    lines = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    return (f"GET {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n").encode("latin-1")


def ask_for_socket(server: Door, path: str, headers: dict[str, str]) -> bytes:
    """Everything the server sends to whoever asks for a socket and then says nothing more."""
    return answer_to(server, upgrade(path, f"127.0.0.1:{server.port}", headers=headers))


def answer_to(server: Door, data: bytes) -> bytes:
    """Everything the server sends to whoever sends these bytes and nothing more."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as line:
        with suppress(OSError):  # it may have answered, and closed, before it has read all
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
        everything = b""
        with suppress(ConnectionResetError):
            while more := line.recv(65536):
                everything += more
        return everything


class Socket:
    """A tab's stream, opened by a script that speaks the protocol honestly: it answers pings and close frames.

    `status` is the HTTP status of the upgrade, `code` what the server has closed the socket with, once it has.
    """

    def __init__(
        self, server: Door, path: str, *, cookie: str = "", origin: str | None = None, buffer: int | None = None
    ) -> None:
        self.frames: list[str] = []
        self.pings = 0
        self.code: int | None = None
        self.status = 0
        self.line = socket.socket()
        if buffer is not None:  # has to be set before the connection is made to keep the window small
            self.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.line.settimeout(PATIENCE)
        self.line.connect(("127.0.0.1", server.port))
        if server.address.startswith("https:"):
            self.line = TRUSTING.wrap_socket(self.line)
        self._protocol = WSConnection(ConnectionType.CLIENT)
        headers = [(b"Origin", (origin or server.address).encode())]
        if cookie:
            headers.append((b"Cookie", cookie.encode()))
        self.line.sendall(
            self._protocol.send(Request(host=f"127.0.0.1:{server.port}", target=path, extra_headers=headers))
        )
        while not self.status:
            self._read(PATIENCE)

    def hears(self, text: str, patience: float = PATIENCE) -> str:
        """Wait for a frame that has `text` in it; that frame."""
        seen, deadline = 0, time.monotonic() + patience
        while True:
            for frame in self.frames[seen:]:
                if text in frame:
                    return frame
            seen = len(self.frames)
            left = deadline - time.monotonic()
            assert left > 0 and self.code is None, f"no {text!r}; closed with {self.code}; heard {self.frames[-1:]}"
            self._read(left)

    def hears_nothing(self, seconds: float) -> None:
        """For so long no frame comes, except that the list of instances may come again, and nobody closes it."""
        count = len(self.frames)
        self.hears_more(seconds)
        news = [frame for frame in self.frames[count:] if not frame.startswith('<section id="instances"')]
        assert not news and self.code is None, (self.code, news)

    def hears_more(self, seconds: float) -> None:
        """Take in whatever comes within so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self.code is None:
            self._read(left)

    def is_closed(self, patience: float = PATIENCE) -> int:
        """Wait for the end of the line; the code of the close frame, or NEVER where there was none."""
        deadline = time.monotonic() + patience
        while self.code is None:
            left = deadline - time.monotonic()
            assert left > 0, f"still open; heard {self.frames[-1:]}"
            self._read(left)
        return self.code

    def takes_in(self) -> None:
        """Take in what has come, without waiting for more."""
        self._read(0)

    def sends(self, raw: bytes) -> None:
        """Write bytes, whatever they are."""
        self.line.sendall(raw)

    def writes(self, text: str) -> None:
        """Send a frame, as a page does."""
        self.line.sendall(self._protocol.send(TextMessage(data=text)))

    def ping(self) -> None:
        self.line.sendall(self._protocol.send(Ping()))

    def __del__(self) -> None:
        """A stream that a test lets go of drops, as that of a browser which has ended does."""
        self.line.close()

    def leaves(self, how: Literal["close", "reset"] = "close") -> None:
        """Close it as a browser does, or let the line drop."""
        if how == "close" and self.code is None:
            self.line.sendall(self._protocol.send(CloseConnection(1001)))
        self.line.close()

    def _read(self, seconds: float) -> None:
        """Take in what comes next, if anything comes within `seconds`."""
        self.line.settimeout(max(seconds, 0.001))
        try:
            data = self.line.recv(65536)
        except TimeoutError:
            return
        except OSError:
            data = b""
        if self.code is not None or not data:
            self.code = self.code or NEVER
            self.status = self.status or NEVER
            return
        self._protocol.receive_data(data)
        for event in self._protocol.events():
            if isinstance(event, AcceptConnection):
                self.status = 101
            elif isinstance(event, RejectConnection):
                self.status, self.code = event.status_code, NEVER
            elif isinstance(event, TextMessage):
                self._add(event)
            elif isinstance(event, Ping):
                self.pings += 1
                self.line.sendall(self._protocol.send(event.response()))
            elif isinstance(event, CloseConnection):
                self.code = event.code
                with suppress(OSError):
                    self.line.sendall(self._protocol.send(event.response()))

    _part = ""

    def _add(self, event: TextMessage) -> None:
        self._part += event.data
        if event.message_finished:
            self.frames.append(self._part)
            self._part = ""


@dataclass
class Element:
    """An element of a page: its name, its attributes, and the text in it."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""


class _Elements(HTMLParser):
    VOID = frozenset({"input", "meta", "link", "br", "img", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Element] = []
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(Element(tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(self.found[-1])

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data


def elements(html: str) -> list[Element]:
    """Every element of a page or fragment, in its order."""
    parser = _Elements()
    parser.feed(html)
    parser.close()
    return parser.found


def element(html: str, id: str) -> Element | None:
    """The element with this id, where there is one."""
    return next((found for found in elements(html) if found.attributes.get("id") == id), None)


def switch(answer: Answer) -> tuple[str, str]:
    """Where the switch of the page returns to, and the language it offers."""
    values = {found.attributes.get("name"): found.attributes.get("value") for found in elements(answer.body)}
    return str(values["next"]), str(values["lang"])


def path_of(address: str) -> str:
    """The path and query of an address."""
    parts = urlsplit(address)
    return parts.path + (f"?{parts.query}" if parts.query else "")
