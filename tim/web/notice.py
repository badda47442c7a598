"""What the login page says of a tab that has ended, and the text in which a cookie carries it there."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass

from tim.ends import Client, Gone
from tim.model import Instance


@dataclass(frozen=True, slots=True)
class Notice:
    """The end of an instance.

    Attributes:
        id: of the instance.
        user: its account; empty where the store does not know the instance.
        gone: how it ended.
    """

    id: str
    user: str
    gone: Gone

    @classmethod
    def of(cls, instance: Instance) -> Notice | None:
        """The notice of an ended instance; None where it is live."""
        return None if instance.gone is None else cls(instance.id, instance.user, instance.gone)

    def dump(self) -> str:
        """The notice as ASCII text."""
        return json.dumps(astuple(self))

    @classmethod
    def load(cls, text: str) -> Notice:
        """The notice in a text that `dump` has returned."""
        id, user, (reason, at, by, words) = json.loads(text)
        return cls(id, user, Gone(reason, at, None if by is None else Client(*by), words))
