"""The login page: logs in with a UserID and a UserSig, and shows why a tab has ended."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from tim.codes import (
    ACCOUNT_BLOCKED,
    AT_LIMIT,
    BAD_PARAMETER,
    STORE_UNAVAILABLE,
    TOO_MANY_FAILURES,
)
from tim.ends import KICKS
from tim.errors import BadParameter, IMError, StoreUnavailable, UserSigRefused
from tim.model import Disowned, Instance
from tim.rules import instance_id
from tim.seat_errors import MustChoose
from tim.text import text
from tim.web import tab_page
from tim.web.client import address_of, client_of
from tim.web.context import asked, service
from tim.web.dispatch import by_htmx
from tim.web.expected import expected
from tim.web.identity import login_number
from tim.web.notice import Notice
from tim.web.question import question
from tim.web.responses import go, retry_after
from tim.web.templating import FORM_NUMBER, new_number

blueprint = Blueprint("login", __name__)

STATUS = {BAD_PARAMETER: 400, ACCOUNT_BLOCKED: 403, AT_LIMIT: 409, TOO_MANY_FAILURES: 429, STORE_UNAVAILABLE: 503}
"""HTTP status of a refused login by error code; 401 for other codes."""
NO_COOKIE: Final = text(
    "the cookie of this form did not come back, so the login could not be kept, and nothing has changed; "
    "allow cookies for this site and press Log in again (a script: GET /login first, and send its cookie back)"
)
NOT_PROVEN: Final = text(
    "this was not sent by the tab that was signed out, or more than 10 minutes later; nothing has changed: log in, "
    "look at your sessions, and sign out the one that is not yours"
)
USED_UP: Final = text("this form has logged in once, and that login has ended; press Log in again for a new one")


@blueprint.get("/")
def home() -> BaseResponse:
    return redirect(url_for("login.page"), 303)


@blueprint.get("/login")
def page() -> Response:
    user_id = request.args.get("userID", "")
    if _is_sent_by_another_site() and service().identity.browser(request) is None:
        # Browsers send no SameSite=Strict cookie with a request from another site. The page therefore loads itself
        # again: a new cookie would replace the one that the browser may have.
        again = url_for("login.page", userID=user_id or None, tab=request.args.get("tab"), again=1)
        return Response(headers={"Refresh": f"0; url={again}"})
    identity = service().identity
    id = identity.noticed(request, request.args.get("tab", ""))
    brought = identity.logged_out(request, user_id) if id is None else identity.notice(request, id)
    if brought is not None:
        response = login_page(user_id, notice=brought, again=ended_address(brought.id, brought.user))
        identity.clear_notice(request, response)
        return response
    if id is None:
        return login_page(user_id)
    try:
        return login_page(user_id, notice=Notice.of(service().backend.find(id)))
    except StoreUnavailable as unavailable:
        return login_page(user_id, error=unavailable)  # the notice is shown when the store is back


@blueprint.post("/login")
def log_in() -> BaseResponse:
    request = asked()
    user_id = request.form.get("userID", "")
    user_sig = request.form.get("userSig", "").strip()
    form = _form()
    here = service()
    browser = here.identity.browser(request)
    try:
        ticket = here.backend.verify(here.settings.sdk_app_id, user_id, user_sig, address_of(request.environ))
        if browser is None:
            # Without the cookie, this login would evict another one and be lost.
            raise BadParameter("cookie", NO_COOKIE)
        id = instance_id(ticket.sdk_app_id, user_id, login_number(browser, form, user_id))
        try:
            instance = here.backend.logins.admit(ticket, client_of(request.environ)(), id, can_ask=True)
        except MustChoose as full:
            return question(full, id, ticket)
        if instance.gone is not None:
            form = ""  # the page makes a new one
            raise BadParameter("form", USED_UP)
    except IMError as error:
        return login_page(user_id, user_sig, form=form, error=error)
    return open_tab(instance)


@blueprint.get("/login/not-me")
def said_not_me() -> BaseResponse:
    """What is left of the answer to `not_me` when a browser asks for its address again."""
    return redirect(url_for("login.page"), 303)


@blueprint.post("/login/not-me")
def not_me() -> Response:
    """Says "that wasn't me" for the evicted tab whose notice has the form."""
    here, proof, user_id = service(), request.form.get("proof", ""), ""
    try:
        if not here.backend.settings.now().not_me:
            abort(404)
        id = here.identity.proven(request, proof)
        if id is None:
            raise BadParameter("proof", NOT_PROVEN)
        user_id = here.backend.find(id).user
        return login_page(user_id, done=here.backend.peers.disown(id), again=ended_address(id, user_id))
    except IMError as error:
        return login_page(user_id, error=error, proof=proof if isinstance(error, StoreUnavailable) else "")


@blueprint.post("/usersig")
def make_usersig() -> Response:
    """Makes a UserSig on request, where TIM_TEST_USERSIG allows it; the demo app does.

    A form that is sent without htmx gets the whole page; any other request gets only the field.
    """
    here = service()
    if not here.settings.test_usersig:
        abort(404)
    user_id, user_sig, error = request.form.get("userID", ""), request.form.get("userSig", ""), None
    try:
        user_sig = here.backend.user_sig(user_id)
    except BadParameter as refusal:
        error = refusal
    if "form" in request.form and not by_htmx(request.environ):
        return login_page(user_id, user_sig, form=_form(), error=error)
    fragment = render_template("_made_usersig.html", user_id=user_id, user_sig=user_sig, error=error)
    return make_response(fragment, 200 if error is None else 400)


def open_tab(instance: Instance) -> Response:
    """Sends the browser to the tab of an instance that has just logged in, with the cookie of that tab."""
    response = go(tab_page.address(instance.id))
    service().identity.set_tab(asked(), response, instance.id)
    return response


def redirect_ended(instance: Instance) -> Response:
    """Sends the tab of an ended instance to the login page, which shows the reason, and deletes its cookie."""
    response = go(ended_address(instance.id, instance.user))
    leave_tab(response, instance)
    return response


def leave_tab(response: Response, instance: Instance) -> None:
    """Deletes the cookie of the tab of an ended instance, and gives its browser the notice for the login page."""
    request, identity, notice = asked(), service().identity, Notice.of(instance)
    identity.clear_tab(request, response, instance.id)
    if notice is not None and identity.is_own(request, instance.id):
        identity.set_notice(request, response, notice)


def ended_address(id: str, user_id: str = "") -> str:
    """The address of the login page that shows why the instance has ended."""
    return url_for("login.page", userID=user_id or None, tab=service().identity.ticket(id))


def _field_of(error: IMError | None) -> str:
    """The field of the login form that the error is about; "" where it is about none."""
    if isinstance(error, BadParameter):
        return error.name if error.name == "userID" else ""
    return "userSig" if isinstance(error, UserSigRefused) else ""


def _form() -> str:
    """The number of the submitted form; a new one where it has none."""
    form = request.form.get("form", "")
    return form if FORM_NUMBER.fullmatch(form) else new_number()


def _is_sent_by_another_site() -> bool:
    return request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and "again" not in request.args


def login_page(
    user_id: str,
    user_sig: str = "",
    *,
    form: str = "",
    error: IMError | None = None,
    notice: Notice | None = None,
    done: Disowned | None = None,
    proof: str = "",
    again: str = "",
) -> Response:
    """Renders the login page, and sets the cookie that its form must send back.

    A login that is refused for itself gets none: its form has brought one, or is no browser's.

    Args:
        notice: how a tab of this browser has ended.
        done: what "that wasn't me" has done.
        proof: with which a tab says "that wasn't me"; that of the notice, where it may.
        again: the address that shows this notice or answer again, in another language; that of the request by default.
    """
    here = service()
    settings = here.backend.settings.known
    if notice is not None and settings.not_me and notice.may_disown(here.backend.clock()):
        proof = here.identity.proof(notice.id)
    html = render_template(
        "login.html",
        user_id=user_id or (notice.user if notice is not None else ""),
        user_sig=user_sig,
        form=form,
        error=error,
        field=_field_of(error),
        notice=notice,
        done=done,
        proof=proof,
        again=again,
        settings=settings,
        expected=expected(user_id if (notice or done or error) is None else ""),
        test_usersig=here.settings.test_usersig,
        kicks=KICKS,
    )
    response = Response(html)
    if error is not None:
        response.status_code = STATUS.get(error.code, 401)
        response.headers.update(retry_after(error))
    wanted = error is None or isinstance(error, StoreUnavailable) or error.message == NO_COOKIE
    if wanted and here.identity.browser(request) is None:
        here.identity.set_browser(request, response)
    return response
