"""Limits that one process has saved hold in all others a second later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.fleet import Fleet, running_fleet, tries
from tests.support.redis_server import RedisServer
from tests.support.server import APP, SDK_KEY
from tests.support.wire import log_in
from tim import Backend
from tim.model import Limits

Account = Callable[[str], str]
Save = Callable[[Limits], None]


@pytest.fixture(scope="module")
def redis(not_quick: None) -> Iterator[RedisServer]:
    """A Redis on which nobody else goes by what is saved here."""
    server = RedisServer().start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def fleet(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running_fleet(tmp_path_factory.mktemp("limited"), redis, tabs=2) as servers:
        yield servers


@pytest.fixture
def save(redis: RedisServer) -> Iterator[Save]:
    """Save limits in one more process, and let the second pass after which they hold."""
    operator = Backend(redis.url, sdk_app_id=APP, secret_key=SDK_KEY)

    def save(limits: Limits) -> None:
        operator.save_limits(limits)
        time.sleep(1)

    yield save
    operator.close()


def test_a_number_of_tabs_that_one_process_saved_holds_at_all_a_second_later(
    fleet: Fleet, account: Account, save: Save
) -> None:
    a, b, c = fleet
    alice = account("alice")
    save(Limits(online_web_instances=3))
    tabs = [log_in(server, alice) for server in fleet]
    streams = [tab.at(b).goes_online() for tab in tabs]
    for server in fleet:
        assert set(tabs[0].at(server).instances()) == {tab.instance for tab in tabs}
        assert "3 of 3" in tabs[0].at(server).gets().body
    # Fewer: nobody has to leave before the next login; then as many as are too many, at once.
    save(Limits(online_web_instances=1))
    for stream in streams:
        stream.hears("3 of 1")
        assert stream.code is None
    assert "3 of 1" in tabs[0].at(a).gets().body
    assert tabs[1].at(c).instances() == {tab.instance: "online" for tab in tabs}
    newest = log_in(c, alice)
    assert [stream.is_closed() for stream in streams] == [4001] * 3
    assert list(newest.at(a).instances()) == [newest.instance]
    newer = log_in(b, alice)
    assert list(newer.at(a).instances()) == [newer.instance]


def test_a_number_of_failures_that_one_process_saved_holds_at_all_a_second_later(
    fleet: Fleet, account: Account, save: Save
) -> None:
    save(Limits(online_web_instances=2, failures_per_account=2, failures_per_address=5))
    for n, server in enumerate(fleet):
        alice = account("alice")
        tried = [tries(server, alice, f"198.51.100.{n}").status for _ in range(3)]
        assert tried == [401, 401, 429], "two of one account, at each server"
    for n, server in enumerate(fleet):
        tried = [tries(server, account("bob"), f"192.0.2.{100 + n}").status for _ in range(6)]
        assert tried == [401] * 5 + [429], "five from one address, at each server"
