"""The page on which a login at the limit chooses which instances of its account end."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from flask import Response, make_response, render_template

from tim.rules import leaving
from tim.seat_errors import MustChoose
from tim.usersig import Ticket
from tim.web.context import service
from tim.web.identity import CHOICE_LIFE
from tim.web.pending import PendingLogin

CHANGED: Final = "changed"
"""The list is another one than the page has shown."""
TOO_FEW: Final = "too-few"
"""Too few were chosen."""


def question(
    full: MustChoose, id: str, ticket: Ticket, *, problem: str = "", chosen: Collection[str] | None = None
) -> Response:
    """The page with the instances of `full`, for the login that becomes the instance `id`.

    Args:
        problem: why the page is shown again; "" the first time.
        chosen: ids of those that are ticked; as many as have to leave, the first of `rules.leaving`, by default.
    """
    here = service()
    suggested = [each.id for each in leaving(full.instances, full.limit)]
    pending = PendingLogin(id, ticket, tuple(each.id for each in full.instances))
    html = render_template(
        "choose.html",
        user_id=ticket.user_id,
        instances=full.instances,
        limit=full.limit,
        least=len(suggested),
        chosen=suggested if chosen is None else chosen,
        problem=problem,
        choice=here.identity.choice(pending),
        life=CHOICE_LIFE,
        grace=here.backend.detach_grace,
    )
    return make_response(html, 409)
