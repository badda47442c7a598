"""The first page of the console: what the whole service does now, and did in the last hour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flask import Blueprint, render_template
from flask_babel import gettext as _

from tim.activity import Activity
from tim.audit import EVICTED, EXPIRED, KICKED, LOGIN, REFUSED, RETURNED, SIGNED_OUT
from tim.overview import Snapshot
from tim.web.console.chart import Chart, Series, bars, lines
from tim.web.context import service

blueprint = Blueprint("console_overview", __name__, url_prefix="/console")

SHOWN: Final = 5
"""Codes of refusals with a colour of their own; the others have one together."""


@blueprint.get("")
def page() -> str:
    return render_template("console/overview.html", **_values())


@blueprint.get("/overview")
def fragment() -> str:
    """The live part of the page."""
    return render_template("console/_overview.html", **_values())


@blueprint.get("/overview/minutes")
def table() -> str:
    """The numbers of all charts, minute by minute, newest first."""
    snapshot = service().backend.overview.snapshot()
    charts = _charts(snapshot)
    rows = [
        (begin, [[each.values[n] for each in chart.series] for chart in charts.values()])
        for n, begin in enumerate(snapshot.activity.begins)
    ]
    return render_template("console/minutes.html", charts=charts, rows=rows[::-1])


def _values() -> dict[str, Any]:
    snapshot = service().backend.overview.snapshot()
    return {"snapshot": snapshot, "nodes": sorted(snapshot.nodes.items()), "charts": _charts(snapshot)}


def _charts(snapshot: Snapshot) -> dict[str, Chart]:
    """The charts by their id, in the order of the page."""
    activity = snapshot.activity
    return {
        "logins": bars(
            [
                _counted(_("logged in"), activity.of({LOGIN})),
                _counted(_("came back after the grace time"), activity.of({RETURNED})),
                _counted(_("refused"), activity.of({REFUSED})),
            ]
        ),
        "refusals": bars(_refusals(activity)),
        "ends": bars(
            [
                _counted(_("evicted by another login"), activity.of({EVICTED})),
                _counted(_("kicked by an operator"), activity.of({KICKED})),
                _counted(_("signed out from elsewhere"), activity.of({SIGNED_OUT})),
                _counted(_("UserSig expired"), activity.of({EXPIRED})),
            ]
        ),
        "instances": lines([_measured(_("online and detached"), activity.seated(snapshot.instances))]),
    }


def _refusals(activity: Activity) -> list[Series]:
    """A series for each of the most frequent codes."""
    by_code = list(activity.by_code(REFUSED).items())
    series = [_counted(f"{code} {_why(code)}".rstrip(), numbers) for code, numbers in by_code[:SHOWN]]
    if rest := [numbers for _code, numbers in by_code[SHOWN:]]:
        series.append(_counted(_("others"), [sum(each) for each in zip(*rest, strict=True)]))
    return series


def _why(code: str) -> str:
    """A refusal in a few words; none for one that has no words here."""
    words: dict[str, str] = {
        "70001": _("expired"),
        "70002": _("empty"),
        "70003": _("cannot be read"),
        "70009": _("made with another key"),
        "70013": _("made for another UserID"),
        "70014": _("made for another SDKAppID"),
        "70020": _("unknown SDKAppID"),
        "70050": _("failed too often"),
        "70051": _("account blocked"),
        "70052": _("revoked"),
        "70402": _("malformed UserID"),
        "60008": _("store not available"),
    }
    return words.get(code, "")


def _counted(words: str, numbers: Sequence[int]) -> Series:
    """What is counted: beside its words stands the sum of the hour."""
    return Series(words, numbers, str(sum(numbers)))


def _measured(words: str, values: Sequence[float | None], unit: str = "") -> Series:
    """What is measured: beside its words stands the newest value."""
    newest = next((value for value in reversed(values) if value is not None), None)
    return Series(words, values, "–" if newest is None else f"{newest:g}{unit}")
