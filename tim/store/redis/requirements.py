"""Which Redis will do for a store."""

from __future__ import annotations

import re
from typing import Any, Final

from tim.errors import SettingError

ADDRESS: Final = re.compile(
    r"rediss?://([^@/?#\s]*@)?(?P<host>[^@/?#:\s\[\]]*|\[[0-9A-Fa-f:.]+\])(?P<port>:\d{1,5})?(/\d*)?"
    r"(\?ssl_\w+=[^&#]*(&ssl_\w+=[^&#]*)*)?"
)
"""Of a Redis: with credentials, a database and options of TLS, if need be. Other options would change what we need."""
OLDEST: Final = 7
"""The first version of Redis that has sharded hints and flags of scripts; Valkey 8 says that it is like Redis 7."""


def name_of(url: str) -> str:
    """The host and the port in an address: what of it may be said to anybody.

    Raises:
        SettingError: it is no address of a Redis.
    """
    found = ADDRESS.fullmatch(url)
    if not found:
        raise SettingError(
            "TIM_STORE",
            "cannot be read; use redis://:password@host:port/0, and in a password %2F for /, %3F for ?, %23 for #, "
            "%40 for @ and %25 for %",
        )
    return f"{found['host'] or 'localhost'}{found['port'] or ':6379'}"


def check(info: dict[str, Any], name: str) -> None:
    """Refuse a server that could not keep a promise, by what it says of itself.

    Raises:
        SettingError.
    """
    if mode_of(info) == "sentinel":
        raise SettingError("TIM_STORE", f"{name} is a Sentinel; use the Redis that it watches")
    # Valkey says with which Redis it is compatible.
    version = str(info.get("redis_version", "unknown"))
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) < OLDEST:
        raise SettingError(
            "TIM_STORE", f"{name} is Redis {version}; Redis {OLDEST} or newer, or Valkey 8 or newer, is needed"
        )
    if info.get("role", "master") != "master":
        raise SettingError("TIM_STORE", f"{name} is a replica and takes no orders; use its master")
    policy = info.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        raise SettingError(
            "TIM_STORE", f"{name} has maxmemory-policy {policy} and would forget who is logged in; set it to noeviction"
        )


def mode_of(info: dict[str, Any]) -> str:
    """How a server runs: standalone, cluster or sentinel. Valkey calls the field server_mode."""
    return str(info.get("server_mode", info.get("redis_mode", "standalone")))
