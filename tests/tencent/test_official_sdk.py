"""What docs/official-sdk.md gives to application teams works: the page with either SDK, the REST call, CI."""

from __future__ import annotations

import http.client
import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.support.documents import block, row
from tests.support.ports import free_port
from tests.support.sdk_site import NEW, NODE_MODULES, OLD, SDK
from tests.support.server import Server, clean_environment, copy_of_the_tree
from tests.support.waiting import PATIENCE, until
from tests.support.wire import log_in, post_login
from tests.tencent.conftest import Account
from tests.web.conftest import NewWindow

DOCUMENT: Final = "docs/official-sdk.md"
PAGE: Final = block(DOCUMENT, "html")
SERVE: Final = block(DOCUMENT, "sh", "http.server")
CI: Final = block(DOCUMENT, "sh", "The tests go here")


def page_for(sdk: SDK, port: int) -> str:
    page = PAGE.replace("ws://127.0.0.1:5000", f"ws://127.0.0.1:{port}")
    return page.replace(f"node_modules/{OLD.file}", f"node_modules/{sdk.file}").replace("TIM.", f"{sdk.name}.")


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """Runs the web server of the document in this folder; its port."""
    port = free_port()
    words = shlex.split(SERVE.replace("8000", str(port)))
    process = subprocess.Popen([sys.executable, *words[1:]], cwd=folder, stderr=subprocess.DEVNULL)
    try:
        until(lambda: takes_connections("127.0.0.1", port), "it does not serve")
        yield port
    finally:
        process.kill()
        process.wait()


def takes_connections(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port)):
        return True
    return False


@pytest.mark.parametrize("sdk", [OLD, NEW], ids=str)
def test_its_page_is_ready_and_then_kicked_out(
    sdk: SDK, server: Server, new_window: NewWindow, account: Account, tmp_path: Path
) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "page.html").write_text(page_for(sdk, server.port), encoding="utf-8")
    (tmp_path / "page" / "node_modules").symlink_to(NODE_MODULES)
    user = account("reader")
    with served(tmp_path) as port:
        address = f"http://127.0.0.1:{port}/page.html#{user}/{server.user_sig(user)}"
        first, second = new_window().new_page(), new_window().new_page()
        first.goto(address)
        expect(first.locator("body")).to_contain_text("ready", timeout=20_000)
        second.goto(address)
        expect(first.locator("body")).to_contain_text("kicked out: multipleAccount", timeout=20_000)
        expect(second.locator("body")).to_contain_text("ready", timeout=20_000)


def test_its_page_has_ten_lines() -> None:
    assert len(PAGE.splitlines()) <= 12


def test_its_web_server_gives_nothing_beside_the_page_to_anybody(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / "sdk_secret_key").write_text("hunter2")
    with served(tmp_path) as port:
        for path in ("/", "/instance/sdk_secret_key", "/../instance/sdk_secret_key", "/%2e%2e/instance/sdk_secret_key"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            connection.request("GET", path)
            body = connection.getresponse().read()
            assert b"hunter2" not in body, path
            assert b"instance" not in body or path == "/instance/sdk_secret_key", path
            connection.close()
        assert not takes_connections("127.0.0.2", port), "it listens on 127.0.0.1 alone"


def test_it_installs_the_version_under_test(not_quick: None) -> None:
    package = json.loads((NODE_MODULES / "tim-js-sdk" / "package.json").read_text())
    assert f"tim-js-sdk@{package['version']}" in block(DOCUMENT, "sh", "npm install").split()


@pytest.fixture
def started(not_quick: None, tmp_path: Path) -> Iterator[Server]:
    """A server that was started by `flask run` and made its own key."""
    app = copy_of_the_tree(tmp_path / "tree")
    (app.parent / ".venv").symlink_to(sys.prefix)
    server = Server(app.parent, app=app, demo=True)
    try:
        server.start()
        server.settings["SDK_SECRET_KEY"] = (app.parent / "instance" / "sdk_secret_key").read_text()
        yield server
    finally:
        server.stop()


def typed(server: Server, command: str) -> str:
    """What a command prints that is typed in the folder of this server."""
    command = command.replace("127.0.0.1:5000", f"127.0.0.1:{server.port}")
    run = subprocess.run(
        ["sh", "-c", command], cwd=server.home, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_it_prints_an_address_whose_usersig_logs_in(started: Server) -> None:
    address = typed(started, block(DOCUMENT, "sh", "flask tim usersig alice"))
    user, _, sig = address.strip().partition("#")[2].partition("/")
    assert user == "alice"
    assert post_login(started, user, sig).location.startswith("/im/")


def test_its_call_of_the_rest_api_kicks(started: Server) -> None:
    tab = log_in(started, "alice")
    reply = json.loads(typed(started, block(DOCUMENT, "sh", "SIG=$(.venv")))
    assert (reply["ActionStatus"], reply["ErrorCode"]) == ("OK", 0)
    assert tab.gets().location.startswith("/login")


class Script:
    """The script for CI, in a folder with the product; it stops where the tests go, and then runs what it is told.

    Attributes:
        port: of its server.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        copy_of_the_tree(folder)
        (folder / ".venv").symlink_to(sys.prefix)
        self.port = free_port()
        script = CI.replace("127.0.0.1:5000", f"127.0.0.1:{self.port}")
        script = script.replace("flask run", f"flask run --port {self.port}")
        # A line of its input is a command; behind its output stands a line with its exit status.
        loop = "while read -r line; do eval \"$line\"; printf '\\nstatus %s\\n' $?; done"
        with open(folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                ["timeout", "180", "sh", "-c", script + "echo status 0\n" + loop],
                cwd=folder,
                env=clean_environment(**environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._log = folder / "log"

    def says(self) -> str:
        """What it prints until the command it runs has ended, which must go well."""
        output = self._process.stdout
        assert output is not None
        lines: list[str] = []
        for line in output:
            if line.startswith("status "):
                assert line == "status 0\n", self._log.read_text()
                return "".join(lines).strip()
            if not line.startswith(" * "):  # which Flask says of itself
                lines.append(line)
        raise AssertionError(f"the script has ended:\n{self._log.read_text()}")

    def runs(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self.says()

    def ends(self) -> int:
        """Ends its input, and waits for it; its exit status."""
        self._process.communicate(timeout=PATIENCE)
        return self._process.returncode


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[..., Script]]:
    made: list[Script] = []

    def make(**environment: str) -> Script:
        made.append(Script(tmp_path / f"ci-{len(made)}", **environment))
        assert made[-1].says() == ""
        return made[-1]

    yield make
    for each in made:
        assert each.ends() == 0
        assert not takes_connections("127.0.0.1", each.port), "it has left its server running"


def command_for(kick: str) -> str:
    """The command in the table of types."""
    return row(DOCUMENT, f"`{kick}`")[-1].strip("`")


def test_each_type_of_kick_comes_of_its_command(
    script: Callable[..., Script], new_window: NewWindow, tmp_path: Path
) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "node_modules").symlink_to(NODE_MODULES)
    window = new_window()
    ci, roomy = script(), script(TIM_ONLINE_WEB_INSTANCES="2")
    with served(tmp_path) as port:

        def page(on: Script, sig: str) -> Page:
            (tmp_path / "page" / f"{on.port}.html").write_text(page_for(OLD, on.port), encoding="utf-8")
            made = window.new_page()
            made.goto(f"http://127.0.0.1:{port}/{on.port}.html#alice/{on.runs(sig)}")
            expect(made.locator("body")).to_contain_text("ready", timeout=20_000)
            return made

        for kick, on in (("multipleAccount", ci), ("multipleDevice", roomy), ("REST_API_Kick", ci)):
            kicked = page(on, "sig alice")
            on.runs(command_for(kick))
            expect(kicked.locator("body")).to_contain_text(f"kicked out: {kick}", timeout=20_000)
        waits = page(ci, command_for("userSigExpired"))
        expect(waits.locator("body")).to_contain_text("kicked out: userSigExpired", timeout=30_000)


@pytest.mark.usefixtures("not_quick")
def test_a_server_that_does_not_start_ends_the_script(tmp_path: Path) -> None:
    assert Script(tmp_path, TIM_ONLINE_WEB_INSTANCES="none").ends() == 1


@pytest.mark.usefixtures("not_quick")
def test_a_port_that_is_taken_ends_the_script(server: Server, tmp_path: Path) -> None:
    script = CI.replace("127.0.0.1:5000", f"127.0.0.1:{server.port}")
    ended = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, f"http://127.0.0.1:{server.port} is taken\n")
