"""The table of settings: what each app allows.

Runs inside a transaction of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

import sqlite3

from tim.errors import SettingsChanged
from tim.model import AppSettings, Limits


def find(db: sqlite3.Connection, app: int) -> AppSettings | None:
    """The saved settings of the app; None where none were saved."""
    row = db.execute("SELECT * FROM settings WHERE app = ?", (app,)).fetchone()
    if row is None:
        return None
    return AppSettings(
        limits=Limits(row["instances"], row["per_account"], row["per_address"]),
        policy=row["policy"],
        webhook_url=row["webhook_url"],
        webhook_token=row["webhook_token"],
        version=row["version"],
        saved_at=row["saved_at"],
        saved_by=row["saved_by"],
    )


def save(db: sqlite3.Connection, app: int, settings: AppSettings, actor: str, now: float) -> None:
    """Save the settings under the next version.

    Raises:
        SettingsChanged: the saved ones have another version than these are based on.
    """
    current = find(db, app) or AppSettings()
    if current.version != settings.version:
        raise SettingsChanged(current)
    limits = settings.limits
    db.execute(
        "INSERT OR REPLACE INTO settings (app, instances, per_account, per_address, policy, webhook_url, webhook_token,"
        " version, saved_at, saved_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (app, limits.online_web_instances, limits.failures_per_account, limits.failures_per_address, settings.policy,
         settings.webhook_url, settings.webhook_token, settings.version + 1, now, actor),
    )  # fmt: skip
