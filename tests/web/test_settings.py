"""A start that cannot go well does not happen: one line says which setting it is and what to do."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.server import (
    ADMIN_TOKEN,
    ROOT,
    SDK_KEY,
    SECRET_KEY,
    Server,
    clean_environment,
    copy_of_the_tree,
    flask,
    gunicorn,
)
from tests.support.waiting import PATIENCE
from tests.support.wire import get, instances_in, log_in, post
from tests.web.conftest import MakeServer
from tests.web.starts import Starts
from tim.ends import CLOSE_RESTART

pytestmark = pytest.mark.usefixtures("not_quick")

BAD: list[tuple[str, str]] = [
    ("TIM_ONLINE_WEB_INSTANCES", "0"),
    ("TIM_ONLINE_WEB_INSTANCES", "11"),
    ("TIM_ONLINE_WEB_INSTANCES", "-1"),
    ("TIM_ONLINE_WEB_INSTANCES", "two"),
    ("TIM_ONLINE_WEB_INSTANCES", "2.5"),
    ("TIM_ONLINE_WEB_INSTANCES", ""),
    ("TIM_ONLINE_WEB_INSTANCES", "²"),
    ("TIM_ONLINE_WEB_INSTANCES", "1" * 5000),
    ("TIM_SDK_APP_ID", "0"),
    ("TIM_SDK_APP_ID", "my-app"),
    ("TIM_SDK_APP_ID", str(2**32)),
    ("TIM_SDK_SECRET_KEY", ""),
    ("TIM_SDK_SECRET_KEY", "short"),
    ("TIM_SECRET_KEY", ""),
    ("TIM_SECRET_KEY", "short"),
    ("TIM_SECRET_KEY_FALLBACKS", "not a list"),
    ("TIM_SECRET_KEY_FALLBACKS", '{"a": 1}'),
    ("TIM_SECRET_KEY_FALLBACKS", '["short"]'),
    ("TIM_SECRET_KEY_FALLBACKS", "[1]"),
    ("TIM_DETACH_GRACE", "0"),
    ("TIM_DETACH_GRACE", "-1"),
    ("TIM_DETACH_GRACE", "nan"),
    ("TIM_DETACH_GRACE", "inf"),
    ("TIM_DETACH_GRACE", "a minute"),
    ("TIM_DETACH_GRACE", "1e9"),
    ("TIM_AUDIT_DAYS", "0"),
    ("TIM_AUDIT_DAYS", "for ever"),
    ("TIM_TEST_USERSIG", "maybe"),
    ("TIM_TEST_USERSIG", ""),
    ("TIM_TRUSTED_PROXIES", "-1"),
    ("TIM_TRUSTED_PROXIES", "all"),
    ("TIM_SDK_SECRET_KEY", " " * 20),
    ("TIM_SDK_SECRET_KEY", "x" * 64),
    ("TIM_SECRET_KEY", "xxxxyyyy" * 8),
    ("TIM_SDK_SECRET_KEY", "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"),
    ("TIM_SDK_SECRET_KEY", "a-key-for-tests-only-0123456789"),
    ("TIM_SDK_SECRET_KEY", "the-key-of-the-app-that-signs-usersigs"),
    ("TIM_SECRET_KEY", "a-secret-that-signs-cookies"),
    ("TIM_SECRET_KEY_FALLBACKS", '["a-secret-that-signs-cookies"]'),
    ("TIM_SECRET_KEY_FALLBACKS", '["\\ud800 and sixteen characters"]'),
    ("TIM_SECRET_KEY", "\udcff and sixteen characters"),
    ("TIM_STORE", "sqlite:////tmp/\udcff/tim.db"),
    ("TIM_ONLINE_WEB_INSTANCES", "٣"),
    ("TIM_HOSTS", ""),
    ("TIM_HOSTS", "http://im.example.com"),
    ("TIM_HOSTS", "im.example.com:443"),
    ("TIM_HOSTS", "im.example.com, *"),
    ("TIM_ADMIN_TOKEN", ""),
    ("TIM_ADMIN_TOKEN", "short"),
    ("TIM_ADMIN_TOKEN", "a token with blanks in it"),
    ("TIM_ADMIN_TOKEN", "ein-Schlüssel-mit-Umlaut"),
    ("TIM_ADMIN_TOKEN", "a-secret-that-signs-cookies"),
    ("TIM_VIEWER_TOKEN", "x" * 64),
    ("TIM_WEBHOOK_URL", "ftp://example.com"),
    ("TIM_WEBHOOK_URL", ""),
    ("TIM_WEBHOOK_ALLOW_LOCAL", "perhaps"),
    ("TIM_STORE__FILE", "x"),
    ("TIM_LOG", "xml"),
    ("TIM_LOG", ""),
    ("TIM_STORE", "sqlite:///:memory:"),
    ("TIM_STORE", ""),
    ("TIM_STORE", "tim.db"),
    ("TIM_STORE", "sqlite:tim.db"),
    ("TIM_STORE", "postgresql://localhost/tim"),
    ("TIM_STORE", "redis://localhost:6379/0"),
    ("TIM_STORE", "sqlite:////proc/nowhere/tim.db"),
    ("TIM_STORE", "sqlite:////dev/null/tim.db"),
    ("TIM_STORE", "sqlite:////usr"),
]


def start(app: Path, *before: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`flask run` that is expected to end by itself; `before` is the command that it is run by."""
    return subprocess.run(
        [*before, *flask(app, "run", "--port", str(free_port()))],
        cwd=app.parent,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def says_one_line_about(name: str, ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode != 0
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    assert name in lines[0]
    assert len(lines[0]) < 1000
    assert re.search(r"\b(must|needed|use|stop|cannot|choose|set|made by|delete)\b", lines[0]), lines[0]
    return lines[0]


@pytest.mark.parametrize(("name", "value"), BAD, ids=lambda text: ascii(text[:40]).replace("/", ":"))
def test_a_bad_value_stops_the_start_with_one_line(name: str, value: str, starts: Starts) -> None:
    says_one_line_about(name, starts.start(**{name: value}))


def test_an_app_of_ones_own_needs_its_key(starts: Starts) -> None:
    says_one_line_about("TIM_SDK_SECRET_KEY", starts.start(TIM_SDK_APP_ID="1400000001"))


def test_the_tokens_of_the_console_must_differ(starts: Starts) -> None:
    same = "one-token-for-both-of-them"
    line = says_one_line_about("TIM_VIEWER_TOKEN", starts.start(TIM_ADMIN_TOKEN=same, TIM_VIEWER_TOKEN=same))
    assert same not in line


def test_a_refused_start_does_not_say_the_secret(starts: Starts) -> None:
    for name in ("TIM_SDK_SECRET_KEY", "TIM_SECRET_KEY", "TIM_ADMIN_TOKEN", "TIM_VIEWER_TOKEN"):
        assert "hunter2" not in says_one_line_about(name, starts.start(**{name: "hunter2"}))
    line = says_one_line_about("TIM_SECRET_KEY_FALLBACKS", starts.start(TIM_SECRET_KEY_FALLBACKS='["hunter2"]'))
    assert "hunter2" not in line


def test_a_file_that_is_no_store_is_not_touched(starts: Starts, tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text(
        "Dear Alice, this is no database, and it is longer than a hundred bytes, so that it is looked at.\n" * 5
    )
    before = file.read_text()
    says_one_line_about("TIM_STORE", starts.start(TIM_STORE=f"sqlite:///{file}"))
    assert file.read_text() == before


def _is_empty(file: Path) -> None:
    file.touch(0o600)


def _is_for_everybody(file: Path) -> None:
    file.write_text("0123456789abcdef" * 4)
    file.chmod(0o644)


def _is_a_folder(file: Path) -> None:
    file.mkdir()


def _is_no_text(file: Path) -> None:
    file.touch(0o600)
    file.write_bytes(b"\xff" * 40)


def _is_in_a_file(file: Path) -> None:
    file.parent.rmdir()
    file.parent.write_text("a file in place of the folder")


def _is_nowhere(file: Path) -> None:
    file.parent.rmdir()
    file.parent.symlink_to("/proc/self/nowhere")


@pytest.mark.parametrize("name", ["sdk_secret_key", "secret_key"])
@pytest.mark.parametrize("state", [_is_empty, _is_for_everybody, _is_a_folder, _is_no_text, _is_in_a_file, _is_nowhere])
def test_a_key_file_that_cannot_be_used_stops_the_start(
    state: Callable[[Path], None], name: str, starts: Starts
) -> None:
    file = starts.instance / name
    file.parent.mkdir()
    state(file)
    others = {"TIM_SECRET_KEY": SECRET_KEY} if name == "sdk_secret_key" else {"TIM_SDK_SECRET_KEY": SDK_KEY}
    ended = starts.start(**others, TIM_STORE="sqlite://")
    assert ended.returncode == 4
    says_one_line_about(str(file), ended)


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize("keys", [{}, {"TIM_SDK_SECRET_KEY": SDK_KEY, "TIM_SECRET_KEY": SECRET_KEY}], ids=["", "keys"])
def test_a_disk_without_room_stops_the_start_and_leaves_nothing(keys: dict[str, str], tmp_path: Path) -> None:
    app = copy_of_the_tree(tmp_path / "tree")
    ended = start(app, "sh", "-c", 'ulimit -f 0; exec "$@"', "sh", **keys)
    assert ended.returncode == 4
    says_one_line_about("TIM_STORE" if keys else "TIM_SDK_SECRET_KEY", ended)
    assert not list((app.parent / "instance").iterdir())


def test_an_older_python_is_told_so_in_one_line() -> None:
    words = "import sys; sys.version, sys.version_info = '3.10.13 (main)', (3, 10, 13); import app"
    ended = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (4, "tim: Python 3.11 or newer is needed, and this is 3.10.13\n")


def test_a_second_process_on_the_same_file_is_refused_and_the_first_goes_on(make_server: MakeServer) -> None:
    server = make_server()
    tab = log_in(server, "undisturbed")
    stream = tab.goes_online()
    settings = {f"TIM_{name}": value for name, value in server.settings.items()}
    line = says_one_line_about("TIM_STORE", start(ROOT / "app.py", **settings))
    assert "Redis" in line
    assert str(server.pid()) in line
    stream.hears_nothing(0.3)
    assert tab.instances() == {tab.instance: "online"}
    server.terminate()
    assert stream.is_closed() == CLOSE_RESTART
    server.start()


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize("options", [["-w", "2"], ["--preload"]], ids=["two workers", "opened before the fork"])
def test_gunicorn_with_more_than_one_owner_of_the_file_is_refused_once(options: list[str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [*gunicorn(ROOT / "app.py", free_port())[:-1], *options, "app:app"],
        env=clean_environment(TIM_STORE=f"sqlite:///{tmp_path / 'tim.db'}", TIM_SDK_SECRET_KEY=SDK_KEY),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 4, "at which gunicorn does not try again and again"
    assert len([line for line in ended.stderr.splitlines() if line.startswith("tim: TIM_STORE: ")]) == 1, ended.stderr
    assert "Traceback" not in ended.stderr


def test_whoever_imports_the_factory_opens_nothing(tmp_path: Path) -> None:
    words = "from app import create_app; app = create_app(); print(app.test_client().get('/login').status_code)"
    made = subprocess.run(
        [sys.executable, "-c", words],
        cwd=ROOT,
        env=clean_environment(
            TIM_STORE=f"sqlite:///{tmp_path / 'tim.db'}",
            TIM_SDK_SECRET_KEY=SDK_KEY,
            TIM_SECRET_KEY=SDK_KEY,
            TIM_ADMIN_TOKEN=ADMIN_TOKEN,
        ),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert made.stdout == "200\n"
    assert [line.split()[3:5] for line in made.stderr.splitlines()] == [["tim:", "start"]]


def test_the_file_is_free_again_when_its_process_was_killed(make_server: MakeServer) -> None:
    server = make_server()
    for _ in range(3):
        server.kill()
        server.start()


def test_commands_that_do_not_serve_run_beside_a_server(make_server: MakeServer) -> None:
    server = make_server()
    settings = {f"TIM_{name}": value for name, value in server.settings.items()}
    listed = subprocess.run(
        flask(ROOT / "app.py", "routes"),
        cwd=server.home,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    assert "/im/<instance>/events" in listed.stdout
    assert get(server, "/readyz").status == 200


def test_with_nothing_set_it_starts_and_keeps_its_keys_to_itself(tmp_path: Path, make_server: MakeServer) -> None:
    app = copy_of_the_tree(tmp_path / "tree")
    server = make_server(app=app, demo=True)
    assert get(server, "/login").status == 200
    instance = app.parent / "instance"
    secrets = [(instance / name).read_text().strip() for name in ("sdk_secret_key", "secret_key", "admin_token")]
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in secrets)
    assert len(set(secrets)) == 3
    assert all(file.stat().st_mode & 0o077 == 0 for file in instance.glob("*_key"))
    assert not any(secret in server.log() for secret in secrets[:2])
    assert not any(secret in get(server, "/login").body for secret in secrets)


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_the_number_of_places_is_the_one_that_was_set(limit: int, make_server: MakeServer) -> None:
    server = make_server(ONLINE_WEB_INSTANCES=str(limit))
    tabs = [log_in(server, "seats") for _ in range(limit + 2)]
    page = tabs[-1].gets().body
    assert list(instances_in(page)) == [tab.instance for tab in reversed(tabs[2:])]
    assert f"{limit} of {limit}" in page


def test_an_app_of_ones_own_takes_its_own_usersigs_alone(make_server: MakeServer) -> None:
    server = make_server(SDK_APP_ID="1400000777")
    refused = post(server, "/login", {"userID": "alice", "userSig": server.user_sig("alice")})  # of the demo app
    assert refused.status == 401
    assert "70014" in refused.body


LINE = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4} WARNING tim: "


@pytest.mark.parametrize("gevent", [False, True], ids=["threads", "gevent"])
def test_a_setting_that_does_not_exist_is_mentioned_with_time_and_level(gevent: bool, make_server: MakeServer) -> None:
    server = make_server(gevent=gevent, ONLINE_WEB_INSTANCE="2")
    found = re.findall(rf"^{LINE}TIM_ONLINE_WEB_INSTANCE is not a setting", server.log(), re.MULTILINE)
    assert (len(found), server.log().count("TIM_ONLINE_WEB_INSTANCE ")) == (1, 1)
    assert SDK_KEY not in server.log()


def test_a_process_that_is_ready_has_loaded_what_the_first_login_needs() -> None:
    words = "from app import create_app; create_app(); import sys; before = set(sys.modules);"
    parse = "from tim.web.client import browser_name; print(browser_name('Firefox/150.0'), set(sys.modules) - before)"
    run = subprocess.run(
        [sys.executable, "-c", words + parse],
        cwd=ROOT,
        env=clean_environment(TIM_STORE="sqlite://", TIM_SDK_SECRET_KEY=SDK_KEY, TIM_SECRET_KEY=SECRET_KEY),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "Firefox 150 set()\n"


def test_logging_that_is_configured_already_stays_as_it_is() -> None:
    words = (
        "import logging; logging.basicConfig(format='mine: %(message)s'); from app import create_app; create_app();"
        "print(logging.getLogger('tim').handlers, logging.logThreads)"
    )
    environment = clean_environment(
        TIM_STORE="sqlite://",
        TIM_SDK_SECRET_KEY=SDK_KEY,
        TIM_SECRET_KEY=SECRET_KEY,
        TIM_ADMIN_TOKEN=ADMIN_TOKEN,
        TIM_TYPO="1",
    )
    run = subprocess.run(
        [sys.executable, "-c", words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.stdout == "[] True\n"
    assert [line.partition(" is no")[0] for line in run.stderr.splitlines()] == ["mine: TIM_TYPO"]


def test_a_store_in_memory_serves_as_well(make_server: MakeServer) -> None:
    server: Server = make_server(STORE="sqlite://")
    tab = log_in(server, "forgetful")
    tab.goes_online()
    server.kill()
    server.start()
    assert tab.gets().location.startswith("/login")
