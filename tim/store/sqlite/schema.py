"""Creates the tables of SQLite, and migrates a file of an older version."""

from __future__ import annotations

import sqlite3
from importlib import resources
from typing import Final

VERSION: Final = 12
"""Version of a file made by `schema.sql`. `schema_<n>.sql` makes a file of version n from one of the version before."""
UNUSED: Final = 11
"""The number of an attempt that was taken back."""


def prepare(db: sqlite3.Connection) -> None:
    """Create or migrate the tables.

    Raises:
        sqlite3.DatabaseError: the file is of an unknown version.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    if not 0 <= version < VERSION or version == UNUSED:
        raise sqlite3.DatabaseError(f"it was made by another version of this server (schema {version})")
    folder = resources.files("tim.store.sqlite")
    steps = [n for n in range(version + 1, VERSION + 1) if n != UNUSED]
    scripts = [f"schema_{n}.sql" for n in steps] if version else ["schema.sql"]
    statements = "".join(folder.joinpath(script).read_text() for script in scripts)
    db.executescript(f"BEGIN; {statements} PRAGMA user_version = {VERSION}; COMMIT")


def empty(db: sqlite3.Connection) -> None:
    """Delete the rows of every table; runs inside a transaction."""
    tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    for (table,) in db.execute(tables).fetchall():
        db.execute(f"DELETE FROM {table}")
