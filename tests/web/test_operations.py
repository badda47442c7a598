"""What docs/operating.md tells operators to type or put into files works: unit, settings, limits, Redis."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from redis import Redis

from tests.support.actors import APP, newcomer
from tests.support.documents import ROOT, block, text
from tests.support.ports import free_port
from tests.support.production import (
    OPERATING,
    UNIT,
    Alone,
    Machine,
    changed,
    environment_made,
    files_made,
    running,
    setting,
)
from tests.support.redis_server import RedisServer
from tests.support.server import Server, clean_environment, copy_of_the_tree
from tests.support.waiting import until
from tests.support.wire import get, log_in
from tim.ends import LOGGED_OUT, Gone
from tim.errors import SettingError, StoreUnavailable
from tim.hub import MAX_STREAMS
from tim.model import Limits
from tim.store.redis.engine import RedisStore
from tim.web import settings

pytestmark = pytest.mark.usefixtures("not_quick")

EXPIRES = 2e9
HALF_A_LOGIN = (
    b"POST /login HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nuserID="
)


def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "tim.service"
    here = {"/opt/tim/.venv/bin/gunicorn": shutil.which("gunicorn") or "", "/opt/tim": str(ROOT)}
    unit.write_text(changed(UNIT, here))
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    about_it = [line for line in checked.stderr.splitlines() if "tim.service" in line or str(unit) in line]
    assert (checked.returncode, about_it) == (0, [])


def _written_in(folder: Path) -> set[str]:
    """What lies there, but for what Python keeps of what it has read: it does without where it may not write."""
    return {path.name for path in folder.iterdir()} - {"__pycache__"}


def test_the_unit_starts_tells_systemd_serves_and_stops(
    tmp_path: Path, make_redis: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        machine = Machine(tmp_path / "opt", make_redis().url)
        lying_there = _written_in(machine.home)
        try:
            machine.start()
            assert b"READY=1" in systemd.recv(4096)
            until(lambda: len(machine.workers()) == 4, "it has not as many workers as its unit says")
            stream = log_in(machine, "alice").goes_online()
            assert get(machine, "/readyz").body == "ok\n"
            # As DynamicUser may write nothing there.
            assert _written_in(machine.home) == lying_there | {"server.log"}
            assert setting(UNIT, "Type") == "notify"
            assert setting(UNIT, "KillMode") == "mixed", "systemd stops the one process that was started"
            with socket.create_connection(("127.0.0.1", machine.port)) as slow:
                slow.sendall(HALF_A_LOGIN)
                began = time.monotonic()
                assert machine.terminate() == 0
                assert time.monotonic() - began < float(setting(UNIT, "TimeoutStopSec")), "systemd would kill it"
            assert stream.is_closed() == 1012
            machine.has_no_traceback()
        finally:
            machine.stop()


def test_the_unit_comes_back_by_itself_when_redis_does(tmp_path: Path, make_redis: Callable[..., RedisServer]) -> None:
    assert (setting(UNIT, "Restart"), setting(UNIT, "StartLimitIntervalSec")) == ("always", "0")
    redis = make_redis()
    machine = Machine(tmp_path / "opt", redis.url, workers=1)
    redis.kill()
    with pytest.raises(AssertionError, match="the server did not start"):
        machine.start()
    assert f"TIM_STORE: the Redis at {redis.url.split('/')[2]} cannot be used" in machine.log()
    redis.start()
    try:
        assert get(machine.start(), "/readyz").status == 200
    finally:
        machine.stop()


def test_a_worker_has_room_for_all_its_tabs_and_more() -> None:
    words = setting(UNIT, "ExecStart").split()
    room = int(words[words.index("--worker-connections") + 1])
    assert room > MAX_STREAMS
    assert int(setting(UNIT, "LimitNOFILE")) > room
    assert f"takes {MAX_STREAMS} tabs" in text(OPERATING)


@pytest.mark.usefixtures("not_quick")
def test_each_setting_of_the_file_is_one_and_opens_a_server(tmp_path: Path) -> None:
    made = environment_made()
    assert set(made) <= settings.KNOWN
    assert settings.read_settings({**made}, tmp_path).trusted_proxies == 1  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir()), "no key is made where each machine has the same ones"


@pytest.mark.usefixtures("not_quick")
def test_each_time_it_makes_other_secrets() -> None:
    before = environment_made()
    files_made.cache_clear()
    after = environment_made()
    for name in ("STORE", "SDK_SECRET_KEY", "SECRET_KEY"):
        assert before[name] != after[name]
    assert len({after["SDK_SECRET_KEY"], after["SECRET_KEY"]}) == 2


@pytest.mark.usefixtures("not_quick")
def test_redis_takes_its_file_and_opens_for_the_password_of_the_other_file_alone(tmp_path: Path) -> None:
    port, other = free_port(), "127.0.0.2"  # stands for the address by which the machines reach it
    (tmp_path / "redis.conf").write_text("bind 127.0.0.1 -::1\nport 6379\n" + files_made()["tim-redis.conf"])
    changes = {"10.0.0.5": other, "port 6379": f"port {port}"}
    (tmp_path / "redis.conf").write_text(changed((tmp_path / "redis.conf").read_text(), changes))
    url = changed(environment_made()["STORE"], {"10.0.0.5:6379": f"{other}:{port}"})
    process = subprocess.Popen(["redis-server", "redis.conf"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        until(lambda: process.poll() is not None or _takes_connections(other, port), "redis-server does not answer")
        RedisStore(url, grace=60).close()
        with pytest.raises(SettingError, match="Authentication required"):
            RedisStore(f"redis://{other}:{port}/0", grace=60)
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("not_quick")
def test_a_backup_is_put_back_as_it_says(tmp_path: Path) -> None:
    port = free_port()

    @contextmanager
    def redis(append_only: str) -> Iterator[Redis]:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--appendonly", append_only]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
        try:
            until(lambda: _takes_connections("127.0.0.1", port), "redis-server does not answer")
            yield Redis(port=port, decode_responses=True)
        finally:
            process.terminate()
            process.wait()

    with redis("yes") as client:
        client.set("before", 1)
        backup = ["redis-cli", "-p", str(port), "--rdb", str(tmp_path / "backup.rdb")]
        subprocess.run(backup, check=True, capture_output=True)
        client.set("after", 1)
    shutil.rmtree(tmp_path / "appendonlydir")
    (tmp_path / "backup.rdb").rename(tmp_path / "dump.rdb")
    with redis("no") as client:
        assert client.keys() == ["before"]
        client.config_set("appendonly", "yes")
        until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "it does not write its file")
    with redis("yes") as client:
        assert client.keys() == ["before"]


def _takes_connections(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port)):
        return True
    return False


@pytest.fixture
def configured(tmp_path: Path) -> dict[str, str]:
    """The lines for what a Redis keeps, as the tests give them to one."""
    lines = dict(line.replace("-", "_").split(" ", 1) for line in files_made()["tim-redis.conf"].splitlines())
    return {name: value for name, value in lines.items() if name not in ("bind", "requirepass")}


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_a_redis_takes_its_lines_and_keeps_all_over_a_kill(
    fsync: str, configured: dict[str, str], make_redis: Callable[..., RedisServer]
) -> None:
    assert configured["appendfsync"] in ("everysec", "always")
    assert f"`appendfsync {fsync}`" in text(OPERATING)
    server = make_redis(**configured | {"appendfsync": fsync})
    with server.client() as client:
        for name, value in configured.items():
            if name not in ("maxmemory", "appendfsync"):
                assert client.config_get(name.replace("_", "-")) == {name.replace("_", "-"): value}
        assert client.config_get("maxmemory") == {"maxmemory": str(12 * 2**30)}
    store = RedisStore(server.url, grace=60)
    users = [f"user-{n}" for n in range(100)]
    for user in users:
        store.admit(newcomer(user, expires=EXPIRES), 1)
        server_knows = store.accounts(APP, [user])
        assert server_knows == {user}
    server.kill()
    server.start()
    assert store.accounts(APP, users) == set(users)
    assert all(len(store.instances(APP, user)) == 1 for user in users)
    store.close()


def test_a_redis_that_is_full_refuses_what_comes_and_loses_nothing(
    configured: dict[str, str], make_redis: Callable[..., RedisServer]
) -> None:
    server = make_redis(**configured)
    store = RedisStore(server.url, grace=60)
    store.join("node")
    alice, _ = store.admit(newcomer("alice", expires=EXPIRES), 2)
    open_tab = store.attach(alice.id, "node", 2).instance
    waiting, _ = store.admit(newcomer("alice", expires=EXPIRES), 2)
    with server.client() as client:
        client.config_set("maxmemory", 1)
    for refused in (
        lambda: store.admit(newcomer("bob", expires=EXPIRES), 1),
        lambda: store.append(APP, open_tab.id, "alice", "no room", "an-id"),
        lambda: store.attach(waiting.id, "node", 2),
    ):
        with pytest.raises(StoreUnavailable):
            refused()
    assert store.renew("node") == []
    assert [each.id for each in store.instances(APP, "alice")] == [alice.id, waiting.id]
    assert store.remove(waiting.id, Gone(LOGGED_OUT, 0)) is not None
    assert [each.id for each in store.kick_account(APP, "alice")[1]] == [alice.id]
    assert store.detach(open_tab.id, open_tab.stream) is False
    store.close()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The code with its packages, as each machine has it."""
    home = copy_of_the_tree(tmp_path / "opt").parent
    (home / ".venv").symlink_to(sys.prefix)
    return home


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Types a command in this folder."""
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False
    )


def test_one_process_serves_the_default_store(tmp_path: Path) -> None:
    with running(Alone(tmp_path / "opt")) as alone:
        assert get(alone, "/readyz").body == "ok\n"
        assert (alone.home / "instance" / "tim.db").exists()
        assert alone.terminate() == 0


def test_limits_are_saved_in_redis_beside_the_servers(installed: Path, make_redis: Callable[..., RedisServer]) -> None:
    server = make_redis()
    settings_made = changed(files_made()["tim.env"], {environment_made()["STORE"]: server.url})
    (installed / "tim.env").write_text(settings_made)
    saved = run(installed, changed(block(OPERATING, "sh", "set -a"), {"/etc/tim.env": "./tim.env"}))
    assert (saved.returncode, saved.stderr) == (0, "")
    store = RedisStore(server.url, grace=60)
    saved_settings = store.settings(APP)
    assert saved_settings is not None
    assert saved_settings.limits == Limits(online_web_instances=3)
    store.close()
    assert not (installed / "instance").exists(), "no key is made where one is set"


@pytest.mark.usefixtures("not_quick")
def test_limits_are_saved_while_the_server_is_stopped(installed: Path, tmp_path: Path) -> None:
    command = block(OPERATING, "sh", "--failures-per-account")
    server = Server(tmp_path / "server", app=installed / "app.py", demo=True)
    with running(server):
        refused = run(installed, command)
        assert refused.returncode != 0
        assert "stop that one" in refused.stderr
        server.terminate()
        assert run(installed, command).returncode == 0
        server.settings["ONLINE_WEB_INSTANCES"] = "1"  # what is saved wins over it
        server.start()
        server.settings["SDK_SECRET_KEY"] = (installed / "instance" / "sdk_secret_key").read_text()
        assert "1 of 3" in log_in(server, "alice").gets().body
