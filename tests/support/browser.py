"""Who acts in the browser tests: people, and the tabs of Chromium they have open.

What a tab "is", "has", "says" or "hears" is a check: it waits for it, and fails where it does not come.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from typing import Final

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Locator, Page, expect

from tests.support.server import Server
from tests.support.waiting import PATIENCE, always, until
from tests.support.wire import ScriptTab, log_in

CHROMIUM: Final = shutil.which("chromium-headless-shell")
"""The system's, or None for the one that Playwright has brought. With no window to draw, it takes half the work."""
FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
FRUGAL: Final = [
    "--renderer-process-limit=1",
    "--disable-features=SpareRendererForSitePerProcess",
    "--in-process-gpu",
]
"""Flags for a browser whose processes no test stops: its pages share one, none is started in advance or to draw."""
MILLISECONDS: Final = PATIENCE * 1000

RECORDER: Final = """(() => {
  if (window !== top || location.protocol !== 'http:') return;
  const note = (what, value) => {
    const list = JSON.parse(sessionStorage.getItem('seen ' + what) || '[]');
    if (what === 'states' && list.at(-1) === value) return;
    sessionStorage.setItem('seen ' + what, JSON.stringify([...list, value]));
  };
  let events = 0;
  const look = () => {
    const state = document.querySelector('#sdk-state');
    if (state) note('states', state.dataset.state);
    const list = document.querySelectorAll('#events [data-event]');
    for (const item of [...list].slice(events)) note('events', item.dataset.event);
    events = list.length;
  };
  const what = {subtree: true, childList: true, attributeFilter: ['data-state', 'data-event']};
  new MutationObserver(look).observe(document, what);
  document.addEventListener('securitypolicyviolation', event =>
    note('violations', event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sample));
})();"""
"""Notes what a page has shown, however shortly, where a later page of the same tab still has it."""


class Tab:
    """A tab of a browser."""

    def __init__(self, page: Page, server: Server, name: str, user_id: str) -> None:
        self.page = page
        self.server = server
        self.name = name
        self.user_id = user_id
        self.dialogs: list[str] = []
        self.complaints: list[str] = []
        page.on("console", self._complain)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", self._dismiss)

    def _complain(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    @property
    def instance(self) -> str:
        """The instance in its address."""
        return self.page.url.split("/im/")[1].split("/")[0]

    @property
    def address(self) -> str:
        """Scheme, host and port that it came from."""
        return "/".join(self.page.url.split("/")[:3])

    def cookie(self) -> str:
        """The value of its tab's cookie."""
        found = [c for c in self.page.context.cookies(self.page.url) if c["name"] == "tab"]
        assert len(found) == 1, found
        return found[0]["value"]

    def as_script(self) -> ScriptTab:
        """Its instance and cookie, in the hands of a script."""
        return ScriptTab(self.server, self.user_id, self.instance, self.cookie())

    # What it does

    def reloads(self) -> None:
        self.page.reload()

    def closes(self) -> None:
        self.page.close()

    def sends(self, to: str, text: str) -> None:
        self.page.fill("#to", to)
        self.page.fill("#text", text)
        self.page.click("#send")

    def logs_out(self) -> None:
        self.page.click("#logout")
        expect(self.page).to_have_url(f"{self.address}/login?userID={self.user_id}", timeout=MILLISECONDS)

    def signs_out(self, other: Tab | ScriptTab) -> None:
        self.page.click(f"#instance-{other.instance} .sign-out")

    # What it is

    @property
    def state(self) -> str:
        """What it shows now; empty on another page or between two."""
        found: str | None = self.page.evaluate("document.querySelector('#sdk-state')?.dataset.state")
        return found or ""

    def shows(self, state: str, patience: float = PATIENCE) -> None:
        expect(self.page.locator("#sdk-state")).to_have_attribute("data-state", state, timeout=patience * 1000)

    def is_ready(self, patience: float = PATIENCE) -> None:
        self.shows("ready", patience)
        expect(self.page.locator("#login-user")).to_have_text(self.user_id)

    def is_reconnecting(self, patience: float = PATIENCE) -> None:
        self.shows("reconnecting", patience)

    def has_moved(self) -> None:
        self.shows("moved")
        expect(self.page.locator("#use-here")).to_be_visible()

    def stays(self, state: str, seconds: float) -> None:
        """It goes on showing this for so long, every moment of it."""
        before = len(self.states())
        always(lambda: self.state == state, lambda: f"tab {self.name} was to stay {state}: {self.states()}", seconds)
        assert len(self.states()) == before, self.states()

    def is_kicked_out(self, why: str, patience: float = PATIENCE) -> Locator:
        """It stands on the login page, told why; the notice."""
        notice = self.page.locator("#kicked-out")
        expect(notice).to_have_attribute("data-type", why, timeout=patience * 1000)
        assert self.page.url.startswith(f"{self.address}/login"), self.page.url
        expect(self.page.locator("#sdk-state")).to_have_count(0)
        return notice

    def is_signed_out(self) -> Locator:
        """It stands on the login page, told that it was logged out; the notice."""
        notice = self.page.locator("#signed-out")
        expect(notice).to_be_visible(timeout=MILLISECONDS)
        assert self.page.url.startswith(f"{self.address}/login"), self.page.url
        return notice

    def is_on_the_login_page(self) -> None:
        expect(self.page.locator("#login-form")).to_be_visible(timeout=MILLISECONDS)
        expect(self.page.locator("#sdk-state")).to_have_count(0)

    # What it has

    def states(self) -> list[str]:
        """Every state this tab has shown, one after the other, over all its pages."""
        return self._noted("states")

    def events(self) -> list[str]:
        """Every SDK event this tab has logged, over all its pages."""
        return self._noted("events")

    def violations(self) -> list[str]:
        """What the Content-Security-Policy had to stop in it."""
        return self._noted("violations")

    def _noted(self, what: str) -> list[str]:
        found: list[str] = json.loads(self.page.evaluate(f"sessionStorage.getItem('seen {what}')") or "[]")
        return found

    def hears(self, event: str, times: int = 1) -> None:
        """Wait until it has logged the event so often."""
        until(lambda: self.events().count(event) >= times, lambda: f"tab {self.name} heard {self.events()}")

    def instances(self) -> dict[str, str]:
        """State by id of the instances it lists, in its order."""
        found: list[tuple[str, str]] = self.page.eval_on_selector_all(
            "#instances [data-instance]", "all => all.map(one => [one.dataset.instance, one.dataset.state])"
        )
        return dict(found)

    def lists(self, *states: str) -> None:
        """Wait until the instances it lists have exactly these states: its own first, then the newest."""
        until(
            lambda: list(self.instances().values()) == list(states),
            lambda: f"tab {self.name} should list {states} and lists {self.instances()}",
        )

    def since(self) -> str:
        """Since when its own card says that it is logged in."""
        return self.page.locator("[data-self] time").first.get_attribute("datetime") or ""

    def texts(self) -> list[str]:
        """The texts of the messages it shows, oldest first."""
        return self.page.locator("#messages [data-message] .text").all_text_contents()

    def reads(self, *texts: str) -> None:
        """Wait until it shows exactly these messages."""
        expect(self.page.locator("#messages [data-message] .text")).to_have_text(list(texts), timeout=MILLISECONDS)

    def hears_complaint(self, text: str) -> bool:
        """Whether its console has such a line by now."""
        self.page.evaluate("0")  # Playwright hands events out while it is asked something
        return any(text in complaint for complaint in self.complaints)

    def is_quiet(self) -> None:
        """Nothing in it broke a rule: no script error, no dialog, nothing that the policy had to stop."""
        assert self.violations() == []
        assert self.dialogs == []
        assert [c for c in self.complaints if "Security Policy" in c] == []


class Person:
    """An account, and a browser to open tabs in.

    Args:
        window: the browser; the tabs of one share cookies, as those of one person's browser do.
        through: the address of a proxy in front of the server, for a line that is to fail.
    """

    def __init__(self, server: Server, window: BrowserContext, name: str, through: str | None = None) -> None:
        self.server = server
        self.window = window
        # An account of its own, so that tests share a server and never meet.
        self.user_id = f"{name}-{secrets.token_hex(4)}"
        self._through = through

    @property
    def address(self) -> str:
        """Where this person finds the server."""
        return self._through or self.server.address

    def opens(self, path: str, tab: str = "A") -> Tab:
        """A new tab at `path`."""
        opened = Tab(self.window.new_page(), self.server, tab, self.user_id)
        opened.page.goto(self.address + path)
        return opened

    def fills_in(self, tab: str = "A", *, expire: int = 86400) -> Tab:
        """A new tab with the login page filled in, one click from being logged in."""
        opened = self.opens(f"/login?userID={self.user_id}", tab)
        opened.page.fill("#userSig", self.server.user_sig(self.user_id, expire))
        return opened

    def logs_in(self, tab: str = "A", *, expire: int = 86400) -> Tab:
        """A new tab that has logged in and is ready."""
        opened = self.fills_in(tab, expire=expire)
        opened.page.click("#login")
        opened.is_ready()
        return opened

    def logs_in_by_script(self, *, agent: str = "") -> ScriptTab:
        """One more instance of the account, with no browser; it is detached until it attaches."""
        return log_in(self.server, self.user_id, headers={"User-Agent": agent} if agent else None)


def seconds_since(start: float) -> float:
    return time.monotonic() - start
