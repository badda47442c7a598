"""What every store promises of the settings of an app: what was saved last holds, and no save undoes another unseen."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.support.actors import APP, Clock
from tests.support.inside import store_of
from tim import Backend
from tim.app_settings import SavedSettings
from tim.audit import SETTINGS, AuditFilter, Entry
from tim.errors import SettingError, SettingsChanged
from tim.model import AppSettings, Limits
from tim.store.base import Store

WANTED = AppSettings(Limits(3, 30, 300), webhook_url="https://example.com/hook?a=1", webhook_token="t0ken:{}")


def test_nothing_is_saved_at_first(store: Store) -> None:
    assert store.settings(APP) is None


def test_what_was_saved_is_read_with_its_version_time_and_actor(store: Store, clock: Clock) -> None:
    store.save_settings(APP, WANTED, "console admin")
    assert store.settings(APP) == replace(WANTED, version=1, saved_at=clock(), saved_by="console admin")
    clock.advance(5)
    store.save_settings(APP, AppSettings(version=1, saved_at=7, saved_by="somebody"), "REST administrator")
    assert store.settings(APP) == AppSettings(version=2, saved_at=clock(), saved_by="REST administrator")


def test_each_save_is_in_the_audit_and_a_refused_one_is_not(store: Store, clock: Clock) -> None:
    store.save_settings(APP, WANTED, "console admin", "policy a → b")
    with pytest.raises(SettingsChanged):
        store.save_settings(APP, WANTED, "API", "policy b → c")
    (entry,) = store.audit(APP, AuditFilter()).entries
    assert entry == Entry(entry.id, clock(), SETTINGS, words="policy a → b", actor="console admin")
    assert store.counters(APP) == {"settings:": 1}


def test_what_a_save_changes_is_in_words_without_secrets(make_backend: Callable[..., Backend]) -> None:
    backend = make_backend(limit=2)
    saved = backend.settings.save(
        AppSettings(Limits(3), webhook_url="https://a.example/hook?key=s3cret", webhook_token="t0ken"), "API"
    )
    backend.settings.save(replace(saved, webhook_url="", webhook_token=""), "API")
    words = [entry.words for entry in backend.admin().audit(AuditFilter()).entries]
    assert words == [
        "webhook-url a.example → none, another webhook-token",
        "online-web-instances 2 → 3, webhook-url none → a.example, another webhook-token",
    ]


def test_each_app_has_its_own(store: Store) -> None:
    store.save_settings(APP, WANTED, "API")
    assert store.settings(APP + 1) is None


@pytest.mark.parametrize("version", [0, 2, 7])
def test_settings_that_are_based_on_others_than_the_saved_ones_are_refused(store: Store, version: int) -> None:
    store.save_settings(APP, WANTED, "console admin")
    before = store.settings(APP)
    with pytest.raises(SettingsChanged) as refused:
        store.save_settings(APP, AppSettings(version=version), "API")
    assert refused.value.current == before == store.settings(APP)
    assert "by console admin" in str(refused.value)


def test_settings_that_are_based_on_lost_ones_are_refused(store: Store) -> None:
    with pytest.raises(SettingsChanged) as refused:
        store.save_settings(APP, replace(WANTED, version=3), "API")
    assert refused.value.current == AppSettings()
    assert store.settings(APP) is None


def test_of_many_that_save_at_once_one_does_and_the_others_receive_what_it_saved(store: Store) -> None:
    def save(nth: int) -> AppSettings | None:
        try:
            store.save_settings(APP, AppSettings(Limits(nth)), f"{nth}")
        except SettingsChanged as refused:
            return refused.current
        return None

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(save, range(1, 9)))
    assert replies.count(None) == 1
    saved = store.settings(APP)
    assert saved is not None
    assert (saved.limits.online_web_instances, saved.version) == (replies.index(None) + 1, 1)
    assert [reply for reply in replies if reply is not None] == [saved] * 7


def test_a_change_begins_with_the_newest_settings_and_loses_no_other_change(store: Store) -> None:
    def count(_: int) -> None:
        saved = SavedSettings(store, APP, AppSettings(Limits(2)), age=1e6)
        for _ in range(5):
            saved.change(lambda newest: with_failures(newest, newest.limits.failures_per_account + 1), "API")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    saved = store.settings(APP)
    assert saved is not None
    assert (saved.limits, saved.version) == (Limits(2, 20 + 4 * 5), 4 * 5)


def with_failures(settings: AppSettings, failures: int) -> AppSettings:
    return replace(settings, limits=replace(settings.limits, failures_per_account=failures))


def test_one_that_saves_after_another_receives_the_settings_and_reads_them_from_then_on(store: Store) -> None:
    first, second = (SavedSettings(store, APP, AppSettings(Limits(2)), age=1e6) for _ in range(2))
    before = second.now()
    assert before == AppSettings(Limits(2))
    saved = first.save(replace(first.now(), limits=Limits(5)), "one")
    with pytest.raises(SettingsChanged) as refused:
        second.save(replace(before, limits=Limits(7)), "other")
    assert refused.value.current == saved == second.now()


def test_settings_that_are_lost_are_those_of_the_start_again(store: Store) -> None:
    saved = SavedSettings(store, APP, AppSettings(Limits(2)), age=0)
    with pytest.raises(SettingsChanged) as refused:
        saved.save(replace(WANTED, version=3), "one")
    assert refused.value.current == AppSettings(Limits(2))


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (AppSettings(Limits(0)), "online_web_instances"),
        (AppSettings(Limits(11)), "online_web_instances"),
        (AppSettings(Limits(1, 0)), "failures_per_account"),
        (AppSettings(Limits(1, 1, 1_000_001)), "failures_per_address"),
        (AppSettings(Limits(messages_a_minute=0)), "messages_a_minute"),
        (AppSettings(Limits(messages_a_minute=1_000_001)), "messages_a_minute"),
        (AppSettings(policy="perhaps"), "policy"),
        (AppSettings(webhook_url="example.com", webhook_token="t"), "webhook_url"),
        (AppSettings(webhook_url="ftp://example.com/", webhook_token="t"), "webhook_url"),
        (AppSettings(webhook_url="https:///path", webhook_token="t"), "webhook_url"),
        (AppSettings(webhook_url="https://user@example.com/", webhook_token="t"), "webhook_url"),
        (AppSettings(webhook_url="https://example.com:0/", webhook_token="t"), "webhook_url"),
        (AppSettings(webhook_url="https://example.com:99999/", webhook_token="t"), "webhook_url"),
        (AppSettings(webhook_url="https://example.com/#part", webhook_token="t"), "webhook_url"),
        (AppSettings(webhook_url="https://example.com/a b", webhook_token="t"), "webhook_url"),
        (AppSettings(webhook_url="https://example.com/", webhook_token="tök"), "webhook_token"),
        (AppSettings(webhook_url="https://example.com/"), "webhook_token"),
    ],
    ids=str,
)
def test_settings_that_break_a_rule_are_not_saved(
    make_backend: Callable[..., Backend], wrong: AppSettings, name: str
) -> None:
    backend = make_backend()
    with pytest.raises(SettingError) as refused:
        backend.settings.save(wrong, "API")
    assert refused.value.name == name
    assert store_of(backend).settings(APP) is None


def test_the_token_of_a_webhook_is_not_in_what_a_log_would_show() -> None:
    assert "t0ken" not in repr(WANTED)


def test_saving_limits_keeps_the_other_settings(make_backend: Callable[..., Backend]) -> None:
    backend = make_backend()
    backend.settings.save(WANTED, "console admin")
    backend.save_limits(Limits(4))
    saved = backend.settings.now()
    assert (saved.limits, saved.webhook_url, saved.version, saved.saved_by) == (Limits(4), WANTED.webhook_url, 2, "API")
