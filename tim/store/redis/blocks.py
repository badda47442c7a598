"""Accounts as an operator sees them: blocked, unblocked, their UserSigs revoked."""

from __future__ import annotations

from tim.model import Account, Instance
from tim.rules import shard_of
from tim.store.redis.decode import block_of, fields_of, instances_of, seconds, us
from tim.store.redis.scripts import Scripts, call_id


class Blocks:
    """The verbs of `tim.store.operating.Blocks`."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def block(
        self, app: int, user: str, until: float | None, words: str, actor: str, *, shown: float | None = None
    ) -> list[Instance]:
        end, made = ("" if time is None else us(time) for time in (until, shown))
        [ended] = self._scripts.call(shard_of(app, user), "block", app, user, end, words, actor, made, call_id())
        return instances_of(ended)

    def unblock(self, app: int, user: str, actor: str, *, shown: float | None = None) -> bool:
        made = "" if shown is None else us(shown)
        [was_blocked] = self._scripts.call(shard_of(app, user), "unblock", app, user, actor, made, call_id())
        return bool(was_blocked)

    def revoke(self, app: int, user: str, actor: str) -> float:
        [left] = self._scripts.call(shard_of(app, user), "revoke", app, user, actor, call_id())
        return seconds(left)

    def account(self, app: int, user: str) -> Account:
        exists, revoked_before, block = self._scripts.call(shard_of(app, user), "account", app, user)
        return Account(user, bool(exists), block_of(fields_of(block)) if block else None, int(revoked_before))
