"""The store: it decides which instances are logged in. `open_store` opens the engine that an address names."""

from __future__ import annotations

import re
from collections.abc import Callable

from tim.audit import DEFAULT_RETENTION, Retention
from tim.errors import SettingError
from tim.store.base import Store
from tim.timing import DEFAULT, Timing


def open_store(
    url: str,
    *,
    grace: float,
    clock: Callable[[], float],
    timing: Timing = DEFAULT,
    retention: Retention = DEFAULT_RETENTION,
) -> Store:
    """Open the store at `url`.

    Args:
        url: `redis://host:port/0`, or `rediss://` with TLS, a single server or one of a cluster;
            `sqlite:///relative/file`, `sqlite:////absolute/file`, or `sqlite://` in memory.
        grace: seconds that a detached instance keeps its seat.
        clock: unix seconds; the time inside the verbs of an embedded store. Redis has its own.
        timing: how long the store waits.
        retention: how much of the audit is kept.

    Raises:
        SettingError: `url` is no URL of a store, or the store cannot be opened.
    """
    scheme, separator, rest = url.partition("://")
    if rest == "/:memory:":
        raise SettingError("TIM_STORE", "use sqlite:// with nothing behind it for a store in memory")
    if scheme == "sqlite" and separator and (not rest or rest.strip("/")) and rest[:1] in ("", "/"):
        from tim.store.sqlite.engine import SQLiteStore

        return SQLiteStore(rest[1:], grace=grace, clock=clock, timing=timing, retention=retention)
    if scheme in ("redis", "rediss"):
        try:
            from tim.store.redis.engine import RedisStore
        except ModuleNotFoundError as error:
            raise SettingError("TIM_STORE", f"a store on Redis needs {error.name}; pip install 'tim[redis]'") from None
        return RedisStore(url, grace=grace, timing=timing, retention=retention)
    shown = url if not {"@", "?"} & set(url) else re.split("[:/]", url)[0] + "…"  # the rest may be a password
    raise SettingError(
        "TIM_STORE",
        f"{shown!r} is no URL of a store; use redis://host:port/0, sqlite:///path/to/file, or sqlite:// for memory",
    )
