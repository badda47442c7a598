"""What instances of an account tell each other: names, and "it was me"."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.store.contract.conftest import LogIn
from tests.support.actors import APP, GRACE, Clock
from tests.support.seats import NODE, why_not
from tim.ends import AWAY, LOGGED_OUT, Gone
from tim.errors import NoSuchInstance
from tim.rules import instance_id
from tim.store.base import Store


def test_an_instance_has_the_name_that_it_was_given_last(store: Store, log_in: LogIn) -> None:
    tab, other = log_in(), log_in()
    for name in ("笔记本 at work", "my laptop", ""):
        renamed = store.rename(tab.id, name)
        assert renamed == replace(tab, name=name)
        assert store.instances(APP, "alice") == [renamed, other]


def test_a_name_stays_with_an_instance_that_was_away(store: Store, log_in: LogIn, clock: Clock) -> None:
    mine, tab = log_in(), log_in()
    store.rename(tab.id, "my laptop")
    store.vouch(mine.id, tab.id)
    store.detach(tab.id, tab.stream)
    clock.advance(GRACE)
    store.sweep()
    back = store.attach(tab.id, NODE, 10).instance
    assert (back.name, back.ordinal, back.vouched) == ("my laptop", tab.ordinal, mine.ordinal)


def test_it_was_me_is_kept_of_the_oldest_that_has_said_it(store: Store, log_in: LogIn) -> None:
    oldest, older, newcomer = log_in(), log_in(), log_in()
    for by, kept in ((older, older), (oldest, oldest), (older, oldest)):
        assert store.vouch(by.id, newcomer.id) == replace(newcomer, vouched=kept.ordinal)
        assert store.get(newcomer.id).vouched == kept.ordinal
    assert store.get(older.id) == older


def test_nobody_says_it_was_me_of_one_that_has_ended(store: Store, log_in: LogIn) -> None:
    mine, other = log_in(), log_in()
    store.remove(other.id, Gone(LOGGED_OUT, 0))
    ended = store.get(other.id)
    assert store.vouch(mine.id, other.id) is None
    assert store.get(other.id) == ended


def test_nobody_says_it_was_me_of_a_login_of_another_account_or_an_unknown_one(store: Store, log_in: LogIn) -> None:
    mine, foreign = log_in(), log_in("bob")
    for wrong in (foreign.id, instance_id(APP, "alice", "f" * 32)):
        with pytest.raises(NoSuchInstance):
            store.vouch(mine.id, wrong)
    assert store.get(foreign.id) == foreign


def test_one_that_is_away_signs_nobody_out_and_changes_no_name(store: Store, log_in: LogIn, clock: Clock) -> None:
    away = log_in(attached=False)
    clock.advance(GRACE)
    other = log_in()
    for call in (
        lambda: store.sign_out_others(away.id),
        lambda: store.rename(away.id, "my laptop"),
        lambda: store.vouch(away.id, other.id),
    ):
        assert why_not(call).reason == AWAY
    assert store.instances(APP, "alice") == [other]
