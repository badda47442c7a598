"""The table of settings: what each app allows."""

from __future__ import annotations

from tim.audit import SETTINGS, Entry
from tim.errors import SettingsChanged
from tim.model import AppSettings, Limits
from tim.store.sqlite import audit
from tim.store.sqlite.database import Database


class Settings:
    """The verbs on settings of an embedded store."""

    def __init__(self, database: Database) -> None:
        self._db = database.connection
        self._transaction, self._reading = database.transaction, database.reading

    def find(self, app: int) -> AppSettings | None:
        with self._reading():
            return self._saved(app)

    def save(self, app: int, new: AppSettings, actor: str, words: str = "") -> None:
        with self._transaction() as now:
            current = self._saved(app) or AppSettings()
            if current.version != new.version:
                raise SettingsChanged(current)
            limits = new.limits
            self._db.execute(
                "INSERT OR REPLACE INTO settings (app, instances, per_account, per_address, messages, policy, not_me,"
                " help_text, help_url, session_life, idle_life, webhook_url, webhook_token, version, saved_at,"
                " saved_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (app, limits.online_web_instances, limits.failures_per_account, limits.failures_per_address,
                 limits.messages_a_minute, new.policy, new.not_me, new.help_text, new.help_url, new.session_life,
                 new.idle_life, new.webhook_url, new.webhook_token, new.version + 1, now, actor),
            )  # fmt: skip
            audit.write(self._db, app, Entry("", now, SETTINGS, words=words, actor=actor), now)

    def _saved(self, app: int) -> AppSettings | None:
        row = self._db.execute("SELECT * FROM settings WHERE app = ?", (app,)).fetchone()
        if row is None:
            return None
        return AppSettings(
            limits=Limits(row["instances"], row["per_account"], row["per_address"], row["messages"]),
            policy=row["policy"],
            not_me=bool(row["not_me"]),
            help_text=row["help_text"],
            help_url=row["help_url"],
            session_life=row["session_life"],
            idle_life=row["idle_life"],
            webhook_url=row["webhook_url"],
            webhook_token=row["webhook_token"],
            version=row["version"],
            saved_at=row["saved_at"],
            saved_by=row["saved_by"],
        )
