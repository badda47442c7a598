"""How the tests of the contract log somebody in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.support import seats
from tests.support.actors import DAY, GRACE, Clock
from tim.model import Instance
from tim.store.base import Store

LogIn = Callable[..., Instance]


@pytest.fixture
def log_in(store: Store, clock: Clock) -> LogIn:
    """`log_in("alice", limit=2)`: admitted, and attached unless said otherwise, for a year."""
    return partial(seats.log_in, store, clock, life=365 * DAY)


@pytest.fixture(params=[False, True], ids=["noticed-late", "swept"])
def pass_grace(store: Store, clock: Clock, request: pytest.FixtureRequest) -> Callable[[], None]:
    """Let the grace time pass, with and without somebody who writes down what that means."""

    def pass_grace() -> None:
        clock.advance(GRACE + 1)
        if request.param:
            store.sweep()

    return pass_grace
