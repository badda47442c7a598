"""The lock beside a SQLite file that makes one process its owner."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from tim.errors import SettingError


def take(path: str) -> IO[str]:
    """Lock the store file at `path`. Returns the lock, held until it is closed or this process ends, however it ends.

    Creates the file where it is missing, readable for its owner only, as it will hold messages.

    Raises:
        SettingError: another process holds it, no file can be made there, or what was a store is empty.
    """
    try:
        was_open_before = Path(f"{path}.lock").exists() and Path(path).exists()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch(mode=0o600)
        lock = open(f"{path}.lock", "a+", encoding="ascii")  # noqa: SIM115 - held as long as the store
    except OSError as error:
        raise SettingError("TIM_STORE", f"{path} cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise SettingError(
            "TIM_STORE",
            f"{path} is in use by process {owner}, and SQLite serves one process; "
            "stop that one, or use Redis (redis://...) for many",
        ) from None
    if was_open_before and not Path(path).stat().st_size:
        lock.close()
        raise SettingError(
            "TIM_STORE", f"{path} was a store and is empty now; restore it from a backup, or delete it to begin anew"
        )
    with suppress(OSError):  # a full disk: the lock holds without a name in it
        lock.truncate(0)
        os.pwrite(lock.fileno(), str(os.getpid()).encode(), 0)
    return lock


def delete_if_empty(lock: IO[str]) -> None:
    """Delete a store file that could not be filled, as on a full disk, so that the next start is a first one."""
    path = Path(lock.name.removesuffix(".lock"))
    with suppress(OSError):
        if not path.stat().st_size:
            path.unlink()
            Path(lock.name).unlink()
