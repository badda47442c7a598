"""Secrets that are made once and kept in a file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tim.errors import SettingError


def kept_secret(path: Path) -> str:
    """The secret in the file, made at random (256 bits, as hex) where there is none yet.

    Only its owner can read the file. Of several processes that start at once, all get the one secret that was
    there first.

    Raises:
        SettingError: the file cannot be read or made, or is empty.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)  # fails where another process was faster
            except FileExistsError:
                pass
            finally:
                os.unlink(draft)
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(str(path), f"cannot be used: {error}") from None
    if not secret:
        raise SettingError(str(path), "is empty; delete it to have a new secret made")
    return secret
