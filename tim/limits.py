"""The limits of the app: read from the store now and then, and saved there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from tim.model import Limits
from tim.rules import check_limits
from tim.store.base import Store


class SavedLimits:
    """The limits that any node has saved last.

    Args:
        default: holds until limits are saved.
        age: seconds for which limits that were read are used without reading them again.
        changed: called when other limits were read than before.
    """

    def __init__(self, store: Store, app: int, default: Limits, age: float, changed: Callable[[], object]) -> None:
        self._store = store
        self._app = app
        self._default = self._limits = default
        self._age = age
        self._changed = changed
        self._read_at = -math.inf  # by the monotonic clock

    def now(self) -> Limits:
        """Return the limits, at most `age` seconds old.

        Raises:
            StoreUnavailable.
        """
        if time.monotonic() >= self._read_at + self._age:
            limits = self._store.limits(self._app) or self._default
            self._read_at = time.monotonic()
            if limits != self._limits:
                self._limits = limits
                self._changed()
        return self._limits

    def seats(self) -> int:
        """Return how many instances one account may have. Raises StoreUnavailable."""
        return self.now().online_web_instances

    def refresh(self) -> None:
        """Read the limits again. Raises StoreUnavailable."""
        self._read_at = -math.inf
        self.now()

    def save(self, limits: Limits) -> None:
        """Save the limits for every node.

        Raises:
            SettingError: a limit is out of range.
            StoreUnavailable.
        """
        self._store.save_limits(self._app, check_limits(limits))
        self.refresh()
