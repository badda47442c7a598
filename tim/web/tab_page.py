"""The page of a tab as HTML: all of it, or a fragment, such as its list of instances."""

from __future__ import annotations

from typing import Any

from flask import g, request

from tim.errors import IMError
from tim.model import Instance, View
from tim.rules import newcomers
from tim.web.context import Service, service
from tim.web.identity import BROWSER, is_login_of
from tim.web.templating import Templates, templates


class TabPage:
    """Renders for the browser and in the language of one request, which it does not keep: the stream outlives it.

    Args:
        address: of the page. The routes of its tab are below it.
        cookie: that of the browser.
    """

    __slots__ = ("_address", "_cookie", "_service", "_templates")

    def __init__(self, service: Service, templates: Templates, address: str, cookie: str | None) -> None:
        self._service = service
        self._templates = templates
        self._address = address
        self._cookie = cookie

    def whole(self, view: View, **more: str | IMError) -> str:
        """The whole page; `more` is what was typed into one of its forms, and why it was refused."""
        return self.fragment(
            "tab.html",
            view.instance,
            **self._list(view.instance, view.instances),
            messages=view.messages,
            read=view.read_seq,
            state="not-ready",
            silence=self._service.timing.page_silence,
            **more,
        )

    def instances(self, this: Instance, live: list[Instance], template: str = "_instances.html", **more: object) -> str:
        """The list of instances with the logins that are new to this one; `more` are other values that it shows."""
        return self.fragment(template, this, **self._list(this, live), **more)

    def fragment(self, template: str, this: Instance, **values: Any) -> str:
        """What `template` makes of the values, in the page of the instance `this`."""
        return self._templates.render(template, {"tab": self._address, "this": this, **values})

    def relative(self, seconds: float) -> str:
        """Unix seconds relative to now, as the templates write them."""
        return self._templates.words.relative(seconds)

    def _list(self, this: Instance, live: list[Instance]) -> dict[str, Any]:
        """The values of `_instances.html`: this one first, then the newest. A login of the same browser is not new."""
        backend, around = self._service.backend, others(this, live)
        return {
            "instances": [*(each for each in live if each.id == this.id), *around],
            "others": len(around),
            "newcomers": self._strangers(newcomers(this, live)),
            "seats": backend.limits().online_web_instances,
            "grace": backend.detach_grace,
        }

    def _strangers(self, instances: list[Instance]) -> list[Instance]:
        """Those of the instances that another browser has logged in."""
        browser = self._service.identity.browser_in(self._cookie) if instances else None
        return [each for each in instances if not is_login_of(browser, each.id)]


def here() -> TabPage:
    """The page of the tab to which the current request belongs."""
    shared = service()
    return TabPage(shared, templates(), address(g.instance), request.cookies.get(BROWSER))


def address(instance: str) -> str:
    """The address of the page of a tab, without the search that `url_for` makes for each."""
    return f"{request.script_root}/im/{instance}/"


def others(this: Instance, live: list[Instance]) -> list[Instance]:
    """All instances of the list but this one, newest login first."""
    found = [each for each in live if each.id != this.id]
    return sorted(found, key=lambda instance: instance.ordinal, reverse=True)
