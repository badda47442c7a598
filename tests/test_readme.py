"""The README is true: its bounds are the code's, its example runs, its table of settings is whole."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.readme import block
from tests.support.redis_server import RedisServer
from tests.support.server import SDK_KEY, Server, clean_environment, copy_of_the_tree
from tests.support.wire import log_in
from tim import backend, errors, hub, model, node, rules, tab
from tim.store import open_store
from tim.store.redis import connection, engine
from tim.web import identity, inbound, lobby, settings, transport
from tim.web.tencent import commands, frames

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def bound(promise: str) -> str:
    """The right-hand cell of the promise that begins with these words."""
    row = next(line for line in README.splitlines() if line.startswith(f"| {promise}"))
    return row.split("|")[2]


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        ("Instances of one account", f"1 to {rules.MAX_INSTANCES}, 1 by default"),
        ("An evicted tab is told", f"within {node.RENEWAL_PERIOD:.0f} s"),
        ("Why and by whom", f"for {rules.REMEMBERED // 86400} days"),
        ("Why and by whom", f"for {identity.NOTICE_LIFE // 60} minutes"),
        ("A closed, sleeping or unplugged tab", f"for {backend.DETACH_GRACE:.0f} s"),
        ("A tab stays logged in", f"told within {node.RENEWAL_PERIOD:.0f} s"),
        ("A tab stays logged in", f"valid for {rules.REMEMBERED // 86400} days"),
        ("A peer that says nothing", f"detached within {2 * transport.PING_PERIOD} s"),
        ("A peer that says nothing", f"`reconnecting` within {2 * transport.PING_PERIOD} s"),
        ("A message", f"up to {rules.MAX_TEXT // 1024} KiB"),
        ("A message", f"kept for {rules.REMEMBERED // 86400} days"),
        ("A message", f"newest {rules.MAX_LOG // 2**20} MiB"),
        ("A message", f"counts {rules.MESSAGE_OVERHEAD} bytes"),
        ("Messages of one instance", f"{rules.MESSAGES_A_MINUTE} in a minute"),
        ("Messages of one instance", f"with {errors.TOO_MANY_REQUESTS}"),
        ("A message sent again", f"for {rules.MINUTE} s"),
        (
            "Failed UserSigs",
            f"more than {model.Limits().failures_per_account} in a minute for one account from one address",
        ),
        ("Failed UserSigs", f"or {model.Limits().failures_per_address} from one address"),
        ("Failed UserSigs", f"any further one waits {rules.PAUSE} s"),
        ("A page of the official SDK", f"newest {tab.MISSED} messages"),
        ("A page of the official SDK", f"({commands.HELLO_INTERVAL} s)"),
        ("A frame of the official SDK", f"up to {frames.MAX_FRAME // 1024} KiB"),
        ("A frame of the official SDK", f"more than {inbound.FRAMES_PER_SECOND} a second are slowed"),
        ("A frame of the official SDK", f"over {inbound.CONTROL_BURST} pings, pongs or parts of messages at once"),
        ("A process that dies", f"after {engine.LEASE:.0f} s of silence"),
        ("A process that dies", f"for {backend.DETACH_GRACE:.0f} s more"),
        ("Redis away", f"within {connection.QUEUEING:.0f} s"),
        ("Redis away", f"within {node.RENEWAL_PERIOD:.0f} s of its return"),
        ("Redis away", f"after {connection.TIMEOUT:.0f} s"),
        ("Saved limits", f"begins {2 * backend.FRESH:.0f} s later"),
        ("Tabs in one process", f"{hub.MAX_STREAMS};"),
        ("A connection of the official SDK without", f"after {lobby.DEADLINE:.0f} s"),
        ("A connection of the official SDK without", f"more than {lobby.MOST_OF_ADDRESS} from one address"),
        ("A connection of the official SDK without", f"or {lobby.MOST} in a process"),
        ("A slow reader", f"{hub.MAILBOX} items or {hub.MAILBOX_BYTES // 1024} KiB"),
        ("A slow reader", f"nothing for {transport.STUCK:.0f} s"),
        ("A slow reader", f"{transport.SLOWEST // 1024} KiB a second"),
        ("A slow reader", f"newest {tab.MISSED} messages"),
    ],
)
def test_each_bound_of_the_table_is_the_one_in_the_code(promise: str, words: str) -> None:
    assert words in bound(promise)


def test_an_open_page_renews_its_cookie_as_often_as_the_table_says() -> None:
    hours = re.search(r"every (\d+) hours", bound("A tab stays logged in"))
    assert hours is not None
    page = (ROOT / "templates" / "tab.html").read_text(encoding="utf-8")
    assert f'hx-trigger="every {int(hours[1]) * 60}m"' in page


def test_the_page_looks_after_its_line_for_as_long_as_the_table_says() -> None:
    page = (ROOT / "templates" / "tab.html").read_text(encoding="utf-8")
    assert set(re.findall(r"delay:(\d+)s", page)) == {str(2 * transport.PING_PERIOD)}


def test_the_example_prints_what_the_readme_says() -> None:
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    output = re.search(r"It prints\n\n```text\n(.*?)```", README, re.DOTALL)
    assert example is not None
    assert output is not None
    run = subprocess.run(
        [sys.executable, "-c", example[1]], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.stdout, run.stderr) == (output[1], "")


def test_each_setting_has_a_row_and_each_row_is_a_setting() -> None:
    rows = re.findall(r"^\| `TIM_(\w+)` \|", README, re.MULTILINE)
    assert sorted(rows) == sorted(settings.KNOWN)


def test_each_file_of_the_map_exists_and_each_module_is_on_the_map() -> None:
    plan = re.search(r"## Find your way\n\n```text\n(.*?)```", README, re.DOTALL)
    assert plan is not None
    named = set(re.findall(r"\b(\w+\.py)\b", plan[1]))
    there = {path.name for path in [ROOT / "app.py", *(ROOT / "tim").rglob("*.py")]}
    assert named <= there
    assert there - named == {"__init__.py"}


def run_limits(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """README's script for the limits, beside the package in `folder`."""
    (folder / "limits.py").write_text(block("python", "save_limits"))
    return subprocess.run(
        [sys.executable, "limits.py"],
        cwd=folder,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_limits_are_saved_in_redis_beside_the_servers(
    make_redis: Callable[..., RedisServer], tmp_path: Path
) -> None:
    app = copy_of_the_tree(tmp_path)
    server = make_redis()
    store = open_store(server.url, grace=60, clock=time.time)
    run = run_limits(app.parent, TIM_STORE=server.url, TIM_SDK_SECRET_KEY=SDK_KEY)
    assert (run.returncode, run.stderr) == (0, "")
    assert store.limits(1400000000) == model.Limits(online_web_instances=3)
    store.close()
    assert not (tmp_path / "instance").exists(), "no key is made where one is set"


def test_the_limits_are_saved_in_the_default_store_while_its_server_is_stopped(tmp_path: Path) -> None:
    app = copy_of_the_tree(tmp_path / "tree")
    server = Server(tmp_path / "server", app=app, demo=True)
    try:
        server.start()
        refused = run_limits(app.parent)
        assert refused.returncode != 0
        assert refused.stderr.splitlines()[-1].endswith("stop that one, or use Redis (redis://...) for many")
        server.terminate()
        assert run_limits(app.parent).returncode == 0
        server.settings["ONLINE_WEB_INSTANCES"] = "1"  # what is saved wins over it
        server.start()
        server.settings["SDK_SECRET_KEY"] = (app.parent / "instance" / "sdk_secret_key").read_text()
        assert "1 of 3" in log_in(server, "alice").gets().body
    finally:
        server.stop()


def test_no_secret_stands_in_it() -> None:
    values = re.findall(r"_KEY=(\S+)", README) + re.findall(r"(?:requirepass|redis://:)\s*([^\s@]+)", README)
    assert len(values) >= 5
    assert [value for value in values if not value.startswith(("$(openssl", "$password"))] == []
