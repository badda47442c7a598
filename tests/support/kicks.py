"""How soon a tab hears of its kick: `python -m tests.support.kicks` prints it for this machine.

Three gunicorns with a worker each and one Redis. Every kick is decided at one and heard at another.
"""

from __future__ import annotations

import argparse
import re
import secrets
import selectors
import statistics
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.support.fleet import Fleet, running_fleet
from tests.support.redis_server import RedisServer
from tests.support.waiting import PATIENCE
from tests.support.wire import ScriptTab, Socket, browser_cookie, log_in, login_page_of
from tim.store import open_store
from tim.store.base import Store
from tim.timing import DETACH_GRACE

KICK: Final = 'data-event="kickedOut"'
PAUSE: Final = re.compile(r"load delay:(\d+)ms")
"""What a kicked page waits before it asks where to go."""


@dataclass(frozen=True, slots=True)
class Kick:
    """One kick; seconds.

    Attributes:
        told: from the moment at which Redis decided it until its words were with the tab's client.
        after_login: from the newcomer's click until then.
        shown: from that click until the evicted tab has its login page.
    """

    told: float
    after_login: float
    shown: float


class Audience:
    """Listens on many streams at once, answers their pings, and notes when each hears that it is kicked."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._heard: dict[Socket, float] = {}
        self._something_heard = threading.Condition()  # owns _heard
        self._over = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def add(self, stream: Socket) -> Socket:
        self._selector.register(stream.line, selectors.EVENT_READ, stream)
        return stream

    def hears_kick(self, stream: Socket) -> float:
        """Wait for it; the unix time at which it came."""
        with self._something_heard:
            assert self._something_heard.wait_for(lambda: stream in self._heard, PATIENCE), stream.frames[-1:]
            return self._heard[stream]

    def close(self) -> None:
        self._over.set()

    def _listen(self) -> None:
        while not self._over.is_set():
            for ready, _ in self._selector.select(0.1):
                stream: Socket = ready.data
                known = len(stream.frames)
                stream.takes_in()
                now = time.time()
                if any(KICK in frame for frame in stream.frames[known:]):
                    with self._something_heard:
                        self._heard[stream] = now
                        self._something_heard.notify_all()
                if stream.code is not None:
                    self._selector.unregister(stream.line)
                    stream.leaves()


@contextmanager
def audience() -> Iterator[Audience]:
    made = Audience()
    yield made
    made.close()


def come_online(fleet: Fleet, listening: Audience, tabs: int) -> list[Socket]:
    """So many tabs, each of an account of its own, that log in at one server and have their stream at another."""

    browser = browser_cookie(fleet[0])

    def come(n: int) -> Socket:
        tab = log_in(fleet[n % 3], f"crowd-{secrets.token_hex(8)}", browser=browser)
        return listening.add(tab.at(fleet[(n + 1) % 3]).goes_online())

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(come, range(tabs)))


def kicks(fleet: Fleet, store: Store, listening: Audience, times: int, *, tabs: int) -> Iterator[Kick]:
    """Kick a tab so often, by one login more than the `tabs` that an account may have."""
    a, b, c = fleet
    user = f"alice-{secrets.token_hex(8)}"
    browser = browser_cookie(a)
    online: deque[tuple[ScriptTab, Socket]] = deque()
    for _ in range(tabs + times):
        clicked = time.time()
        tab = log_in(a, user, browser=browser)
        if len(online) == tabs:
            old, stream = online.popleft()
            heard = listening.hears_kick(stream)
            pause = PAUSE.search(stream.frames[-1])
            assert pause is not None
            began = time.time()
            assert 'data-type="multipleAccount"' in login_page_of(old.at(c))
            fetched = int(pause[1]) / 1000 + time.time() - began
            gone = store.get(old.instance).gone
            assert gone is not None
            yield Kick(heard - gone.at, heard - clicked, heard - clicked + fetched)
        online.append((tab, listening.add(tab.at(b).goes_online())))


def percentile(values: list[float], percent: int) -> float:
    """The value that so many percent of them do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def _show(measured: list[Kick], title: str) -> None:
    print(f"\n{len(measured)} kicks, {title}; milliseconds")  # noqa: T201
    for what, name in (
        ("told", "decided to heard"),
        ("after_login", "click to heard"),
        ("shown", "click to login page"),
    ):
        all_of_it = [1000 * getattr(kick, what) for kick in measured]
        median, p99 = statistics.median(all_of_it), percentile(all_of_it, 99)
        print(f"  {name:20} median {median:6.1f}   p99 {p99:6.1f}   most {max(all_of_it):6.1f}")  # noqa: T201


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kicks", type=int, default=300, help="how many; default 300")
    options.add_argument("--tabs", type=int, default=1000, help="how many other tabs are online; default 1000")
    asked = options.parse_args()
    redis = RedisServer().start()
    with (
        TemporaryDirectory() as home,
        closing(open_store(redis.url, grace=DETACH_GRACE, clock=time.time)) as store,
        running_fleet(Path(home), redis, tabs=1) as fleet,
        audience() as listening,
    ):
        _show(list(kicks(fleet, store, listening, asked.kicks, tabs=1)), "nobody else online")
        crowd = come_online(fleet, listening, asked.tabs)
        _show(list(kicks(fleet, store, listening, asked.kicks, tabs=1)), f"{asked.tabs} other tabs online")
        assert all(stream.code is None for stream in crowd), "a tab of the crowd has lost its line"
    redis.kill()


if __name__ == "__main__":
    main()
