"""The page of live instances: searched, page by page, kept up to date, and kicked.

What is polled changes cells of the rows that are shown. No row comes, goes or moves under the pointer.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from tim.address import UNKNOWN_ADDRESS, canonical
from tim.errors import BadParameter, IMError
from tim.input_rules import check_words
from tim.job import RUNNING
from tim.search import DETACHED, ONLINE, Page, Search, place
from tim.text import text
from tim.web.console.accounts import address as account_address
from tim.web.console.session import actor
from tim.web.console.times import typed_time
from tim.web.context import service
from tim.web.responses import go

blueprint = Blueprint("console_instances", __name__, url_prefix="/console")

FIELDS: Final = ("userID", "state", "browser", "address", "node", "since")
"""Fields of the form that searches."""
ROWS: Final = 50
"""Instances of a page; the ids of all of them fit into the address that is polled."""


@blueprint.get("/instances")
def page() -> Response:
    return _page()


@blueprint.get("/instances/live")
def live() -> Response:
    """What has changed since the page was made: the cells of the rows that it shows, and how many are new."""
    try:
        where, after = _search(), request.args.get("after", "")
    except BadParameter as error:
        return Response(f"{error.message}\n", 400, mimetype="text/plain")
    shown = [id for id in request.args.get("shown", "").split(",") if id][:ROWS]
    listing = service().backend.listing
    found = listing.search(where, after, ROWS)
    now = {instance.id: instance for instance in found.instances}
    now |= {instance.id: instance for instance in listing.find(id for id in shown if id not in now)}
    rows = [now[id] for id in shown]
    # On the last page, whatever comes behind its rows is new as well.
    last = max(map(place, rows), default="") if request.args.get("more") else "\x7f"
    new = sum(instance.id not in shown and place(instance) < last for instance in found.instances)
    values = _around(where) | {"rows": rows, "new": new, "polled": True, "filtered": _filtered}
    # A job that began after the page was made would move its rows: it is shown when the page is made again.
    values["job_shown"] = "job" in request.args and values["job"] is not None
    return make_response(render_template("console/_instances.html", **values))


@blueprint.post("/instances/kick")
def kick() -> BaseResponse:
    """Ends the instances that were selected."""
    ids = request.form.getlist("instance")[:ROWS]
    try:
        if not ids:
            raise BadParameter("instance", text("select the instances to kick in the table, or kick all that match"))
        ended = service().backend.listing.kick(ids, request.form.get("words", "").strip(), actor())
    except BadParameter as error:
        return _page(error)
    return go(_address(kicked=len(ended), after=request.form.get("after") or None))


@blueprint.post("/instances/review")
def review() -> BaseResponse:
    """Shows how many instances match, before they are kicked."""
    return _review(200)


@blueprint.post("/instances/kick-all")
def kick_all() -> BaseResponse:
    """Starts the job that kicks all that match, unless a job runs."""
    jobs = service().backend.jobs
    before = jobs.newest()
    if before is not None and before.state == RUNNING:
        return _review(409)
    try:
        where, words = _search(), check_words(request.form.get("words", ""), "words")
    except BadParameter as error:
        return _page(error)
    jobs.kick(where, words, actor(), service().backend.listing.number(where))
    return go(_address())


@blueprint.post("/job/stop")
def stop() -> BaseResponse:
    """Stops the job that runs."""
    service().backend.jobs.stop(request.form.get("job", ""), actor())
    return go(url_for("console_instances.page"))


def _page(error: IMError | None = None) -> Response:
    """The page of the search in the request; a refusal keeps what was typed."""
    after = request.values.get("after", "")
    try:
        where = _search()
        found = service().backend.listing.search(where, after, ROWS)
    except BadParameter as wrong:
        where, found, error = Search(), Page([]), error or wrong
    values: dict[str, Any] = {
        "typed": _typed(),
        "words": request.form.get("words", ""),
        "selected": request.form.getlist("instance"),
        "error": error,
        "page": found,
        "rows": found.instances,
        "new": 0,
        "after": after,
        "first": _address(),
        "next": _address(after=found.next) if found.next else "",
        "account": account_address,
        "filtered": _filtered,
        "kicked": request.args.get("kicked", type=int),
    }
    around = _around(where)
    values["live"] = _live(found, after, with_job=around["job_shown"])
    html = render_template("console/instances.html", **values, **around)
    return make_response(html, 200 if error is None else 400)


def _review(status: int) -> Response:
    try:
        where, words = _search(), check_words(request.form.get("words", ""), "words")
    except BadParameter as error:
        return _page(error)
    listing = service().backend.listing
    html = render_template(
        "console/instances_review.html",
        typed=_typed(),
        words=words,
        number=listing.number(where),
        first=listing.search(where, limit=5).instances,
        job=service().backend.jobs.newest(),
        rate=service().backend.jobs.rate,
        back=_address(),
    )
    return make_response(html, status)


def _around(where: Search) -> dict[str, Any]:
    """What stands above the rows."""
    backend = service().backend
    job = backend.jobs.newest()
    shown = job is not None and job.is_shown(backend.clock())
    return {"number": backend.listing.number(where), "job": job, "job_shown": shown}


def _typed() -> dict[str, str]:
    return {name: request.values.get(name, "").strip() for name in FIELDS}


def _search() -> Search:
    """The search of the request.

    Raises:
        BadParameter: a field of it is malformed.
    """
    typed = _typed()
    if typed["state"] not in ("", ONLINE, DETACHED):
        raise BadParameter("state", text("choose one of the states of the list"))
    address = canonical(typed["address"])
    return Search(
        user=typed["userID"],
        address=typed["address"] if address == UNKNOWN_ADDRESS else address,
        browser=typed["browser"],
        state=typed["state"],
        node=typed["node"],
        since=_since(typed["since"]),
    )


def _since(text: str) -> float | None:
    """The time in unix seconds, which the field shows in the time zone of the server."""
    return typed_time(text, "since") if text else None


def _address(endpoint: str = "console_instances.page", **more: Any) -> str:
    """The address of this search, with more parameters."""
    parameters: dict[str, Any] = {name: value for name, value in _typed().items() if value}
    return url_for(endpoint, **(parameters | more))


def _filtered(name: str, value: str) -> str:
    """The address of the same search with one more filter."""
    return _address(**{name: value})


def _live(found: Page, after: str, *, with_job: bool) -> str:
    """The address of the live part of this page."""
    return _address(
        "console_instances.live",
        after=after or None,
        more="1" if found.next else None,
        job="1" if with_job else None,
        shown=",".join(instance.id for instance in found.instances),
    )
