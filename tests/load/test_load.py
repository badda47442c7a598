"""The load client: what it does is what the server counts, and it goes nowhere that is not its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

from tests.load.__main__ import KINDS
from tests.load.amounts import Amounts
from tests.load.target import NotOwn, Target
from tests.support.documents import block, row, text
from tests.support.production import Nginx, running
from tests.support.server import ADMIN_TOKEN, ROOT, SDK_KEY, Server, clean_environment
from tests.support.waiting import until
from tests.support.wire import ask
from tests.web.test_metrics import samples
from tests.web.test_production import UNDER_A_PATH
from tim.timing import Timing

SMALL: Final = {"number": 5, "clients": 3, "accounts": 4, "seconds": 1, "pairs": 2, "window": 2, "sessions": 6}


@pytest.fixture
def server(not_quick: None, tmp_path: Path) -> Iterator[Server]:
    """One that adds its counts to those of the store each second."""
    server = Server(tmp_path / "server", timing=Timing(renewal_period=1), ONLINE_WEB_INSTANCES="2").start()
    yield server
    server.has_no_traceback()
    server.stop()


def load(*words: str, key: str = SDK_KEY, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.load", *words]
    environment = clean_environment(TIM_SDK_SECRET_KEY=key, PYTHONPATH=os.fspath(ROOT), **more)
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def allows(server: Server, messages: int) -> None:
    """From now on an instance may send so many messages a minute."""
    limit = f'{{"messagesAMinute": {messages}}}'.encode()
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    assert ask(server, "POST", "/console/api/limit", body=limit, headers=headers).status == 200


def amounts() -> list[str]:
    return [f"--{name}={amount}" for name, amount in SMALL.items()]


def test_a_kick_that_does_not_come_fails_the_load_and_ends_it(server: Server) -> None:
    """The server has room for two instances of an account."""
    done = load(server.address, "evict", "--number", "1000", "--seats", "1")
    assert done.returncode == 1
    assert "does the app allow more instances than --seats?" in done.stdout


def counted(report: str) -> dict[str, dict[str, int]]:
    """The counts of each kind of load, in a report."""
    found: dict[str, dict[str, int]] = {}
    for line in report.splitlines():
        if kind := re.fullmatch(r"(\w+) \((?:sdk|tab)\)", line):
            counts = found.setdefault(kind[1], {})
        elif number := re.fullmatch(r"  (\d+) ([a-z ]+)", line):
            counts[number[2]] = int(number[1])
    return found


@pytest.mark.parametrize(("face", "key"), [("sdk", SDK_KEY), ("tab", "")], ids=["sdk", "tab, test UserSigs"])
def test_its_counts_are_those_of_the_server(face: str, key: str, server: Server, tmp_path: Path) -> None:
    drawn = tmp_path / "load.svg"
    allows(server, 1_000_000)
    pid = str(server.pid())
    ran = load(
        server.address, f"--face={face}", "--seats=2", f"--pids={pid}", f"--picture={drawn}", *amounts(), key=key
    )
    assert ran.returncode == 0, ran.stderr
    assert "failed" not in ran.stdout
    counts = counted(ran.stdout)
    assert list(counts) == ["idle", "login", "evict", "storm", "messages"]
    for kind in ("evict", "storm"):
        assert counts[kind]["logins"] == counts[kind]["kicks"] > 0
    assert {"sessions before it": 6, "sessions that were lost": 0}.items() <= counts["idle"].items()
    assert counts["evict"]["kicks of a wrong session"] == 0
    assert counts["messages"]["messages"] > 0
    for words in ("login to ready", "of CPU of the servers a login", "KiB of the servers a session"):
        assert words in ran.stdout
    logins = sum(each.get("logins", 0) + each.get("sessions before it", 0) for each in counts.values())
    kicks = sum(each.get("kicks", 0) for each in counts.values())
    expected = {
        "tim_logins_total{result=admitted}": logins,
        "tim_ended_instances_total{event=evicted,type=multipleAccount}": kicks,
        "tim_ended_instances_total{event=logout,type=loggedOut}": logins - kicks,
    }
    until(lambda: expected.items() <= samples(server).items(), lambda: f"{expected} is not in {samples(server)}")
    server.has_no_traceback()
    titles = [text for text in ElementTree.fromstring(drawn.read_text()).itertext() if face in text]
    assert len(titles) == 9, "three of one series and a rate, three of two series and a rate"


@pytest.mark.parametrize("face", ["sdk", "tab"])
def test_it_reaches_a_server_behind_nginx_over_tls_and_under_a_path(face: str, not_quick: None, tmp_path: Path) -> None:
    server = Server(tmp_path / "server", gevent=True, TRUSTED_PROXIES="1").start()
    allows(server, 1_000_000)
    front = Nginx(tmp_path, server.port, server.port, changes=UNDER_A_PATH)
    with running(front):
        address = f"https://localhost:{front.port}/chat/"
        ran = load(
            address, "evict", "messages", f"--face={face}", *amounts(), SSL_CERT_FILE=f"{tmp_path}/certificate.pem"
        )
        refused = load(address, "login", f"--face={face}", *amounts())
    server.stop()
    assert ran.returncode == 0, ran.stderr
    assert counted(ran.stdout)["evict"] == {
        "sessions before it": 1, "logins": 5, "kicks": 5, "kicks of a wrong session": 0
    }  # fmt: skip
    assert counted(ran.stdout)["messages"]["messages"] > 0
    assert "5 failed: " in refused.stdout and "certificate" in refused.stdout, "its certificate is not trusted"


def test_the_commands_of_the_document_run(not_quick: None, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    server = Server(tmp_path / "server", gevent=True)
    environment = clean_environment(**{f"TIM_{name}": value for name, value in server.settings.items()})

    def runs(command: str) -> str:
        ran = subprocess.run(
            ["bash", "-euc", command.replace(":8000", f":{server.port}")],
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": os.fspath(ROOT), "FLASK_APP": os.fspath(ROOT / "app.py")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert "messages-a-minute 1000000" in runs(block("docs/performance.md", "sh", "tim limits"))
    server.start()
    for line in block("docs/performance.md", "sh", "tests.load").splitlines():
        # The numbers of the document would take a minute; later ones win.
        assert "failed" not in runs(f"{line} {' '.join(amounts())}")
    server.stop()
    drawn = (tmp_path / "load.svg").read_text()
    assert "storm (sdk)" in drawn


def test_each_load_is_in_the_document() -> None:
    for kind in KINDS:
        row("docs/performance.md", f"`{kind}`")
    for field in fields(Amounts):
        assert f"--{field.name}`" in text("docs/performance.md")


def test_a_message_that_is_refused_is_in_the_report(server: Server) -> None:
    allows(server, 1)
    ran = load(server.address, "messages", "--pairs=1", "--window=1", "--seconds=5")
    assert re.search(r"1 failed: a message is refused: .* in a minute: 1;", ran.stdout), ran
    assert ran.returncode == 1


def test_without_a_key_and_a_server_that_makes_usersigs_it_says_what_to_do(not_quick: None, tmp_path: Path) -> None:
    server = Server(tmp_path / "server", TEST_USERSIG="0").start()
    ran = load(server.address, "login", key="")
    server.stop()
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert "TIM_SDK_SECRET_KEY" in ran.stderr


def test_a_login_that_is_refused_is_no_result(server: Server) -> None:
    ran = load(server.address, "evict", "--number=1", key="another-key-than-that-of-the-app-42")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "the crowd cannot log in: the login is refused" in ran.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nothing"], "there is no load 'nothing'"),
        (["login", "--number=0"], "--number must be more than 0"),
        (["login", "--seats=0"], "--seats must be more than 0"),
        (["login", "--pids=1,none"], "there is no process 'none'"),
        (["login", "--picture=nowhere/load.svg"], "nowhere is no folder to write in"),
    ],
)
def test_a_command_that_cannot_be_run_is_explained(not_quick: None, words: list[str], why: str) -> None:
    ran = load("http://127.0.0.1:1", *words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert why in ran.stderr


def test_an_app_that_is_no_number_is_explained(not_quick: None) -> None:
    ran = load("http://127.0.0.1:1", "login", TIM_SDK_APP_ID="mine")
    assert (ran.returncode, ran.stderr) == (1, "load: TIM_SDK_APP_ID is 'mine', and must be the number of the app\n")


def test_interrupted_it_logs_all_out_and_reports_what_has_ended(server: Server) -> None:
    harness = [sys.executable, "-m", "tests.load", server.address, "login", "idle", "--number=1", "--sessions=4"]
    command = ["env", "--default-signal=INT", *harness]  # where these tests run in the background, it is ignored
    environment = clean_environment(TIM_SDK_SECRET_KEY=SDK_KEY, PYTHONPATH=os.fspath(ROOT))
    ran = subprocess.Popen(
        [*command, "--seconds=600"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert ran.stderr is not None
    assert any(line == "idle: 4 are open\n" for line in ran.stderr)
    ran.send_signal(signal.SIGINT)
    out, err = ran.communicate(timeout=60)
    assert ran.returncode == 130
    assert "Traceback" not in err and err.endswith("load: interrupted\n")
    assert counted(out) == {"login": {"logins": 1}}
    logouts = "tim_ended_instances_total{event=logout,type=loggedOut}"
    until(lambda: samples(server).get(logouts) == 5, lambda: f"{samples(server).get(logouts)} are logged out")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]"])
def test_it_goes_to_this_machine(host: str) -> None:
    assert Target.at(f"http://{host}:8000").origin == f"http://{host}:8000"


@pytest.mark.parametrize("host", ["192.0.2.1", "example.com", "localhost.example.com", "0.0.0.0", "[2001:db8::1]"])
def test_it_goes_nowhere_else_unless_told_that_it_may(host: str) -> None:
    with pytest.raises(NotOwn, match="--yes-this-is-mine"):
        Target.at(f"https://{host}/chat")
    target = Target.at(f"https://{host}/chat/", own=True)
    assert (target.port, target.prefix, target.netloc) == (443, "/chat", host)
    assert target.tls is not None


def test_the_command_refuses_before_it_connects(not_quick: None) -> None:
    ran = load("http://192.0.2.1", "login")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "192.0.2.1 is not this machine" in ran.stderr


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://127.0.0.1/?a=b"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be an address"):
        Target.at(url)
