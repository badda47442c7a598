"""A real receiver of a webhook: it keeps what it is sent, and answers as a test says."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tests.support.ports import free_port

TOKEN: Final = "xxxxyyyy"
OK: Final = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'


@dataclass(frozen=True)
class Call:
    """One request, as it arrived."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def user(self) -> str:
        return str(self.event["Info"]["To_Account"])

    @property
    def action(self) -> str:
        return str(self.event["Info"]["Action"])

    @property
    def delivery(self) -> str:
        return self.headers["X-Tim-Delivery"]

    def is_signed(self, token: str = TOKEN) -> bool:
        signed = hashlib.sha256(f"{token}{self.query['RequestTime']}".encode()).hexdigest()
        body = hmac.new(token.encode(), self.body, hashlib.sha256).hexdigest()
        return signed == self.query["Sign"] and body == self.headers["X-Tim-Signature"]


@dataclass(frozen=True)
class Reply:
    """What is answered.

    Attributes:
        after: seconds before the first byte.
        pause: seconds between two bytes.
    """

    status: int = 200
    body: bytes = OK
    headers: tuple[tuple[str, str], ...] = ()
    after: float = 0.0
    pause: float = 0.0


class AReceiver:
    """A receiver on a port of this machine; it need not be up."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self.reply: Callable[[Call], Reply] = lambda _: Reply()
        self._tls = tls
        self._calls: list[tuple[Call, Reply]] = []
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        scheme, host = ("http", "127.0.0.1") if self._tls is None else ("https", "localhost")
        return f"{scheme}://{host}:{self.port}/hook?key=1"

    def calls(self, user: str | None = None) -> list[Call]:
        """What has arrived, of one account or of all."""
        return [call for call, _ in list(self._calls) if user in (None, call.user)]

    def accepted(self, user: str) -> list[Call]:
        """What was acknowledged of the account, each delivery once, in their order."""
        found: dict[str, Call] = {}
        for call, reply in list(self._calls):
            if call.user == user and (reply.status, reply.body) == (200, OK):
                found.setdefault(call.delivery, call)
        return list(found.values())

    def start(self) -> AReceiver:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(handler) -> None:
                self._answer(handler)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A sender that has given up is no fault of this server."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Nobody listens on its port any more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        call = Call(parts.path, query, dict(handler.headers.items()), body)
        with self._lock:
            number = len(self._calls)
            self._calls.append((call, Reply(0)))  # so that `reply` finds it among `calls`
        reply = self.reply(call)
        self._calls[number] = (call, reply)
        time.sleep(reply.after)
        head = [f"HTTP/1.1 {reply.status} Whatever", f"Content-Length: {len(reply.body)}", "Connection: close"]
        head += [f"{name}: {value}" for name, value in reply.headers]
        answer = "\r\n".join([*head, "", ""]).encode() + reply.body
        handler.close_connection = True
        for part in [answer] if not reply.pause else [bytes([byte]) for byte in answer]:
            handler.wfile.write(part)
            handler.wfile.flush()
            time.sleep(reply.pause)


@contextmanager
def running_receiver(tls: ssl.SSLContext | None = None) -> Iterator[AReceiver]:
    made = AReceiver(tls).start()
    try:
        yield made
    finally:
        made.stop()
