"""The page of a tab as HTML: all of it, or its list of instances with the logins that are new to it."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from tim.errors import IMError
from tim.model import Instance, View
from tim.rules import newcomers
from tim.web.context import service


def page(view: View, **more: str | IMError) -> str:
    """The whole page; `more` is what was typed into one of its forms, and why it was refused."""
    return render_template(
        "tab.html",
        **_shown(view.instance, view.instances),
        messages=view.messages,
        read=view.read_seq,
        state="not-ready",
        silence=service().timing.page_silence,
        **more,
    )


def instances(this: Instance, live: list[Instance], **more: object) -> str:
    """The list of instances; `more` are other values that it shows."""
    return render_template("_instances.html", **_shown(this, live), **more)


def others(this: Instance, live: list[Instance]) -> list[Instance]:
    """All instances of the list but this one, newest login first."""
    found = [each for each in live if each.id != this.id]
    return sorted(found, key=lambda instance: instance.ordinal, reverse=True)


def _shown(this: Instance, live: list[Instance]) -> dict[str, Any]:
    """The values of `_instances.html`: this instance first, then the newest. A login of the same browser is not new."""
    here = service()
    return {
        "this": this,
        "instances": [*(each for each in live if each.id == this.id), *others(this, live)],
        "newcomers": [each for each in newcomers(this, live) if not here.identity.is_own(request, each.id)],
        "seats": here.backend.limits().online_web_instances,
        "grace": here.backend.detach_grace,
    }
