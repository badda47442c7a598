"""The page of one account: its instances, its block, its UserSigs, its audit, and what an operator does about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from tim.admin import Admin
from tim.audit import AuditFilter
from tim.errors import BadParameter, BlockChanged
from tim.input_rules import check_user_id
from tim.rules import LATEST
from tim.text import text
from tim.web.console.session import actor
from tim.web.console.times import typed_time
from tim.web.context import service
from tim.web.responses import go

blueprint = Blueprint("console_accounts", __name__, url_prefix="/console")

UNTIL: Final = "until"
"""The duration of a block that ends at a time of its own."""
FOREVER: Final = "forever"
DURATIONS: Final = ("3600", "86400", "604800", "2592000", FOREVER, UNTIL)
"""Durations of a block to choose from, in seconds."""
ENTRIES: Final = 30
"""Entries of the account's audit that its page shows, the newest."""
TYPED: Final = ("words", "reason", "duration", UNTIL)
"""Fields of the page that a refusal keeps."""


@blueprint.get("/accounts")
def page() -> BaseResponse:
    """The form that opens an account. An account whose UserID cannot stand in a path has its page here."""
    if "userID" not in request.args:
        return make_response(render_template("console/accounts.html", user_id=""))
    user = request.args["userID"].strip()
    try:
        check_user_id(user)
    except BadParameter as error:
        return make_response(render_template("console/accounts.html", user_id=user, error=error), 400)
    return go(address(user)) if _fits_a_path(user) else _account(user)


@blueprint.get("/accounts/<path:user>")
def account(user: str) -> Response:
    try:
        return _account(check_user_id(user))
    except BadParameter as error:
        return make_response(render_template("console/accounts.html", user_id=user, error=error), 400)


@blueprint.get("/account-status")
def status() -> Response:
    """The live part of the page."""
    try:
        user = check_user_id(request.args.get("userID", ""))
    except BadParameter as error:
        return Response(f"{error.message}\n", 400, mimetype="text/plain")
    return make_response(render_template("console/_account.html", polled=True, **_values(user)))


@blueprint.post("/accounts/kick")
def kick() -> BaseResponse:
    """Ends one instance of the account, or all."""

    def act(admin: Admin, user: str) -> str:
        return "kicked" if admin.end(user, _form("instance") or None, _form("words")) else "none"

    return _act(act)


@blueprint.post("/accounts/revoke")
def revoke() -> BaseResponse:
    def act(admin: Admin, user: str) -> str:
        admin.revoke(user)
        return "revoked"

    return _act(act)


@blueprint.post("/accounts/block")
def block() -> BaseResponse:
    def act(admin: Admin, user: str) -> str:
        admin.block(user, _until(), _form("reason"), shown=_shown())
        return "blocked"

    return _act(act)


@blueprint.post("/accounts/unblock")
def unblock() -> BaseResponse:
    def act(admin: Admin, user: str) -> str:
        admin.unblock(user, shown=_shown())
        return "unblocked"

    return _act(act)


def address(user: str) -> str:
    """The address of the page of an account."""
    if _fits_a_path(user):
        return url_for("console_accounts.account", user=user)
    return url_for("console_accounts.page", userID=user)


def _fits_a_path(user: str) -> bool:
    """Whether browsers and servers leave the UserID alone in a path; they resolve dots and join slashes."""
    return not any(part in ("", ".", "..") for part in user.split("/"))


def _act(act: Callable[[Admin, str], str]) -> BaseResponse:
    """Does something to the account, and shows its page, which says what `act` returns.

    A refusal keeps what was typed.
    """
    user = request.form.get("userID", "")
    try:
        user = check_user_id(user)
        done = act(service().backend.admin(actor()), user)
    except BadParameter as error:
        if error.name == "userID":
            return make_response(render_template("console/accounts.html", user_id=user, error=error), 400)
        return _account(user, error)
    return go(f"{address(user)}{'&' if '?' in address(user) else '?'}done={done}")


def _account(user: str, error: BadParameter | None = None) -> Response:
    typed = {name: _form(name) for name in TYPED}
    html = render_template("console/account.html", error=error, typed=typed, **_values(user))
    return make_response(html, 200 if error is None else 409 if isinstance(error, BlockChanged) else 400)


def _values(user: str) -> dict[str, Any]:
    backend = service().backend
    admin = backend.admin(actor())
    return {
        "account": admin.account(user),
        "instances": admin.instances(user),
        "entries": admin.audit(AuditFilter(user=user), limit=ENTRIES).entries,
        "seats": backend.limits().online_web_instances,
        "done": request.args.get("done", ""),
    }


def _form(name: str) -> str:
    return request.form.get(name, "").strip()


def _shown() -> float | None:
    """When the block that the form showed was made, 0 for none; None for a script, which need not say.

    No block was made at -1, which stands for what is no time.
    """
    shown = request.form.get("shown", type=float)
    return shown if shown is None or 0 <= shown < LATEST else -1.0


def _until() -> float | None:
    """When the block of the form ends, in unix seconds; None for no end.

    Raises:
        BadParameter: the form says nothing that is a duration or a time.
    """
    duration = _form("duration")
    if duration not in DURATIONS:
        raise BadParameter("duration", text("choose how long the block lasts"))
    if duration != UNTIL:
        return None if duration == FOREVER else service().backend.clock() + int(duration)
    return typed_time(_form(UNTIL), UNTIL)
