"""The audit: found by account, kind, address and time, watched live, and exported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from flask import Blueprint, Response, make_response, render_template, request, url_for

from tim.audit import KINDS, AuditFilter, AuditPage, Entry
from tim.audit_export import all_entries, csv_lines, json_lines
from tim.errors import BadParameter
from tim.input_rules import check_user_id
from tim.text import text
from tim.web.console.kinds import kind_words
from tim.web.console.session import actor
from tim.web.console.times import typed_time
from tim.web.context import service

blueprint = Blueprint("console_audit", __name__, url_prefix="/console")

ENTRIES: Final = 50
"""Entries of a page."""
EXPORTED: Final = 1000
"""Entries that an export has in memory at a time."""
FILTER: Final = ("userID", "kind", "address", "since", "until")
ID: Final = re.compile(r"[1-9][0-9]{0,15}-[0-9]{1,16}")
"""Ids of entries. Each number fits where the stores keep it."""
FORMS: Final[dict[str, tuple[Callable[[Iterator[Entry]], Iterator[str]], str]]] = {
    "csv": (csv_lines, "text/csv"),
    "jsonl": (json_lines, "application/jsonl"),
}
"""Forms of an export: what writes its lines, and its media type."""


@blueprint.get("/audit")
def page() -> Response:
    typed = {name: request.args.get(name, "").strip() for name in FILTER}
    kinds = list(kind_words().items())
    try:
        values = _values() | {"more": _given(), "watch": "watch" in request.args}
    except BadParameter as error:
        return make_response(render_template("console/audit.html", typed=typed, kinds=kinds, error=error), 400)
    return make_response(render_template("console/audit.html", typed=typed, kinds=kinds, error=None, **values))


@blueprint.get("/audit/entries")
def fragment() -> Response:
    """The live part of the page: the newest entries."""
    try:
        return make_response(render_template("console/_audit.html", **_values()))
    except BadParameter as error:
        return Response(f"{error.message}\n", 400, mimetype="text/plain")


@blueprint.get("/audit/export")
def export() -> Response:
    """All entries that match, newest first, in the form `form`: csv or jsonl.

    They are sent while they are read. If the store goes away meanwhile, the connection breaks: the file is not whole.
    """
    form = request.args.get("form", "csv")
    try:
        if form not in FORMS:
            raise BadParameter("form", text("%(name)s must be one of: %(all)s", name="form", all=", ".join(FORMS)))
        where = _filter()
    except BadParameter as error:
        return Response(f"{error.message}\n", 400, mimetype="text/plain")
    admin = service().backend.admin(actor())
    lines, media_type = FORMS[form]
    first = admin.audit(where, "", EXPORTED)  # now, while a store that does not answer can still be reported
    entries = all_entries(lambda before: admin.audit(where, before, EXPORTED) if before else first)
    name = f"audit-{service().settings.sdk_app_id}.{form}"
    head = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(lines(entries), mimetype=media_type, headers=head)


def _values() -> dict[str, Any]:
    """The page that the address names. Raises BadParameter, StoreUnavailable."""
    before = request.args.get("before", "")
    if before and not ID.fullmatch(before):
        raise BadParameter("before", text("this address names no page; begin again with the newest entries"))
    found: AuditPage = service().backend.admin(actor()).audit(_filter(), before, ENTRIES)
    newest = url_for("console_audit.page", **_given())
    following = url_for("console_audit.page", before=found.next, **_given()) if found.next else ""
    return {"entries": found.entries, "before": before, "newest": newest, "following": following}


def _given() -> dict[str, Any]:
    """The fields of the filter that the address has."""
    return {name: request.args.getlist(name) for name in FILTER if request.args.get(name)}


def _filter() -> AuditFilter:
    """What the address asks for. Raises BadParameter."""
    user, address = (request.args.get(name, "").strip() for name in ("userID", "address"))
    kinds = frozenset(kind for kind in request.args.getlist("kind") if kind)
    if not kinds <= set(KINDS):
        raise BadParameter("kind", text("%(name)s must be one of: %(all)s", name="kind", all=", ".join(KINDS)))
    return AuditFilter(check_user_id(user) if user else "", kinds, address, _time("since"), _time("until"))


def _time(name: str) -> float | None:
    """A time of the form, in unix seconds."""
    typed = request.args.get(name, "").strip()
    return typed_time(typed, name) if typed else None
