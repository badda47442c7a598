"""The overview's newest "that wasn't me": read from the audit only where one more was counted."""

from __future__ import annotations

import pytest

from tests.support.actors import APP, Clock
from tests.support.inside import store_of
from tim import Backend, Client
from tim.audit import AuditFilter, AuditPage, Entry

CHROME = Client("Chrome", "198.51.100.1")


@pytest.fixture
def read(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[AuditFilter]:
    """What was searched in the audit so far."""
    asked: list[AuditFilter] = []
    search = store_of(backend).audit

    def noted(app: int, where: AuditFilter, before: str = "", limit: int = 50) -> AuditPage:
        asked.append(where)
        return search(app, where, before, limit)

    monkeypatch.setattr(store_of(backend), "audit", noted)
    return asked


def disowns(backend: Backend, clock: Clock, user: str) -> None:
    """The account disowns a login that has displaced it."""
    first, _ = (backend.login(APP, user, backend.user_sig(user), CHROME) for _ in range(2))
    done = store_of(backend).disown(first.id)
    clock.advance(done.left)


def shown(backend: Backend, clock: Clock) -> list[Entry]:
    clock.advance(1)
    return backend.overview.snapshot().disownings


def test_the_newest_of_the_last_hour_are_shown(backend: Backend, clock: Clock, read: list[AuditFilter]) -> None:
    assert shown(backend, clock) == []
    for n in range(3):
        disowns(backend, clock, f"user-{n}")
    assert [entry.user for entry in shown(backend, clock)] == ["user-2", "user-1", "user-0"]
    clock.advance(600)
    for n in range(3, 6):
        disowns(backend, clock, f"user-{n}")
    newest = [f"user-{n}" for n in (5, 4, 3, 2, 1)]
    assert [entry.user for entry in shown(backend, clock)] == newest
    assert sum(backend.overview.snapshot().activity.of({"not-me"})) == 6
    asked = len(read)
    assert [entry.user for entry in shown(backend, clock)] == newest
    assert len(read) == asked, "the audit is searched again only where one more was counted"
    clock.advance(3150)  # the first three are more than an hour ago
    assert [entry.user for entry in shown(backend, clock)] == ["user-5", "user-4", "user-3"]
    clock.advance(3600)
    assert shown(backend, clock) == []


def test_what_nobody_has_done_searches_no_audit(backend: Backend, clock: Clock, read: list[AuditFilter]) -> None:
    backend.login(APP, "alice", backend.user_sig("alice"), CHROME)
    assert shown(backend, clock) == []
    assert read == []
