"""What a page of the SDK calls of the store: a login once, and its end not at all."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.actors import APP
from tests.support.inside import hub_of, node_of, store_of
from tim import Backend, Client
from tim.errors import StoreUnavailable
from tim.mailbox import End
from tim.web.lobby import Lobby
from tim.web.tencent.connection import Page

CLIENT = Client("Firefox", "203.0.113.7")
VERBS = "admit", "enter", "attach", "detach", "get", "view", "remove", "history", "mark_read"
ROOT = Path(__file__).parents[2]
IN_GREENLETS = """
from gevent import monkey
monkey.patch_all()
import threading
from tim import Backend, Client
from tim.web.lobby import Lobby
from tim.web.tencent.connection import Page

backend, client = Backend("sqlite://", sdk_app_id=7), Client("Firefox", "203.0.113.7")
order, woken = [], threading.Event()
old, new = (Page(backend, Lobby(), client.address, wake) for wake in (woken.set, lambda: None))

def log_in(page):
    page.log_in(backend.verify(7, "alice", backend.user_sig("alice"), client.address), client, None)

def serve_old():
    woken.wait()
    order.append(f"{len(old.news())} kick")

log_in(old)
woken.clear()
serving = threading.Thread(target=serve_old)
serving.start()
log_in(new)
order.append("answer")
serving.join()
print(*order)
"""
"""A page that is evicted, served in a greenlet of its own; prints what is written first."""
MakeBackend = Callable[..., Backend]
OpenPage = Callable[[], Page]


@pytest.fixture
def backend(make_backend: MakeBackend) -> Backend:
    return make_backend("sqlite://")


@pytest.fixture
def open_page(backend: Backend) -> OpenPage:
    return lambda: Page(backend, Lobby(), CLIENT.address, lambda: None)


@pytest.fixture
def calls(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The verbs that are called from now on, in their order."""
    called: list[str] = []

    def noted(verb: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            called.append(verb)
            return call(*arguments, **named)

        return run

    for verb in VERBS:
        monkeypatch.setattr(store_of(backend), verb, noted(verb, getattr(store_of(backend), verb)))
    return called


def log_in(backend: Backend, page: Page) -> str:
    """Alice logs in on the page. Returns the id of the instance."""
    ticket = backend.verify(APP, "alice", backend.user_sig("alice"), CLIENT.address)
    return page.log_in(ticket, CLIENT, None)[0].id


def test_a_login_is_one_call(backend: Backend, open_page: OpenPage, calls: list[str]) -> None:
    page = open_page()
    id = log_in(backend, page)
    assert page.serves(id)
    assert calls == ["enter"]


def test_an_eviction_calls_nothing_for_the_page_that_leaves(
    backend: Backend, open_page: OpenPage, calls: list[str]
) -> None:
    old, new = open_page(), open_page()
    evicted = log_in(backend, old)
    log_in(backend, new)
    assert len(old.news()) == 1  # the kick
    old.end(evicted)  # by its wslogout
    old.close()
    assert calls == ["enter", "enter"]


def test_the_next_renewal_says_that_an_end_has_arrived(
    backend: Backend, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, store = open_page(), store_of(backend)
    evicted = log_in(backend, old)
    log_in(backend, open_page())
    old.news()
    old.settle()
    assert store.get(evicted).node == node_of(backend).name

    def unavailable(*_: object) -> None:
        raise StoreUnavailable("it is away")

    with monkeypatch.context() as away, pytest.raises(StoreUnavailable):
        away.setattr(store, "renew", unavailable)
        backend.renew()
    assert store.get(evicted).node == node_of(backend).name
    backend.renew()
    assert store.get(evicted).node == ""


def test_an_end_that_the_page_knows_from_the_clock_alone_is_written(
    backend: Backend, open_page: OpenPage, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page()
    id = log_in(backend, page)
    expired = store_of(backend).get(id).ends_at
    monkeypatch.setattr(backend, "clock", lambda: expired)
    assert page.serves(id) is None
    page.end(id)
    page.settle()
    assert calls[-1] == "remove"


def test_a_login_with_the_id_of_one_that_has_ended_is_another_one(backend: Backend, open_page: OpenPage) -> None:
    page = open_page()
    ended = log_in(backend, page)
    page.end(ended)
    ticket = backend.verify(APP, "alice", backend.user_sig("alice"), CLIENT.address)
    again, _ = page.log_in(ticket, CLIENT, ended)
    assert again.id != ended
    assert page.serves(again.id)


def test_a_login_with_the_id_of_one_that_is_served_changes_nothing(
    backend: Backend, open_page: OpenPage, calls: list[str]
) -> None:
    page = open_page()
    id = log_in(backend, page)
    ticket = backend.verify(APP, "alice", backend.user_sig("alice"), CLIENT.address)
    assert page.log_in(ticket, CLIENT, id)[0].id == id
    assert calls == ["enter"]


def test_the_evicted_are_notified_before_anything_is_logged(
    backend: Backend, open_page: OpenPage, caplog: pytest.LogCaptureFixture
) -> None:
    stream = next(iter(hub_of(backend).streams_of(log_in(backend, open_page()))))
    logged: list[bool] = []  # with each line: whether the end has arrived by then

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(stream.over)

    handler = Handler()
    logging.getLogger("tim").addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "tim"):
            log_in(backend, open_page())
    finally:
        logging.getLogger("tim").removeHandler(handler)
    assert logged == [True, True]
    assert isinstance(stream.take()[-1], End)


@pytest.mark.usefixtures("not_quick")
def test_the_kick_is_written_before_the_answer_to_the_login() -> None:
    ran = subprocess.run([sys.executable, "-c", IN_GREENLETS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "1 kick answer\n"
