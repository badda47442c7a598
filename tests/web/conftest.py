"""Fixtures for the web: servers, browsers and the people in front of them."""

from __future__ import annotations

import atexit
import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Playwright, sync_playwright

from tests.support.browser import CHROMIUM, FLAGS, FRUGAL, Person
from tests.support.proxy import Proxy
from tests.support.server import Server, copy_of_the_tree
from tests.support.windows import Windows
from tests.web.starts import Starts

MakeServer = Callable[..., Server]
NewWindow = Callable[..., BrowserContext]
MakePerson = Callable[..., Person]


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Servers for tests that neither stop nor configure them: one for each number of places per account."""
    yield from shared_servers(tmp_path_factory)


def shared_servers(paths: pytest.TempPathFactory, *, gevent: bool = False) -> Iterator[Callable[..., Server]]:
    """`get(limit)` returns the server on which an account may have so many tabs."""
    running: dict[int, Server] = {}

    def get(limit: int) -> Server:
        if limit not in running:
            home = paths.mktemp(f"server-{limit}")
            running[limit] = Server(home, gevent=gevent, ONLINE_WEB_INSTANCES=str(limit)).start()
        return running[limit]

    yield get
    for server in running.values():
        server.stop()


@pytest.fixture
def server(shared_server: Callable[[int], Server]) -> Server:
    """One tab for each account, as by default."""
    return shared_server(1)


@pytest.fixture
def roomy(shared_server: Callable[[int], Server]) -> Server:
    """Three tabs for each account."""
    return shared_server(3)


@pytest.fixture(scope="session")
def every_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starts]:
    with Starts(copy_of_the_tree(tmp_path_factory.mktemp("starts"))) as starts:
        yield starts


@pytest.fixture
def starts(every_start: Starts) -> Iterator[Starts]:
    """Starts that end by themselves, of a copy of the product that has nothing in `instance/` yet."""
    yield every_start
    if every_start.instance.is_symlink() or every_start.instance.is_file():
        every_start.instance.unlink()
    shutil.rmtree(every_start.instance, ignore_errors=True)


@pytest.fixture
def make_server(not_quick: None, tmp_path: Path) -> Iterator[MakeServer]:
    """`make_server(ONLINE_WEB_INSTANCES="2")`: a server of the test's own, running."""
    made: list[Server] = []

    def make(**more: Any) -> Server:
        made.append(Server(tmp_path / f"server-{len(made)}", **more))
        return made[-1].start()

    yield make
    for one in made:
        one.stop()


@functools.cache
def running_playwright() -> Playwright:
    """The one that a process can have; it ends with the process."""
    running = sync_playwright().start()
    atexit.register(running.stop)
    return running


@pytest.fixture(scope="session")
def playwright(not_quick: None) -> Playwright:
    return running_playwright()


@functools.cache
def running_windows() -> Windows:
    """Of the one Chromium for all tests of a process that need none of their own."""
    return Windows(running_playwright().chromium.launch(executable_path=CHROMIUM, args=FLAGS + FRUGAL))


@pytest.fixture(scope="session")
def windows(not_quick: None) -> Windows:
    return running_windows()


@pytest.fixture
def new_window(windows: Windows) -> Iterator[NewWindow]:
    """`new_window()`: a browser whose cookies no other has.

    One with options is the test's own, as is `new_window(own=True)`: that may get listeners, routes and scripts.
    """
    made: list[BrowserContext] = []

    def make(*, own: bool = False, **options: Any) -> BrowserContext:
        if not (own or options):
            return windows.take()
        made.append(windows.make(**options))
        return made[-1]

    yield make
    for window in made:
        window.close()
    windows.take_back()


@pytest.fixture
def person(server: Server, new_window: NewWindow) -> MakePerson:
    """`person("alice")`: somebody in front of a browser of their own.

    `on` names another server, `window` another browser, `through` a proxy on the way.
    """

    def make(
        name: str, *, on: Server | None = None, window: BrowserContext | None = None, through: str | None = None
    ) -> Person:
        return Person(on or server, window or new_window(), name, through)

    return make


@pytest.fixture
def make_proxy() -> Iterator[Callable[[Server], Proxy]]:
    """A line to a server that can be made to fail."""
    made: list[Proxy] = []

    def make(server: Server) -> Proxy:
        made.append(Proxy(server.port))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()
