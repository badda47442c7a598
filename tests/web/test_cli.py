"""`flask tim …` as an operator types it, on the store and with the key of the server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.redis_server import RedisServer
from tests.support.server import APP, ROOT, SDK_KEY, clean_environment
from tim import usersig
from tim.model import Limits
from tim.store import open_store
from tim.version import VERSION

pytestmark = pytest.mark.usefixtures("not_quick")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `flask tim …` with a store of its own; other settings are given by name."""

    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = clean_environment() | {
            "TIM_STORE": f"sqlite:///{tmp_path / 'tim.db'}",
            "TIM_SDK_SECRET_KEY": SDK_KEY,
            "TIM_SECRET_KEY": "signs-the-cookies-of-this-test",
            **settings,
        }
        command = [sys.executable, "-m", "flask", "tim", *words]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False
        )

    return run


def test_limits_are_shown_and_saved(run: Run, tmp_path: Path) -> None:
    assert run("limits", TIM_ONLINE_WEB_INSTANCES="4").stdout.splitlines()[0] == "online-web-instances 4"
    assert run("limits", "--online-web-instances", "3", "--messages-a-minute", "50").returncode == 0
    assert run("limits", "--policy", "reject").stdout.splitlines()[-1] == "policy reject"
    with closing(open_store(f"sqlite:///{tmp_path / 'tim.db'}", grace=60, clock=time.time)) as store:
        saved = store.settings(APP)
    assert saved is not None
    assert (saved.limits, saved.policy, saved.version, saved.saved_by) == (
        Limits(online_web_instances=3, messages_a_minute=50),
        "reject",
        2,
        "flask tim",
    )


def test_limits_are_saved_on_redis_while_servers_run_and_no_node_joins(
    run: Run, make_redis: Callable[..., RedisServer]
) -> None:
    server = make_redis()
    saved = run("limits", "--online-web-instances", "2", TIM_STORE=server.url)
    assert (saved.returncode, saved.stdout.splitlines()[0]) == (0, "online-web-instances 2")
    with server.client() as client:
        assert not [key for key in client.scan_iter() if key.endswith(":nodes")]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["limits", "--online-web-instances", "11"], "a whole number from 1 to 10"),
        (["usersig", "two words"], "userID must be"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(run: Run, words: list[str], complaint: str) -> None:
    refused = run(*words)
    assert refused.returncode == 1
    assert complaint in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_store_that_a_server_has_open_is_refused_with_what_to_do(run: Run, tmp_path: Path) -> None:
    with closing(open_store(f"sqlite:///{tmp_path / 'tim.db'}", grace=60, clock=time.time)):
        refused = run("limits")
    assert refused.returncode == 1
    assert "TIM_STORE" in refused.stderr


def test_a_usersig_opens_its_account(run: Run) -> None:
    made = run("usersig", "alice", "--expire", "60").stdout.strip()
    ticket = usersig.verify(made, SDK_KEY, APP, "alice", now=time.time())
    assert ticket.expires - ticket.made == 60


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("version").stdout.strip() == VERSION
