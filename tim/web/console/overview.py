"""The first page of the console: what the whole service does now."""

from __future__ import annotations

from flask import Blueprint, render_template

from tim.web.context import service

blueprint = Blueprint("console_overview", __name__, url_prefix="/console")


@blueprint.get("")
def page() -> str:
    return render_template("console/overview.html", **_values())


@blueprint.get("/overview")
def fragment() -> str:
    """The live part of the page."""
    return render_template("console/_overview.html", **_values())


def _values() -> dict[str, object]:
    nodes = service().backend.online()
    return {"nodes": sorted(nodes.items()), "online": sum(nodes.values())}
