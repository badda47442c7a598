"""The first page of the console: what the whole service does now, and did in the last hour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from flask import Blueprint, render_template

from tim import codes
from tim.activity import Activity
from tim.audit import EVICTED, EXPIRED, KICKED, LOGIN, REFUSED, RETURNED, SIGNED_OUT
from tim.measures import BOUNDS, KICK, ONLINE, STORE, histogram, histograms
from tim.overview import Snapshot
from tim.web.console.chart import Chart, Series, bars, lines
from tim.web.context import service
from tim.web.language import gettext as _

blueprint = Blueprint("console_overview", __name__, url_prefix="/console")

NBSP: Final = "\u00a0"
"""A blank at which no line is broken."""
SHOWN: Final = 5
"""Codes of refusals with a colour of their own; the others have one together."""


@blueprint.get("/")
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
    return render_template("console/minutes.html", charts=charts, rows=rows[::-1], calls=_calls(snapshot))


def _values() -> dict[str, Any]:
    snapshot = service().backend.overview.snapshot()
    store = histogram(snapshot.in_hour(), STORE)
    return {
        "snapshot": snapshot,
        "nodes": sorted(snapshot.nodes.items()),
        "charts": _charts(snapshot),
        "store": (_at_most(store.quantile(0.5)), _at_most(store.quantile(0.99))),
    }


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
                _counted(_("evicted at the limit"), activity.of({EVICTED})),
                _counted(_("kicked"), activity.of({KICKED})),
                _counted(_("signed out from elsewhere"), activity.of({SIGNED_OUT})),
                _counted(_("UserSig expired"), activity.of({EXPIRED})),
            ]
        ),
        "instances": lines(
            [
                _measured(_("online and detached"), activity.seated(snapshot.instances)),
                _measured(_("online"), _online(snapshot)),
            ]
        ),
        "kicks": lines([_kicks(snapshot, "p50", 0.5), _kicks(snapshot, "p99", 0.99)]),
    }


def _online(snapshot: Snapshot) -> list[float | None]:
    """The samples of each minute, which every node adds its share to; the current minute may lack some."""
    samples: list[float | None] = [
        snapshot.in_minute(n).get(f"{ONLINE}:") for n in range(len(snapshot.activity.begins))
    ]
    return [*samples[:-1], snapshot.online]


def _kicks(snapshot: Snapshot, words: str, share: float) -> Series:
    """Milliseconds from the decision of a kick to the browser's answer. Beside the words stands the whole hour."""
    minutes = [histogram(snapshot.in_minute(n), KICK).quantile(share) for n in range(len(snapshot.activity.begins))]
    longest = max(bound for bound in BOUNDS if bound < math.inf)
    values = [None if seconds is None else 1000 * min(seconds, longest) for seconds in minutes]
    return Series(words, values, _at_most(histogram(snapshot.in_hour(), KICK).quantile(share)))


def _calls(snapshot: Snapshot) -> list[tuple[str, int, str, str]]:
    """The calls of the store in the last hour: verb, number, p50 and p99; the most frequent first."""
    found = histograms(snapshot.in_hour(), STORE)
    calls = sorted(((verb, each) for verb, each in found.items()), key=lambda pair: -pair[1].buckets[math.inf])
    return [
        (verb, each.buckets[math.inf], _at_most(each.quantile(0.5)), _at_most(each.quantile(0.99)))
        for verb, each in calls
    ]


def _at_most(seconds: float | None) -> str:
    """The upper bound of a bucket as text."""
    if seconds is None:
        return "–"
    if seconds == math.inf:
        return f">{NBSP}{max(bound for bound in BOUNDS if bound < math.inf):g}{NBSP}s"
    return f"≤{NBSP}{seconds:g}{NBSP}s" if seconds >= 1 else f"≤{NBSP}{1000 * seconds:g}{NBSP}ms"


def _refusals(activity: Activity) -> list[Series]:
    """A series for each of the most frequent codes."""
    by_code = list(activity.by_code(REFUSED).items())
    series = [_counted(f"{code} {_why(code)}".rstrip(), numbers) for code, numbers in by_code[:SHOWN]]
    if rest := [numbers for _code, numbers in by_code[SHOWN:]]:
        series.append(_counted(_("others"), [sum(each) for each in zip(*rest, strict=True)]))
    return series


def _why(code: str) -> str:
    """A refusal in a few words; none for one that has no words here."""
    words: dict[int, str] = {
        codes.USERSIG_EXPIRED: _("expired"),
        codes.USERSIG_EMPTY: _("empty"),
        codes.USERSIG_MALFORMED: _("cannot be read"),
        codes.USERSIG_FORGED: _("made with another key"),
        codes.USERSIG_OTHER_USER: _("made for another UserID"),
        codes.USERSIG_OTHER_APP: _("made for another SDKAppID"),
        codes.UNKNOWN_APP: _("unknown SDKAppID"),
        codes.TOO_MANY_FAILURES: _("failed too often"),
        codes.ACCOUNT_BLOCKED: _("account blocked"),
        codes.USERSIG_REVOKED: _("revoked"),
        codes.AT_LIMIT: _("at the limit"),
        codes.BAD_PARAMETER: _("malformed UserID"),
    }
    return words.get(int(code), "") if code.isdecimal() else ""


def _counted(words: str, numbers: Sequence[int]) -> Series:
    """What is counted: beside its words stands the sum of the hour."""
    return Series(words, numbers, str(sum(numbers)))


def _measured(words: str, values: Sequence[float | None]) -> Series:
    """What is measured: beside its words stands the newest value."""
    newest = next((value for value in reversed(values) if value is not None), None)
    return Series(words, values, "–" if newest is None else f"{newest:g}")
