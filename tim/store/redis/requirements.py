"""Checks whether a store can use a Redis, by its address and by what it reports of itself."""

from __future__ import annotations

import re
from typing import Any, Final

from tim.errors import SettingError

ADDRESS: Final = re.compile(
    r"rediss?://([^@/?#\s]*@)?(?P<host>[^@/?#:\s\[\]]*|\[[0-9A-Fa-f:.]+\])(?P<port>:\d{1,5})?(/\d*)?"
    r"(\?ssl_\w+=[^&#]*(&ssl_\w+=[^&#]*)*)?"
)
"""Address of a Redis, optionally with credentials, a database and options of TLS. Other options would override ours."""
OLDEST: Final = 7
"""First version of Redis with sharded channels and flags of scripts. Valkey 8 reports itself as Redis 7."""


def name_of(url: str) -> str:
    """The host and the port in an address, which are all of it that may be logged.

    Raises:
        SettingError: it is not an address of a Redis.
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
    """Refuse a server that could not keep the promises of a store. `info` is its reply to INFO.

    Raises:
        SettingError: the server cannot be used.
    """
    if mode_of(info) == "sentinel":
        raise SettingError("TIM_STORE", f"{name} is a Sentinel; use the Redis that it watches")
    # Valkey reports the Redis that it is compatible with.
    version = str(info.get("redis_version", "unknown"))
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) < OLDEST:
        raise SettingError(
            "TIM_STORE", f"{name} is Redis {version}; Redis {OLDEST} or newer, or Valkey 8 or newer, is needed"
        )
    if info.get("role", "master") != "master":
        raise SettingError("TIM_STORE", f"{name} is a replica, which accepts no writes; use its master")
    policy = info.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        raise SettingError(
            "TIM_STORE", f"{name} has maxmemory-policy {policy} and can evict logins; set it to noeviction"
        )


def mode_of(info: dict[str, Any]) -> str:
    """The mode of a server: standalone, cluster or sentinel. Valkey calls the field server_mode."""
    return str(info.get("server_mode", info.get("redis_mode", "standalone")))
