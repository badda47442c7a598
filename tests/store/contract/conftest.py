"""How the tests of the contract log somebody in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.actors import DAY, GRACE, Clock, newcomer
from tests.support.seats import NODE
from tim.model import Instance
from tim.store.base import Store

LogIn = Callable[..., Instance]


@pytest.fixture
def log_in(store: Store, clock: Clock) -> LogIn:
    """`log_in("alice", limit=2)`: admitted, and attached unless said otherwise."""

    def log_in(
        user: str = "alice",
        *,
        limit: int = 10,
        life: float = 365 * DAY,
        attached: bool = True,
        browser: str = "Firefox",
    ) -> Instance:
        admitted, _ = store.admit(newcomer(user, browser=browser, expires=clock() + life), limit)
        return store.attach(admitted.id, NODE, limit).instance if attached else admitted

    return log_in


@pytest.fixture(params=[False, True], ids=["noticed-late", "swept"])
def pass_grace(store: Store, clock: Clock, request: pytest.FixtureRequest) -> Callable[[], None]:
    """Let the grace time pass, with and without somebody who writes down what that means."""

    def pass_grace() -> None:
        clock.advance(GRACE + 1)
        if request.param:
            store.sweep()

    return pass_grace
