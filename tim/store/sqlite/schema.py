"""The tables of SQLite, and how an older file gets those it lacks."""

from __future__ import annotations

import sqlite3
from importlib import resources
from typing import Final

VERSION: Final = 5
"""Of a file that `schema.sql` has made; `schema_<n>.sql` makes one of version n from one of the version before."""


def prepare(db: sqlite3.Connection) -> None:
    """Make what is not there yet; raises sqlite3.DatabaseError where the file is of a version we do not know."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    if not 0 <= version < VERSION:
        raise sqlite3.DatabaseError(f"it was made by another version of this server (schema {version})")
    folder = resources.files("tim.store.sqlite")
    scripts = [f"schema_{n}.sql" for n in range(version + 1, VERSION + 1)] if version else ["schema.sql"]
    statements = "".join(folder.joinpath(script).read_text() for script in scripts)
    db.executescript(f"BEGIN; {statements} PRAGMA user_version = {VERSION}; COMMIT")
