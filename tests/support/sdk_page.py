"""Who acts in these tests: pages that run the vendor's SDK.

What a page "is", "has" or "hears" is a check: it waits for it, and fails where it does not come.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import BrowserContext, Page, WebSocket

from tests.support.sdk_site import SDK, Site
from tests.support.server import APP, Server
from tests.support.waiting import PATIENCE, until

READY = "sdkStateReady"
NOT_READY = "sdkStateNotReady"
KICKED_OUT = "kickedOut"
RECEIVED = "onMessageReceived"
NET_STATE = "netStateChange"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame that went over a socket of the page."""

    sent: bool
    packet: dict[str, Any]

    @property
    def command(self) -> str:
        return str(self.packet["head"]["servcmd"])


class SDKPage:
    """A page of the application, with the vendor's SDK in it.

    Args:
        through: the port of a proxy in front of the server, for a line that is to fail.
    """

    def __init__(
        self, window: BrowserContext, site: Site, sdk: SDK, server: Server, through: int | None = None
    ) -> None:
        self.server = server
        self.sdk = sdk
        self.page: Page = window.new_page()
        self.frames: list[Frame] = []
        self.sockets: list[WebSocket] = []
        self.page.on("websocket", self._watch)
        self.user_id = ""
        self._proxy_server = f"ws://127.0.0.1:{through or server.port}"
        self._url = site.page(sdk)
        self.opens()

    def _watch(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        socket.on("framesent", lambda data: self.frames.append(Frame(True, json.loads(data))))
        socket.on("framereceived", lambda data: self.frames.append(Frame(False, json.loads(data))))

    # What it does

    def opens(self, **options: Any) -> None:
        """The page is opened, and makes its SDK."""
        self.page.goto(self._url)
        self.page.evaluate("create", {"SDKAppID": APP, "proxyServer": self._proxy_server, **options})

    def reloads(self) -> None:
        self.page.reload()
        self.page.evaluate("create", {"SDKAppID": APP, "proxyServer": self._proxy_server})

    def tries_to_log_in(self, user_id: str, user_sig: str) -> dict[str, Any]:
        """How the promise of its login settles."""
        self.user_id = user_id
        return self.settles("sdk.login", {"userID": user_id, "userSig": user_sig})

    def logs_in(self, user_id: str, *, expire: int = 86400) -> dict[str, Any]:
        """It logs in and is ready; the data of the response."""
        before = len(self.heard(READY))
        settled = self.tries_to_log_in(user_id, self.server.user_sig(user_id, expire))
        assert settled["code"] == 0, settled
        self.hears(READY, before + 1)
        data: dict[str, Any] = settled["data"]
        return data

    def logs_out(self) -> None:
        assert self.settles("sdk.logout")["code"] == 0

    def sends(self, to: str, text: str) -> dict[str, Any]:
        """How the promise of its sendMessage settles."""
        call = (
            "([to, text]) => settled(sdk.sendMessage("
            "sdk.createTextMessage({to, conversationType: 'C2C', payload: {text}})))"
        )
        settled: dict[str, Any] = self.page.evaluate(call, [to, text])
        return settled

    def starts_to_send(self, to: str, text: str) -> None:
        """It calls sendMessage; how that settles is in `late`, later."""
        self.page.evaluate(
            "([to, text]) => { window.late = null; settled(sdk.sendMessage(sdk.createTextMessage("
            "{to, conversationType: 'C2C', payload: {text}}))).then(it => { window.late = it; }) }",
            [to, text],
        )

    def late(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.page.evaluate("window.late")
        return found

    def settles(self, call: str, *arguments: Any) -> dict[str, Any]:
        """How the promise of `call(...)` settles."""
        settled: dict[str, Any] = self.page.evaluate(f"arguments_ => settled({call}(...arguments_))", list(arguments))
        return settled

    # What it has heard

    def heard(self, name: str = "") -> list[dict[str, Any]]:
        """The events of this name, or all."""
        found: list[dict[str, Any]] = self.page.evaluate("name => heard.filter(it => !name || it.name === name)", name)
        return found

    def hears(self, name: str, times: int = 1, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait for the event; the `times`-th one."""
        number = "name => heard.filter(it => it.name === name).length"
        until(
            lambda: self.page.evaluate(number, name) >= times,
            lambda: f"{self} waited for {name}: {self.names()}",
            patience,
        )
        return self.heard(name)[times - 1]

    def names(self) -> list[str]:
        return [event["name"] for event in self.heard()]

    def is_kicked_out(self, why: str, patience: float = PATIENCE) -> None:
        """It has heard why, once, and is not ready any more."""
        assert self.hears(KICKED_OUT, patience=patience)["data"] == {"type": why}
        self.hears(NOT_READY)
        assert len(self.heard(KICKED_OUT)) == 1

    def told(self) -> int:
        """The number of messages it has been told of."""
        number: int = self.page.evaluate(
            "name => heard.filter(it => it.name === name).flatMap(it => it.data).length", RECEIVED
        )
        return number

    def messages(self) -> list[dict[str, Any]]:
        return [message for event in self.heard(RECEIVED) for message in event["data"]]

    def texts(self) -> list[str]:
        return [message["payload"]["text"] for message in self.messages()]

    def reads(self, *texts: str) -> None:
        """Wait until it has been told of exactly these texts, in this order."""
        until(lambda: self.told() >= len(texts), lambda: f"{self} reads {self.texts()}")
        assert self.texts() == list(texts)

    def sent(self, command: str = "") -> list[Frame]:
        """The frames it has sent, of this command or of all."""
        return [frame for frame in self.frames if frame.sent and command in ("", frame.command)]

    def __str__(self) -> str:
        return f"{self.sdk} of {self.user_id}"
