"""The tables of SQLite, and how an older file gets those it lacks."""

from __future__ import annotations

import sqlite3
from importlib import resources
from typing import Final

VERSION: Final = 3
_SCRIPTS: Final = {0: ("schema.sql",), 1: ("schema_2.sql", "schema_3.sql"), 2: ("schema_3.sql",)}
"""What makes a file of each version one of VERSION."""


def prepare(db: sqlite3.Connection) -> None:
    """Make what is not there yet; raises sqlite3.DatabaseError where the file is of a version we do not know."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    if version not in _SCRIPTS:
        raise sqlite3.DatabaseError(f"it was made by another version of this server (schema {version})")
    folder = resources.files("tim.store")
    statements = "".join(folder.joinpath(script).read_text() for script in _SCRIPTS[version])
    db.executescript(f"BEGIN; {statements} PRAGMA user_version = {VERSION}; COMMIT")
