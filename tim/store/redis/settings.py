"""The settings of apps, in the first shard."""

from __future__ import annotations

from dataclasses import asdict

from tim.model import AppSettings
from tim.store.redis.connection import Connection
from tim.store.redis.decode import fields_of, settings_of
from tim.store.redis.scripts import Scripts, call_id
from tim.store.redis.shards import key


class Settings:
    """The verbs of `tim.store.operating.Settings` that read and save settings."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        self._connection = connection
        self._scripts = scripts

    def find(self, app: int) -> AppSettings | None:
        saved = self._connection.command(0, "HGETALL", key(0, "settings", app))
        return settings_of(fields_of(saved)) if saved else None

    def save(self, app: int, settings: AppSettings, actor: str, words: str = "") -> None:
        fields = {
            **asdict(settings.limits),
            "policy": settings.policy,
            "not_me": int(settings.not_me),
            "help_text": settings.help_text,
            "help_url": settings.help_url,
            "session_life": settings.session_life,
            "idle_life": settings.idle_life,
            "webhook_url": settings.webhook_url,
            "webhook_token": settings.webhook_token,
            "saved_by": actor,
        }
        flat = (word for pair in fields.items() for word in pair)
        self._scripts.call(0, "save_settings", app, call_id(), settings.version, words, *flat)
