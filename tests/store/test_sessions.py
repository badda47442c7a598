"""Sessions of the console, on every engine: open for twelve hours, or until they are closed."""

from __future__ import annotations

from tests.support.actors import APP, Clock
from tim.rules import SIGN_IN_LIFE
from tim.store.base import Store


def test_a_session_is_open_for_twelve_hours(store: Store, clock: Clock) -> None:
    store.open_session(APP, "one", "admin")
    store.open_session(APP, "other", "viewer")
    assert store.session(APP, "one") == "admin"
    assert store.session(APP, "other") == "viewer"
    clock.advance(SIGN_IN_LIFE - 1)
    assert store.session(APP, "one") == "admin"
    clock.advance(2)
    assert store.session(APP, "one") is None


def test_a_session_that_was_never_opened_or_is_another_app_s_is_none(store: Store) -> None:
    store.open_session(APP, "one", "admin")
    assert store.session(APP, "another") is None
    assert store.session(APP + 1, "one") is None


def test_a_closed_session_is_over_and_no_other_is(store: Store) -> None:
    for handle in ("one", "other"):
        store.open_session(APP, handle, "admin")
    store.close_session(APP, "one")
    store.close_session(APP, "never opened")
    assert store.session(APP, "one") is None
    assert store.session(APP, "other") == "admin"


def test_a_sweep_keeps_the_sessions_that_are_open(store: Store, clock: Clock) -> None:
    store.open_session(APP, "one", "admin")
    clock.advance(SIGN_IN_LIFE / 2)
    store.open_session(APP, "other", "admin")
    clock.advance(SIGN_IN_LIFE / 2 + 1)
    store.sweep()
    assert store.session(APP, "one") is None
    assert store.session(APP, "other") == "admin"
