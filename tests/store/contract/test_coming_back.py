"""An instance that has lost its seat may take a free one again."""

from __future__ import annotations

from collections.abc import Callable

from tests.store.contract.conftest import LogIn
from tests.support.actors import DAY, GRACE, Clock
from tests.support.seats import NODE, live, reason, why_not
from tim.ends import AWAY, LOGGED_OUT, TYPES, Gone
from tim.store.base import Store

MULT_ACCOUNT = TYPES.KICKED_OUT_MULT_ACCOUNT
EXPIRED = TYPES.KICKED_OUT_USERSIG_EXPIRED


def test_who_was_away_comes_back_as_the_newest_where_there_is_room(
    store: Store, log_in: LogIn, pass_grace: Callable[[], None]
) -> None:
    away, other = log_in(), log_in()
    store.detach(away.id, away.stream)
    pass_grace()
    assert reason(store, away) == AWAY
    back = store.attach(away.id, NODE, 2).instance
    assert back.generation > other.generation
    assert back.stream > away.stream
    assert back.online
    assert store.get(away.id) == back
    assert live(store) == [other.id, away.id]
    assert store.detach(away.id, away.stream) is False, "its stream from before is void"


def test_who_was_away_evicts_nobody_and_hears_for_ever_who_has_its_seat(
    store: Store, log_in: LogIn, clock: Clock, pass_grace: Callable[[], None]
) -> None:
    away = log_in(limit=1)
    store.detach(away.id, away.stream)
    pass_grace()
    other = log_in(limit=1, browser="Chrome")
    gone = why_not(lambda: store.attach(away.id, NODE, 1))
    assert (gone.reason, gone.by) == (MULT_ACCOUNT, other.client)
    assert live(store) == [other.id]
    # The seat falls free, and time passes: it is told the same all the same.
    store.remove(other.id, Gone(LOGGED_OUT, 0))
    for _ in range(3):
        clock.advance(DAY)
        store.sweep()
        assert why_not(lambda: store.attach(away.id, NODE, 1)) == gone
        assert store.get(away.id).gone == gone


def test_the_reason_of_who_found_no_seat_is_kept_however_old_the_login_that_has_it(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    # Two tabs have been open for ten days. One is away, and meanwhile the app allows only one.
    away, _ = log_in(limit=2), log_in(limit=2)
    clock.advance(10 * DAY)
    store.detach(away.id, away.stream)
    clock.advance(GRACE + 1)
    gone = why_not(lambda: store.attach(away.id, NODE, 1))
    assert gone.reason == MULT_ACCOUNT
    store.sweep()
    clock.advance(DAY)
    store.sweep()
    assert why_not(lambda: store.attach(away.id, NODE, 1)) == gone


def test_whose_user_sig_ran_out_while_it_was_away_does_not_come_back(
    store: Store, log_in: LogIn, clock: Clock, pass_grace: Callable[[], None]
) -> None:
    away = log_in(life=300)
    store.detach(away.id, away.stream)
    pass_grace()
    assert reason(store, away) == AWAY
    clock.advance(300)
    assert why_not(lambda: store.attach(away.id, NODE, 10)).reason in (AWAY, EXPIRED)
    assert live(store) == []


def test_what_an_attach_was_refused_for_once_it_is_refused_for_ever(store: Store, log_in: LogIn, clock: Clock) -> None:
    # Away, then expired: the first attempt finds an empty account, the second a taken seat.
    away = log_in(life=300)
    store.detach(away.id, away.stream)
    clock.advance(400)
    gone = why_not(lambda: store.attach(away.id, NODE, 1))
    log_in(limit=1)
    assert why_not(lambda: store.attach(away.id, NODE, 1)).reason == gone.reason
    store.remove(away.id, Gone(LOGGED_OUT, 0))
    assert why_not(lambda: store.attach(away.id, NODE, 1)).reason == gone.reason
