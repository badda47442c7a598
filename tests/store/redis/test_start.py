"""Which addresses and servers a store on Redis accepts. A refusal says why, without the password."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.redis_line import RedisLine
from tests.support.redis_server import HOST, RedisServer
from tests.support.waiting import until
from tim import Backend
from tim.errors import SettingError
from tim.store.redis.engine import RedisStore

Make = Callable[..., RedisServer]
SECRETS = ("hunter2", "hunt", "er2", "unter")


def refusal(url: str) -> str:
    with pytest.raises(SettingError) as refused:
        Backend(url)
    said = str(refused.value)
    assert said.count("TIM_STORE") == 1
    assert "\n" not in said
    assert not any(secret in said for secret in SECRETS)
    return said


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@localhost:port/0",
        "redis://:hunter2@localhost:99999/0",
        "redis://:hunter2@localhost:-1/0",
        "redis://:hunter2@[::1/0",
        "redis://:hunt/er2@localhost/0",
        "redis://:hunt#er2@localhost/0",
        "redis://:hunt?er2@localhost/0",
        "redis://:12/hunter2@127.0.0.1:1/0",
        "redis://:hunt@er2@127.0.0.1:1/0",
        f"redis://:%zzhunter2@{HOST}:1/0",
        "redis://:hunter2@127.0.0.1:1",
        "redis://:hunter2@no.such.host.invalid/0",
        "redis:/:hunter2@localhost/0",
        "redis:hunter2@localhost",
        "redis//:hunter2@localhost/0",
        " redis://:hunter2@localhost/0",
        "redi://:hunt/er2@localhost/0",
        "redi://localhost/0?password=hunter2",
        "unix:///tmp/redis.sock?password=hunter2",
        "redis://127.0.0.1:1/0?password=hunter2",
        "redis://127.0.0.1:1/0?socket_timeout=hunter2",
        "redis://127.0.0.1:1/0?decode_responses=no",
        "redis://127.0.0.1:1/0?db=1",
        "rediss://127.0.0.1:1/0?ssl_cert_reqs=no",
        "rediss://127.0.0.1:1/0?ssl_nonsense=no",
        "rediss://127.0.0.1:1/0?ssl_ca_certs=/no/such/file",
    ],
)
def test_a_malformed_or_unreachable_address_is_refused_without_its_password(url: str) -> None:
    refusal(url)


def test_the_error_for_a_malformed_address_explains_how_to_escape_a_password(make_redis: Make) -> None:
    assert "%2F" in refusal("redis://:hunt/er2@localhost/0")
    server = make_redis()
    with server.client() as admin:
        admin.config_set("requirepass", "hunt/er2@#?")
        RedisStore(f"redis://:hunt%2Fer2%40%23%3F@{HOST}:{server.port}/0", grace=60).close()
        admin.config_set("requirepass", "")


def test_a_missing_database_is_refused(make_redis: Make) -> None:
    url = make_redis().url.removesuffix("0")
    RedisStore(f"{url}15", grace=60).close()
    refusal(f"{url}16")


@pytest.mark.parametrize("name", ["zero", "0/0", "-1", "1.5"])
def test_a_database_that_is_no_number_is_refused(name: str, make_redis: Make) -> None:
    refusal(f"{make_redis().url.removesuffix('0')}{name}")


def test_a_server_that_evicts_keys_is_refused(make_redis: Make) -> None:
    server = make_redis(maxmemory_policy="allkeys-lru")
    said = f"TIM_STORE: {HOST}:{server.port} has maxmemory-policy allkeys-lru and can evict logins; "
    assert refusal(server.url) == said + "set it to noeviction"


def test_a_replica_is_refused(make_redis: Make) -> None:
    master, replica = make_redis(repl_diskless_sync_delay="0"), make_redis()
    with replica.client() as client:
        client.replicaof(HOST, master.port)
        until(lambda: client.info("replication")["master_link_status"] == "up", "it should copy its master")
    assert "use its master" in refusal(replica.url)


@pytest.mark.usefixtures("not_quick")
def test_a_sentinel_is_refused(tmp_path: Path) -> None:
    file, port = tmp_path / "sentinel.conf", free_port()
    file.write_text(f"port {port}\nbind {HOST}\ndir {tmp_path}\n")
    with subprocess.Popen(["redis-server", file, "--sentinel"], stdout=subprocess.DEVNULL) as sentinel:
        try:
            until(lambda: "Sentinel" in refusal(f"redis://{HOST}:{port}/0"), "it should answer")
        finally:
            sentinel.kill()


def test_a_cluster_that_lacks_slots_is_refused(make_redis: Make) -> None:
    refusal(make_redis(cluster_enabled="yes", cluster_port=str(free_port())).url)


def test_a_silent_server_is_refused_soon(make_redis: Make, make_redis_line: Callable[[RedisServer], RedisLine]) -> None:
    line = make_redis_line(make_redis())
    line.swallows()
    assert f"{HOST}:{line.port}" in refusal(line.url)


def test_a_server_of_another_protocol_is_refused() -> None:
    def answer() -> None:
        line, _ = door.accept()
        line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        line.close()

    with socket.create_server((HOST, 0)) as door:
        threading.Thread(target=answer, daemon=True).start()
        refusal(f"redis://{HOST}:{door.getsockname()[1]}/0")


def test_a_node_renews_on_a_full_server(make_redis: Make, make_backend: Callable[..., Backend]) -> None:
    server = make_redis()
    make_backend(server.url)
    server.client().config_set("maxmemory", "1kb")
    make_backend(server.url).renew()


def test_a_server_that_goes_away_during_a_start_is_refused_or_accepted(
    make_redis: Make, make_redis_line: Callable[[RedisServer], RedisLine]
) -> None:
    line = make_redis_line(make_redis())
    url, refused = f"redis://{HOST}:{line.port}/0", 0
    for answers in range(40):
        line.drops_replies(1000, after=answers)
        before = line.dropped
        try:
            Backend(url, secret_key="of-the-app-0123456789").close()
        except SettingError as refusal:
            assert "\n" not in str(refusal)
            refused += 1
        was_lost = line.dropped > before
        line.passes()
        if not was_lost:
            break
    assert refused > 3
    Backend(url, secret_key="of-the-app-0123456789").close()
