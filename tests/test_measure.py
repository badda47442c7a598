"""The figures of docs/costs.md are those of this code: what each action costs a Redis, counted and weighed anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.measure import kept, renewal
from tests.support.costs import costs
from tests.support.documents import prose, row
from tim.audit import DEFAULT_RETENTION
from tim.hub import MAX_STREAMS

COSTS = "docs/costs.md"
NEAR = 0.25
"""How far a number of bytes may be from the stated one: it depends on the version of Redis and of its allocator."""


def figures(what: str) -> list[str]:
    return row(COSTS, what)


def one_line(document: str) -> str:
    """Its prose without line breaks."""
    return " ".join(prose(document).split())


def two_digits(number: float) -> str:
    """The number rounded to its first two digits."""
    return f"{float(f'{number:.1e}'):,.0f}"


@pytest.mark.usefixtures("not_quick")
def test_what_people_do_costs_what_the_document_says(tmp_path: Path) -> None:
    counted = {what: [str(its), str(its.within)] for what, its in costs(tmp_path)}
    assert counted == {what: figures(what)[:2] for what in counted}


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize("tabs", [0, 1000])
def test_a_process_costs_the_same_whatever_its_tabs(tabs: int) -> None:
    its = renewal(tabs)
    assert [str(its), str(its.within)] == figures("A node with 0, 1000 or 10000 tabs, every 5 s")[:2]


@pytest.mark.usefixtures("not_quick")
def test_what_is_kept_takes_the_keys_and_about_the_bytes_that_the_document_says() -> None:
    for what, one in kept():
        keys, size = figures(what)
        assert one.keys == int(keys), what
        assert one.bytes == pytest.approx(int(size), rel=NEAR), what


def test_the_arithmetic_adds_up() -> None:
    def takes(what: str) -> int:
        return int(figures(what)[1])

    def lasts(what: str) -> int:
        return int(figures(what)[2].removesuffix(" µs"))

    ended = takes("A tab that has ended, for 7 days, at most 500 of an account")
    listed = takes("The list of an account's entries in the audit")
    idle = takes("An account, for ever") + takes("A tab that is logged in") + 7 * ended + listed
    log = takes("The log of an account, until 7 days after its last message")
    busy = idle + log + 7 * 20 * takes("A copy of a message of 32 bytes, for 7 days")
    login = lasts("A login") + lasts("Its page opens") + lasts("Its stream opens")
    day = login + 10 * lasts("A reload") + 10 * lasts("A message, and its receiver at another node")
    each = 3 * day / 86400 + lasts("A node with 0, 1000 or 10000 tabs, every 5 s") / 5 / MAX_STREAMS
    room, masters, many = 12 * 2**30, 64, 100_000_000
    gigabytes, half = 1e9 * masters, 0.5 * 1e6
    audit = DEFAULT_RETENTION.entries * takes("An entry of the audit, for 30 days, at most 10 million")
    assert f"The audit itself is {audit / 1e9:.1f} GB" in prose(COSTS)

    assert figures(f"memory: {busy / 1000:.0f} KB an account") == [
        f"{round((room - audit) / busy, -4):,.0f} tabs",
        f"{(masters * room - audit) / busy / 1e6:.0f} million tabs",
        f"{many * busy / gigabytes:.0f} GB each",
    ]
    assert figures(f"memory without messages: {idle / 1000:.1f} KB") == [
        f"{(room - audit) / idle / 1e6:.1f} million tabs",
        f"{round((masters * room - audit) / idle / 1e6, -1):.0f} million tabs",
        f"{many * idle / gigabytes:.0f} GB each",
    ]
    assert figures(f"time: {each:.2f} µs a second for a tab") == [
        f"{half / each / 1e6:.1f} million tabs, half busy",
        f"{round(masters * half / each / 1e6, -1):.0f} million tabs, half busy",
        f"{many * each / masters / 1e6:.0%} of each".replace("%", " %"),
    ]

    took = re.search(r"A node takes (\d+) MiB, and (\d+) KiB for each tab", one_line(COSTS))
    assert took
    node = int(took[1]) + MAX_STREAMS * int(took[2]) / 1024

    def nodes(servers: int) -> str:
        """From the nodes for the tabs with messages to those for the tabs without."""
        tabs = [min((servers * room - audit) / size, servers * half / each) for size in (busy, idle)]
        return " to ".join(two_digits(number / MAX_STREAMS) for number in tabs)

    all_nodes = many / MAX_STREAMS
    assert figures(f"nodes, of {node:.0f} MiB") == [
        nodes(1),
        nodes(masters),
        f"{all_nodes:,.0f}, with {all_nodes * node / 2**20:.1f} TiB",
    ]

    logins = 3 * many / 86400
    calls = all_nodes * int(figures("A node with 0, 1000 or 10000 tabs, every 5 s")[0].partition(":")[0]) / 5
    assert (
        f"in the busiest hour are {two_digits(logins)} logins, {two_digits(10 * logins)} reloads, "
        f"{two_digits(10 * logins)} messages and {two_digits(calls)} calls of renewals a second."
    ) in one_line(COSTS)

    parts = [login, lasts("A reload"), lasts("A message, and its receiver at another node")]
    assert "({} + 10 × {} + 10 × {}) µs a day".format(*parts) in prose(COSTS)
