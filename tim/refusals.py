"""Why an account's own say is refused; `tim.errors` has the other errors, and the tree of all."""

from __future__ import annotations

from tim.errors import BadParameter
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
