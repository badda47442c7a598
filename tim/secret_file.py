"""Secrets: the rule for them, and random ones kept in a file."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from tim.errors import SettingError

SHORTEST: Final = 16
"""Least number of characters; shorter secrets can be guessed."""
LEAST_VARIETY: Final = 5
"""Least number of different characters; fewer make a filler, such as a row of x."""
MAKE_ONE: Final = "make one with: openssl rand -hex 32"
PUBLISHED: Final = frozenset(
    {
        "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e",  # of the vendor's own generators
        "a-key-for-tests-only-0123456789",
        "a-secret-that-signs-cookies",
        "the-key-of-the-app-that-signs-usersigs",
    }
)
"""Keys printed in manuals. They are public, so any reader can sign with them."""


def is_text(value: str) -> bool:
    """Return whether the value can be encoded as UTF-8. Values from the environment or JSON may not be."""
    return value.encode(errors="replace").decode() == value


def check_secret(value: str) -> str:
    """Return `value` if it follows the rule for secrets.

    Raises:
        ValueError: it is too short, a filler, not UTF-8, or published. The message does not contain the secret.
    """
    bare = value.strip()
    if not is_text(bare):
        raise ValueError(f"must be a secret in UTF-8; {MAKE_ONE}")
    if len(bare) < SHORTEST:
        raise ValueError(f"must be a secret of at least {SHORTEST} characters; {MAKE_ONE}")
    if bare in PUBLISHED:
        raise ValueError(f"must be a secret of its own: this one stands in a manual; {MAKE_ONE}")
    if len(set(bare)) < LEAST_VARIETY:
        raise ValueError(f"must be a secret of at least {LEAST_VARIETY} different characters; {MAKE_ONE}")
    return value


def kept_secret(path: Path, instead: str = "secret_key") -> str:
    """Return the secret in the file. If there is no file, write a random secret of 256 bits, as hex.

    Only the owner can read the file. Processes that start at the same time all get the secret that was written first.

    Args:
        instead: the setting that replaces the file, for the error text.

    Raises:
        SettingError: the file cannot be read or made, others can read it, or it has no secret in it.
    """
    way_out = f"let this server read and write its folder, or set {instead}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        with open(path, encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode
            secret = file.read().strip()
    except OSError as error:
        raise SettingError(str(path), f"cannot be used: {error.strerror}; {way_out}") from None
    except UnicodeDecodeError:
        raise SettingError(str(path), f"cannot be used: it is not ASCII text; delete it, or set {instead}") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise SettingError(
            str(path), f"must be for its owner alone, but other users can open it; use chmod 600, or set {instead}"
        )
    if not secret:
        raise SettingError(str(path), "is empty; delete it to have a new secret made")
    try:
        return check_secret(secret)
    except ValueError as error:
        raise SettingError(str(path), str(error)) from None


def secret_beside(url: str) -> str:
    """Return the key of an app that is given none: kept beside the file of the SQLite store at `url`.

    A store in memory gets a random key, as it lives no longer than the key.

    Raises:
        SettingError: the file cannot be used; or the store is on Redis, whose nodes all need the same key.
    """
    scheme, _, path = url.partition("://")
    if scheme != "sqlite":
        raise SettingError("secret_key", f"must be given with a store on Redis, the same for every node; {MAKE_ONE}")
    return kept_secret(Path(path[1:]).parent / "sdk_secret_key") if path else secrets.token_hex(32)


def _make(path: Path) -> None:
    """Write a new secret to the file in one step. Keep a file that another process has written meanwhile."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was faster
    finally:
        draft.unlink(missing_ok=True)
