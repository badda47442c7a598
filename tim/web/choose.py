"""What a login at the limit has chosen: which instances of its account end."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from tim.codes import USERSIG_EXPIRED
from tim.errors import BadParameter, IMError, UserSigRefused
from tim.model import Choice
from tim.seat_errors import MustChoose
from tim.text import text
from tim.web.client import client_of
from tim.web.context import service
from tim.web.login import USED_UP, login_page, open_tab
from tim.web.question import CHANGED, TOO_FEW, question

blueprint = Blueprint("choose", __name__)

TOO_LATE = text(
    "this choice was made too late, or in another browser, and nothing has changed; log in again, and choose within "
    "two minutes"
)
EXPIRED = text("this UserSig has expired meanwhile, and nothing has changed; get a new one")


@blueprint.get("/login/choose")
def page() -> BaseResponse:
    """What is left of the question when a browser asks for its address again."""
    return redirect(url_for("login.page", userID=request.args.get("userID")), 303)


@blueprint.post("/login/choose")
def choose() -> BaseResponse:
    """Ends the chosen instances and logs in, in one step; or asks again."""
    here = service()
    user_id = request.form.get("userID", "")
    try:
        pending = here.identity.pending(request, request.form.get("choice", ""))
        if pending is None:
            raise BadParameter("choice", TOO_LATE)
        ticket, user_id = pending.ticket, pending.ticket.user_id
        if ticket.expires <= here.backend.clock():
            raise UserSigRefused(USERSIG_EXPIRED, EXPIRED)
        choice = Choice(pending.seen, frozenset(request.form.getlist("leave")))
        try:
            instance = here.backend.logins.admit(ticket, client_of(request.environ)(), pending.id, choice, can_ask=True)
        except MustChoose as full:
            if tuple(each.id for each in full.instances) != choice.seen:
                return question(full, pending.id, ticket, problem=CHANGED)
            return question(full, pending.id, ticket, problem=TOO_FEW, chosen=choice.ending)
        if instance.gone is not None:
            raise BadParameter("form", USED_UP)
    except IMError as error:
        return login_page(user_id, error=error)
    return open_tab(instance)
