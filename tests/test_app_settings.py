"""The settings that a node uses are those that were saved last, whoever has read which when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.actors import APP
from tim.app_settings import SavedSettings, changes_of, differences, summary
from tim.model import AppSettings, Limits
from tim.rules import POLICIES
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


PARTS = st.sampled_from(
    [", ", " → ", '"', "\\", "", "nothing", "another webhook-token", "help-url x → y", "session-life 1 → 2", "帮助"]
)
TEXTS = st.lists(PARTS | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9), max_size=6).map(
    lambda parts: "".join(parts).strip()
)


@given(
    st.lists(st.sampled_from(POLICIES), min_size=2, max_size=2),
    st.lists(st.integers(0, 100), min_size=2, max_size=2),
    st.lists(TEXTS, min_size=2, max_size=2),
    st.sampled_from(["", "https://a.example/x,y", "https://a.example/,"]),
)
def test_what_a_save_has_changed_is_read_back_from_its_words(
    policies: list[str], lives: list[int], texts: list[str], url: str
) -> None:
    one = AppSettings(policy=policies[0], session_life=lives[0], help_text=texts[0], help_url=url)
    other = AppSettings(policy=policies[1], session_life=lives[1], help_text=texts[1], webhook_token="secret")
    changed = differences(one, other)
    assert changes_of(summary(one, other)) == changed
    assert changes_of(summary(one, one)) == []
    assert changes_of("of an earlier version 1 → 2") is None


@given(TEXTS, TEXTS)
def test_words_with_a_text_that_is_not_quoted_are_not_read_as_changes(one: str, other: str) -> None:
    assert changes_of(f"policy evict → ask, help-text {one} → {other}, another webhook-token") is None
