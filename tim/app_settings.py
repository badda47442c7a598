"""The settings of the app: read from the store now and then, and saved there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from tim.errors import SettingsChanged
from tim.model import AppSettings, Limits
from tim.rules import check_settings
from tim.store.base import Store


class SavedSettings:
    """The settings that any node has saved last.

    Args:
        default: holds until settings are saved; its version is 0.
        age: seconds for which settings that were read are used without reading them again.
        changed: called with the settings when others were read than before.
    """

    def __init__(
        self,
        store: Store,
        app: int,
        default: AppSettings,
        age: float,
        changed: Callable[[AppSettings], object] = lambda _: None,
    ) -> None:
        self._store = store
        self._app = app
        self._default = self._settings = default
        self._age = age
        self._changed = changed
        self._read_at = -math.inf  # by the monotonic clock

    def now(self) -> AppSettings:
        """Return the settings, at most `age` seconds old.

        Raises:
            StoreUnavailable.
        """
        if time.monotonic() >= self._read_at + self._age:
            settings = self._store.settings(self._app) or self._default
            self._read_at = time.monotonic()
            if settings != self._settings:
                self._changed(settings)
                self._settings = settings
        return self._settings

    def limits(self) -> Limits:
        """Return the limits of `now`. Raises StoreUnavailable."""
        return self.now().limits

    def seats(self) -> int:
        """Return how many instances one account may have. Raises StoreUnavailable."""
        return self.limits().online_web_instances

    def refresh(self) -> AppSettings:
        """Read the settings again, and return them. Raises StoreUnavailable."""
        self._read_at = -math.inf
        return self.now()

    def save(self, settings: AppSettings, actor: str) -> AppSettings:
        """Save the settings for every node, and return them with their new version.

        Args:
            settings: `version` is that of the settings on which they are based.
            actor: what saves them, as the audit names it.

        Raises:
            SettingError: one of them breaks its rule.
            SettingsChanged: others were saved meanwhile; it carries them.
            StoreUnavailable.
        """
        try:
            self._store.save_settings(self._app, check_settings(settings), actor)
        except SettingsChanged:
            raise SettingsChanged(self.refresh()) from None
        return self.refresh()

    def change(self, make: Callable[[AppSettings], AppSettings], actor: str) -> AppSettings:
        """Save what `make` returns for the newest settings; it is called again where others were saved meanwhile.

        Raises:
            SettingError, StoreUnavailable.
        """
        newest = self.refresh()
        while True:
            try:
                return self.save(replace(make(newest), version=newest.version), actor)
            except SettingsChanged as error:
                newest = error.current
