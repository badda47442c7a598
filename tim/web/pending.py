"""A login that waits for its user to choose which instances end, and the text in which a form carries it."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass

from tim.usersig import Ticket


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """A login at the limit.

    Attributes:
        id: of the instance that it becomes.
        ticket: the values of its UserSig, which was verified. The UserSig itself is not kept.
        seen: ids of the instances from which its user chooses, oldest generation first.
    """

    id: str
    ticket: Ticket
    seen: tuple[str, ...]

    def dump(self) -> str:
        """The login as ASCII text."""
        return json.dumps(astuple(self))

    @classmethod
    def load(cls, text: str) -> PendingLogin:
        """The login in a text that `dump` has returned."""
        id, ticket, seen = json.loads(text)
        return cls(id, Ticket(*ticket), tuple(seen))
