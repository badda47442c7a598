"""What an account decides about its instances, from the page of one of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from flask import Blueprint, g, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from tim.codes import BAD_PARAMETER, STORE_UNAVAILABLE
from tim.errors import IMError, InstanceGone, NoSuchInstance
from tim.tab import HISTORY
from tim.web import tab_page
from tim.web.context import service
from tim.web.dispatch import by_htmx
from tim.web.responses import go, retry_after

blueprint = Blueprint("peers", __name__)
"""Part of the routes of a tab, in `tim.web.tabs`."""

STATUS = {BAD_PARAMETER: 400, STORE_UNAVAILABLE: 503}
"""HTTP status of a refusal by error code."""


@blueprint.post("/name")
def rename() -> BaseResponse:
    name = request.form.get("name", "")
    return _decided(lambda: service().backend.peers.rename(g.instance, name), name=name)


@blueprint.post("/instances/logout")
def sign_out_others() -> BaseResponse:
    return _decided(lambda: service().backend.peers.sign_out_others(g.instance))


@blueprint.post("/instances/<other>/logout")
def sign_out(other: str) -> BaseResponse:
    return _decided(lambda: service().backend.peers.sign_out(g.instance, other))


@blueprint.post("/instances/<other>/vouch")
def vouch(other: str) -> BaseResponse:
    return _decided(lambda: _vouch(other))


def _vouch(other: str) -> None:
    """Says "it was me" for this tab and for the oldest one of its browser, to none of whose tabs it is then new."""
    here = service()
    here.backend.peers.vouch(g.instance, other)
    live = here.backend.view(g.instance, 0).instances
    own = [each for each in live if here.identity.is_own(request, each.id)]
    oldest = min(own, default=None, key=lambda instance: instance.ordinal)
    if oldest is not None and oldest.id != g.instance:
        with suppress(InstanceGone):  # it has ended meanwhile; this tab has not
            here.backend.peers.vouch(oldest.id, other)


def _decided(decide: Callable[[], object], **typed: str) -> BaseResponse:
    """Carries out the decision, and shows the instances, or beside them why it was refused, and what was `typed`."""
    backend = service().backend
    try:
        decide()
    except InstanceGone:
        raise
    except IMError as error:
        return _refused(error, typed)
    if not by_htmx(request.environ):
        return go(url_for("tabs.page"))
    view = backend.view(g.instance, 0)
    return make_response(tab_page.here().instances(view.instance, view.instances))


def _refused(error: IMError, typed: dict[str, str]) -> BaseResponse:
    if by_htmx(request.environ):
        html = render_template("_refused.html", refused=error, oob=True)
    else:
        html = tab_page.here().whole(service().backend.view(g.instance, HISTORY), refused=error, **typed)
    status = 404 if isinstance(error, NoSuchInstance) else STATUS[error.code]
    response = make_response(html, status)
    response.headers.update(retry_after(error))
    return response
