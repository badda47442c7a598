"""The settings that a node uses are those that were saved last, whoever has read which when."""

from __future__ import annotations

import pytest

from tests.support.actors import APP
from tim.app_settings import SavedSettings
from tim.model import AppSettings, Limits
from tim.store.base import Store

DEFAULT = AppSettings(Limits(1))


def test_settings_whose_reading_took_long_replace_none_that_were_read_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[AppSettings] = []
    settings = SavedSettings(store, APP, DEFAULT, 0, used.append)
    read, slow = store.settings, [True]

    def reads(app: int) -> AppSettings | None:
        found = read(app)
        if slow:
            slow.clear()
            settings.save(AppSettings(Limits(3)), "console admin")  # and its reader reads them
        return found

    monkeypatch.setattr(store, "settings", reads)
    assert settings.now().limits == Limits(3)
    assert settings.known.limits == Limits(3)
    assert [each.limits for each in used] == [Limits(3)]
