"""The nginx of docs/operating.md in front of two of its machines, on one Redis, as a user reaches them."""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import Person, Tab
from tests.support.documents import block
from tests.support.ports import free_port
from tests.support.production import HOST, OPERATING, Machine, Nginx, Site, running, running_site
from tests.support.redis_server import RedisServer
from tests.support.server import APP
from tests.support.waiting import PATIENCE, until
from tests.support.wire import ScriptTab, Socket, ask, browser_cookie, get, log_in, login_page_of, post, post_login
from tests.web.conftest import MakePerson, MakeServer, NewWindow
from tim.timing import DEFAULT, Timing

ELSEWHERE = "127.0.0.9"
"""An address of this machine that no proxy has."""


@pytest.fixture(scope="module")
def site(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    redis = RedisServer().start()
    try:
        with running_site(tmp_path_factory.mktemp("site"), redis) as site:
            yield site
    finally:
        redis.kill()


def ready(tab: ScriptTab) -> Socket:
    """Its stream, as a page opens it: again, where its server has sent it away or is not there."""
    while True:
        stream = tab.attaches()
        if stream.status == 101:
            stream.hears('data-state="ready"')
            return stream


def test_a_person_behind_nginx_logs_in_reads_writes_and_is_kicked_out(
    site: Site, person: MakePerson, new_window: NewWindow
) -> None:
    alice = person("alice", on=site.front, window=new_window(ignore_https_errors=True))
    tab = alice.logs_in()
    assert tab.page.url.startswith("https://")
    tab.sends(alice.user_id, "through nginx")
    expect(tab.page.locator("#messages .text")).to_have_text("through nginx")
    newer = alice.logs_in("newer")
    notice = tab.is_kicked_out("multipleAccount")
    assert notice.locator(".by-address").inner_text() == HOST
    newer.is_ready()


def test_pages_sockets_and_messages_go_to_any_machine(site: Site) -> None:
    until(lambda: site.streams() == [0, 0], "a stream of another test stays open")
    streams = []
    for n in range(4):
        tab = log_in(site.front, f"anywhere-{n}")
        assert tab.gets().status == 200
        streams.append((tab, tab.goes_online()))
    assert sorted(site.streams()) == [2, 2], "the emptier machine gets the next one"
    for (sender, _), (receiver, hears) in zip(streams, streams[1:] + streams[:1], strict=True):
        assert sender.posts("messages", {"to": receiver.user_id, "text": f"from {sender.user_id}"}).status == 303
        hears.hears(f"from {sender.user_id}")
    for _, stream in streams:
        stream.leaves()
    until(lambda: site.streams() == [0, 0], "a stream stays open behind nginx")


def test_whoever_kicks_is_named_by_the_address_he_really_has(site: Site) -> None:
    lies = {
        "X-Forwarded-For": "203.0.113.66",
        "X-Real-IP": "203.0.113.66",
        "Forwarded": "for=203.0.113.66;proto=http;host=evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
        "X_Forwarded_For": "203.0.113.66",
    }
    victim = log_in(site.front, "spoofed")
    newer = post_login(site.front, "spoofed", headers=lies, source=ELSEWHERE)
    assert newer.status == 303
    assert "; Secure" in newer.set_cookies()[0]
    told = login_page_of(victim)
    assert re.findall(r'class="by-address">([^<]*)<', told) == [ELSEWHERE]
    assert "203.0.113.66" not in told


def test_an_answer_through_nginx_is_one_under_tls(site: Site) -> None:
    answer = get(site.front, "/login")
    assert answer.header("Strict-Transport-Security") == "max-age=31536000"
    tab = post_login(site.front, "tls")
    assert "; Secure" in tab.set_cookies()[0]
    assert tab.location.startswith("/im/")


def test_the_origin_is_compared_with_what_the_browser_sees(site: Site) -> None:
    tab = log_in(site.front, "origin")
    own, foreign = site.front.address, "https://evil.example"
    for origin, status in ((own, 101), (foreign, 403), (own.replace("https", "http"), 403), (f"https://{HOST}", 403)):
        opened = Socket(site.front, tab.path + "events", cookie=tab.cookie, origin=origin)
        assert opened.status == status, origin
        opened.leaves("reset")
    form = {"to": "origin", "text": "hello"}
    for claimed in ({}, {"X-Forwarded-Host": "evil.example"}):
        sent = {"Origin": foreign, **claimed}
        assert post(site.front, tab.path + "messages", form, cookie=tab.cookie, headers=sent).status == 403
    until(lambda: site.streams() == [0, 0], "a stream stays open behind nginx")


def test_forty_tabs_of_one_browser_that_are_kicked_at_once_are_each_told_why(site: Site) -> None:
    browser = browser_cookie(site.front)
    users = [f"crowd-{n}" for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        tabs = list(pool.map(lambda user: log_in(site.front, user, browser=browser), users))
        list(pool.map(lambda user: log_in(site.front, user), users))
    with ThreadPoolExecutor(40) as pool:
        for page in pool.map(login_page_of, tabs):
            assert 'data-type="multipleAccount"' in page
    ended = tabs[0].gets()
    assert sum(len(name) + len(value) + 4 for name, values in ended.headers.items() for value in values) < 2048
    assert len(browser) < 256, "all that a browser sends to the login page, whatever has become of its tabs"


UNDER_A_PATH = {
    'X-Forwarded-Prefix ""': "X-Forwarded-Prefix /chat",
    "location / {\n        proxy_pass http://tim;": "location /chat/ {\n        proxy_pass http://tim/;",
}


def test_a_page_works_under_a_path_of_nginx(
    site: Site, tmp_path: Path, person: MakePerson, new_window: NewWindow
) -> None:
    port = site.machines[0].port
    with running(Nginx(tmp_path, port, port, changes=UNDER_A_PATH)) as front:
        alice = person("alice", on=front, window=new_window(ignore_https_errors=True))
        logs_in_is_kicked_and_logs_out(alice, front.address, "/chat")


def test_behind_a_proxy_that_drops_the_port_a_tab_says_what_is_wrong(
    site: Site, tmp_path: Path, person: MakePerson, new_window: NewWindow
) -> None:
    port = site.machines[0].port
    with running(Nginx(tmp_path, port, port, changes={"$http_host": "$host"})) as front:
        tab = person("alice", on=front, window=new_window(ignore_https_errors=True)).fills_in()
        tab.page.click("#login")
        words = tab.page.locator("#no-socket")
        expect(words).to_be_visible(timeout=1000 * PATIENCE)
        expect(words).to_contain_text("the Host with its port")
        tab.is_quiet()


def test_a_page_works_under_the_script_name_of_gunicorn(make_server: MakeServer, person: MakePerson) -> None:
    server = make_server(gevent=True, prefix="/chat")
    logs_in_is_kicked_and_logs_out(person("alice", on=server), server.address, "/chat")
    server.has_no_traceback()


def logs_in_is_kicked_and_logs_out(person: Person, address: str, prefix: str) -> None:
    """Two tabs of one browser, one after the other: all that has to know where the page is."""
    first, second = (Tab(person.window.new_page(), person.server, name, person.user_id) for name in "AB")
    for tab in (first, second):
        tab.page.goto(f"{address}{prefix}/login?userID={person.user_id}")
        if tab is first and tab.page.locator("#generate-usersig").count():
            tab.page.click("#generate-usersig")
            expect(tab.page.locator("#userSig")).not_to_have_value("")
        tab.page.fill("#userSig", person.server.user_sig(person.user_id))
        tab.page.click("#login")
        tab.is_ready()
        assert tab.page.url.startswith(f"{address}{prefix}/im/")
    expect(first.page.locator("#kicked-out")).to_have_attribute("data-type", "multipleAccount")
    assert first.page.url.startswith(f"{address}{prefix}/login?")
    second.sends(person.user_id, "from below")
    second.reads("from below")
    kept = {(cookie.get("name"), cookie.get("path")) for cookie in person.window.cookies()}
    assert kept == {("browser", f"{prefix}/"), ("tab", f"{prefix}/im/{second.instance}")}
    second.page.click("#logout")
    expect(second.page).to_have_url(f"{address}{prefix}/login?userID={person.user_id}")
    assert len(person.window.cookies()) == 1
    for tab in (first, second):
        tab.is_quiet()


@pytest.mark.parametrize("prefix", ["//evil.example", "chat", "/chat;", "/chat\\x", "/ch at"])
def test_a_prefix_that_is_no_path_is_refused(prefix: str, site: Site) -> None:
    answer = get(site.machines[0], "/", headers={"X-Forwarded-Prefix": prefix})
    assert answer.status == 400 and not answer.location


def test_a_prefix_that_a_client_claims_is_not_believed(site: Site) -> None:
    assert get(site.front, "/", headers={"X-Forwarded-Prefix": "/elsewhere"}).location == "/login"


def test_nor_is_one_that_its_proxy_passes_on_as_a_name_of_the_environment(site: Site) -> None:
    assert get(site.machines[0], "/", headers={"SCRIPT_NAME": "/elsewhere"}).location == "/login"
    site.machines[0].has_no_traceback()


REFUSED = pytest.mark.parametrize(
    ("size", "headers", "status"),
    [(100_000, {"HX-Request": "true"}, 413), (100_000, {}, 413), (60_000, {"Sec-Fetch-Site": "cross-site"}, 403)],
    ids=["too large", "too large, without htmx", "from another site"],
)


@REFUSED
def test_what_is_refused_is_refused_by_the_server_itself(
    size: int, headers: dict[str, str], status: int, site: Site
) -> None:
    tab = log_in(site.front, "refused")
    form = {"to": "refused", "text": "x" * size}
    for _ in range(10):
        refused = post(site.front, tab.path + "messages", form, cookie=tab.cookie, headers=headers)
        assert refused.status == status
        assert "nginx" not in refused.body


@REFUSED
def test_what_is_refused_is_heard_out_as_a_proxy_must_say_all_of_it(
    size: int, headers: dict[str, str], status: int, site: Site
) -> None:
    machine = site.machines[0]
    tab = log_in(machine, "refused")
    told = {"Host": HOST, "Connection": "close", "Cookie": tab.cookie, "Content-Length": str(size), **headers}
    lines = [f"POST {tab.path}messages HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    with socket.create_connection((HOST, machine.port), PATIENCE) as line:
        line.sendall("\r\n".join(lines).encode() + b"x" * (size // 2))
        # A server that answers now closes now, and resets whoever is still speaking.
        assert not select.select([line], [], [], 0.5)[0]
        line.sendall(b"x" * (size - size // 2))
        assert line.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())


def test_how_it_does_is_told_to_machines_nearby_alone(site: Site) -> None:
    for path in ("/metrics", "/readyz"):
        assert get(site.front, path).status == 403
        assert get(site.machines[0], path).status == 200
    assert get(site.front, "/healthz").body == "ok\n"


def test_an_idle_socket_stays_open(tmp_path: Path, make_redis: Callable[..., RedisServer]) -> None:
    found = re.search(r"proxy_read_timeout (\d+)s;", block(OPERATING, "nginx"))
    assert found
    # All as it is, only so many times faster that a ping period is a second.
    patience = int(found[1]) / DEFAULT.ping_period
    faster = {found[0]: f"proxy_read_timeout {patience * 1000:.0f}ms;"}
    with (
        running(Machine(tmp_path / "machine", make_redis().url, workers=1, timing=Timing(ping_period=1))) as machine,
        running(Nginx(tmp_path / "nginx", machine.port, machine.port, changes=faster)) as front,
    ):
        stream = log_in(front, "idle").goes_online()
        stream.hears_more(2 * patience + 1)
        assert (stream.code, stream.pings >= 3) == (None, True)


def test_a_restart_of_one_machine_after_the_other_kicks_nobody(
    tmp_path: Path, make_redis: Callable[..., RedisServer]
) -> None:
    with running_site(tmp_path, make_redis()) as site:
        tabs = [log_in(site.front, f"rolling-{n}") for n in range(4)]
        seats = [(tab.instances(), tab.since()) for tab in tabs]
        streams = [ready(tab) for tab in tabs]
        for machine, restart in zip(site.machines, (reload_unit, stop_and_start), strict=True):
            here = site.streams()[site.machines.index(machine)]
            assert here, "the restart would be seen by nobody"
            restart(machine)
            sent_away = 0
            for n, (tab, stream) in enumerate(zip(tabs, streams, strict=True)):
                stream.hears_more(0.1)
                if stream.code is not None:
                    assert stream.code == 1012
                    sent_away += 1
                    streams[n] = ready(tab)
            assert sent_away == here
            for sender, stream in zip(tabs[1:] + tabs[:1], streams, strict=True):
                words = f"from {sender.user_id} after {restart.__name__}"
                receiver = tabs[streams.index(stream)]
                assert sender.posts("messages", {"to": receiver.user_id, "text": words}).status == 303
                stream.hears(words)
        assert [(set(tab.instances()), tab.since()) for tab in tabs] == [(set(ids), since) for ids, since in seats]
        for machine in site.machines:
            machine.has_no_traceback()


def reload_unit(machine: Machine) -> None:
    """`systemctl reload`: every worker is another one afterwards."""
    before = machine.workers()
    machine.reloads()
    until(lambda: machine.workers() and not machine.workers() & before, "a worker stays", 10)
    until(machine.answers, "it does not answer")


def stop_and_start(machine: Machine) -> None:
    """`systemctl restart`."""
    workers = machine.workers()
    began = time.monotonic()
    machine.terminate()
    assert time.monotonic() - began < 5
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    machine.start()


class Broken:
    """A machine that takes a request, and goes away before it answers."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._door = socket.create_server((HOST, 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._door.accept()
                self.asked.append(line.recv(65536))
                line.close()

    def close(self) -> None:
        self._door.close()


@pytest.mark.usefixtures("not_quick")
def test_what_may_have_been_done_is_not_done_twice_and_takes_no_machine_out(tmp_path: Path) -> None:
    with (
        closing(Broken()) as one,
        closing(Broken()) as other,
        running(Nginx(tmp_path / "nginx", one.port, other.port)) as front,
    ):
        for method, times in (("POST", 1), ("GET", 2), ("POST", 1), ("POST", 1)):
            one.asked.clear()
            other.asked.clear()
            assert ask(front, method, "/login", headers={"Content-Length": "0"}).status == 502
            assert len(one.asked + other.asked) == times


@contextmanager
def switched_off() -> Iterator[int]:
    """A port that does not answer whoever wants to connect."""
    with ExitStack() as stack:
        door = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        waits = False
        while not waits:
            line = stack.enter_context(socket.socket())
            line.settimeout(0.2)
            try:
                line.connect(door.getsockname())
            except TimeoutError:
                waits = True
        yield door.getsockname()[1]


def test_a_machine_that_is_off_is_passed_by(site: Site, tmp_path: Path) -> None:
    with switched_off() as port, running(Nginx(tmp_path / "nginx", port, site.machines[0].port)) as front:
        for _ in range(2):
            began = time.monotonic()
            assert post_login(front, "off").status == 303
            assert time.monotonic() - began < 5


def test_no_usersig_stands_in_a_log_of_nginx(site: Site, tmp_path: Path) -> None:
    log_in(site.front, "secret")
    sig = site.front.user_sig("administrator")
    call = f"/v4/im_open_login_svc/kick?sdkappid={APP}&identifier=administrator&usersig={sig}&random=1"
    with running(Nginx(tmp_path / "nginx", free_port(), free_port())) as alone:
        for front, status in ((site.front, 200), (alone, 502)):
            assert ask(front, "POST", call, body=b'{"UserID": "secret"}').status == status
            until(lambda front=front: "/v4/im_open_login_svc/kick" in front.logs(), "the call is not logged")  # type: ignore[misc]
            assert sig not in front.logs() + front.log()
            assert "usersig" not in front.logs() + front.log()
