"""Operators of the console, as scripts and in browsers."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import BrowserContext, Page

from tests.support.server import ADMIN_TOKEN
from tests.support.wire import Answer, Door, ask


@dataclass(frozen=True)
class Operator:
    """An operator who is signed in: a script with the cookie of a session."""

    server: Door
    cookie: str

    def gets(self, path: str, **headers: str) -> Answer:
        """GET `/console` and `path`. `HX_Request="true"` becomes the header HX-Request."""
        return ask(self.server, "GET", f"/console{path}", cookie=self.cookie, headers=_headers(headers))

    def posts(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        return ask(self.server, "POST", f"/console{path}", form or {}, cookie=self.cookie, headers=_headers(headers))


def _headers(named: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in named.items()}


def sign_in(server: Door, token: str = ADMIN_TOKEN, **headers: str) -> Operator:
    """Sign in with the token."""
    answer = ask(server, "POST", "/console/sign-in", {"token": token}, headers=_headers(headers))
    assert answer.status == 303, answer.body
    ((name, value),) = answer.cookies().items()
    return Operator(server, f"{name}={value}")


def open_console(window: BrowserContext, server: Door, token: str = ADMIN_TOKEN, path: str = "") -> Page:
    """A tab of this browser that has signed in to the console."""
    page = window.new_page()
    page.goto(f"{server.address}/console{path}{'&' if '?' in path else '?'}token={token}")
    return page


def ends_the_session_of(page: Page, server: Door) -> None:
    """The session of this browser ends on the server, as after its time: the browser does not learn it."""
    ((name, value),) = [
        (c["name"], c["value"])
        for c in page.context.cookies(f"{server.address}/console")
        if "console" in str(c["name"])
    ]
    assert Operator(server, f"{name}={value}").posts("/sign-out").status == 303


def signs_in_in_another_tab(page: Page, token: str = ADMIN_TOKEN) -> None:
    """The link that says so is followed, and its form filled in."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in in another tab").click()
    opened.value.fill("#token", token)
    opened.value.click("#sign-in")
    opened.value.locator("#sign-out").wait_for()
    opened.value.close()
