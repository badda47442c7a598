"""A search for live instances, and a page of what it finds. All are pure functions of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tim.model import Instance

ONLINE: Final = "online"
DETACHED: Final = "detached"


@dataclass(frozen=True, slots=True)
class Search:
    """Which live instances to find: those for which each given value holds. Without any, all of the app.

    Attributes:
        user: what the UserID begins with; case counts.
        address: the address, in canonical spelling.
        browser: what the name of the browser begins with; the case of ASCII letters does not count.
        state: ONLINE or DETACHED.
        node: the node that has the stream open.
        since: unix seconds of the earliest login.
    """

    user: str = ""
    address: str = ""
    browser: str = ""
    state: str = ""
    node: str = ""
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the found instances, in the order of UserID, then id.

    Attributes:
        next: where the next page begins, to be given as `after`; "" where this is the last one.
    """

    instances: list[Instance]
    next: str = ""


def place(instance: Instance) -> str:
    """Return the place of an instance in that order: of two strings, the smaller one comes first.

    No character of a UserID is smaller than the space.
    """
    return f"{instance.user} {instance.id}"


def page_of(found: list[Instance], limit: int) -> Page:
    """Return the page of the first `limit` of these instances, which are in order and at least one more if there is."""
    more = len(found) > limit > 0
    return Page(found[:limit], place(found[limit - 1]) if more else "")


def matches(instance: Instance, where: Search) -> bool:
    """Return whether a live instance is one that the search finds."""
    return (
        instance.user.startswith(where.user)
        and where.address in ("", instance.client.address)
        and folded(instance.client.browser).startswith(folded(where.browser))
        and where.state in ("", ONLINE if instance.online else DETACHED)
        and where.node in ("", instance.node)
        and (where.since is None or instance.since >= where.since)
    )


def folded(browser: str) -> bytes:
    """Return the name of a browser for comparison: its ASCII letters in lower case, as each engine folds them."""
    return browser.encode("utf-8", "surrogatepass").lower()
