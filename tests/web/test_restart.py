"""The server goes down and comes up again: who was in is in, who was out is out, and nobody has to log in."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.sdk_script import Script
from tests.support.server import SOCKET_SERVERS, copy_of_the_tree
from tests.support.waiting import always, until
from tests.support.wire import Socket, get, log_in
from tests.web.conftest import MakePerson, MakeServer


def test_open_tabs_come_back_by_themselves_and_those_that_were_out_stay_out(
    make_server: MakeServer, person: MakePerson
) -> None:
    server = make_server(ONLINE_WEB_INSTANCES="2")
    alice, bob, carol = (person(name, on=server) for name in ("alice", "bob", "carol"))
    evicted = alice.logs_in("evicted")
    old_address, old = evicted.page.url, evicted.as_script()
    a, b = alice.logs_in("a"), alice.logs_in("b")
    evicted.is_kicked_out("multipleAccount")
    his = bob.logs_in()
    his.sends(alice.user_id, "before the end")
    for tab in (a, b):
        tab.reads("before the end")
    left = carol.logs_in()
    gone = left.as_script()
    left.logs_out()
    seats = {tab: (tab.instance, tab.since()) for tab in (a, b, his)}

    server.kill()
    for tab in seats:
        tab.is_reconnecting()
    server.start()
    for tab, seat in seats.items():
        tab.is_ready()
        assert (tab.instance, tab.since()) == seat
        assert tab.states() == ["not-ready", "ready", "reconnecting", "ready"]
        assert "kickedOut" not in tab.events()
    for tab in (a, b):
        tab.lists("online", "online")
        tab.reads("before the end")
    his.sends(alice.user_id, "after it")
    for tab in (a, b):
        tab.reads("before the end", "after it")
    # Out is out: the pages that stand there, their addresses, and their cookies.
    assert evicted.page.locator("#kicked-out").count() == 1
    evicted.page.goto(old_address)
    evicted.is_kicked_out("multipleAccount")
    for script, code in ((old, 4001), (gone, 4005)):
        assert script.gets().location.startswith("/login")
        assert script.attaches().is_closed() == code
    server.has_no_traceback()


def test_a_tab_that_was_closed_when_the_server_went_down_has_a_whole_grace_time_to_come_back(
    make_server: MakeServer,
) -> None:
    server = make_server(DETACH_GRACE="5")
    tab = log_in(server, "patient")
    tab.goes_online().leaves()
    server.kill()
    server.start()
    always(lambda: tab.instances() == {tab.instance: "detached"}, "its place was given up early", 3)
    tab.goes_online()


@pytest.mark.parametrize("kind", SOCKET_SERVERS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl+C"])
def test_the_server_stops_within_seconds_with_streams_open(
    number: signal.Signals, kind: str, make_server: MakeServer
) -> None:
    server = make_server(ONLINE_WEB_INSTANCES="10", **SOCKET_SERVERS[kind])
    pages = [Script(server) for _ in range(2)]
    pages[0].logs_in("many")
    streams: list[Socket | Script] = [*pages, *(log_in(server, "many").goes_online() for _ in range(3))]
    pid = server.pid()
    os.killpg(pid, number)  # a terminal sends Ctrl+C to all of them
    assert [stream.is_closed() for stream in streams] == [1012] * 5
    assert server.wait() == 0
    until(lambda: not Path(f"/proc/{pid}").exists(), "the server does not stop", 5)
    server.has_no_traceback()


def test_a_worker_that_gunicorn_replaces_closes_its_streams_and_they_come_back(make_server: MakeServer) -> None:
    server = make_server(gevent=True, options=["--max-requests", "20"])
    tab, page = log_in(server, "replaced"), Script(server)
    page.logs_in("another")
    stream = tab.goes_online()
    while get(server, "/healthz").status == 200 and stream.code is None:
        stream.takes_in()
    assert [stream.is_closed(), page.is_closed()] == [1012, 1012]
    until(server.answers, "no new worker comes")
    tab.goes_online()


def test_sockets_take_none_of_the_connections_that_gunicorn_allows(make_server: MakeServer) -> None:
    server = make_server(gevent=True, options=["--worker-connections", "4"], ONLINE_WEB_INSTANCES="10")
    pages = [Script(server) for _ in range(8)]
    streams = [log_in(server, "many").goes_online() for _ in range(8)]
    assert [page.asks("heartbeat.alive")["ErrorCode"] for page in pages] == [0] * 8
    assert [stream.code for stream in streams] == [None] * 8


def test_the_demo_app_survives_too_with_the_keys_it_made_itself(
    tmp_path: Path, make_server: MakeServer, person: MakePerson
) -> None:
    app = copy_of_the_tree(tmp_path / "tree")
    server = make_server(app=app, demo=True)
    alice = person("alice", on=server)
    tab = alice.opens("/login")
    tab.page.fill("#userID", alice.user_id)
    tab.page.click("#generate-usersig")
    # Not wait_for_function: it evaluates its words again with each frame, which our policy forbids them.
    expect(tab.page.locator("#userSig")).to_have_value(re.compile(".{20}"))
    tab.page.click("#login")
    tab.is_ready()
    kept = {file.name: file.stat().st_mode & 0o777 for file in (app.parent / "instance").iterdir()}
    assert {"sdk_secret_key", "secret_key", "tim.db"} <= set(kept)
    assert kept["sdk_secret_key"] == kept["secret_key"] == 0o600
    server.terminate()
    tab.is_reconnecting()
    server.start()
    tab.is_ready()


def test_the_reloader_restarts_the_server_under_open_tabs(
    tmp_path: Path, make_server: MakeServer, person: MakePerson
) -> None:
    app = copy_of_the_tree(tmp_path / "tree")
    # Its watcher process loads the app as well: that must not count as a second process on the file.
    server = make_server(app=app, debug=True, ONLINE_WEB_INSTANCES="2")
    alice = person("alice", on=server)
    evicted = alice.logs_in("evicted").as_script()
    tabs = [alice.logs_in("a"), alice.logs_in("b")]
    for tab in tabs:
        tab.lists("online", "online")
    for times in (1, 2):
        source = app.parent / "tim" / "rules.py"
        source.write_text(source.read_text() + "\n# changed\n")
        os.utime(source)
        until(lambda times=times: server.log().count("Detected change") >= times, server.log)  # type: ignore[misc]
        for tab in tabs:
            tab.hears("sdkStateReady", times + 1)
            tab.is_ready()
    for tab in tabs:
        assert "kickedOut" not in tab.events()
        assert tab.instance in tab.instances()
        tab.lists("online", "online")
    assert evicted.attaches().is_closed() == 4001
    server.has_no_traceback()


def test_a_tab_that_the_store_has_lost_is_told_so_and_has_to_log_in(
    make_server: MakeServer, person: MakePerson
) -> None:
    server = make_server()
    alice = person("alice", on=server)
    tab = alice.logs_in()
    server.kill()
    for file in server.home.glob("tim.db*"):
        file.unlink()
    server.start()
    notice = tab.is_signed_out()
    expect(notice).to_have_attribute("data-type", "unknown")
    expect(notice).to_contain_text("does not know this session any more")
