"""An account's instances, as a test of a store makes and finds them."""

from __future__ import annotations

from typing import Final

from tests.support.actors import DAY, Clock, newcomer
from tim.model import Instance
from tim.store.base import Store

NODE: Final = "node-1"
"""The node that has their streams."""


def log_in(
    store: Store,
    clock: Clock,
    user: str = "alice",
    *,
    made: float | None = None,
    limit: int = 10,
    browser: str = "Firefox",
    attached: bool = True,
) -> Instance:
    asked = newcomer(user, expires=clock() + DAY, browser=browser)
    admitted, _ = store.admit(asked, limit, clock() if made is None else made)
    return store.attach(admitted.id, NODE, limit).instance if attached else admitted


def reason(store: Store, instance: Instance) -> str | None:
    gone = store.get(instance.id).gone
    return None if gone is None else gone.reason
