"""Fixtures for faults: gunicorns on a Redis, and tabs that come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Person
from tests.support.gunicorn import Gunicorn
from tests.support.livetab import LiveTab
from tests.support.redis_server import RedisServer
from tests.support.server import Server
from tests.support.site import Site
from tests.support.wire import Door, ScriptTab, log_in
from tests.web.conftest import NewWindow, new_window, windows  # noqa: F401 - fixtures

MakeGunicorn = Callable[..., Gunicorn]
Opens = Callable[[Door, str | ScriptTab], LiveTab]
Browses = Callable[[Server, str], Person]


@pytest.fixture
def redis(make_redis: Callable[..., RedisServer]) -> RedisServer:
    """One that keeps what it has acknowledged."""
    return make_redis(append_only=True)


@pytest.fixture
def make_gunicorn(tmp_path: Path) -> Iterator[MakeGunicorn]:
    """`make_gunicorn(redis.port, workers=2)`: a gunicorn of the test's own, running."""
    made: list[Gunicorn] = []

    def make(redis_port: int, **more: Any) -> Gunicorn:
        made.append(Gunicorn(tmp_path / f"gunicorn-{len(made)}", redis_port, **more))
        return made[-1].start()

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="module")
def site(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two gunicorns with a place for one tab of each account, for all tests of a module: each test heals it."""
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.closes()


@pytest.fixture
def opens() -> Iterator[Opens]:
    """`opens(server, "alice")`: a tab that comes back when its line is cut, and is ready.

    In place of a UserID it takes a tab that has logged in already; whether that gets ready is up to the test.
    """
    made: list[LiveTab] = []

    def open_tab(server: Door, who: str | ScriptTab) -> LiveTab:
        made.append(LiveTab(log_in(server, who) if isinstance(who, str) else who))
        if isinstance(who, str):
            made[-1].is_ready()
        return made[-1]

    yield open_tab
    for tab in made:
        tab.leaves()


@pytest.fixture
def browses(new_window: NewWindow) -> Browses:  # noqa: F811
    """`browses(server, "alice")`: somebody in front of a real browser."""

    def make(server: Server, name: str) -> Person:
        return Person(server, new_window(), name)

    return make
