"""The settings of the app: read from the store now and then, and saved there."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Final
from urllib.parse import urlsplit

from tim.errors import SettingsChanged
from tim.model import AppSettings, Limits
from tim.setting_rules import check_settings
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
        self._default = default
        self._age = age
        self._changed = changed
        self._lock = threading.Lock()  # guards the two below
        self._settings = default
        self._read_at = -math.inf  # when their reading began, by the monotonic clock

    def now(self) -> AppSettings:
        """Return the settings, at most `age` seconds old.

        Raises:
            StoreUnavailable.
        """
        return self._settings if time.monotonic() < self._read_at + self._age else self.refresh()

    @property
    def known(self) -> AppSettings:
        """The settings that were read last: without a call of the store, and as old as the last renewal at most."""
        return self._settings

    def limits(self) -> Limits:
        """Return the limits of `now`. Raises StoreUnavailable."""
        return self.now().limits

    def seats(self) -> int:
        """Return how many instances one account may have. Raises StoreUnavailable."""
        return self.limits().online_web_instances

    def refresh(self) -> AppSettings:
        """Read the settings again, and return them. Raises StoreUnavailable."""
        began = time.monotonic()
        settings = self._store.settings(self._app) or self._default
        with self._lock:
            if began >= self._read_at:  # otherwise others were read meanwhile, which may be newer
                if settings != self._settings:
                    self._changed(settings)
                self._settings, self._read_at = settings, began
            return self._settings

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
        before = self._settings if self._settings.version == settings.version else self.refresh()
        words = summary(before, check_settings(settings))
        try:
            self._store.save_settings(self._app, settings, actor, words)
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


def differences(before: AppSettings, after: AppSettings) -> list[tuple[str, str, str]]:
    """Return the name, the old and the new value of each setting that differs; without the values of a token."""
    old, new = _values(before), _values(after)
    found = [(name, old[name], new[name]) for name in old if old[name] != new[name]]
    return [(name, "", "") if name == "webhook-token" else (name, was, now) for name, was, now in found]


def summary(before: AppSettings, after: AppSettings) -> str:
    """Return what differs in one line, for the audit: of an address its host alone, as the rest may be a secret."""
    return ", ".join(_said(*each) for each in differences(before, after)) or "nothing"


def changes_of(words: str) -> list[tuple[str, str, str]] | None:
    """Return the `differences` that `summary` has put into these words, with the hosts of webhooks; None for others.

    Words of an earlier version in which a text was not quoted are others: they may have several meanings.
    """
    if words == "nothing":
        return []
    found = SUMMARY.fullmatch(words)
    if found is None:
        return None
    parts = found.groups("")
    return [_read(*each) for each in zip(parts[::3], parts[1::3], parts[2::3], strict=True) if each[0]]


def _said(name: str, was: str, now: str) -> str:
    match name:
        case "webhook-token":
            return "another webhook-token"
        case "webhook-url":
            return f"{name} {host_of(was) or 'none'} → {host_of(now) or 'none'}"
        case "help-text":  # It may contain what separates settings. Earlier entries have neither quotes nor this colon.
            return f"{name}: {_quoted(was)} → {_quoted(now)}"
    return f"{name} {was} → {now}"


def _read(name: str, was: str, now: str) -> tuple[str, str, str]:
    """The values of one setting, as `_said` was given them; of an address the host."""
    return (name, json.loads(was), json.loads(now)) if name == "help-text" else (name, was, now)


def _quoted(line: str) -> str:
    return json.dumps(line, ensure_ascii=False)


def _values(settings: AppSettings) -> dict[str, str]:
    """What operators set, as text, by the names that `flask tim limits` and the console have for it."""
    values = {
        **asdict(settings.limits),
        "policy": settings.policy,
        "not_me": "on" if settings.not_me else "off",
        "help_text": settings.help_text,
        "help_url": settings.help_url,
        "session_life": settings.session_life,
        "idle_life": settings.idle_life,
        "webhook_url": settings.webhook_url,
        "webhook_token": settings.webhook_token,
    }
    return {name.replace("_", "-"): str(value) for name, value in values.items()}


def _pattern(name: str) -> str:
    """What `_said` makes of one setting, after a comma or as the first, if it is there: its name and both values."""
    match name:
        case "webhook-token":
            part = rf"another ({name})()()"
        case "webhook-url":
            part = rf"({name}) (?:none|(\S*)) → (?:none|(\S*))"
        case "help-text":
            part = rf"({name}): {QUOTED} → {QUOTED}"
        case _:
            part = rf"({name}) (\S*) → (\S*?)"
    return rf"(?:(?:, |\A){part}(?=, |\Z))?"


QUOTED: Final = r'("(?:[^"\\]|\\["\\])*")'
"""What `_quoted` makes of a line of printable characters."""
SUMMARY: Final = re.compile("".join(map(_pattern, _values(AppSettings()))))


def host_of(url: str) -> str:
    """Return the host of the address of a webhook, with its port; "" without an address. The path may be a secret."""
    return urlsplit(url).netloc
