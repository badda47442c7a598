"""An account's instances, as a test of a store makes and finds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from tests.support.actors import APP, DAY, Clock, newcomer
from tim.ends import Gone
from tim.errors import InstanceGone
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
    life: float = DAY,
    browser: str = "Firefox",
    attached: bool = True,
) -> Instance:
    asked = newcomer(user, expires=clock() + life, browser=browser)
    admitted, _ = store.admit(asked, limit, clock() if made is None else made)
    return store.attach(admitted.id, NODE, limit).instance if attached else admitted


def reason(store: Store, instance: Instance) -> str | None:
    gone = store.get(instance.id).gone
    return None if gone is None else gone.reason


def why_not(attempt: Callable[[], object]) -> Gone:
    """What the instance ended of, by the words of the refusal."""
    with pytest.raises(InstanceGone) as refused:
        attempt()
    return refused.value.gone


def live(store: Store, user: str = "alice") -> list[str]:
    return [instance.id for instance in store.instances(APP, user)]
