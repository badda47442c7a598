"""Sign-in to the console, and the guard of all that is below `/console`.

How another page joins:

    blueprint   One file a page, with `Blueprint("console_<noun>", __name__, url_prefix="/console")`, registered in
                `app.py`. Its first route is named `page`. A line in `templates/console/_nav.html` links to it.
    guard       Nothing to do: `check_operator` runs before every route below `/console`, also one that does not exist.
                Without a session no route answers; a viewer may GET only. `/console/api/…` takes a token in the header
                `Authorization: Bearer …`, as every other route does. `actor()` names the operator for the audit. A page
                that polls after a sign-in of another role says so.
    template    `{% extends "console/base.html" %}` with the blocks `title` (also the heading), `lead` (what stands
                beside the heading) and `page`. A form that changes something stands inside `{% if is_admin() %}`.
    macros      `{% from "console/_macros.html" import field, choice, problem, table, stat, nothing, when %}`; each says
                there what it takes.
    live        A fragment that is polled: `{% call live(url) %}…{% endcall %}`, with the same inner HTML from `url`.
    a post      Without htmx it redirects to a page (`responses.go`); a refusal is the page again, with its status, with
                `problem(error)` and with all that was typed.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, abort, g, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from tim.codes import TOO_MANY_FAILURES
from tim.errors import IMError, TokenRefused, TooManyFailures
from tim.operators import Role, Session
from tim.text import text
from tim.web.client import address_of
from tim.web.console.kinds import actor_words, entry_words, kind_words, setting_changes
from tim.web.context import service
from tim.web.dispatch import by_htmx
from tim.web.responses import go, in_place_of_live, retry_after

blueprint = Blueprint("console_session", __name__, url_prefix="/console")

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
BELOW: Final = re.compile(r"/console(/[!-\[\]-~]*|\?[!-\[\]-~]*)?")
"""An address of the console, without the prefix of the service, where a sign-in may lead."""
PAGE_ROLE: Final = "Page-Role"
"""The header by which an open page says for which role it was made."""
BEARER: Final = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)
READ_ONLY: Final = text(
    "you are signed in with the viewer's token, which changes nothing; sign in with the admin token"
)


def install(app: Flask) -> None:
    """Adds the guard to `app`, before routes are looked at, and to its templates what it needs."""
    app.before_request(check_operator)
    app.jinja_env.globals.update(is_admin=is_admin, kind_words=kind_words)
    app.add_template_filter(actor_words)
    app.add_template_filter(entry_words)
    app.add_template_filter(setting_changes)


def check_operator() -> BaseResponse | None:
    """Requires a session, or a token in the header, for all that is below `/console`; for a viewer, a safe method.

    An address that does not exist gives the same answers. So they tell nothing about the console.
    """
    path = request.path
    if path != "/console" and not path.startswith("/console/"):
        return None
    if not service().operators.expected:
        abort(404)
    if "Authorization" in request.headers or path.startswith("/console/api/"):
        return _check_header()
    if request.method in SAFE and "token" in request.args:
        return _sign_in_by_address()
    if path == "/console/sign-in":
        return None
    session = _session()
    if session is None:
        return _without_session()
    g.role = session.role
    if session.role is Role.VIEWER and request.method not in SAFE and path != "/console/sign-out":
        return make_response(render_template("console/problem.html", words=READ_ONLY), 403)
    return _of_another_role() if by_htmx(request.environ) else None


def is_admin() -> bool:
    """Whether the operator of this request may change something."""
    return g.get("role") is Role.ADMIN


def actor() -> str:
    """The operator of this request, as the audit names it."""
    return f"console {g.role}"


@blueprint.get("/sign-in")
def page() -> BaseResponse:
    """The form for the token; a redirect where the browser is signed in already."""
    if _session() is not None:
        return go(request.script_root + _next())
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and "again" not in request.args:
        # Browsers send no SameSite=Strict cookie with a request from another site; the page loads itself again.
        again = _address(again=1, **{name: 1 for name in ("signed", "refused") if name in request.args})
        return Response(headers={"Refresh": f"0; url={again}"})
    return _form(no_cookie="signed" in request.args, refused="refused" in request.args)


@blueprint.post("/sign-in")
def sign_in() -> BaseResponse:
    try:
        return _signed_in(request.form.get("token", "").strip())
    except (TokenRefused, TooManyFailures) as error:
        return _form(error)


@blueprint.post("/sign-out")
def sign_out() -> BaseResponse:
    here = service()
    session = here.identity.console(request)
    if session is not None:
        here.operators.sign_out(session)
    response = go(url_for("console_session.page"))
    here.identity.clear_console(request, response)
    return response


def _session() -> Session | None:
    """The open session of this request."""
    here = service()
    session = here.identity.console(request)
    return session if session is not None and here.operators.is_open(session) else None


def _signed_in(token: str) -> BaseResponse:
    """Opens a session in place of the one that the browser has. Raises what `Operators.sign_in` raises."""
    here = service()
    session = here.operators.sign_in(token, address_of(request.environ))
    before = here.identity.console(request)
    if before is not None:
        here.operators.sign_out(before)
    response = go(_address(signed=1))
    here.identity.set_console(request, response, session)
    return response


def _sign_in_by_address() -> BaseResponse:
    """Signs in with `?token=`, and redirects to the same address without it in any case."""
    rest = [(name, value) for name, value in request.args.items(multi=True) if name != "token"]
    g.next = request.path + (f"?{urlencode(rest)}" if rest else "")
    try:
        if request.headers.get("Sec-Fetch-Dest", "document") != "document":
            # An image on another site, which could make this address wait for its failures.
            raise TokenRefused
        return _signed_in(request.args["token"].strip())
    except (TokenRefused, TooManyFailures):
        return go(_address(refused=1))


def _without_session() -> BaseResponse:
    """Sends a browser to the form. What is typed is kept: a page that polls stays, and goes on after a sign-in in
    another tab; of a form that was sent, a page says how to send it again.
    """
    if by_htmx(request.environ):
        return in_place_of_live(render_template("console/_signed_out.html"), 401)
    if request.method not in SAFE:
        return make_response(render_template("console/problem.html", signed_out=True), 401)
    g.next = request.full_path.removesuffix("?")
    return go(_address())


def _of_another_role() -> BaseResponse | None:
    """Says so to a page that polls and was made for another role; its buttons are not those of this one."""
    if request.blueprint is None or request.headers.get(PAGE_ROLE, g.role) == g.role:
        return None
    query = request.query_string.decode("latin-1")
    page = url_for(f"{request.blueprint}.page") + (f"?{query}" if query else "")
    return in_place_of_live(render_template("console/_other_role.html", page=page), 409)


def _check_header() -> BaseResponse | None:
    """Checks the token in the header `Authorization`."""
    bearer = BEARER.fullmatch(request.headers.get("Authorization", ""))
    if bearer is None:
        return _refused({"error": "send the header Authorization: Bearer with the value of TIM_ADMIN_TOKEN"}, 401)
    try:
        g.role = service().operators.check(bearer[1], address_of(request.environ))
    except TokenRefused as error:
        return _refused({"error": error.message}, 401)
    except TooManyFailures as error:
        response = _refused({"error": error.message}, 429)
        response.headers.update(retry_after(error))
        return response
    if g.role is Role.VIEWER and request.method not in SAFE:
        return _refused({"error": READ_ONLY}, 403)
    return None


def _refused(body: dict[str, str], status: int) -> Response:
    response = make_response(body, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _next() -> str:
    """Where a sign-in leads, without the prefix of the service: an address of the console, and of nothing else."""
    wanted = str(g.get("next") or request.values.get("next", ""))
    return wanted if BELOW.fullmatch(wanted) and not wanted.startswith("/console/sign-") else "/console"


def _address(**more: Any) -> str:
    """The address of the form, from which a sign-in leads on to `_next`."""
    following = _next()
    return url_for("console_session.page", next=None if following == "/console" else following, **more)


def _form(error: IMError | None = None, **more: bool) -> BaseResponse:
    response = make_response(render_template("console/sign_in.html", next=_next(), error=error, **more))
    if error is not None:
        response.status_code = 429 if error.code == TOO_MANY_FAILURES else 401
        response.headers.update(retry_after(error))
    return response
