"""A start on a Redis that could not keep a promise does not happen: one line says why, and never the password."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.support.ports import free_port
from tests.support.proxy import Filter, Proxy
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.server import ROOT, SDK_KEY, clean_environment, gunicorn
from tests.support.waiting import PATIENCE
from tests.web.starts import Starts
from tests.web.test_settings import says_one_line_about
from tim import Backend

PASSWORD = "hunter2-hunter2"


class OlderRedis(Proxy):
    """A line to a real redis-server that says it is of version 6."""

    def _filters(self) -> tuple[Filter, Filter]:
        return bytes, lambda said: said.replace(b"redis_version:7.", b"redis_version:6.")


class TerseRedis(Proxy):
    """A line to a real redis-server whose INFO lacks a field."""

    def __init__(self, target: int, field: bytes) -> None:
        super().__init__(target)
        self._field = field

    def _filters(self) -> tuple[Filter, Filter]:
        return bytes, lambda said: said.replace(self._field + b":", b"x" * len(self._field) + b":")


def refusal(starts: Starts, url: str) -> str:
    ended = starts.start(TIM_STORE=url)
    assert ended.returncode == 4, "at which gunicorn does not try again and again"
    line = says_one_line_about("TIM_STORE", ended)
    assert PASSWORD not in line
    return line


def test_one_that_evicts_is_refused_with_what_to_set(starts: Starts, make_redis: Callable[..., RedisServer]) -> None:
    line = refusal(starts, make_redis(maxmemory_policy="allkeys-lru").url)
    assert "allkeys-lru" in line
    assert "set it to noeviction" in line


def test_so_is_a_cluster_of_which_one_server_evicts(
    starts: Starts, make_redis_cluster: Callable[..., RedisCluster]
) -> None:
    cluster = make_redis_cluster()
    cluster.nodes[2].client().config_set("maxmemory-policy", "volatile-ttl")
    assert "volatile-ttl" in refusal(starts, cluster.url)


def test_an_older_one_is_refused_with_the_version_it_takes(
    starts: Starts, make_redis: Callable[..., RedisServer]
) -> None:
    older = OlderRedis(make_redis().port)
    try:
        line = refusal(starts, f"redis://127.0.0.1:{older.port}/0")
    finally:
        older.close()
    assert "is Redis 6." in line
    assert "Redis 7 or newer, or Valkey 8 or newer, is needed" in line


@pytest.mark.parametrize("field", ["redis_mode", "role"])
def test_one_that_says_less_of_itself_is_taken(field: str, make_redis: Callable[..., RedisServer]) -> None:
    terse = TerseRedis(make_redis().port, field.encode())
    try:
        Backend(f"redis://127.0.0.1:{terse.port}/0", secret_key=SDK_KEY).close()
    finally:
        terse.close()


@pytest.mark.parametrize(
    ("field", "words"),
    [("redis_version", "is Redis unknown"), ("maxmemory_policy", "has maxmemory-policy unknown")],
)
def test_one_that_does_not_say_what_counts_is_refused(
    starts: Starts, field: str, words: str, make_redis: Callable[..., RedisServer]
) -> None:
    terse = TerseRedis(make_redis().port, field.encode())
    try:
        assert words in refusal(starts, f"redis://127.0.0.1:{terse.port}/0")
    finally:
        terse.close()


def test_one_that_is_not_there_is_refused_by_its_name(starts: Starts) -> None:
    port = free_port()
    assert f"127.0.0.1:{port}" in refusal(starts, f"redis://tim:{PASSWORD}@127.0.0.1:{port}/0")


def test_a_wrong_password_is_refused_and_not_said(starts: Starts, make_redis: Callable[..., RedisServer]) -> None:
    server = make_redis()
    with server.client() as client:
        client.config_set("requirepass", "another one")
    for credentials in (f":{PASSWORD}@", ""):
        assert str(server.port) in refusal(starts, f"redis://{credentials}127.0.0.1:{server.port}/0")


@pytest.mark.parametrize(
    "rest", ["localhost:port/0", "localhost:99999/0", "localhost/zero", "[::1/0", f":{PASSWORD}@no.such.host.invalid/0"]
)
def test_an_address_that_is_none_is_refused(starts: Starts, rest: str) -> None:
    refusal(starts, f"redis://{rest}")


def test_gunicorn_stops_at_it_too(make_redis: Callable[..., RedisServer]) -> None:
    ended = subprocess.run(
        gunicorn(ROOT / "app.py", free_port()),
        env=clean_environment(TIM_STORE=make_redis(maxmemory_policy="allkeys-lru").url, TIM_SDK_SECRET_KEY=SDK_KEY),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 4
    assert "noeviction" in ended.stderr
    assert "Traceback" not in ended.stderr
