"""One line for each event: its form as text and as JSON, and what may not stand in it."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from queue import SimpleQueue
from typing import Any

import pytest

from tests.support.actors import APP, KEY, Clock, Person
from tests.support.documents import ROOT, prose
from tests.support.inside import node_of, store_of
from tests.support.redis_server import RedisServer
from tests.support.waiting import PATIENCE, until
from tim import Backend
from tim.audit import NOT_ME, UNSEATED
from tim.errors import IMError, StoreUnavailable
from tim.log import FORGOTTEN, log_event, log_problem
from tim.timing import DEFAULT
from tim.web.logs import FORM, TIME, CleanLine, JSONForm, hide

NASTY = 'Eve\n2026-01-01 INFO tim: login user=root\r\x1b[31m\x00\x85\u2028\u202e\t"\\ é'
"""A name that ends a line, begins another one, colours it, and turns it around."""


class Lines(logging.Handler):
    """Keeps the lines that a server would write."""

    def __init__(self, form: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(form)
        self.addFilter(CleanLine())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def written(request: pytest.FixtureRequest) -> Any:
    """`written(form)`: the lines of `tim` from now on."""
    log = logging.getLogger("tim")
    before = log.level
    handlers: list[Lines] = []

    def write(form: logging.Formatter) -> list[str]:
        handlers.append(Lines(form))
        log.addHandler(handlers[-1])
        log.setLevel(logging.INFO)
        return handlers[-1].lines

    yield write
    for handler in handlers:
        log.removeHandler(handler)
    log.setLevel(before)


Write = Callable[[logging.Formatter], list[str]]


def test_an_event_is_a_line_of_text_with_its_fields(written: Write) -> None:
    lines = written(logging.Formatter("%(levelname)s %(message)s"))
    log_event("login", user="alice", browser="Chrome 156 on Windows", address="::1", by="")
    log_problem("store-away", why="60008: no answer", seconds=2.5)
    assert lines == [
        'INFO login user=alice browser="Chrome 156 on Windows" address=::1',
        'WARNING store-away why="60008: no answer" seconds=2.5',
    ]


def test_an_event_is_an_object_in_json(written: Write) -> None:
    lines = written(JSONForm())
    log_event("login", user="alice", browser=NASTY, address="")
    line = json.loads(lines[0])
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "info", "logger": "tim", "event": "login", "user": "alice", "browser": NASTY}


@pytest.mark.parametrize("form", [logging.Formatter(FORM, TIME), JSONForm()], ids=["text", "json"])
def test_no_control_character_of_a_client_reaches_the_log(form: logging.Formatter, written: Write) -> None:
    lines = written(form)
    log_event("login", user="eve", browser=NASTY)
    logging.getLogger("tim").warning("a socket: %s", NASTY)
    try:
        raise ValueError(NASTY)
    except ValueError:
        logging.getLogger("tim").exception("failed: %s", NASTY)
    assert len(lines) == 3
    for line in lines:
        first, *more = line.split("\n")
        assert first.isprintable()
        assert all(each.startswith("    ") and each.isprintable() for each in more), more
        assert not more or "Traceback" in line


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ('"GET /console?token=0123456789abcdef HTTP/1.1" 302', '"GET /console?token=*** HTTP/1.1" 302'),
        ("GET /console?%74oken%3Dsecret&x=1", "GET /console?%74oken%3D***&x=1"),
        ("POST /v4/a/b?usersig=eJyrVgrxCdYrSy1SslIy0jNQ0gHz&random=1", "POST /v4/a/b?usersig=***&random=1"),
        ("instance=0123456789abcdef0123456789abcdef01", "instance=0123456789abcdef0123456789abcdef01"),
    ],
)
def test_secrets_of_an_address_are_hidden(said: str, kept: str) -> None:
    assert hide(said) == kept


def test_a_usersig_that_was_typed_as_the_userid_is_not_written(backend: Backend, written: Write) -> None:
    lines = written(JSONForm())
    secret = backend.user_sig("alice")
    for user in (secret, secret[:20] + "\n"):
        with pytest.raises(IMError):
            backend.verify(APP, user, "x", "203.0.113.9")
    assert [json.loads(line)["event"] for line in lines] == ["refused", "refused"]
    assert not any(secret[:12] in line for line in lines)


def test_each_login_refusal_and_end_is_one_line(
    backend: Backend, person: Callable[[str], Person], written: Write, clock: Clock
) -> None:
    alice = person("alice")
    lines = written(JSONForm())

    def events(*names: str) -> list[list[str]]:
        return [[str(line.get(name, "")) for name in ("event", *names)] for line in map(json.loads, lines)]

    with pytest.raises(IMError):
        alice.opens("X").sdk.login("alice", "nonsense")
    first = alice.logs_in("A")
    second = alice.logs_in("B")
    first.is_kicked_out("multipleAccount")
    second.sdk.logout()
    third = alice.logs_in("C")
    backend.admin().kick_instance("alice", backend.instances("alice")[0].generation)
    third.is_kicked_out("REST_API_Kick")
    backend.settings.change(lambda now: replace(now, idle_life=100), "API")
    alice.logs_in("D")
    clock.advance(100)
    backend.renew()
    # The renewal that follows the first hints may be the one that finds it, and write a moment later.
    until(lambda: events("cause")[-1] == ["expired", "idle"], lambda: f"{events('cause')[-1]}")
    assert events("user", "browser", "code", "type", "by_browser") == [
        ["refused", "alice", "", "70003", "", ""],
        ["login", "alice", "A", "", "", ""],
        ["login", "alice", "B", "", "", ""],
        ["evicted", "alice", "A", "", "multipleAccount", "B"],
        ["logout", "alice", "B", "", "loggedOut", ""],
        ["login", "alice", "C", "", "", ""],
        ["kicked", "alice", "C", "", "REST_API_Kick", ""],
        ["login", "alice", "D", "", "", ""],
        ["expired", "alice", "D", "", "userSigExpired", ""],
    ]


def test_a_store_that_goes_away_and_comes_back_is_two_lines(
    make_redis: Callable[..., RedisServer], written: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = written(JSONForm())
    redis = make_redis()
    timing = replace(DEFAULT, renewal_period=0.2)
    backend = Backend(redis.url, sdk_app_id=APP, secret_key=KEY, timing=timing)

    def seen() -> list[str]:
        ours = [each for each in map(json.loads, lines) if each.get("node") == node_of(backend).name]
        return [each["event"] for each in ours if each["event"].startswith("store-")]

    try:
        redis.kill()
        until(lambda: seen() == ["store-away"], "nothing is said about the store")
        redis.start()
        until(lambda: seen() == ["store-away", "store-back"], lambda: f"{seen()}")
        lines.clear()
        with monkeypatch.context() as away:
            reasons = count()

            def unavailable(*_: object) -> None:
                raise StoreUnavailable(f"reason {next(reasons)}")

            away.setattr(store_of(backend), "renew", unavailable)
            until(lambda: next(reasons) > 10, "it is not tried again")
        until(lambda: "store-back" in seen(), lambda: f"{seen()}")
        assert seen() == ["store-away", "store-back"], "its reason has changed, and it is the same outage"
    finally:
        backend.close()


def test_a_store_that_is_closed_is_not_said_to_be_away(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = written(JSONForm())
    backend = Backend("sqlite://", sdk_app_id=APP, timing=replace(DEFAULT, renewal_period=0.2))
    renewing: SimpleQueue[threading.Thread] = SimpleQueue()
    closed = threading.Event()

    def renew(*_: object) -> None:
        renewing.put(threading.current_thread())
        assert closed.wait(PATIENCE)
        raise StoreUnavailable("closed")

    monkeypatch.setattr(store_of(backend), "renew", renew)
    renewal = renewing.get(timeout=PATIENCE)
    backend.close()
    closed.set()
    renewal.join(PATIENCE)
    assert [line for line in lines if "store-away" in line] == []


def test_each_event_is_described() -> None:
    written = {
        kind
        for file in (ROOT / "tim").rglob("*.py")
        for kind in re.findall(r"log_(?:event|problem|instance)\(\s*\"([a-z-]+)\"", file.read_text())
    }
    described = prose("docs/operating.md").partition("## Log")[2].partition("## ")[0]
    rows = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \|", described, re.MULTILINE)
    assert written | UNSEATED | {FORGOTTEN, NOT_ME} == {
        kind for row in rows for kind in re.findall(r"`([a-z-]+)`", row)
    }
