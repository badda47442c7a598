"""What people do, and what it costs a Redis: calls and commands, exact, as two real servers make them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.administrator import Administrator
from tests.support.console import sign_in
from tests.support.redis_server import RedisServer
from tests.support.redis_watch import Cost, Watch
from tests.support.sdk_script import Script
from tests.support.server import Server
from tests.support.wire import ScriptTab, Socket, get, log_in, login_page_of, post
from tim.timing import Timing


@contextmanager
def _two_processes(home: Path) -> Iterator[tuple[Server, Server, Watch]]:
    """Two servers on one Redis, and who watches it."""
    with ExitStack() as stack:
        redis = RedisServer().start()
        stack.callback(redis.kill)
        timing = Timing(ping_period=2)  # so that the pings of a minute take six seconds
        here, there = (Server(home / name, timing=timing, gevent=True, STORE=redis.url) for name in ("here", "there"))
        for server in (here, there):
            stack.callback(server.stop)
            server.start()
        yield here, there, stack.enter_context(Watch(redis))


def costs(home: Path) -> Iterator[tuple[str, Cost]]:
    """Each in words, where an account has one seat and its tabs are now at one process and now at another."""
    with _two_processes(home) as (here, there, watch):
        watch.asked()
        alice = log_in(here, "alice")
        yield "A login", watch.cost()
        page = alice.gets().body
        yield "Its page opens", watch.cost()
        stream = opened(alice, page)
        yield "Its stream opens", watch.cost()
        while stream.pings < 3:
            stream.hears_more(1)
        yield "An open tab, a minute", watch.cost()
        his = opened(log_in(there, "bob"))
        stream.takes_in()  # a ping, which has to be answered before the next one
        watch.asked()

        assert alice.posts("messages", {"to": "bob", "text": "hello"}).status == 303
        his.hears("hello")
        yield "A message, and its receiver at another node", watch.cost()
        his.leaves()  # nothing answers its pings any more
        watch.asked("detach")
        stream.leaves()
        closing = watch.cost("detach")
        yield "A tab is closed", closing
        page = alice.gets().body
        stream = opened(alice, page)
        yield "A reload", closing + watch.cost()

        newer = log_in(there, "alice")
        assert stream.is_closed() == 4001
        yield "A login that evicts a tab of another node", watch.cost()
        assert 'data-type="multipleAccount"' in login_page_of(alice)
        yield "The evicted tab's way to the login page", watch.cost()
        stream = opened(newer)
        watch.asked()
        newer.posts("logout")
        assert stream.is_closed() == 4005
        yield "A logout", watch.cost()

        yield from _of_the_official_sdk(here, watch)
        assert post(here, "/login", {"userID": "alice", "userSig": "wrong"}).status == 401
        yield "A UserSig that is refused", watch.cost()
        operator = sign_in(here)
        watch.asked()
        assert operator.gets("/instances").status == 200
        yield "A page of the console's list of instances", watch.cost()
        assert get(here, "/metrics").status == 200
        yield "A scrape of `/metrics`, at most one a second of a node", watch.cost()


def _of_the_official_sdk(server: Server, watch: Watch) -> Iterator[tuple[str, Cost]]:
    page = Script(server)
    watch.asked()
    page.logs_in("carol")
    yield "A page of the official SDK logs in", watch.cost()
    page.asks("im_open_status.wshello")
    yield "A page of the official SDK, every 10 s", watch.cost()
    Administrator(server).kicks("carol")
    page.hears_push("im_open_status.stat_forceoffline")
    yield "A REST kick", watch.cost()


def opened(tab: ScriptTab, page: str = "") -> Socket:
    """The stream of the tab, or of this page of it, once it is ready: nothing follows that its opening causes."""
    return tab.goes_online(page)
