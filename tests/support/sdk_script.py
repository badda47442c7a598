"""The SDK's protocol spoken by a script, honestly or not, with no browser in between."""

from __future__ import annotations

import json
import secrets
import socket
import time
from contextlib import suppress
from itertools import count
from typing import Any

from simple_websocket import Client, ConnectionClosed

from tests.support.server import APP, Server
from tests.support.waiting import PATIENCE


class Script:
    """One connection that speaks as the SDK does.

    Attributes:
        a2: the session token that goes into each head; empty before a login.
        pushes: what came without having been asked for.
        code: what the server has closed the connection with.
    """

    def __init__(self, server: Server, path: str = "/binfo", a2: str = "", page_id: str = "") -> None:
        self.server = server
        self.a2 = a2
        self.pushes: list[dict[str, Any]] = []
        self.code: int | None = None
        self._binary = path == "/binfo"
        self._seq = count(secrets.randbelow(2**26))
        query = f"sdkappid={APP}&instanceid={page_id or secrets.token_hex(16)}"
        self._ws = Client.connect(f"ws://127.0.0.1:{server.port}{path}?{query}")

    def asks(self, command: str, body: Any = None, **head: Any) -> dict[str, Any]:
        """Send a request; the body of its answer."""
        seq = self.says(command, body, **head)
        while True:
            packet = self.hears()
            if packet["head"] == {"servcmd": command, "seq": seq}:
                answer: dict[str, Any] = packet["body"]
                return answer
            self.pushes.append(packet)

    def says(self, command: str, body: Any = None, **head: Any) -> int:
        """Send a request and wait for nothing; its number."""
        seq = next(self._seq)
        ours = {"servcmd": command, "seq": seq, "sdkappid": APP, "reqtime": int(time.time()), "status_instid": 0}
        if self.a2:
            ours["a2"] = self.a2
        self.sends(json.dumps({"head": {**ours, **head}, "body": {} if body is None else body}))
        return seq

    def sends(self, frame: str | bytes) -> None:
        """Send a frame, whatever it is."""
        if isinstance(frame, str) and self._binary:
            frame = frame.encode()
        self._ws.send(frame)

    def hears(self, patience: float = PATIENCE) -> dict[str, Any]:
        """The next frame."""
        try:
            frame = self._ws.receive(patience)
        except ConnectionClosed as closed:
            self.code = closed.reason
            raise
        assert frame is not None, "nothing came"
        assert isinstance(frame, bytes) == self._binary, "a frame of the wrong kind"
        packet: dict[str, Any] = json.loads(frame)
        return packet

    def hears_push(self, command: str, patience: float = PATIENCE) -> dict[str, Any]:
        """The body of the next push of this command."""
        deadline = time.monotonic() + patience
        while True:
            for packet in self.pushes:
                if packet["head"]["servcmd"] == command:
                    self.pushes.remove(packet)
                    body: dict[str, Any] = packet["body"]
                    return body
            self.pushes.append(self.hears(deadline - time.monotonic()))

    def hears_nothing(self, seconds: float) -> None:
        assert self.pushes == []
        assert self._ws.receive(seconds) is None

    def is_closed(self, patience: float = PATIENCE) -> int:
        """Wait for the end; the code of the close frame."""
        deadline = time.monotonic() + patience
        while self.code is None:
            assert time.monotonic() < deadline, "still open"
            try:
                self.pushes.append(self.hears(1))
            except ConnectionClosed:
                pass
            except AssertionError:
                continue
        return self.code

    def tries_to_log_in(self, user_id: str, user_sig: str, **head: Any) -> dict[str, Any]:
        return self.asks(
            "im_open_status.wslogin", {"State": "Online"}, identifier=user_id, usersig=user_sig, a2="", **head
        )

    def logs_in(self, user_id: str, *, expire: int = 86400) -> dict[str, Any]:
        answer = self.tries_to_log_in(user_id, self.server.user_sig(user_id, expire))
        assert answer["ErrorCode"] == 0, answer
        self.a2 = answer["A2Key"]
        return answer

    def sends_text(self, to: str, text: str, *, seq: int | None = None, random: int = 7) -> dict[str, Any]:
        number = secrets.randbelow(2**32) if seq is None else seq
        return self.asks("openim.sendmsg", text_message(to, text, number, random))

    def leaves(self, code: int = 1001) -> None:
        self._ws.close(code)

    def leaves_behind(self, data: bytes) -> None:
        """Write these bytes, whatever they are, as the last."""
        self._ws.sock.sendall(data)
        with suppress(OSError):  # the server may have answered a close frame, and this end be closed
            # A `close` would not end the line while the thread of this end reads from it.
            self._ws.sock.shutdown(socket.SHUT_WR)


def text_message(to: str, text: str, seq: int = 1, random: int = 2) -> dict[str, Any]:
    """The body of an openim.sendmsg."""
    body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}]
    return {"To_Account": to, "MsgSeq": seq, "MsgRandom": random, "MsgBody": body}
