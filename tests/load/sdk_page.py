"""A login as a page of the vendor's SDK makes it: JSON in binary messages on /binfo."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from itertools import count
from time import perf_counter
from typing import Any, Final

from tests.load.connection import Connection
from tests.load.frames import BINARY
from tests.load.session import Session, text_of
from tests.load.target import Target
from tim.web.tencent.frames import KICKED

ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
KICK: Final = b"im_open_status.stat_forceoffline"
RECENT: Final = {"Count": 100, "StartTime": 0, "TimeStamp": 0, "StartIndex": 0, "OrderType": 1, "MessageAssistFlags": 4}
GOES: Final = 1001
"""The code with which a page that is left closes its socket."""


class SDKPage(Session):
    """Logs in with four requests: a ping and the login, and then the two with which the SDK becomes ready."""

    def __init__(self, target: Target, app: int, user: str, user_sig: str) -> None:
        super().__init__(target, app, user, user_sig)
        self._seq = count(2**25 + secrets.randbelow(2**25))  # no push has such a number
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._login: dict[str, Any] = {"identifier": user, "usersig": user_sig}
        self._connection = Connection(target)
        self._hello = 0
        self._beat_at = 0.0

    async def _enter(self) -> None:
        await self._connection.open()
        path = f"/binfo?sdkappid={self._app}&instanceid={secrets.token_hex(16)}&platform=7&sdkversion=2.27.6"
        await self._connection.upgrade(path, self._receive, self._end)
        self._say("heartbeat.alive", {})
        self.asked = perf_counter()
        answer = await self._ask("im_open_status.wslogin", {"State": "Online"})
        if answer["ErrorCode"]:
            raise ConnectionError(f"the login is refused: {answer['ErrorInfo']}")
        self._login = {"a2": answer["A2Key"], "tinyid": answer["TinyId"]}
        self._hello, self._beat_at = answer["HelloInterval"], perf_counter()
        await asyncio.gather(
            self._ask("recentcontact.page_get", RECENT),
            self._ask("openim.getmsg", {"Cookie": "", "SyncFlag": 0}),
        )

    @property
    def online(self) -> bool:
        return not (self._connection.closed or self.kicked.done())

    async def send(self, to: str, number: int) -> None:
        element = {"MsgType": "TIMTextElem", "MsgContent": {"Text": text_of(number)}}
        body = {"To_Account": to, "MsgSeq": number, "MsgRandom": 1, "MsgBody": [element]}
        answer = await self._ask("openim.sendmsg", body)
        if answer["ErrorCode"]:
            raise ConnectionError(f"a message is refused: {answer['ErrorInfo']}")

    async def leave(self) -> None:
        if self.online:
            await self._ask("im_open_status.wslogout", {"wslogout_type": 0})
        self._connection.close(GOES)

    def cut(self) -> None:
        self._connection.close()

    def beat(self, now: float) -> None:
        if self._hello and now - self._beat_at >= self._hello and self.online:
            self._beat_at = now
            self._say("im_open_status.wshello", {})

    def _ask(self, command: str, body: dict[str, Any]) -> asyncio.Future[dict[str, Any]]:
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        if self._connection.closed:
            answer.set_exception(ConnectionResetError("the connection has ended"))
        else:
            self._answers[self._say(command, body)] = answer
        return answer

    def _say(self, command: str, body: dict[str, Any]) -> int:
        seq = next(self._seq)
        head = {"servcmd": command, "seq": seq, "sdkappid": self._app, "reqtime": int(time.time()), "ver": "v4",
                "platform": 7, "status_instid": 0, "contenttype": "json", "sdkability": 35, **self._login}  # fmt: skip
        self._connection.send(BINARY, ENCODER.encode({"head": head, "body": body}).encode())
        return seq

    def _receive(self, payload: bytes, now: float) -> None:
        self._hear(payload, now)
        packet = json.loads(payload)
        answer = self._answers.pop(packet["head"]["seq"], None)
        if answer is not None:
            if not answer.done():
                answer.set_result(packet["body"])
        elif KICK in payload or packet["body"].get("ErrorCode") == KICKED:
            self._leave_kicked(now)

    def _leave_kicked(self, now: float) -> None:
        """Do what the SDK does once it is kicked: tell the server, and close when that is answered."""
        self._kick(now)
        self._ask("im_open_status.wslogout", {"wslogout_type": 1}).add_done_callback(self._goes)

    def _goes(self, answer: asyncio.Future[dict[str, Any]]) -> None:
        answer.exception()  # the server may have closed the connection first
        self._connection.close(GOES)

    def _end(self, now: float) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError(f"closed with {self._connection.code}"))
        self._answers.clear()
