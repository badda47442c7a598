"""Errors about seats: none is free, or no other login has taken one. `tim.errors` has the tree of all errors."""

from __future__ import annotations

from collections.abc import Sequence

from tim.codes import AT_LIMIT
from tim.error_texts import at_limit
from tim.errors import BadParameter, IMError
from tim.model import Instance
from tim.text import text


class NotDisplaced(BadParameter):
    """The instance cannot say "that wasn't me": no other login has displaced it, or that was too long ago."""

    def __init__(self, *, late: bool) -> None:
        why = (
            text(
                "this was to be said within 10 minutes of the other login; log in, look at your sessions, and sign out "
                "the one that is not yours, or ask the operator of this service"
            )
            if late
            else text("no other login has ended this session, so there is none to disown")
        )
        super().__init__("instance", why)


class AtLimit(IMError):
    """The account has as many instances as it may have, and none of them has to leave for a login.

    Attributes:
        instances: its live ones, oldest generation first.
        limit: how many it may have.
    """

    def __init__(self, instances: Sequence[Instance], limit: int) -> None:
        super().__init__(AT_LIMIT, at_limit(instances, limit))
        self.instances = list(instances)
        self.limit = limit


class MustChoose(AtLimit):
    """The same, and the user of the login may choose which instances end for it."""
