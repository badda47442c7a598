"""The log of a server: one line for each event, as text or, with TIM_LOG=json, as JSON, the lines of its server too."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import pytest

from tests.support.administrator import Administrator
from tests.support.documents import ROOT
from tests.support.server import SDK_KEY, SECRET_KEY, Server
from tests.support.wire import get, log_in, post, post_login
from tests.web.conftest import MakeServer
from tests.web.starts import Starts
from tim.web import logs

pytestmark = pytest.mark.usefixtures("not_quick")

LINE = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4} (?:INFO|WARNING) tim: (\S+)(.*)")
FORGED = "x\x1b[31m FORGED"


def live(server: Server) -> str:
    """A short life: a refused login, one that is evicted, one that logs out, one that is kicked. An evicted id."""
    server.start()
    get(server, f"/nowhere?token={SDK_KEY[:12]}&x=%0a%1b[31mFORGED", headers=AGENT)
    post(server, "/login", {"userID": FORGED + "\n", "userSig": server.user_sig("alice")})
    post_login(server, "alice", "nonsense")
    first = log_in(server, "alice")
    stream = first.goes_online()
    second = log_in(server, "alice")
    assert stream.is_closed() == 4001
    assert second.posts("logout").status == 303
    third = log_in(server, "alice").goes_online()
    Administrator(server).kicks("alice")
    assert third.is_closed() == 4004
    assert server.terminate() == 0
    return first.instance


def has_no_secret_and_no_control_character(server: Server) -> None:
    log = server.log()
    assert not [secret for secret in (SDK_KEY, SECRET_KEY, SDK_KEY[:12]) if secret in log]
    assert not [line for line in log.splitlines() if "FORGED" in line and not line.isprintable()]
    assert "\x1b[31m" not in log


AGENT = {"User-Agent": "Mozilla/5.0 (X11) Chrome/156.0 \x1b[31m"}
EVENTS = ["start", "refused", "refused", "login", "evicted", "login", "logout", "login", "kicked", "stop"]


@pytest.mark.parametrize("gevent", [False, True], ids=["werkzeug", "gunicorn"])
def test_json_is_every_line(gevent: bool, make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--access-logfile -")
    server = make_server(LOG="json", gevent=gevent)
    server.terminate()
    server.log_file.write_text("")
    evicted = live(server)
    lines: list[dict[str, Any]] = []
    for line in server.log().splitlines():
        if not line.startswith(" * ") or gevent:  # what `flask run` itself prints on stdout
            lines.append(json.loads(line))
    events = {line["event"]: line for line in lines if "event" in line}
    assert sorted(line["event"] for line in lines if "event" in line) == sorted(EVENTS)
    assert events["evicted"] | {"instance": evicted, "user": "alice", "type": "multipleAccount"} == events["evicted"]
    assert events["refused"]["code"] == 70003
    requests = [line for line in lines if line["logger"] in ("werkzeug", "gunicorn.access")]
    assert [line for line in requests if "POST /login" in line["message"]]
    assert all({"time", "level", "logger"} <= set(line) for line in lines)
    has_no_secret_and_no_control_character(server)


@pytest.mark.parametrize("gevent", [False, True], ids=["werkzeug", "gunicorn"])
def test_text_is_a_line_for_each_event(gevent: bool, make_server: MakeServer) -> None:
    server = make_server(gevent=gevent)
    server.terminate()
    server.log_file.write_text("")
    evicted = live(server)
    found = [match for match in map(LINE.match, server.log().splitlines()) if match]
    assert sorted(match[1] for match in found) == sorted(EVENTS)
    [line] = [match[2] for match in found if match[1] == "evicted"]
    assert line.startswith(f" user=alice instance={evicted} browser=")
    has_no_secret_and_no_control_character(server)


def test_a_line_is_cleaned_once_although_the_master_of_gunicorn_has_another_copy() -> None:
    spec = spec_from_file_location("log_lines", logs.__file__)
    assert spec is not None
    assert spec.loader is not None
    copy = module_from_spec(spec)
    spec.loader.exec_module(copy)
    copy.clean_lines()
    logs.clean_lines()
    assert [type(each) for each in logging.getLogger("tim").filters] == [logs.CleanLine]


def test_a_line_makes_no_thread_of_its_greenlet() -> None:
    words = (
        "from gevent import monkey; monkey.patch_all(); import gevent, threading; from tim.log import log_event;"
        "from tim.web.logs import write_lines; write_lines('text'); threads = threading.active_count();"
        "grow = lambda: (log_event('started'), print(threading.active_count() - threads)); gevent.spawn(grow).join()"
    )
    run = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "0\n"
    assert run.stderr.endswith(" INFO tim: started\n")


def test_a_refused_start_is_an_event_as_well(starts: Starts) -> None:
    refused = starts.start(TIM_LOG="json", TIM_ONLINE_WEB_INSTANCES="0")
    line = json.loads(refused.stderr)
    assert (line["event"], line["setting"]) == ("start-refused", "TIM_ONLINE_WEB_INSTANCES")
    assert "must be a whole number" in line["why"]
