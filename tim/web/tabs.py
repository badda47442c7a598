"""The routes of a tab, below `/im/<instance>`: the path of its cookie."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from flask import Blueprint, Response, abort, g, make_response, render_template, request, url_for
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from tim.codes import (
    BAD_PARAMETER,
    MESSAGE_TOO_LONG,
    NO_SUCH_ACCOUNT,
    NOT_READY,
    STORE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
)
from tim.errors import BadParameter, IMError, InstanceGone
from tim.input_rules import MAX_TEXT
from tim.tab import HISTORY
from tim.text import text
from tim.web import peers, problems, stream, tab_page
from tim.web.context import asked, service
from tim.web.dispatch import by_htmx, is_socket
from tim.web.guard import check_page_socket
from tim.web.login import ended_address, leave_tab, redirect_ended
from tim.web.responses import compress, go, retry_after
from tim.web.sockets import Rest, Socket, socket_route
from tim.web.templating import FORM_NUMBER, templates

blueprint = Blueprint("tabs", __name__, url_prefix="/im/<instance>")
blueprint.register_blueprint(peers.blueprint)

STATUS = {
    BAD_PARAMETER: 400,
    NO_SUCH_ACCOUNT: 404,
    NOT_READY: 409,
    MESSAGE_TOO_LONG: 413,
    TOO_MANY_REQUESTS: 429,
    STORE_UNAVAILABLE: 503,
}
"""HTTP status of a message that was not sent, by error code."""
READ: Final = re.compile(r"[0-9]{1,15}")
"""The number of a message in the address of a stream."""


@blueprint.url_value_preprocessor
def take_instance(_endpoint: str | None, values: dict[str, str] | None) -> None:
    g.instance = values.pop("instance") if values else ""


@blueprint.url_defaults
def give_instance(_endpoint: str, values: dict[str, str]) -> None:
    values.setdefault("instance", g.get("instance", ""))


@blueprint.before_request
def check_tab() -> BaseResponse | None:
    """Requires the cookie of the tab. A browser that owned the tab is sent to its notice."""
    request, identity, instance = asked(), service().identity, g.instance
    check_page_socket(request)
    if identity.is_tab(request, instance):
        return None
    if is_socket(request.environ):
        abort(403, "this socket has no cookie of its tab; log in again")
    if identity.is_own(request, instance):
        return go(ended_address(instance))  # it has ended, and its cookie is deleted: show the notice again
    return go(url_for("login.page"))


@blueprint.errorhandler(InstanceGone)
def show_end(error: InstanceGone) -> BaseResponse:
    return redirect_ended(error.instance)


@blueprint.errorhandler(RequestEntityTooLarge)
def show_too_large(error: RequestEntityTooLarge) -> tuple[str, int] | BaseResponse | HTTPException:
    """Shows the error of a message beside the form, which keeps its text."""
    if request.endpoint != "tabs.send":
        return problems.show(error)
    too_long = IMError(
        MESSAGE_TOO_LONG, text("the text is far over the %(most)s bytes of a message; send it in parts", most=MAX_TEXT)
    )
    if not by_htmx(request.environ):
        error.description = too_long.message
        return problems.show(error)
    return render_template("_send_error.html", error=too_long, oob=True), 413


@blueprint.get("/")
def page() -> BaseResponse:
    view = service().backend.view(g.instance, HISTORY)
    response = make_response(tab_page.here().whole(view))
    if not view.messages:
        # Whoever sends a message must not learn from the length what others have sent. There is nothing else to learn.
        compress(response)
    if view.instance.gone is None:
        # Each page, and an open page every few hours, renews the cookie. So it lives as long as its tab, and no longer
        # than the store remembers the end of the instance.
        service().identity.set_tab(asked(), response, g.instance)
    return response


@socket_route(blueprint, "/events")
def events(ws: Socket) -> Rest:
    read = request.args.get("read", "")
    known = int(read) if READ.fullmatch(read) else None
    here = service()
    period = here.timing.ping_period
    return partial(stream.run, ws, here.backend, g.instance, tab_page.here(), ping_period=period, read=known)


@blueprint.post("/logout")
def log_out() -> Response:
    backend = service().backend
    ended = backend.logout(g.instance) or backend.find(g.instance)
    response = go(url_for("login.page", userID=ended.user or None))
    leave_tab(response, ended)
    return response


@blueprint.post("/messages")
def send() -> BaseResponse:
    to, words = request.form.get("to", ""), request.form.get("text", "").replace("\r\n", "\n")
    number = request.form.get("number", "")
    try:
        if number and not FORM_NUMBER.fullmatch(number):
            number = ""
            raise BadParameter(
                "number", text("number must be 32 hex digits, another one for each message; reload the page")
            )
        service().backend.send(g.instance, to, words, number or None)
    except InstanceGone:
        raise
    except IMError as error:
        # Keep the number: if this attempt has reached the store after all, the next one is the same message.
        typed: dict[str, str | IMError] = {"to": to, "text": words, "number": number, "error": error}
        if by_htmx(request.environ):
            response = make_response(_composer(**typed, oob=True), STATUS[error.code])
        else:
            page = tab_page.here().whole(service().backend.view(g.instance, HISTORY), **typed)
            response = make_response(page, STATUS[error.code])
        response.headers.update(retry_after(error))
        return response
    if by_htmx(request.environ):
        return make_response(_composer(to=to, sent=True))
    return go(url_for("tabs.page"))


def _composer(**values: object) -> str:
    """The form for messages."""
    return templates().render("_composer.html", {"tab": url_for("tabs.page"), **values})
