"""Answers to requests that fail: a page where a person reads it, a fragment for htmx, and plain text for machines."""

from __future__ import annotations

from typing import Final

from flask import Flask, g, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from tim.errors import StoreUnavailable
from tim.text import text
from tim.usersig import MAX_SIZE
from tim.web import responses
from tim.web.dispatch import by_htmx

TOO_LARGE: Final = text("A form may have 64 KiB, and this one had more. Send less at once.")
USERSIG_TOO_LARGE: Final = text(
    "A form may have 64 KiB, and a UserSig at most %(most)s characters. Go back, and paste the UserSig alone.",
    most=MAX_SIZE,
)


def install(app: Flask) -> None:
    """Adds the answers to `app`. Flask prefers a handler of one status, such as that of the REST API, to this one."""
    app.register_error_handler(HTTPException, show)
    app.register_error_handler(StoreUnavailable, show_store_unavailable)


def show(error: HTTPException) -> BaseResponse | HTTPException:
    """The answer to a request that fails with an HTTP status."""
    if error.code is None or error.response is not None:
        return error  # it has an answer of its own
    own = error.description if error.description != type(error).description else None
    if own is None and error.code == 413:
        own = USERSIG_TOO_LARGE if request.blueprint == "login" else TOO_LARGE
    return _in_page(error.get_response(), error.code, own) or error


def show_store_unavailable(error: StoreUnavailable) -> BaseResponse:
    """The answer to a request that the store did not answer. A page that was asked for asks again by itself."""
    response = responses.store_unavailable(error)
    if response.mimetype != "text/plain":
        return response
    page = not by_htmx(request.environ) and request.method == "GET"
    shown = _in_page(response, 503, error.message, again=page)
    if shown is not None and page:
        shown.headers["Refresh"] = shown.headers["Retry-After"]
    return shown or response


def _in_page(response: BaseResponse, status: int, words: str | None, *, again: bool = False) -> BaseResponse | None:
    """Gives `response` a body that a page or a person can read; None where a machine reads it.

    Args:
        words: what to show in place of the usual words of this status.
        again: whether the page will ask again by itself.
    """
    if by_htmx(request.environ):
        if "tabs" not in request.blueprints:
            return None
        beside = "_send_error.html" if request.endpoint == "tabs.send" else "_no_answer.html"
        response.set_data(render_template(beside, words=words, oob=True))
    elif "text/html" in request.headers.get("Accept", ""):
        response.set_data(render_template("error.html", status=status, words=words, again=again, console=_in_console()))
    else:
        return None
    response.mimetype = "text/html"
    return response


def _in_console() -> bool:
    """Whether an operator who is signed in to the console reads the answer. Nobody else learns whether it exists."""
    return "role" in g
