"""A page of the vendor's SDK whose session or idle life is over: no answer treats it as live, before any sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.actors import APP, Clock
from tim import Backend, Client
from tim.model import Instance
from tim.web.lobby import Lobby
from tim.web.tencent.connection import Page

CLIENT = Client("Firefox", "203.0.113.7")
MakeBackend = Callable[..., Backend]


@pytest.fixture
def backend(make_backend: MakeBackend) -> Backend:
    return make_backend("sqlite://", limit=2)


@pytest.fixture
def page(backend: Backend) -> Page:
    return Page(backend, Lobby(), CLIENT.address, lambda: None)


def served(backend: Backend, page: Page, *, session_life: int = 0, idle_life: int = 0) -> Instance:
    """An instance that has just logged in on the page, where the app has these lives."""
    backend.settings.change(lambda now: replace(now, session_life=session_life, idle_life=idle_life), "API")
    ticket = backend.verify(APP, "alice", backend.user_sig("alice"), CLIENT.address)
    return page.log_in(ticket, CLIENT, None)[0]


def is_told_once(page: Page, id: str) -> bool:
    return (page.serves(id), [page.has_expired(id) for _ in range(2)]) == (None, [True, False])


def test_it_ends_when_its_session_life_is_over(backend: Backend, page: Page, clock: Clock) -> None:
    instance = served(backend, page, session_life=100)
    for _ in range(2):
        clock.advance(49.5)
        backend.send(instance.id, "alice", "hello")
        assert page.serves(instance.id)
    clock.advance(1)
    assert is_told_once(page, instance.id)


def test_it_ends_when_it_was_idle_and_not_while_it_sends(backend: Backend, page: Page, clock: Clock) -> None:
    instance = served(backend, page, idle_life=100)
    for _ in range(3):
        clock.advance(99)
        backend.send(instance.id, "alice", "hello")
    clock.advance(99)
    assert page.serves(instance.id)
    clock.advance(1)
    assert is_told_once(page, instance.id)


def test_one_that_may_have_acted_is_not_said_to_have_expired_while_the_store_is_away(
    backend: Backend, page: Page, clock: Clock
) -> None:
    instance = served(backend, page, idle_life=100)
    backend.send(instance.id, "alice", "hello")
    clock.advance(100)
    backend.close()
    assert page.serves(instance.id)
    assert not page.has_expired(instance.id)
