"""The page that explains a UserSig, and makes one where the test generator is on.

A UserSig is a password. It comes in the body of a form, is shown to the operator who sent it, and stands in no address
and in no line of the log.
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, abort, make_response, render_template, request
from werkzeug.wrappers import Response

from tim.errors import BadParameter, IMError
from tim.text import text
from tim.usersigs import Verdict
from tim.web.context import service

blueprint = Blueprint("console_usersig", __name__, url_prefix="/console")

LIVES: Final = (3600, 86400, 7 * 86400, 180 * 86400)
"""Seconds for which a test UserSig may be made; the last is the vendor's default."""


@blueprint.get("/usersig")
def page() -> Response:
    return _page()


@blueprint.post("/usersig")
def inspect() -> Response:
    """Shows what a login with this UserSig would get. No failure is counted."""
    user_sig = request.form.get("userSig", "").strip()
    verdict = service().backend.usersigs.inspect(user_sig, request.form.get("userID", "").strip())
    return _page(user_sig=user_sig, user_id=request.form.get("userID", ""), verdict=verdict)


@blueprint.post("/usersig/test")
def make() -> Response:
    """Makes a UserSig, where TIM_TEST_USERSIG allows it."""
    here = service()
    if not here.settings.test_usersig:
        abort(404)
    user_id, life = request.form.get("for", ""), request.form.get("life", "")
    try:
        if life not in map(str, LIVES):
            raise BadParameter("life", text("choose one of the lives that the form offers; reload the page"))
        made = here.backend.usersigs.make(user_id, int(life))
    except BadParameter as error:
        return _page(made_for=user_id, life=life, error=error)
    return _page(made_for=user_id, life=life, made=made)


def _page(
    *,
    user_sig: str = "",
    user_id: str = "",
    verdict: Verdict | None = None,
    made_for: str = "",
    life: str = str(LIVES[2]),
    made: str = "",
    error: IMError | None = None,
) -> Response:
    html = render_template(
        "console/usersig.html",
        user_sig=user_sig,
        user_id=user_id,
        verdict=verdict,
        app_id=service().settings.sdk_app_id,
        test_usersig=service().settings.test_usersig,
        made_for=made_for,
        life=life,
        lives=LIVES,
        made=made,
        error=error,
    )
    return make_response(html, 200 if error is None else 400)
