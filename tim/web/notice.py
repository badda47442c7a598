"""What the login page says of a tab that has ended, and the text in which a cookie carries it there."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass

from tim.ends import TYPES, Client, Gone
from tim.model import Instance
from tim.rules import check_displaced
from tim.seat_errors import NotDisplaced


@dataclass(frozen=True, slots=True)
class Notice:
    """The end of an instance.

    Attributes:
        id: of the instance.
        user: its account; empty where the store does not know the instance.
        gone: how it ended.
        cause: `Instance.expiry_cause` of one that has expired; "" of any other.
        disowned: whether its account has said "that wasn't me" of the login that evicted it.
    """

    id: str
    user: str
    gone: Gone
    cause: str = ""
    disowned: bool = False

    @classmethod
    def of(cls, instance: Instance) -> Notice | None:
        """The notice of an ended instance; None where it is live."""
        gone = instance.gone
        if gone is None:
            return None
        cause = instance.expiry_cause if gone.reason == TYPES.KICKED_OUT_USERSIG_EXPIRED else ""
        return cls(instance.id, instance.user, gone, cause, instance.disowned)

    def may_disown(self, now: float) -> bool:
        """Whether "that wasn't me" can be said at `now`, in unix seconds, and was not said yet."""
        try:
            check_displaced(self.gone, now)
        except NotDisplaced:
            return False
        return not self.disowned

    def dump(self) -> str:
        """The notice as ASCII text."""
        return json.dumps(astuple(self))

    @classmethod
    def load(cls, text: str) -> Notice:
        """The notice in a text that `dump` has returned, also that of an older version."""
        id, user, (reason, at, by, words), *later = json.loads(text)
        return cls(id, user, Gone(reason, at, None if by is None else Client(*by), words), *later)
