"""The helpers of the tests on Redis work: the shown time, the cluster, the proxy with faults."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import MovedError
from redis.retry import Retry

from tests.support.actors import DAY, Clock
from tests.support.redis_line import RedisLine, end_of
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
Line = Callable[[RedisServer], RedisLine]
COUNT = "return redis.call('INCR', KEYS[1])"


def through(line: RedisLine, protocol: int = 3) -> redis.Redis:
    """A client without retries."""
    return redis.Redis.from_url(line.url, protocol=protocol, socket_timeout=0.5, retry=Retry(NoBackoff(), 0))


# The server


@pytest.mark.parametrize("now", [1_750_000_000.0, 1_750_000_000.4, 1_750_000_000.000001, 1_752_592_000.999999])
def test_the_shown_time_is_what_the_server_says_to_the_microsecond(
    server: RedisServer, clock: Clock, now: float
) -> None:
    clock.now = now
    seconds, microseconds = server.client().time()
    assert (seconds * 1_000_000 + microseconds) / 1e6 == now
    inside = server.client().eval("return redis.call('TIME')", 0)
    assert [int(part) for part in inside] == [seconds, microseconds]


def test_a_key_expires_by_the_shown_time(server: RedisServer, clock: Clock) -> None:
    client = server.client()
    client.set("key", "value", ex=30 * 86400)
    clock.advance(30 * DAY - 0.001)
    assert client.get("key") == "value"
    clock.advance(0.002)
    assert client.get("key") is None


def test_the_newest_clock_wins_and_may_be_earlier(server: RedisServer, clock: Clock) -> None:
    clock.advance(300 * DAY)
    newer = Clock()
    server.follows(newer)
    clock.advance(DAY)
    assert server.client().time() == (int(newer()), 0)


def test_an_append_only_server_keeps_what_it_acknowledged(
    make_redis: Callable[..., RedisServer],
) -> None:
    for append_only in (True, False):
        server = make_redis(append_only=append_only)
        server.client().set("key", "value")
        server.kill()
        server.start()
        assert server.client().exists("key") == append_only


def test_a_paused_server_does_not_answer(server: RedisServer, make_redis_line: Line) -> None:
    client = through(make_redis_line(server))
    client.set("key", "value")
    server.pauses()
    with pytest.raises(redis.TimeoutError):
        client.get("key")
    server.goes_on()
    assert client.get("key") == b"value"


STARTS_ONE = """
import time
from tests.support.redis_server import RedisServer
print(RedisServer().start().url, flush=True)
time.sleep(60)
"""


@pytest.mark.usefixtures("not_quick")
def test_a_server_ends_with_the_process_that_started_it_though_that_is_killed(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # as it cannot clear away what it has made
    command = [sys.executable, "-c", STARTS_ONE]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        client = redis.Redis.from_url(process.stdout.readline().strip(), retry=Retry(NoBackoff(), 0))
        assert client.ping()
        process.kill()

    def has_ended() -> bool:
        try:
            return not client.ping()
        except redis.ConnectionError:
            return True

    until(has_ended, "the redis-server should have ended")


# The cluster


def test_a_cluster_survives_any_leap_of_time(make_redis_cluster: Callable[..., RedisCluster], clock: Clock) -> None:
    cluster = make_redis_cluster(clock=clock)
    keys = [f"tim:{{{n}}}:key" for n in range(30)]
    assert {cluster.holder(key) for key in keys} == set(cluster.nodes)
    for leap in (30 * DAY, -30 * DAY, 30 * DAY):
        clock.advance(leap)
        for key in keys:
            holder, other = cluster.holder(key), cluster.nodes[cluster.nodes.index(cluster.holder(key)) - 1]
            holder.client().set(key, "value")
            with pytest.raises(MovedError) as moved:
                other.client().get(key)
            assert moved.value.port == holder.port
        assert {node.client().time() for node in cluster.nodes} == {(int(clock()), 0)}
    assert [cluster.client().get(key) for key in keys] == ["value"] * len(keys)
    cluster.restarts()
    assert cluster.client().exists(*keys) == 0


# The proxy


def test_a_request_whose_reply_is_dropped_was_executed(server: RedisServer, make_redis_line: Line) -> None:
    line = make_redis_line(server)
    client = through(line)
    line.drops_replies(2)
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            client.eval(COUNT, 1, "count")
    assert client.eval(COUNT, 1, "count") == 3
    assert line.dropped == 2


@pytest.mark.parametrize("protocol", [2, 3])
def test_hints_are_dropped_and_replies_are_not(server: RedisServer, make_redis_line: Line, protocol: int) -> None:
    line = make_redis_line(server)
    client = through(line, protocol)
    heard = client.pubsub()  # type: ignore[no-untyped-call]
    heard.ssubscribe("hints")
    assert heard.get_message(timeout=5)["type"] == "ssubscribe"
    client.spublish("hints", "first")
    assert heard.get_sharded_message(timeout=5)["data"] == b"first"
    line.drops_hints()
    client.spublish("hints", "second")
    until(lambda: line.dropped == 1, "the hint should be dropped")
    heard.ping()
    assert heard.get_message(timeout=5)["type"] == "pong"
    client.rpush("list", "smessage", "hints")
    assert client.lrange("list", 0, -1) == [b"smessage", b"hints"]
    line.passes()
    client.spublish("hints", "third")
    assert heard.get_message(timeout=5)["data"] == b"third"


def test_each_direction_may_be_late(server: RedisServer, make_redis_line: Line) -> None:
    line = make_redis_line(server)
    client = through(line)
    client.ping()
    for late in ({"requests": 0.1}, {"replies": 0.1}):
        line.delays(**late)
        began = time.monotonic()
        client.ping()
        assert time.monotonic() - began >= 0.1


def test_a_proxy_swallows_resets_and_refuses(server: RedisServer, make_redis_line: Line) -> None:
    line = make_redis_line(server)
    client = through(line)
    client.ping()
    line.refuses()
    client.ping()
    with pytest.raises(redis.ConnectionError):
        through(line).ping()
    line.passes()
    through(line).ping()
    line.swallows()
    with pytest.raises(redis.TimeoutError):
        through(line).ping()
    line.passes()
    client.ping()
    connections = line.accepted
    line.breaks()
    client.ping()
    assert line.accepted == connections + 1, "the client had to reconnect"


@pytest.mark.parametrize(
    "item",
    [
        b"+OK",
        b":1",
        b"_",
        b"$5\r\na\r\nbc",
        b"$-1",
        b"*-1",
        b"*0",
        b"*2\r\n*1\r\n:1\r\n$0\r\n",
        b"%1\r\n+a\r\n~1\r\n#t",
    ],
)
def test_an_item_ends_with_its_last_byte(item: bytes) -> None:
    item += b"\r\n"
    assert end_of(item + b"+OK\r\n", 0) == len(item)
    assert [end_of(item[:n], 0) for n in range(len(item))] == [None] * len(item)
