"""What an app's policy means for a login at the limit: for the SDK, for a page that can ask, and for the audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.actors import APP, ATab, Person, allows
from tim import EVENT, TYPES, Backend, Client, IMError
from tim.audit import EVICTED, LOGIN, REFUSED, AuditFilter
from tim.model import Choice, Instance
from tim.rules import ASK, EVICT, REJECT
from tim.seat_errors import AtLimit, MustChoose

TELEPHONE = Client("Safari on iOS", "198.51.100.1")
pytestmark = allows(2)


def does_at_the_limit(backend: Backend, policy: str) -> None:
    backend.settings.change(lambda settings: replace(settings, policy=policy), "API")


def history(backend: Backend, user: str) -> Counter[tuple[str, str]]:
    """Kind and code of the entries of an account; all of them have the same time."""
    return Counter((entry.kind, entry.code) for entry in backend.admin().audit(AuditFilter(user)).entries)


def is_asked(
    backend: Backend, user: str, *, choice: Choice | None = None, told: type[AtLimit] = MustChoose
) -> list[Instance]:
    """A login on a telephone; returns where the account is online."""
    ticket = backend.verify(APP, user, backend.user_sig(user), TELEPHONE.address)
    with pytest.raises(AtLimit) as asked:
        backend.logins.admit(ticket, TELEPHONE, choice=choice, can_ask=True)
    assert type(asked.value) is told
    return asked.value.instances


@pytest.mark.parametrize("policy", [REJECT, ASK])
def test_the_sdk_is_rejected_and_told_where_the_account_is_online(
    backend: Backend, person: Callable[[str], Person], policy: str
) -> None:
    does_at_the_limit(backend, policy)
    alice = person("alice")
    first, second = alice.logs_in("Desk"), alice.logs_in("Sofa")
    third: ATab = alice.opens("C")
    with pytest.raises(IMError) as refused:
        third.sdk.login("alice", alice.user_sig())
    assert refused.value.code == 70053
    assert all(f"{place} at 203.0.113.7" in refused.value.message for place in ("Desk", "Sofa"))
    assert third.hears(EVENT.ERROR).data == {"code": 70053, "message": refused.value.message}
    alice.has_tabs("Desk", "Sofa")
    assert history(backend, "alice") == {(LOGIN, ""): 2, (REFUSED, "70053"): 1}
    first.sdk.logout()
    third.sdk.login("alice", alice.user_sig())
    third.is_ready()
    second.is_ready()


def test_as_often_as_one_is_rejected_it_waits_for_nothing(backend: Backend, person: Callable[[str], Person]) -> None:
    does_at_the_limit(backend, REJECT)
    alice = person("alice")
    tabs = [alice.logs_in(name) for name in ("A", "B")]
    third = alice.opens("C")
    for _ in range(25):
        with pytest.raises(AtLimit):
            third.sdk.login("alice", alice.user_sig())
    tabs[0].sdk.logout()
    third.sdk.login("alice", alice.user_sig())


def test_who_is_asked_is_in_the_audit_once_it_has_chosen(backend: Backend, person: Callable[[str], Person]) -> None:
    does_at_the_limit(backend, ASK)
    alice = person("alice")
    first, second = alice.logs_in("A"), alice.logs_in("B")
    shown = is_asked(backend, "alice")
    assert [each.client.browser for each in shown] == ["A", "B"]
    assert history(backend, "alice") == {(LOGIN, ""): 2}
    choice = Choice(tuple(each.id for each in shown), frozenset({shown[1].id}))
    ticket = backend.verify(APP, "alice", alice.user_sig(), TELEPHONE.address)
    backend.logins.admit(ticket, TELEPHONE, choice=choice, can_ask=True)
    second.is_kicked_out(TYPES.KICKED_OUT_MULT_ACCOUNT)
    first.is_ready()
    assert history(backend, "alice") == {(LOGIN, ""): 3, (EVICTED, TYPES.KICKED_OUT_MULT_ACCOUNT): 1}


def test_a_choice_holds_although_the_app_evicts_meanwhile(backend: Backend, person: Callable[[str], Person]) -> None:
    """It would be a surprise if another one left than the chosen one."""
    does_at_the_limit(backend, ASK)
    alice = person("alice")
    first, second = alice.logs_in("A"), alice.logs_in("B")
    choice = Choice(tuple(each.id for each in is_asked(backend, "alice")), frozenset({alice.instances()[1].id}))
    does_at_the_limit(backend, REJECT)
    is_asked(backend, "alice", choice=choice, told=AtLimit)
    assert history(backend, "alice")[REFUSED, "70053"] == 1
    does_at_the_limit(backend, EVICT)
    ticket = backend.verify(APP, "alice", alice.user_sig(), TELEPHONE.address)
    backend.logins.admit(ticket, TELEPHONE, choice=choice, can_ask=True)
    second.is_kicked_out(TYPES.KICKED_OUT_MULT_ACCOUNT)
    first.is_ready()
