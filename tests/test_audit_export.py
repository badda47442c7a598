"""The audit as a file: every entry once, nothing that a spreadsheet computes, and one page in memory at a time."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator

import pytest

from tim.audit import LOGIN, AuditPage, Entry
from tim.audit_export import COLUMNS, all_entries, csv_lines, json_lines

ALICE = Entry("1750000000123456-7", 1750000000.123456, LOGIN, "alice", "an-id", 'a "b", c', "2001:db8::1")


def test_all_pages_are_read_also_an_empty_one_in_between() -> None:
    found = {"": AuditPage([ALICE], "b"), "b": AuditPage([], "c"), "c": AuditPage([ALICE, ALICE], "")}
    assert list(all_entries(found.__getitem__)) == [ALICE] * 3


def test_a_spreadsheet_reads_each_field_as_it_is() -> None:
    heading, line = csv.reader(csv_lines([ALICE]))
    assert tuple(heading) == COLUMNS
    named = dict(zip(heading, line, strict=True))
    assert named["time"] == "2025-06-15T15:06:40.123456+00:00"
    assert (named["id"], named["browser"], named["words"]) == (ALICE.id, ALICE.browser, "")


@pytest.mark.parametrize("cell", ["=1+1", "+8613", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_a_formula_in_any_field_is_inert(cell: str) -> None:
    entry = Entry("1-2", 0, LOGIN, cell, cell, cell, cell, cell, cell, cell, cell)
    _, line = csv.reader(csv_lines([entry]))
    assert line[3:] == [f"'{cell}"] * 8


@pytest.mark.parametrize(
    ("cell", "written"),
    [("a;=1+1;b", "a;'=1+1;b"), ('a;"=1+1";b', 'a;"\'=1+1";b'), ("a,+1|-2", "a,'+1|'-2"), ("a=1;b", "a=1;b")],
)
def test_a_formula_is_inert_where_a_spreadsheet_splits_the_field(cell: str, written: str) -> None:
    _, line = csv.reader(csv_lines([Entry("1-2", 0, LOGIN, cell)]))
    assert line[COLUMNS.index("user")] == written


def test_programs_read_one_object_a_line_without_empty_fields() -> None:
    (line,) = json_lines([ALICE])
    assert line.endswith("\n")
    assert json.loads(line) == {
        "id": ALICE.id,
        "time": "2025-06-15T15:06:40.123456+00:00",
        "kind": "login",
        "user": "alice",
        "instance": "an-id",
        "browser": 'a "b", c',
        "address": "2001:db8::1",
    }


@pytest.mark.parametrize("lines", [csv_lines, json_lines])
def test_one_page_is_in_memory_at_a_time(lines: Callable[[Iterator[Entry]], Iterator[str]]) -> None:
    def page(before: str) -> AuditPage:
        number = int(before or 0)
        entries = [Entry(f"{number}-{n}", 0, LOGIN, f"user-{n}", words="x" * 100) for n in range(100)]
        return AuditPage(entries, str(number + 1) if number < 20 else "")

    tracemalloc.start()
    try:
        deque(lines(all_entries(page)), maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000, "2,000 entries take a megabyte"
