"""The shards of a store. Each account lies in one of them, and each of them on one server of a cluster."""

from __future__ import annotations

from typing import Final

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from tim.rules import SHARDS, shard_of


def key(shard: int, *names: object) -> str:
    """The key of this name in a shard."""
    return ":".join((PREFIXES[shard], *map(str, names)))


def account_key(app: int, user: str) -> str:
    """The key of what is kept of an account."""
    return key(shard_of(app, user), "account", app, user)


def shard_of_instance(id: str) -> int:
    """The shard that the id of an instance names; the first one for a string that is no id, as no shard has it."""
    try:
        return int(id[-2:], 16) % SHARDS
    except ValueError:
        return 0


def _prefixes() -> list[str]:
    """What the keys of each shard begin with.

    The hash tags spread the shards evenly over the slots: servers with equal shares of the slots hold equal numbers
    of shards.
    """
    tags: dict[int, int] = {}
    number = 0
    while len(tags) < SHARDS:
        tags.setdefault(key_slot(str(number).encode()) * SHARDS // REDIS_CLUSTER_HASH_SLOTS, number)
        number += 1
    return [f"tim:{{{tags[shard]}}}" for shard in range(SHARDS)]


PREFIXES: Final = _prefixes()
SLOTS: Final = [key_slot(prefix.encode()) for prefix in PREFIXES]
"""The slot of a cluster in which each shard lies."""
