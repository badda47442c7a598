"""Behind an upgrade no HTTP is written, and none is read: whatever fails ends in a close frame."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.redis_line import RedisLine
from tests.redis_server import RedisServer
from tests.web.conftest import MakeServer
from tests.web.server import Server, copy_of_the_tree
from tests.web.wire import ScriptTab, log_in, upgrade

KEY = {"Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
BROKEN = "class Page:\n    def __init__(self, *_): raise KeyError\n\n\ndef kick_type_of(_): ...\n"
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def opens(server: Server, path: str, cookie: str = "") -> socket.socket:
    headers = KEY | {"Origin": f"http://127.0.0.1:{server.port}"} | ({"Cookie": cookie} if cookie else {})
    line = socket.create_connection(("127.0.0.1", server.port), 20)
    line.sendall(upgrade(path, f"127.0.0.1:{server.port}", headers=headers))
    return line


def everything(line: socket.socket) -> bytes:
    """What it sends behind the upgrade, until it is closed, though a request is sent into it."""
    said = b""
    try:
        while data := line.recv(65536):
            if b"\x88" in data:
                line.sendall(REQUEST)
            said += data
    except ConnectionResetError:
        pass
    head, _, rest = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), said[:200]
    return rest


def close_code(frames: bytes) -> int:
    """The code of the close frame at its end; there is nothing behind it."""
    assert b"HTTP/" not in frames, frames[-300:]
    at = frames.rindex(b"\x88")
    assert len(frames) == at + 2 + frames[at + 1]
    return int(struct.unpack("!H", frames[at + 2 : at + 4])[0])


@pytest.fixture(params=[False, True], ids=["threads", "gevent"])
def gevent(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def ended(server: Server) -> ScriptTab:
    tab = log_in(server, "alice")
    tab.posts("logout")
    return tab


def test_a_store_that_goes_away_behind_the_upgrade_ends_in_a_close_frame(
    gevent: bool,
    make_server: MakeServer,
    make_redis: Callable[..., RedisServer],
    make_redis_line: Callable[[RedisServer], RedisLine],
) -> None:
    redis = make_redis_line(make_redis())
    server = make_server(gevent=gevent, STORE=redis.url)
    tab = ended(server)
    codes = set()
    for answers in range(6):
        redis.drops_replies(1000, after=answers, of="EVALSHA")
        codes.add(close_code(everything(opens(server, f"{tab.path}events", tab.cookie))))
        redis.passes()
    assert codes <= {1013, 4005}
    assert 1013 in codes
    server.has_no_traceback()


@pytest.mark.parametrize("path", ["/binfo", "/info", ""])
def test_whatever_fails_behind_the_upgrade_ends_in_a_close_frame(
    gevent: bool, path: str, make_server: MakeServer, tmp_path: Path
) -> None:
    app = copy_of_the_tree(tmp_path / "tree")
    (app.parent / "templates" / "_waiting.html").write_text("{{ 1 / 0 }}")
    (app.parent / "tim" / "web" / "sdk_page.py").write_text(
        "class Page:\n    def __init__(self, *_): raise KeyError\n\ndef kick_type_of(_): ...\n"
    )
    server = make_server(app=app, gevent=gevent)
    tab = log_in(server, "alice")
    line = opens(server, path) if path else opens(server, f"{tab.path}events", tab.cookie)
    assert close_code(everything(line)) == 1011
    assert "a socket failed" in server.log()
