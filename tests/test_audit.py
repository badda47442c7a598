"""What the audit of an app has of logins: also of those that were refused, and with which code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.actors import APP, DAY, Clock
from tests.support.inside import store_of
from tim import Backend, Client, IMError
from tim.audit import KICKED, LOGIN, REFUSED, AuditFilter, Entry
from tim.codes import USERSIG_REVOKED
from tim.errors import UserSigRevoked

PHONE = Client("Safari on iOS", "203.0.113.7")


def newest(backend: Backend) -> Entry:
    return store_of(backend).audit(APP, AuditFilter(), limit=1).entries[0]


def told(entry: Entry) -> tuple[str, str, str, str]:
    return entry.kind, entry.user, entry.address, entry.code


@pytest.mark.parametrize(
    ("app", "user", "sig", "shown"),
    [
        (APP, "alice", "", "alice"),
        (APP, "alice", "no UserSig", "alice"),
        (APP + 1, "alice", "", "alice"),
        (APP, "a name with a\nline", "", ""),
    ],
)
def test_a_refused_login_is_told_with_its_code_and_never_with_what_was_sent(
    backend: Backend, app: int, user: str, sig: str, shown: str
) -> None:
    with pytest.raises(IMError) as refused:
        backend.login(app, user, sig, PHONE)
    assert told(newest(backend)) == (REFUSED, shown, PHONE.address, str(refused.value.code))


def test_a_login_that_fails_too_often_is_told_as_that(backend: Backend) -> None:
    for _ in range(21):
        with pytest.raises(IMError):
            backend.login(APP, "alice", "wrong", PHONE)
    assert told(newest(backend)) == (REFUSED, "alice", PHONE.address, "70050")
    counted = {name: number for name, number in store_of(backend).counters(APP).items() if name.startswith(REFUSED)}
    assert counted == {"refused:70003": 20, "refused:70050": 1}


def test_a_revoked_usersig_is_told_with_the_browser_that_had_it(backend: Backend, clock: Clock) -> None:
    sig = backend.user_sig("alice")
    instance = backend.login(APP, "alice", sig, PHONE)
    assert (newest(backend).kind, newest(backend).instance) == (LOGIN, instance.id)
    clock.advance(1)
    store_of(backend).kick_account(APP, "alice")
    clock.advance(1)
    with pytest.raises(UserSigRevoked):
        backend.login(APP, "alice", sig, PHONE)
    assert told(newest(backend)) == (REFUSED, "alice", PHONE.address, str(USERSIG_REVOKED))
    assert newest(backend).browser == PHONE.browser


def test_an_administrator_is_named_where_it_kicks(backend: Backend) -> None:
    instance = backend.login(APP, "alice", backend.user_sig("alice"), PHONE)
    backend.admin().kick_instance("alice", instance.generation)
    assert (newest(backend).kind, newest(backend).actor) == (KICKED, "REST administrator")
    again = backend.login(APP, "alice", backend.user_sig("alice"), PHONE)
    backend.admin("console admin").kick_instance("alice", again.generation)
    assert newest(backend).actor == "console admin"


def test_entries_are_kept_as_many_days_as_are_set(make_backend: Callable[..., Backend], clock: Clock) -> None:
    backend = make_backend()
    backend.login(APP, "alice", backend.user_sig("alice"), PHONE)
    clock.advance(30 * DAY)
    backend.renew()
    entries = store_of(backend).audit(APP, AuditFilter(kinds=frozenset({LOGIN}))).entries
    assert len(entries) == 1
    clock.advance(1)
    backend.renew()
    assert store_of(backend).audit(APP, AuditFilter(kinds=frozenset({LOGIN}))).entries == []
