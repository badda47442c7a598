"""The tables of SQLite, and how an older file gets those it lacks."""

from __future__ import annotations

import sqlite3
from importlib import resources
from typing import Final

VERSION: Final = 2


def prepare(db: sqlite3.Connection) -> None:
    """Make what is not there yet; raises sqlite3.DatabaseError where the file is of a version we do not know."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    scripts = {0: "schema.sql", 1: "schema_2.sql"}
    if version not in scripts:
        raise sqlite3.DatabaseError(f"it was made by another version of this server (schema {version})")
    statements = resources.files("tim.store").joinpath(scripts[version]).read_text()
    db.executescript(f"BEGIN; {statements} PRAGMA user_version = {VERSION}; COMMIT")
