"""Fixtures for many processes: one Redis, a team of backends and a fleet of servers on it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.fleet import Fleet, running_fleet
from tests.support.redis_server import RedisServer
from tests.support.team import Team
from tests.tencent.conftest import account  # noqa: F401 - a fixture
from tests.web.conftest import new_window, windows  # noqa: F401 - fixtures
from tim.store import open_store
from tim.store.base import Store
from tim.timing import DETACH_GRACE


@pytest.fixture(scope="session")
def redis(not_quick: None) -> Iterator[RedisServer]:
    """The one Redis that all are on."""
    server = RedisServer().start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def team(redis: RedisServer) -> Iterator[Team]:
    """Eight processes, which allow one tab for each account."""
    made = Team(redis.url, 8)
    yield made
    made.close()


@pytest.fixture(scope="session")
def fleet(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three servers, which allow two tabs for each account."""
    with running_fleet(tmp_path_factory.mktemp("fleet"), redis, tabs=2) as servers:
        yield servers


@pytest.fixture
def store(redis: RedisServer) -> Iterator[Store]:
    """The store as one more process sees it, which looks and does no more."""
    opened = open_store(redis.url, grace=DETACH_GRACE, clock=time.time)
    yield opened
    opened.close()
