"""The login page: in with a UserID and its UserSig, and where a tab lands that was sent away."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from tim.errors import (
    BAD_PARAMETER,
    TOO_MANY_FAILURES,
    BadParameter,
    IMError,
    StoreUnavailable,
    TooManyFailures,
)
from tim.events import KICKS
from tim.rules import Instance
from tim.web.browser import address_of, client_of
from tim.web.service import service

blueprint = Blueprint("login", __name__)

STATUS = {BAD_PARAMETER: 400, TOO_MANY_FAILURES: 429}
"""HTTP status of a refused login by its code; 401 for all others, but 503 where the store did not answer."""
RETRY_AFTER = "5"
"""Seconds after which it is worth asking again where the store did not answer."""


@blueprint.get("/")
def home() -> BaseResponse:
    return redirect(url_for("login.page"), 303)


@blueprint.get("/login")
def page() -> Response:
    user_id = request.args.get("userID", "")
    try:
        response = make_response(_render(user_id, notice=_notice()))
    except StoreUnavailable as error:
        return _say_later(_render(user_id, error=error))  # the notice can still be read when the store is back
    service().identity.drop_notices(request, response, request.args.get("tab", ""))
    return response


@blueprint.post("/login")
def log_in() -> BaseResponse:
    user_id = request.form.get("userID", "")
    user_sig = request.form.get("userSig", "").strip()
    parts = service()
    try:
        ticket = parts.backend.verify(parts.settings.sdk_app_id, user_id, user_sig, address_of(request))
        instance = parts.backend.admit(ticket, client_of(request)())
    except IMError as error:
        if isinstance(error, StoreUnavailable):
            return _say_later(_render(user_id, user_sig, error=error))
        response = make_response(_render(user_id, user_sig, error=error), STATUS.get(error.code, 401))
        if isinstance(error, TooManyFailures):
            response.headers["Retry-After"] = str(error.retry_after)
        return response
    response = go(url_for("tabs.page", instance=instance.id))
    parts.identity.set_tab(response, instance.id, secure=request.is_secure)
    return response


@blueprint.post("/usersig")
def make_usersig() -> tuple[str, int] | str:
    """A UserSig for whoever asks; only where the settings say so, and the demo app's do."""
    parts = service()
    if not parts.settings.test_usersig:
        abort(404)
    try:
        user_sig = parts.backend.user_sig(request.form.get("userID", ""))
    except BadParameter as error:
        typed = request.form.get("userSig", "")
        return render_template("_usersig.html", user_sig=typed, error=error), 400
    return render_template("_usersig.html", user_sig=user_sig, error=None)


def go(address: str) -> Response:
    """Send the browser to `address`, whether it asks by itself or htmx asks for it."""
    if "HX-Request" in request.headers:
        return Response(headers={"HX-Redirect": address})
    return Response(status=303, headers={"Location": address})


def farewell(instance: Instance) -> Response:
    """Send the tab of an instance that has ended to the login page, where it is told why."""
    response = go(url_for("login.page", userID=instance.user or None, tab=instance.id))
    service().identity.set_notice(response, instance.id, secure=request.is_secure)
    return response


def _say_later(page: str) -> Response:
    return Response(page, 503, {"Retry-After": RETRY_AFTER})


def _notice() -> Instance | None:
    """The instance whose end this browser may read about here."""
    id = request.args.get("tab", "")
    if not service().identity.may_read_notice(request, id):
        return None
    instance = service().backend.store.get(id)
    return None if instance.gone is None else instance


def _render(user_id: str, user_sig: str = "", **more: Any) -> str:
    return render_template(
        "login.html",
        user_id=user_id,
        user_sig=user_sig,
        test_usersig=service().settings.test_usersig,
        kicks=KICKS,
        **more,
    )
